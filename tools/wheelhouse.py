"""Our packages as wheels and sdists, and a folder with everything that they need: a wheelhouse.

Standard library only. Building is done by poetry-core, in a process of the Python that is handed over, without a
network. What others publish is fetched by pip, in the versions of ``tools/constraints.txt``.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import tomllib

sys.path.insert(0, str(Path(__file__).parent))

import environments  # noqa: E402 (found through the line above)
from environments import ROOT, Stop  # noqa: E402

# Run in the package's folder: the hooks of PEP 517, without an environment of their own.
_BUILD = """
import sys
from poetry.core.masonry import api
for kind in sys.argv[2:]:
    print(getattr(api, "build_" + kind)(sys.argv[1]))
"""


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


def chosen(names: Iterable[str]) -> list[Package]:
    """The packages of these names, in their order; all where none is named. Stops at an unknown one."""
    known = all_packages()
    names = list(names) or list(known)
    unknown = [name for name in names if name not in known]
    if unknown:
        raise Stop(f"no such package: {', '.join(unknown)}; there are: {', '.join(known)}")
    return [known[name] for name in names]


def requirement_name(text: str) -> str:
    """``Nbf_Core[x] (>=1)`` is about ``nbf-core``."""
    return re.sub(r"[-_.]+", "-", re.match(r"[A-Za-z0-9._-]+", text.strip()).group()).lower()


def is_ours(name: str) -> bool:
    """Whether a distribution is one of this repository's."""
    return any((ROOT / folder / name / "pyproject.toml").is_file() for folder in ("packages", "plugins"))


def with_siblings(packages: Iterable[Package]) -> list[Package]:
    """The packages and all of ours that they, their tests and the examples of their READMEs need."""
    known, found, open_ = all_packages(), {}, list(packages)
    while open_:
        package = open_.pop()
        if package.name in found:
            continue
        found[package.name] = package
        named = {requirement_name(text) for group in ("test", "readme") for text in package.group(group)}
        open_ += [known[name] for name in package.siblings() | named if name in known]
    return [found[name] for name in sorted(found)]


def build(python: Path, package: Package, out: Path, kinds: Sequence[str] = ("wheel",)) -> list[Path]:
    """Build a package into a folder; ``kinds`` of ``wheel`` and ``sdist``. Returns the files."""
    out.mkdir(parents=True, exist_ok=True)
    command = [str(python), "-c", _BUILD, str(out), *kinds]
    done = subprocess.run(command, cwd=package.folder, env=clean_environment(), capture_output=True, text=True)
    if done.returncode:
        raise Stop(f"{package.name} does not build: {done.stderr.strip()}")
    return [out / name for name in done.stdout.split()]


def fetch(python: Path, wheelhouse: Path, requirements: Sequence[str]) -> None:
    """Put the wheels of others that our packages need into the folder, as the lock says."""
    recipe = environments.ordinary()
    limited = wheelhouse / "constraints.txt"
    text = environments.constraints_for(recipe, environments.CONSTRAINTS.read_text(encoding="utf-8"))
    limited.write_text(text, encoding="utf-8")
    index = os.environ.get("NBF_TORCH_INDEX")
    options = ["--constraint", limited, "--find-links", wheelhouse, "--wheel-dir", wheelhouse]
    options += ["--extra-index-url", index] if index else []
    environments.pip([python, "-m", "pip", "wheel", "-qq", "--disable-pip-version-check", *options, *requirements])
    limited.unlink()


def clean_environment(**variables: str) -> dict[str, str]:
    """This process's environment without what would let a Python see more, or do otherwise, than is installed."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "NBF_"))}
    kept.pop("VIRTUAL_ENV", None)
    return kept | variables
