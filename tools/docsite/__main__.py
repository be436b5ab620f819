"""``python -m docsite write FOLDER``: all pages. ``python -m docsite check SITE``: whether all links work."""

import sys
from pathlib import Path

from docsite.links import problems
from docsite.sources import BrokenLink

ROOT = Path(__file__).resolve().parents[2]


def main(task: str, folder: str) -> int:
    """Run one task; returns the exit status."""
    if task == "write":
        from docsite.site import write

        try:
            print(f"{write(ROOT, Path(folder))} pages")
        except BrokenLink as error:
            print(error)
            return 1
        return 0
    found = problems(Path(folder).resolve())
    print("\n".join(found) or "all links work, and nothing is loaded from elsewhere")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
