"""Runs every check of the repository: ``python tools/checks``. Exit status 1 where any finds a problem."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import code_size  # noqa: E402 (found through the line above)
import locked  # noqa: E402
import texts  # noqa: E402

import packages  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    """Print all problems, one a line."""
    total = 0
    for module in (locked, packages, code_size, texts):
        problems = module.problems(ROOT)
        for problem in problems:
            print(f"{module.__name__}: {problem}")
        total += len(problems)
    print(f"{total} problem{'s' * (total != 1)} found by the checks of the repository")
    return int(total > 0)


if __name__ == "__main__":
    sys.exit(main())
