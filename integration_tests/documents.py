"""What the written pages consist of: their code blocks, the commands in them, their inline code."""

from __future__ import annotations

import re
import shlex
import textwrap
from dataclasses import dataclass
from pathlib import Path

from docsite.markdown import CODE, blocks

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/*.md", "docs/datasets/*.md", "packages/*/README.md", "plugins/*/README.md")
    for path in ROOT.glob(pattern)
)
_FENCED = re.compile(r"^ *```(\w+)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
COMMAND = re.compile(r"^\s*(?:\$ )?((?:[A-Z_]+=\S+ )*)(nbf-run|python3?|pip|pytest) (.*)$")


@dataclass(frozen=True)
class Command:
    """A command line of a page. ``whole``: it stands in a block of its own, and is not a mention in a sentence."""

    page: str
    program: str
    words: tuple[str, ...]
    whole: bool

    def __str__(self) -> str:
        return f"{self.page}: {self.program} {' '.join(self.words)}"


def name(page: Path) -> str:
    """A page as messages call it."""
    return page.relative_to(ROOT).as_posix()


def fenced(page: Path, language: str) -> list[str]:
    """The blocks of a language."""
    return [text for kind, text in _FENCED.findall(page.read_text("utf-8")) if kind == language]


def indented(page: Path) -> list[str]:
    """The blocks that are code by their indentation, whatever is in them."""
    text = _FENCED.sub("", page.read_text("utf-8"))
    lines = ["\n" if not code else line for code, line in blocks(text)]
    return [textwrap.dedent(block.strip("\n")) for block in re.split(r"\n{3,}", "\n".join(lines)) if block.strip()]


def inline(page: Path) -> list[str]:
    """All inline code."""
    lines = [line for code, line in blocks(page.read_text("utf-8")) if not code]
    return [" ".join(span.split()) for span in CODE.findall("\n".join(lines))]


def commands(page: Path) -> list[Command]:
    """Every command of a page; of one that says "a | b" the first."""
    lines = [line for code, line in blocks(page.read_text("utf-8")) if code]
    text = re.sub(r"\\\n\s*", "", "\n".join(lines))
    found = [(line, True) for line in text.splitlines()] + [(span, False) for span in inline(page)]
    made = []
    for line, whole in found:
        match = COMMAND.match(line)
        if match:
            told = re.split(r"\s{2,}|\s#\s|[;&]\s|\s\|\s", match[3])[0]
            whole = whole and " | " not in line
            made.append(Command(name(page), match[2], tuple(shlex.split(told)), whole))
    return made
