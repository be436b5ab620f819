"""Texts hold no path of anyone's machine, no package index's address; links between pages lead somewhere."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

SUFFIXES = frozenset(".py .toml .md .txt .html .json .j2 .css .js .cfg .yml .yaml .lock".split())
# Written so that this file does not find itself.
_FOLDERS = "(home|root|Users|work|opt)"
_INDEX = r"(/simple\b|/whl\b|pythonhosted[.]org)"
_DEBUGGER = r"\b(breakpoint[(]|pdb[.]set_trace|import i[p]db)"
FORBIDDEN = {
    "a path of somebody's machine": re.compile(rf"(?<![\w.~])/{_FOLDERS}/\w"),
    "the address of a package index": re.compile(rf"https?://[^\s\"')]*{_INDEX}"),
    "a debugger call": re.compile(_DEBUGGER),
}
LINK = re.compile(r"\]\(([^)#\s:]+)(?:#[^)]*)?\)")


def problems(root: Path) -> list[str]:
    """What the tracked and the new text files should not say, and the links that are broken."""
    found = []
    for file in tracked(root):
        if file.suffix not in SUFFIXES and file.name not in ("run", "LICENSE"):
            continue
        name = file.relative_to(root)
        text = file.read_text(encoding="utf-8", errors="replace")
        found += [f"{name}:{line}: {problem}" for line, problem in forbidden(text)]
        if file.suffix == ".md":
            broken = [link for link in LINK.findall(text) if not (file.parent / link).exists()]
            found += [f"{name}: broken link to {link}" for link in broken]
    return found


def forbidden(text: str) -> Iterator[tuple[int, str]]:
    """Line numbers and what is wrong there."""
    for number, line in enumerate(text.splitlines(), 1):
        for what, pattern in FORBIDDEN.items():
            if pattern.search(line):
                yield number, what


def tracked(root: Path) -> list[Path]:
    """The files git knows or would add; every file where this is no git checkout."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=root, capture_output=True, text=True)
    if listed.returncode == 0:
        return sorted(root / name for name in listed.stdout.split("\0") if name and (root / name).is_file())
    return sorted(file for file in root.rglob("*") if file.is_file() and ".venv" not in file.parts)
