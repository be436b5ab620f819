"""``nbf-run swap``: words around :func:`nbf_run.swap.swap`. Importing this imports no torch."""

from __future__ import annotations

import json as jsons
from pathlib import Path
from typing import Annotated, Optional

import typer


def swap(
    pipeline: Annotated[
        str, typer.Argument(metavar="PIPELINE", help="What to exchange components of; your own TOML file, say.")
    ] = "swap",
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder to write to.")] = Path("nbf-swap"),
    photo: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--photo", metavar="PHOTO", help="The photo that is fitted, if not a shipped one."),
    ] = None,
    settings: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--set", metavar="KEY=VALUE", help="Change a key of the pipeline: bench.samples=8."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> int:
    """Exchange renderer, fitter and body by every other one installed: agreement and cost.

    What cannot run here is listed with its reason.
    """
    from nbf_core.config import parse_override
    from nbf_run.cli.main import DONE
    from nbf_run.cli.work import progress_bars

    overrides = [parse_override(text) for text in settings or ()]
    from nbf_run.swap.page import print_report
    from nbf_run.swap.runner import swap as run

    with progress_bars() as step:
        report = run(pipeline, out, photo, overrides, step)
    if json:
        print(jsons.dumps(report, indent=2))
    else:
        print_report(report)
        print(f"page: {out / report['page']}")
    return DONE
