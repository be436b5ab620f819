"""The table of docs/packages.md: what each package brings and costs when it is installed alone, as measured."""

from __future__ import annotations

import platform
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parent))

from environments import ROOT, say  # noqa: E402 (found through the line above)

if TYPE_CHECKING:
    from isolation import Found

PAGE = ROOT / "docs" / "packages.md"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
HEAD = (
    "| package | wheel, kB | install, s | brings | MB | without torch | modules | example | tests |",
    "|---|---:|---:|---:|---:|---:|---:|---|---|",
)


def write(found: Sequence[Found], whole: bool) -> None:
    """Put the rows into the page: all of them anew, or only those of the packages that were looked at."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    old, _, after = rest.partition(END)
    if not after:
        raise ValueError(f"{PAGE} lacks the lines {BEGIN} and {END}")
    rows = {} if whole else rows_of(old)
    rows |= {one.name: one.row() for one in found}
    made = f"Python {platform.python_version()}, {platform.system()} {platform.machine()}, torch without CUDA."
    table = "\n".join([BEGIN, made, "", *HEAD, *(rows[name] for name in sorted(rows)), END])
    PAGE.write_text(before + table + after, encoding="utf-8")
    say(f"{len(found)} rows written to {PAGE.relative_to(ROOT)}")


def rows_of(table: str) -> dict[str, str]:
    """The rows of a table by package."""
    return {line.split("|")[1].strip(): line for line in table.splitlines() if line.startswith("| nbf-")}
