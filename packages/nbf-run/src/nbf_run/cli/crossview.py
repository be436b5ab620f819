"""``nbf-run crossview``: words around ``nbf_run.crossview``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from nbf_core.config import parse_override
from nbf_run.cli.main import DONE
from nbf_run.cli.work import progress_bars as progress


def crossview_command(source: str, out: Path, settings: Sequence[str] | None, as_json: bool) -> int:
    """Run, print the tables (or the report as JSON), and say where the page is."""
    overrides = [parse_override(text) for text in settings or ()]
    from nbf_run.crossview import crossview
    from nbf_run.crossview.tables import print_report
    from nbf_run.jsons import plain

    with progress() as step:
        report = crossview(source, out, overrides, step)
    if as_json:
        print(json.dumps(plain(report), indent=2))
    else:
        print_report(report)
        print(f"page: {report['page']}")
    return DONE
