"""Three ways to fill an environment from a wheelhouse, and from it alone.

``uv`` links the files of wheels that it has unpacked once, so that twenty environments cost the disk of one. ``pip`` is
what most users have. ``linked`` shows an environment what the ordinary one has, distribution by distribution as they
are asked for, and installs only ours: for quick looks and for tests. Standard library only.
"""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

sys.path.insert(0, str(Path(__file__).parent))

import environments  # noqa: E402 (found through the line above)
import our_packages  # noqa: E402
import wheelhouse  # noqa: E402
from environments import Stop, say  # noqa: E402
from our_packages import Package, requirement_name  # noqa: E402

UV = "uv==0.13.9"  # of the command only: nothing of ours needs it


class Installer(Protocol):
    """Makes environments and fills them."""

    name: str

    def make(self, folder: Path) -> Path:
        """An empty environment; returns its Python."""
        ...

    def install(self, python: Path, requirements: Sequence[str]) -> None:
        """Install by name. Stops with pip's or uv's words where that cannot be done."""
        ...

    def remove(self, python: Path, names: Sequence[str]) -> None:
        """Uninstall."""
        ...


class _Base:
    def __init__(self, python: Path, house: Path, packages: Sequence[Package]) -> None:
        self.outer, self.house = python, house
        self.get_ready(packages)

    def get_ready(self, packages: Sequence[Package]) -> None:
        """Fetch what others publish; not again where an earlier run has left it."""
        groups = [text for package in packages for name in ("test", "readme") for text in package.group(name)]
        self.everything = [*(package.name for package in packages), *groups]
        options = ["--disable-pip-version-check", "-qq", "--no-index", "--find-links", self.house]
        try:
            self._call([self.outer, "-m", "pip", "install", "--dry-run", "-I", *options, *self.everything])
        except Stop:
            say("fetching what others publish")
            wheelhouse.fetch(self.outer, self.house, self.everything)

    def make(self, folder: Path) -> Path:
        """An environment with nothing in it, not even pip."""
        venv.create(folder, with_pip=False, symlinks=os.name != "nt", clear=True)
        return environments.command(folder, "python")

    def remove(self, python: Path, names: Sequence[str]) -> None:
        """With pip, which the environment itself does not have."""
        self._call([self.outer, "-m", "pip", "--python", python, "uninstall", "-qq", "--yes", *names])

    def _call(self, command: Sequence[str | Path], **variables: str) -> None:
        environment = wheelhouse.clean_environment(**variables)
        # What a user's configuration adds to the wheelhouse would spoil the proof.
        environment = {key: value for key, value in environment.items() if not key.startswith(("PIP_", "UV_"))}
        environment |= {"PIP_CONFIG_FILE": os.devnull} | variables
        done = subprocess.run([str(part) for part in command], env=environment, capture_output=True, text=True)
        if done.returncode:
            raise Stop(f"cannot be installed: {done.stderr.strip()[-1500:]}")


class Pip(_Base):
    """pip of the ordinary environment, working on another one."""

    name = "pip"

    def install(self, python: Path, requirements: Sequence[str]) -> None:
        options = ["--disable-pip-version-check", "-qq", "--no-index", "--no-cache-dir", "--find-links", self.house]
        self._call([self.outer, "-m", "pip", "--python", python, "install", *options, *requirements])


class Uv(_Base):
    """uv, in an environment of its own beside the wheelhouse."""

    name = "uv"

    def get_ready(self, packages: Sequence[Package]) -> None:
        """uv itself, the wheels, and all of them unpacked once."""
        super().get_ready(packages)
        self.home = self.house.with_name("uv")
        if not environments.command(self.home, "uv").exists():
            own = environments.command(self.home, "python")
            environments.make_venv(self.home, own)
            environments.pip([own, "-m", "pip", "install", "-qq", "--disable-pip-version-check", UV])
        # Ours were built anew under the versions that an earlier run may have left in the cache.
        self._call(
            [environments.command(self.home, "uv"), "cache", "clean", "-q", *our_packages.all_packages()],
            **self._cache(),
        )
        say("unpacking the wheels once")
        first = self.house.with_name("unpacked")
        self.install(self.make(first), self.everything)
        shutil.rmtree(first)

    def _cache(self) -> dict[str, str]:
        return {"UV_CACHE_DIR": str(self.house.with_name("uv-cache"))}

    def install(self, python: Path, requirements: Sequence[str]) -> None:
        options = ["--offline", "--no-config", "--no-index", "--find-links", self.house, "--python", python]
        command = [environments.command(self.home, "uv"), "pip", "install", "--quiet", *options, *requirements]
        self._call(command, **self._cache())

    def remove(self, python: Path, names: Sequence[str]) -> None:
        """With uv as well."""
        command = [environments.command(self.home, "uv"), "pip", "uninstall", "--quiet", "--no-config"]
        self._call([*command, "--python", python, *names], **self._cache())


class Linked(_Base):
    """Links the distributions that are asked for, and no others, from the ordinary environment; ours are installed."""

    name = "linked"

    def get_ready(self, packages: Sequence[Package]) -> None:
        """Nothing to fetch. The Python that links must be the one that has them."""
        if Path(sys.executable).resolve() != self.outer.resolve() or sys.prefix != str(self.outer.parents[1]):
            raise Stop(f"--linked has to be run by {self.outer}")
        self.known = our_packages.all_packages()

    def install(self, python: Path, requirements: Sequence[str]) -> None:
        site = Path(_purelib(python))
        ours, others = closure(requirements, self.known)
        for name in sorted(others):
            _link(importlib.metadata.distribution(name), site)
        # pip checks that each of our wheels finds what it declares, and would add what is not there.
        ordered = [f"{name}=={self.known[name].version}" for name in sorted(ours)]
        if ordered:
            options = ["--disable-pip-version-check", "-qq", "--no-index", "--no-compile", "--find-links", self.house]
            self._call([self.outer, "-m", "pip", "--python", python, "install", *options, *ordered])


def closure(requirements: Sequence[str], known: dict[str, Package]) -> tuple[set[str], set[str]]:
    """Names of ours and of others that the requirements ask for, and what those ask for, here and now."""
    from packaging.requirements import Requirement

    ours: set[str] = set()
    others: set[str] = set()
    met: set[tuple[str, str]] = set()
    open_ = [Requirement(text) for text in requirements]
    while open_:
        requirement = open_.pop()
        name = requirement_name(requirement.name)
        for extra in ("", *requirement.extras):
            if (name, extra) in met:
                continue
            met.add((name, extra))
            if name in known:
                ours.add(name)
                texts = known[name].content["project"]
                needs = texts["dependencies"] if not extra else texts["optional-dependencies"][extra]
            else:
                others.add(name)
                needs = importlib.metadata.requires(name) or []
            found = [Requirement(text) for text in needs]
            open_ += [one for one in found if one.marker is None or one.marker.evaluate({"extra": extra})]
    return ours, others


def _link(distribution: importlib.metadata.Distribution, site: Path) -> None:
    tops = {file.parts[0] for file in distribution.files or () if file.parts[0] not in ("..", "__pycache__")}
    for top in tops:
        source = Path(str(distribution.locate_file(top)))
        if source.exists() and not (site / top).exists():
            (site / top).symlink_to(source)


def _purelib(python: Path) -> str:
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


INSTALLERS: dict[str, Callable[[Path, Path, Sequence[Package]], Installer]] = {"uv": Uv, "pip": Pip, "linked": Linked}
