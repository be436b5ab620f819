"""The packages of this repository as their folders say. Standard library only."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import tomllib

sys.path.insert(0, str(Path(__file__).parent))

import environments  # noqa: E402 (found through the line above)
from environments import ROOT, Stop  # noqa: E402


@dataclass(frozen=True)
class Package:
    """One of our packages, as its folder says."""

    folder: Path

    @property
    def name(self) -> str:
        """Of the distribution."""
        return self.folder.name

    @property
    def module(self) -> str:
        """What is imported."""
        return self.name.replace("-", "_")

    @cached_property
    def content(self) -> dict:
        """Its pyproject.toml."""
        return tomllib.loads((self.folder / "pyproject.toml").read_text(encoding="utf-8"))

    @property
    def version(self) -> str:
        """Of the distribution."""
        return self.content["project"]["version"]

    @property
    def summary(self) -> str:
        """One line about it."""
        return self.content["project"]["description"]

    def group(self, name: str) -> list[str]:
        """A dependency group: ``test`` or ``readme``; empty where there is none."""
        return list(self.content.get("dependency-groups", {}).get(name, ()))

    def siblings(self) -> set[str]:
        """Those of our packages that it depends on, extras left out."""
        return {name for name in map(requirement_name, self.content["project"]["dependencies"]) if is_ours(name)}

    def extras(self) -> set[str]:
        """The distributions that any of its extras would bring."""
        lists = self.content["project"].get("optional-dependencies", {}).values()
        return {requirement_name(text) for texts in lists for text in texts}


def all_packages() -> dict[str, Package]:
    """Our packages and plugins by name."""
    return {folder.name: Package(folder) for folder in environments.package_paths()}


def plugins() -> list[str]:
    """The names of those that offer anything to nbf."""
    return [one.name for one in all_packages().values() if "nbf" in one.content["project"].get("entry-points", {})]


def chosen(names: Iterable[str]) -> list[Package]:
    """The packages of these names, in their order; all where none is named. Stops at an unknown one."""
    known = all_packages()
    names = list(names) or list(known)
    unknown = [name for name in names if name not in known]
    if unknown:
        raise Stop(f"no such package: {', '.join(unknown)}; there are: {', '.join(known)}")
    return [known[name] for name in names]


def with_siblings(packages: Iterable[Package], groups: Iterable[str] = ("test", "readme")) -> list[Package]:
    """The packages and all of ours that they need; also what their tests and the examples of their READMEs need."""
    known, found, open_ = all_packages(), {}, list(packages)
    while open_:
        package = open_.pop()
        if package.name in found:
            continue
        found[package.name] = package
        named = {requirement_name(text) for group in groups for text in package.group(group)}
        open_ += [known[name] for name in package.siblings() | named if name in known]
    return [found[name] for name in sorted(found)]


def requirement_name(text: str) -> str:
    """``Nbf_Core[x] (>=1)`` is about ``nbf-core``."""
    return re.sub(r"[-_.]+", "-", re.match(r"[A-Za-z0-9._-]+", text.strip()).group()).lower()


def is_ours(name: str) -> bool:
    """Whether a distribution is one of this repository's."""
    return any((ROOT / folder / name / "pyproject.toml").is_file() for folder in ("packages", "plugins"))
