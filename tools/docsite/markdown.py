"""Markdown as a code host reads it, into Markdown as the site's generator reads it: links, lists, tables."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

FENCE = re.compile(r"^ *(```|~~~)")
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^()\s]+)\)")
CODE = re.compile(r"(?<!`)`([^`]+)`(?!`)")
_ITEM = re.compile(r"^([*-]|\d+\.) ")


def blocks(text: str) -> Iterator[tuple[bool, str]]:
    """The lines of a page, each with whether it is code: fenced, or indented by four after a blank line."""
    fence, before, indented = "", "", False
    listed = False
    for line in text.splitlines():
        mark = FENCE.match(line)
        if fence:
            yield True, line
            fence = "" if mark and mark[1] == fence else fence
        elif mark:
            fence = mark[1]
            yield True, line
        else:
            listed = bool(_ITEM.match(line)) or (listed and (not line.strip() or line.startswith(" ")))
            depth = 6 if listed else 4
            deep = line.startswith(" " * depth)
            indented = deep and (indented or not before.strip()) or (indented and not line.strip())
            yield indented and deep, line
        before = line


def prose(text: str, change: Callable[[str], str]) -> str:
    """A page with ``change`` applied to every line that is not code."""
    return "\n".join(line if code else change(line) for code, line in blocks(text)) + "\n"


def relinked(text: str, target: Callable[[str], str]) -> str:
    """A page with the target of every link and picture replaced; code is left alone."""

    def line(text: str) -> str:
        spans: list[str] = []

        def keep(match: re.Match) -> str:
            spans.append(match[0])
            return f"\0{len(spans) - 1}\0"

        # Code inside a link's text stays where it is; a link inside code is no link.
        hidden = CODE.sub(keep, text)
        linked = LINK.sub(lambda match: f"{match[1]}[{match[2]}]({target(match[3])})", hidden)
        return re.sub("\0(\\d+)\0", lambda match: spans[int(match[1])], linked)

    return prose(text, line)


def with_links(text: str, pages: dict[str, str]) -> str:
    """A page whose inline code becomes a link where it is a key of ``pages``, outside headings and links."""

    def line(text: str) -> str:
        if text.startswith("#"):
            return text
        taken = [match.span() for match in LINK.finditer(text)]

        def link(match: re.Match) -> str:
            inside = any(start <= match.start() < end for start, end in taken)
            return match[0] if inside or match[1] not in pages else f"[{match[0]}]({pages[match[1]]})"

        return CODE.sub(link, text)

    return prose(text, line)


def for_generator(text: str) -> str:
    """A page as Python-Markdown wants it.

    Under an item of a list it takes four spaces where a code host takes the width of the mark, and a list needs a
    blank line before it. In tables a bar inside code is no border, so its backslash would show.
    """
    lines: list[str] = []
    shift, fence = 0, ""
    for line in text.splitlines():
        mark = FENCE.match(line)
        item = None if fence else _ITEM.match(line)
        if item:
            if lines and lines[-1].strip() and not shift:
                lines.append("")
            shift = 4 - len(item[0])
            lines.append(line)
        elif shift and line.startswith(" "):
            nested = re.match(r"^( +)([*-] )", line)
            lines.append(" " * (2 * shift if nested and len(nested[1]) > 2 else shift) + line)
        else:
            shift = shift if not line.strip() else 0
            table = line.startswith("|") and not fence
            lines.append(CODE.sub(lambda match: match[0].replace("\\|", "|"), line) if table else line)
        if mark:
            fence = "" if fence == mark[1] else fence or mark[1]
    return "\n".join(lines) + "\n"
