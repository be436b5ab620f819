"""Every package alone: installed by name from a wheelhouse into an empty environment, without the repository.

    python3 tools/dev.py isolate                       all packages and the combinations; writes docs/packages.md
    python3 tools/dev.py isolate nbf-core nbf-run      these; their rows of the table are replaced
    python3 tools/dev.py isolate NAME --pip            with pip instead of uv, as a user would
    python3 tools/dev.py isolate NAME --linked         what others publish is linked from .venv: seconds, no table

In its environment a package is looked at four times: what came with it; whether every module of it can be imported with
nothing but its declared dependencies; whether the example of its README runs, as printed; whether its own tests pass.
What the last two need beyond the dependencies stands in the ``[dependency-groups]`` of its pyproject.toml. Standard
library only.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import our_packages  # noqa: E402 (found through the line above)
import wheelhouse  # noqa: E402
from environments import ROOT, Stop, say  # noqa: E402
from installers import INSTALLERS, Installer  # noqa: E402
from our_packages import Package  # noqa: E402

PYTEST_INI = """\
[pytest]
addopts = --import-mode=importlib --strict-markers -m "not slow" -p no:cacheprovider
markers = slow: takes minutes
filterwarnings =
    error
    ignore::DeprecationWarning
    ignore::PendingDeprecationWarning
    ignore::FutureWarning
    ignore::ResourceWarning
"""
PHOTO = ROOT / "packages" / "nbf-run" / "src" / "nbf_run" / "data" / "photos" / "walk_front.jpg"
LONGEST = 3600  # seconds that one example or one suite may take; machines are shared


@dataclass
class Environment:
    """An environment made for one package or combination, and what runs in it."""

    folder: Path
    python: Path
    installer: Installer

    def install(self, *requirements: str) -> float:
        """Install by name from the wheelhouse alone; returns the seconds of work."""
        began = work_done()
        self.installer.install(self.python, requirements)
        return work_done() - began

    def run(self, *command: str | Path, cwd: Path | None = None, **variables: str) -> subprocess.CompletedProcess:
        """Run the environment's Python, with no way to see the repository."""
        cwd = cwd or self.folder
        full = [str(self.python), *map(str, command)]
        variables = {"OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg"} | variables
        # All environments stand in one place, one after the other, and share the bytecode of what they share.
        bytecode = str(self.folder.with_name("bytecode"))
        environment = wheelhouse.clean_environment(PYTHONPYCACHEPREFIX=bytecode, **variables)
        return subprocess.run(full, cwd=cwd, env=environment, capture_output=True, text=True, timeout=LONGEST)

    def ask(self, *arguments: str) -> dict:
        """What ``alone.py`` finds here."""
        done = self.run(ROOT / "tools" / "alone.py", *arguments)
        if done.returncode:
            raise Stop(f"alone.py {' '.join(arguments)} failed: {done.stderr.strip()[-2000:]}")
        return json.loads(done.stdout.splitlines()[-1])


@dataclass
class Found:
    """What one package looked like alone."""

    name: str
    wheel_kb: float
    seconds: float = 0.0
    brings: dict[str, dict] = field(default_factory=dict)
    modules: int = 0
    optional: dict[str, str] = field(default_factory=dict)
    example: str = ""
    tests: str = ""
    problems: list[str] = field(default_factory=list)

    @property
    def mb(self) -> float:
        """Everything that was installed, in MB."""
        return sum(one["mb"] for one in self.brings.values())

    def row(self) -> str:
        """A line of the table."""
        torch = self.brings.get("torch", {}).get("mb", 0)
        size = f"{self.wheel_kb:,.0f}" if self.wheel_kb >= 10 else f"{self.wheel_kb:.1f}"
        cells = (f"{self.seconds:.1f}", str(len(self.brings) - 1), f"{self.mb:,.0f}", f"{self.mb - torch:,.0f}")
        modules = f"{self.modules}" + (f" (+{len(self.optional)})" if self.optional else "")
        return f"| {self.name} | {size} | {' | '.join(cells)} | {modules} | {self.example} | {self.tests} |"


def main(python: Path, arguments: Sequence[str]) -> int:
    """The task ``isolate``; returns how many packages or combinations failed."""
    parser = argparse.ArgumentParser(prog="dev.py isolate", description="install every package alone and try it")
    parser.add_argument("packages", nargs="*")
    way = parser.add_mutually_exclusive_group()
    way.add_argument("--linked", action="store_const", dest="way", const="linked", help="link others' packages")
    way.add_argument("--pip", action="store_const", dest="way", const="pip", help="install with pip, not with uv")
    parser.add_argument("--work", type=Path, help="where environments and wheels go (otherwise beside .venv)")
    parser.add_argument("--keep", action="store_true", help="leave environments and wheels there")
    parser.add_argument("--no-tests", action="store_true", help="do not run the packages' own tests")
    options = parser.parse_args(arguments)
    packages = our_packages.chosen(options.packages)
    work = (options.work or python.parents[1].with_name(".venv-isolate")).absolute()
    made = not work.exists()
    try:
        installer = prepare(python, packages, work, options.way or "uv", combinations=not options.packages)
        found = [examine(package, work, installer, tests=not options.no_tests) for package in packages]
        failed = [one for one in found if one.problems]
        for one in failed:
            print("\n".join(f"{one.name}: {problem}" for problem in one.problems))
        if not options.packages:
            import combinations

            failed += combinations.problems(work, installer)
        if installer.name == "uv" and not options.no_tests:
            import package_table

            package_table.write([one for one in found if not one.problems], whole=not options.packages)
    finally:
        if made and not options.keep:
            shutil.rmtree(work, ignore_errors=True)
    say(f"{len(packages)} packages tried alone, {len(failed)} problem{'s' * (len(failed) != 1)}")
    return len(failed)


def prepare(python: Path, packages: Sequence[Package], work: Path, way: str, combinations: bool = False) -> Installer:
    """Build the wheels of the packages and of all that they need of ours, and get ready to install them."""
    house = work / "wheelhouse"
    ours = list(our_packages.all_packages().values()) if combinations else our_packages.with_siblings(packages)
    say(f"building {len(ours)} wheels")
    for package in ours:
        for old in house.glob(f"{package.module}-*.whl"):
            old.unlink()
        wheelhouse.build(python, package, house)
    return INSTALLERS[way](python, house, ours)


def examine(package: Package, work: Path, installer: Installer, tests: bool = True) -> Found:
    """Look at one package alone, in an environment of its own that is then removed."""
    [wheel] = (work / "wheelhouse").glob(f"{package.module}-*.whl")
    found = Found(package.name, wheel.stat().st_size / 1000)
    folder = work / "alone"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        environment = Environment(folder, installer.make(folder / "venv"), installer)
        _look(package, environment, found)
        _example(package, environment, found)
        if tests:
            _tests(package, environment, found)
    except (Stop, subprocess.TimeoutExpired) as error:
        found.problems.append(str(error))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    say(f"{package.name}: {'; '.join(found.problems)[:300] or 'stands alone'}")
    print(found.row(), flush=True)
    return found


def _look(package: Package, environment: Environment, found: Found) -> None:
    found.seconds = environment.install(package.name)
    found.brings = environment.ask("list")
    ours = {one.name for one in our_packages.with_siblings([package], groups=())}
    strangers = {name for name in found.brings if our_packages.is_ours(name)} - ours
    if strangers:
        found.problems.append(f"brings {', '.join(sorted(strangers))}, which it does not declare")
    seen = environment.ask("imports", package.module, *package.extras())
    found.modules, found.optional = seen["imported"], seen["optional"]
    found.problems += [f"import {module}: {problem}" for module, problem in seen["failed"].items()]


def _example(package: Package, environment: Environment, found: Found) -> None:
    skip = package.content.get("tool", {}).get("nbf", {}).get("example-needs")
    if skip:
        found.example = f"needs {skip}"
        return
    code = readme_example(package.folder / "README.md")
    if package.group("readme"):
        environment.install(*package.group("readme"))
    place = environment.folder / "example"
    place.mkdir()
    shutil.copy(PHOTO, place / "photo.jpg")
    # A file, since some examples start processes that import it.
    (place / "example.py").write_text(code, encoding="utf-8")
    began = work_done()
    done = environment.run("example.py", cwd=place)
    found.example = f"{work_done() - began:.0f} s"
    if done.returncode:
        found.problems.append(f"the README's example fails: {done.stderr.strip()[-1500:]}")


def readme_example(readme: Path) -> str:
    """The first Python block of a README."""
    block = re.search(r"^```python\n(.*?)^```", readme.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    if not block:
        raise Stop(f"{readme.relative_to(ROOT)} has no Python example")
    return block[1]


def _tests(package: Package, environment: Environment, found: Found) -> None:
    environment.install(package.name, *package.group("test"))
    place = environment.folder / "tried"
    place.mkdir()
    shutil.copytree(package.folder / "tests", place / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("README.md", "environment.toml"):
        if (package.folder / name).is_file():
            shutil.copy(package.folder / name, place / name)
    (place / "pytest.ini").write_text(PYTEST_INI, encoding="utf-8")
    # Hypothesis then gives an example the time that it takes, on a busy machine too.
    done = environment.run("-m", "pytest", "-q", "-rfEs", "tests", cwd=place, CI="1")
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    found.tests = re.sub(r" \(.*\)$| in .*$|=+ ?", "", lines[-1]) if lines else "no output"
    if done.returncode not in (0, 5):
        found.problems.append("its tests fail:\n" + "\n".join(lines[-25:]) + done.stderr[-1000:])
    for line in lines:
        if line.startswith("SKIPPED"):
            print(f"   {line}")


def work_done() -> float:
    """Seconds that this process and those it has started kept cores busy: what others do on the machine is no part."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


if __name__ == "__main__":
    try:
        sys.exit(main(Path(sys.executable), sys.argv[1:]))
    except Stop as stop:
        sys.exit(f"isolate: {stop}")
