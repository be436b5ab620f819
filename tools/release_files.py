"""What is wrong with a wheel or an sdist, without installing it. Standard library, and markdown-it for READMEs."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from email.message import Message
from email.parser import Parser
from pathlib import Path, PurePosixPath

sys.path.insert(0, str(Path(__file__).parent))

from environments import ROOT  # noqa: E402 (found through the line above)
from our_packages import Package  # noqa: E402

LARGEST = 25e6  # bytes a file
FIELDS = ("Name", "Version", "Summary", "License-Expression", "Requires-Python", "Description-Content-Type")


def problems(package: Package, wheel: Path, sdist: Path) -> list[str]:
    """Everything that stands in the way of publishing these two files."""
    inside, source = members(wheel), members(sdist)
    found = [f"{file.name} is {file.stat().st_size / 1e6:.1f} MB" for file in (wheel, sdist) if _large(file)]
    found += [f"{wheel.name}: {problem}" for problem in _wheel(package, wheel, inside)]
    found += [f"{sdist.name}: {problem}" for problem in _sdist(source)]
    for file, texts in ((wheel, inside), (sdist, source)):
        found += [f"{file.name}: {problem}" for problem in forbidden(texts)]
    return found


def members(file: Path) -> dict[str, bytes]:
    """The content of a wheel or an sdist by path; of an sdist without the folder that everything lies in."""
    if file.suffix == ".whl":
        with zipfile.ZipFile(file) as archive:
            return {name: archive.read(name) for name in archive.namelist()}
    with tarfile.open(file) as archive:
        opened = {member.name: archive.extractfile(member) for member in archive.getmembers() if member.isfile()}
        return {name.partition("/")[2]: stream.read() for name, stream in opened.items() if stream}


def forbidden(texts: dict[str, bytes]) -> Iterator[str]:
    """Addresses of package indexes, paths of machines, calls of debuggers: as the check of the repository has them."""
    check = _check_of_texts()
    for name, content in texts.items():
        if PurePosixPath(name).suffix in check.SUFFIXES or PurePosixPath(name).name in ("METADATA", "PKG-INFO"):
            for line, what in check.forbidden(content.decode("utf-8", errors="replace")):
                yield f"{name}:{line}: {what}"


def metadata(inside: dict[str, bytes]) -> Message:
    """What a wheel says about itself."""
    [name] = [name for name in inside if name.endswith(".dist-info/METADATA")]
    return Parser().parsestr(inside[name].decode("utf-8"))


def readme_problems(text: str) -> Iterator[str]:
    """Whether a README shows what it means to: a title, closed code blocks, tables that are tables."""
    from markdown_it import MarkdownIt

    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    if not tokens or tokens[0].type != "heading_open" or tokens[0].tag != "h1":
        yield "its README does not begin with a title"
    if len(re.findall(r"^```", text, re.MULTILINE)) % 2:
        yield "its README has a code block that never ends"
    rows = [token for token in tokens if token.type == "inline" and re.match(r"\|.*\|\s*(\n|$)", token.content)]
    if rows:
        yield f"its README has a table that does not render: {rows[0].content[:60]!r}"


def relative_links(inside: dict[str, bytes]) -> list[str]:
    """Links of a README into the repository, which lead nowhere on the page of a package index."""
    return re.findall(r"\]\((?!https?://|#)([^)]+)\)", str(metadata(inside).get_payload()))


def _wheel(package: Package, wheel: Path, inside: dict[str, bytes]) -> Iterator[str]:
    about = metadata(inside)
    yield from (f"METADATA has no {field}" for field in FIELDS if not about[field])
    if (about["Name"], about["Version"]) != (package.name, package.version):
        yield f"METADATA says {about['Name']} {about['Version']}, not {package.name} {package.version}"
    yield from (f"depends on an address: {text}" for text in about.get_all("Requires-Dist", []) if "@" in text)
    yield from readme_problems(str(about.get_payload()))
    if not any(re.search(r"\.dist-info/licenses/.*LICENSE$", name) for name in inside):
        yield "carries no licence"
    if not about.get_all("License-File"):
        yield "METADATA names no licence file"
    allowed = (f"{package.module}/", f"{package.module}-{package.version}.dist-info/")
    yield from (f"holds {name}, which is no part of it" for name in inside if not name.startswith(allowed))
    yield from (f"holds {name}" for name in inside if "__pycache__" in name or name.endswith((".pyc", ".pth")))
    tracked = _tracked(package.folder / "src" / package.module)
    missing = sorted(tracked - {name.partition("/")[2] for name in inside if name.startswith(allowed[0])})
    if missing:
        yield f"lacks {len(missing)} files of the repository, the first: {missing[0]}"


def _sdist(source: dict[str, bytes]) -> Iterator[str]:
    yield from (
        f"lacks {name}" for name in ("LICENSE", "README.md", "pyproject.toml", "PKG-INFO") if name not in source
    )


def _tracked(folder: Path) -> set[str]:
    """Files below a folder that git knows; all of them where there is no git."""
    command = ["git", "ls-files", "-z", "."]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode == 0:
        return {name for name in done.stdout.split("\0") if name and (folder / name).is_file()}
    return {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}


def _large(file: Path) -> bool:
    return file.stat().st_size >= LARGEST


def _check_of_texts():
    spec = importlib.util.spec_from_file_location("check_texts", ROOT / "tools" / "checks" / "texts.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
