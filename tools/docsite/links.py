"""Checks a built site: every link, anchor, picture and script is there, and nothing is loaded from elsewhere."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

_LOADED = {"img": "src", "script": "src", "link": "href", "iframe": "src", "source": "src", "video": "src"}
_LEFT = re.compile(r"\[`?[\w.]+`?\]\[[\w.]*\]|\\\[|^:::")


class Page(HTMLParser):
    """What a page refers to, what it loads, and the anchors that it has; ``text`` is the rest, code left out."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.anchors: set[str] = set()
        self.text: list[str] = []
        self._code = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what a tag refers to."""
        values = {key: value or "" for key, value in attrs}
        self.anchors |= {values[key] for key in ("id", "name") if key in values and tag != "meta"}
        if tag == "a" and values.get("href"):
            self.links.append(values["href"])
        if tag in _LOADED and values.get(_LOADED[tag]):
            foreign = tag == "link" and values.get("rel") in ("canonical", "next", "prev", "alternate")
            (self.links if foreign else self.loads).append(values[_LOADED[tag]])
        self._code += tag in ("code", "pre", "script", "style", "math")

    def handle_endtag(self, tag: str) -> None:
        """Leave code."""
        self._code -= tag in ("code", "pre", "script", "style", "math")

    def handle_data(self, data: str) -> None:
        """Keep what readers read."""
        if not self._code:
            self.text.append(data)


def problems(site: Path) -> list[str]:
    """One line for everything that is wrong with the pages below a folder."""
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}
    found = [] if pages else [f"{site}: no pages"]
    for path, page in pages.items():
        name = path.relative_to(site).as_posix()
        if name == "404.html":
            continue  # served at any address, so its links start from the server's root
        for target in page.loads:
            if _is_foreign(target):
                found.append(f"{name}: loads {target} from elsewhere")
            else:
                found += _missing(name, path, target, pages)
        for target in dict.fromkeys(page.links):
            if not _is_foreign(target):
                found += _missing(name, path, target, pages)
        for text in page.text:
            if _LEFT.search(text.strip()):
                found.append(f"{name}: {text.strip()[:80]!r} was not understood")
    return found


def _is_foreign(target: str) -> bool:
    return bool(re.match(r"[a-z]+:|//", target))


def _missing(name: str, path: Path, target: str, pages: dict[Path, Page]) -> list[str]:
    file, _, anchor = target.partition("#")
    wanted = path if not file else (path.parent / unquote(file.partition("?")[0])).resolve()
    if wanted.is_dir():
        wanted = wanted / "index.html"
    if not wanted.is_file():
        return [f"{name}: links to {target}, which is not there"]
    anchors = pages[wanted].anchors if wanted in pages else set()
    if anchor and wanted in pages and unquote(anchor) not in anchors:
        return [f"{name}: links to {target}, and that page has no such anchor"]
    return []
