"""A release without publishing it: build everything, and look at it as a stranger would.

    python3 tools/dev.py release --dry-run              all packages
    python3 tools/dev.py release --dry-run --dirty      also where something is not committed
    python3 tools/dev.py release --dry-run --no-install without the environments

Nothing is uploaded, and without ``--dry-run`` nothing is done: publishing is a person's to do. What was built stays in
``dist/release``. See docs/versions.md.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import licences  # noqa: E402 (found through the line above)
import our_packages  # noqa: E402
import release_files  # noqa: E402
import wheelhouse  # noqa: E402
from environments import ROOT, Stop, say  # noqa: E402
from our_packages import Package  # noqa: E402

DIST = ROOT / "dist"
SMOKE = """
import nbf_run
photo = next(path for path in nbf_run.shipped_photos() if path.stem == "astronaut")
short = [("fit.max_people", 1), ("fitter.starts", ["estimate"]), ("fitter.stages.0.steps", 2),
         ("fitter.stages.1.steps", 2)]
[image] = nbf_run.load("demo", short).fit([photo])
[person] = image.people
print(tuple(person.fitted.vertices.shape))
"""


def main(arguments: Sequence[str]) -> int:
    """The task ``release``; returns 1 where anything stands in the way of one."""
    parser = argparse.ArgumentParser(prog="dev.py release", description="try a release; publishes nothing")
    parser.add_argument("--dry-run", action="store_true", required=True, help="the only way there is")
    parser.add_argument("--dirty", action="store_true", help="also where something is not committed")
    parser.add_argument("--no-install", action="store_true", help="do not install what was built")
    options = parser.parse_args(arguments)
    packages = list(our_packages.all_packages().values())
    say("versions, changelogs, licences")
    problems = [*([] if options.dirty else uncommitted()), *versions(packages), *licences.stale()]
    out = DIST / "release"
    say(f"building {len(packages)} packages into {out.relative_to(ROOT)}/")
    shutil.rmtree(out, ignore_errors=True)
    links = 0
    for package in packages:
        try:
            wheel, sdist = wheelhouse.build(Path(sys.executable), package, out, ("wheel", "sdist"))
        except Stop as stop:
            problems.append(str(stop))
            continue
        problems += [f"{package.name}: {problem}" for problem in release_files.problems(package, wheel, sdist)]
        problems += [f"{package.name}: {problem}" for problem in same_again(package, wheel, sdist, out)]
        links += len(release_files.relative_links(release_files.members(wheel)))
    if not options.no_install and not problems:
        problems += installed(packages, out)
    for file in sorted(out.glob("*.*")):
        print(f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.stat().st_size / 1e6:6.2f} MB  {file.name}")
    for problem in problems:
        print(problem)
    if links:
        say(f"{links} links in READMEs lead into the repository: on an index they work once it has an address")
    say(f"{len(problems)} problem{'s' * (len(problems) != 1)}; nothing was published")
    return int(bool(problems))


def uncommitted() -> list[str]:
    """What a release would not contain, or would contain and nobody could find again."""
    done = subprocess.run(["git", "status", "--porcelain"], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        return ["this is no git checkout"]
    lines = done.stdout.splitlines()
    return [f"{len(lines)} files are not committed, the first: {lines[0].strip()}"] if lines else []


def versions(packages: Sequence[Package]) -> list[str]:
    """Where versions, changelogs, ranges between siblings and ``__version__`` disagree."""
    from packaging.requirements import Requirement

    known = {package.name: package.version for package in packages}
    found = []
    for package in packages:
        newest = newest_change(package.folder / "CHANGELOG.md")
        if newest != package.version:
            found.append(f"{package.name}: its version is {package.version}, its CHANGELOG.md begins with {newest}")
        project = package.content["project"]
        extras = [text for texts in project.get("optional-dependencies", {}).values() for text in texts]
        groups = [text for name in ("test", "readme") for text in package.group(name)]
        for requirement in map(Requirement, [*project["dependencies"], *extras, *groups]):
            name = our_packages.requirement_name(requirement.name)
            if name in known and not requirement.specifier.contains(known[name]):
                found.append(f"{package.name}: asks for {requirement}, and {name} is {known[name]}")
        stated = re.search(r'^__version__ = "(.*)"', _init(package), re.MULTILINE)
        if stated and stated[1] != package.version:
            found.append(f"{package.name}: its version is {package.version}, its __version__ {stated[1]}")
        licence = package.folder / "LICENSE"
        if not licence.is_file() or licence.read_bytes() != (ROOT / "LICENSE").read_bytes():
            found.append(f"{package.name}: its LICENSE is not that of the repository")
    return found


def newest_change(changelog: Path) -> str | None:
    """The version that a changelog begins with; None where there is none, or nothing is said about it."""
    if not changelog.is_file():
        return None
    first = re.search(r"^## (\S+).*\n+(?=\* )", changelog.read_text(encoding="utf-8"), re.MULTILINE)
    return first[1] if first else None


def same_again(package: Package, wheel: Path, sdist: Path, out: Path) -> list[str]:
    """Whether the sdist alone builds the same wheel."""
    place = out / "again"
    shutil.rmtree(place, ignore_errors=True)
    try:
        shutil.unpack_archive(sdist, place / "source", filter="data")
        [folder] = (place / "source").iterdir()
        [rebuilt] = wheelhouse.build(Path(sys.executable), Package(folder), place / "wheel")
        if release_files.members(rebuilt) != release_files.members(wheel):
            return [f"{sdist.name} does not build the same wheel"]
    except Stop as stop:
        return [f"{sdist.name}: {stop}"]
    finally:
        shutil.rmtree(place, ignore_errors=True)
    return []


def installed(packages: Sequence[Package], out: Path) -> list[str]:
    """Install the wheels by name into an empty environment, and fit a photo there."""
    import isolation
    from installers import Uv

    work = DIST / "work"
    shutil.rmtree(work, ignore_errors=True)
    (work / "wheelhouse").mkdir(parents=True)
    try:
        for wheel in out.glob("*.whl"):
            shutil.copy(wheel, work / "wheelhouse" / wheel.name)
        installer = Uv(Path(sys.executable), work / "wheelhouse", packages)
        environment = isolation.Environment(work / "venv", installer.make(work / "venv"), installer)
        environment.install(*(package.name for package in packages))
        done = environment.run("-c", SMOKE)
        say(f"a photo was fitted: {done.stdout.strip()}" if done.returncode == 0 else "the smoke test failed")
        return [f"the smoke test failed: {done.stderr.strip()[-1500:]}"] if done.returncode else []
    except Stop as stop:
        return [str(stop)]
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _init(package: Package) -> str:
    return (package.folder / "src" / package.module / "__init__.py").read_text(encoding="utf-8")


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Stop as stop:
        sys.exit(f"release: {stop}")
