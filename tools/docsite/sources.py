"""The written pages of the site: those of ``docs/``, the packages' READMEs, and whatever they link to."""

from __future__ import annotations

import os
import posixpath
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from docsite.markdown import for_generator, relinked, with_links

EXAMPLES = Path("docs/examples")
LANGUAGES = {".py": "python", ".toml": "toml", ".sh": "bash", ".json": "json", ".md": "markdown", ".txt": "text"}
PICTURES = (".png", ".jpg", ".jpeg", ".svg", ".webp", ".gif")


class BrokenLink(Exception):
    """A page links to something that is not there; the message names both."""


@dataclass
class Sources:
    """Which file of the repository becomes which page, and how links between them read on the site.

    ``pages`` maps paths below ``root`` to pages; what a page links to beyond them is added on the way, so that every
    link works without a code host. ``names`` maps inline code to the page about it.
    """

    root: Path
    names: dict[str, str] = field(default_factory=dict)
    pages: dict[str, str] = field(default_factory=dict)
    made: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.pages["README.md"] = "install.md"
        self.pages["CONTRIBUTING.md"] = "contributing.md"
        self.pages["LICENSE"] = "license.md"
        self.made["docs/decisions"] = "decisions/index.md"
        for path in (self.root / EXAMPLES).glob("*/README.md"):
            self.made[path.relative_to(self.root).as_posix()] = f"examples/{path.parent.name}.md"
        for path in sorted((self.root / "docs").rglob("*.md")):
            relative = path.relative_to(self.root)
            if EXAMPLES not in relative.parents:
                self.pages[relative.as_posix()] = relative.relative_to("docs").as_posix()
        for group in ("packages", "plugins"):
            for path in sorted((self.root / group).glob("*/README.md")):
                self.pages[path.relative_to(self.root).as_posix()] = f"packages/{path.parent.name}.md"
            for path in sorted((self.root / group).glob("*/CHANGELOG.md")):
                self.pages[path.relative_to(self.root).as_posix()] = f"changes/{path.parent.name}.md"

    def write(self, out: Path) -> None:
        """Write all pages, and the pictures and files that they link to, below ``out``."""
        done: set[str] = set()
        while waiting := sorted(self.pages.keys() - done):
            for source in waiting:
                done.add(source)
                self._write(source, out / self.pages[source])

    def _write(self, source: str, page: Path) -> None:
        path = self.root / source
        page.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix in PICTURES or path.suffix in (".npz", ".json"):
            shutil.copyfile(path, page)
            return
        text = path.read_text(encoding="utf-8")
        if path.suffix != ".md":
            kind = LANGUAGES.get(path.suffix, "text")
            page.write_text(f"# {source}\n\n~~~~ {kind}\n{text.rstrip()}\n~~~~\n", encoding="utf-8")
            return
        here = self.pages[source]
        names = {name: relative(page, here) for name, page in self.names.items() if page.partition("#")[0] != here}
        text = relinked(text, lambda target: self._target(source, target))
        page.write_text(for_generator(with_links(text, names)), encoding="utf-8")

    def _target(self, source: str, target: str) -> str:
        """Where a link of a page leads on the site. Raises BrokenLink where nothing is there."""
        if ":" in target.partition("/")[0] or target.startswith("#"):
            return target
        name, mark, anchor = target.partition("#")
        wanted = posixpath.normpath(posixpath.join(posixpath.dirname(source), name))
        page = self._page(wanted)
        if page is None:
            raise BrokenLink(f"{source}: links to {target}, and there is no {wanted}")
        return relative(page, self.pages[source]) + mark + anchor

    def _page(self, wanted: str) -> str | None:
        if wanted in self.made:
            return self.made[wanted]
        path = self.root / wanted
        if path.is_dir():
            inside = [name for name in ("README.md", "index.md") if (path / name).is_file()]
            return self._page(f"{wanted}/{inside[0]}") if inside else None
        if not path.is_file() or wanted.startswith(".."):
            return None
        if wanted not in self.pages:
            kept = path.suffix in PICTURES or path.suffix in (".npz", ".json", ".md")
            under = wanted.removeprefix("docs/") if wanted.startswith("docs/") else f"files/{wanted}"
            self.pages[wanted] = under if kept else under + ".md"
        return self.pages[wanted]


def relative(page: str, here: str) -> str:
    """A link from the page ``here`` to ``page``."""
    path, mark, anchor = page.partition("#")
    return os.path.relpath(path, posixpath.dirname(here) or ".").replace(os.sep, "/") + mark + anchor


def title(path: Path) -> str:
    """The first heading of a page."""
    return next(line[2:].strip() for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("# "))


def decisions(root: Path) -> str:
    """The index of the decisions: their titles."""
    lines = ["# Decisions", "", "Why things are as they are, one short page each.", ""]
    for path in sorted((root / "docs" / "decisions").glob("*.md")):
        lines.append(f"* [{title(path)}]({path.name})")
    return "\n".join(lines) + "\n"


def example(root: Path, name: str) -> str:
    """A page with all files of an example below ``docs/examples``."""
    folder = root / EXAMPLES / name
    text = [
        f"# {name}: the finished code",
        "",
        f"All files of `docs/examples/{name}`, as the guide ends with them.",
        "",
    ]
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix in LANGUAGES]
    for path in files:
        if "__pycache__" in path.parts or any(part.endswith(".egg-info") for part in path.parts):
            continue
        fence = f"~~~~ {LANGUAGES[path.suffix]}"
        text += [f"## {path.relative_to(folder).as_posix()}", "", fence, path.read_text("utf-8").rstrip(), "~~~~", ""]
    return "\n".join(text)
