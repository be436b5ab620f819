"""Credits in Markdown, as far as a page shows them: headings, paragraphs, licences in indented blocks."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass


@dataclass(frozen=True)
class Credit:
    """One section: ``paragraphs`` as plain text, ``notice`` the licence word for word (empty where none)."""

    title: str
    paragraphs: tuple[str, ...]
    notice: str


def read_credits(markdown: str) -> list[Credit]:
    """The sections of a file of credits; its tables are left out."""
    credits = []
    for section in re.split(r"^#+ ", markdown, flags=re.MULTILINE)[1:]:
        title, _, body = section.partition("\n")
        blocks = [block for block in re.split(r"\n\s*\n", body.strip("\n")) if block.strip()]
        notices = [textwrap.dedent(block) for block in blocks if block.startswith("    ")]
        texts = [block for block in blocks if not block.startswith(("    ", "|"))]
        credits.append(Credit(title.strip(), tuple(map(_plain, texts)), "\n\n".join(notices)))
    return credits


def _plain(block: str) -> str:
    """Without Markdown's marks; links keep their address."""
    block = re.sub(r"\[([^\]]+)\]\(([^)]+)\)", r"\1 (\2)", block)
    return " ".join(re.sub(r"[`*]", "", block).split())
