"""Our packages as wheels and sdists, and a folder with everything that they need: a wheelhouse.

    python3 tools/dev.py wheels                  all of our packages, into dist/wheels
    python3 tools/dev.py wheels NAME...          these, and what they need of ours
    python3 tools/dev.py wheels --complete       what others publish besides, for machines without a package index
    python3 tools/dev.py wheels --out DIR        into another folder

Standard library only. Building is done by poetry-core, in a process of the Python that is handed over, without a
network. What others publish is fetched by pip, in the versions of ``tools/constraints.txt``.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import environments  # noqa: E402 (found through the line above)
import our_packages  # noqa: E402
from environments import ROOT, Stop, say  # noqa: E402
from our_packages import Package  # noqa: E402

# Run in the package's folder: the hooks of PEP 517, without an environment of their own.
_BUILD = """
import sys
from poetry.core.masonry import api
for kind in sys.argv[2:]:
    print(getattr(api, "build_" + kind)(sys.argv[1]))
"""


def main(python: Path, arguments: Sequence[str]) -> int:
    """The task ``wheels``; returns the exit status."""
    parser = argparse.ArgumentParser(prog="dev.py wheels", description="build wheels to install from by name")
    parser.add_argument("packages", nargs="*", metavar="NAME")
    parser.add_argument("--out", type=Path, default=ROOT / "dist" / "wheels", metavar="DIR")
    parser.add_argument("--complete", action="store_true", help="fetch what others publish too")
    options = parser.parse_args(arguments)
    packages = our_packages.with_siblings(our_packages.chosen(options.packages), groups=())
    for package in packages:
        for old in options.out.glob(f"{package.module}-*.whl"):
            old.unlink()
        build(python, package, options.out.absolute())
    if options.complete:
        # What builds is among them: an editable package of one's own needs it.
        names = [package.name for package in packages]
        fetch(python, options.out.absolute(), [*names, *environments.BUILD_REQUIREMENTS])
    say(f"{len(packages)} wheels of ours; to install: pip install --find-links {options.out} NAME")
    return 0


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


if __name__ == "__main__":
    try:
        sys.exit(main(Path(sys.executable), sys.argv[1:]))
    except Stop as stop:
        sys.exit(f"dev.py: {stop}")
