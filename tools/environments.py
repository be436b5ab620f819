"""The repository's Python environments: the ordinary one, and those of plugins that need one of their own.

Standard library only. Everything is installed by pip, in the versions that ``tools/constraints.txt`` fixes, our
packages editable. The environment of a plugin is described by its ``environment.toml``::

    requirements = ["torch==2.12.1"]            # what to install beyond what our packages ask for
    unlocked = ["torch", "nvidia-*"]            # what tools/constraints.txt does not decide here; ["*"]: anything
    packages = ["nbf-core", "nbf-testing"]      # what to install of ours, beside the plugin itself

    [variables]                                 # of the tests' process
    TRITON_INTERPRET = "1"
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONSTRAINTS = ROOT / "tools" / "constraints.txt"
OPTIONAL = ("av", "cdflib", "h5py", "scipy", "viser")  # of the packages' extras, so that their tests run
DEV_REQUIREMENTS = ("pytest", "hypothesis", "beartype", "ruff", "import-linter", "packaging", *OPTIONAL)
BUILD_REQUIREMENTS = ("poetry-core",)
CUDA_NAMES = ("nvidia-", "cuda-", "triton")


class Stop(Exception):
    """Ends the run with a message and no traceback."""


@dataclass(frozen=True)
class Recipe:
    """What an environment holds; the lists of ``environment.toml``, with the packages as folders."""

    venv: Path
    packages: tuple[Path, ...]
    requirements: tuple[str, ...] = ()
    unlocked: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)

    def frees(self, name: str) -> bool:
        """Whether the version of a distribution is left to the recipe."""
        return any(fnmatch.fnmatch(name, pattern) for pattern in self.unlocked)


def ordinary() -> Recipe:
    """The environment of all packages and plugins."""
    return Recipe(_venv(""), tuple(package_paths()))


def own(name: str) -> Recipe:
    """The environment of one plugin. Stops with a message where there is none, or its file is wrong."""
    import tomllib  # not there before Python 3.11, which dev.py refuses with a better message

    file = ROOT / "plugins" / name / "environment.toml"
    if not file.is_file():
        having = sorted(path.parent.name for path in ROOT.glob("plugins/*/environment.toml"))
        raise Stop(f"{name!r} has no environment of its own; these have: {', '.join(having) or 'none'}")
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise Stop(f"{file.relative_to(ROOT)}: {error}") from error
    kinds = {"requirements": list, "unlocked": list, "packages": list, "variables": dict}
    for key, value in content.items():
        if key not in kinds:
            raise Stop(f"{file.relative_to(ROOT)}: unknown key {key!r}; known: {', '.join(kinds)}")
        texts = value.values() if isinstance(value, dict) else value
        if not isinstance(value, kinds[key]) or not all(isinstance(text, str) for text in texts):
            kind = "table" if kinds[key] is dict else "list"
            raise Stop(f"{file.relative_to(ROOT)}: {key} must be a {kind} of texts")
    folders = {path.name: path for path in package_paths()}
    wanted = dict.fromkeys([*content.get("packages", ()), name])
    unknown = [package for package in wanted if package not in folders]
    if unknown:
        raise Stop(f"{file.relative_to(ROOT)}: no such package: {', '.join(unknown)}")
    return Recipe(
        venv=_venv(f"-{name}"),
        packages=tuple(folders[package] for package in wanted),
        requirements=tuple(content.get("requirements", ())),
        unlocked=tuple(content.get("unlocked", ())),
        variables=content.get("variables", {}),
    )


def documentation() -> Recipe:
    """The environment of the site's generator: all of it is fixed in a file of its own, none of our packages in it."""
    lines = (ROOT / "tools" / "docsite" / "requirements.txt").read_text(encoding="utf-8").splitlines()
    wanted = tuple(line for line in lines if line and not line.startswith("#"))
    return Recipe(_venv("-docs"), packages=(), requirements=wanted, unlocked=("*",))


def set_up(recipe: Recipe, dev: bool = False) -> Path:
    """Make or refresh an environment; returns its python. Quick where nothing has changed."""
    venv = recipe.venv
    python = command(venv, "python")
    stamp = venv / "nbf-stamp.json"
    wanted = fingerprint(recipe)
    if python.exists() and _installed(stamp, wanted, dev):
        return python
    started = time.monotonic()
    say(f"setting up {venv} (the first time takes a minute or a few)")
    make_venv(venv, python)
    stamp.unlink(missing_ok=True)
    install = [python, "-m", "pip", "install", "-qq", "--disable-pip-version-check", *_constraints(recipe)]
    advice = "" if wants_cuda() or recipe.frees("torch") else _CPU_ADVICE
    # What comes as sources builds with what it asks for itself, and so goes first.
    pip([*install, *BUILD_REQUIREMENTS, *recipe.requirements], advice)
    paths = [part for path in recipe.packages for part in ("-e", str(path.relative_to(ROOT)))]
    # All paths on one command line: only so does pip find the siblings that the packages name. Without build
    # isolation every package is built with the poetry-core just installed. The requirements stand here again so
    # that nothing replaces them.
    extra = [*recipe.requirements, *(DEV_REQUIREMENTS if dev else ())]
    pip([*install, "--no-build-isolation", *paths, *extra], advice)
    stamp.write_text(json.dumps({"fingerprint": wanted, "dev": dev}))
    say(f"set up in {time.monotonic() - started:.0f} s")
    return python


def package_paths() -> list[Path]:
    """The folders of all packages and plugins."""
    found = [file.parent for folder in ("packages", "plugins") for file in (ROOT / folder).glob("*/pyproject.toml")]
    if not found:
        raise Stop(f"no packages below {ROOT}: is this a whole clone?")
    return sorted(found)


def fingerprint(recipe: Recipe) -> str:
    """Changes whenever the environment has to be made again."""
    digest = hashlib.sha256()
    for path in (CONSTRAINTS, *(folder / "pyproject.toml" for folder in recipe.packages)):
        digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    facts = (sys.version, str(ROOT), wants_cuda(), DEV_REQUIREMENTS, BUILD_REQUIREMENTS)
    digest.update(repr((*facts, recipe.requirements, recipe.unlocked)).encode())
    return digest.hexdigest()


def wants_cuda() -> bool:
    """Whether CUDA packages may be installed: as NBF_CUDA says, otherwise where an NVIDIA driver is found."""
    choice = os.environ.get("NBF_CUDA", "")
    if choice not in ("", "0", "1"):
        raise Stop(f"NBF_CUDA={choice}: expected 0 or 1")
    if choice:
        return choice == "1"
    return shutil.which("nvidia-smi") is not None or Path("/proc/driver/nvidia/version").exists()


def without_cuda(constraints: str) -> str:
    """The constraints, with every CUDA package made impossible to install.

    pip then takes a CPU build of PyTorch, or fails before it downloads gigabytes that nothing here could use.
    """
    lines = []
    for line in constraints.splitlines():
        name = _name(line)
        lines.append(f"{name}<0" if name.startswith(CUDA_NAMES) else line)
    return "\n".join(dict.fromkeys(lines)) + "\n"


def constraints_for(recipe: Recipe, constraints: str) -> str:
    """The constraints that hold in an environment on this machine."""
    kept = [line for line in constraints.splitlines() if not recipe.frees(_name(line))]
    text = "\n".join(kept) + "\n"
    return text if wants_cuda() else without_cuda(text)


def make_venv(venv: Path, python: Path) -> None:
    """An empty environment of this Python; one that is there already stays."""
    if python.exists():
        # An environment of another Python, or one without pip, is made anew.
        probe = [python, "-c", "import sys, pip; print(sys.version)"]
        if subprocess.run(probe, capture_output=True, text=True).stdout.strip() == sys.version:
            return
    if call([sys.executable, "-m", "venv", "--clear", venv]):
        raise Stop(f"cannot make {venv}; on Debian and Ubuntu this needs the package python3-venv")


def pip(arguments: Sequence[str | Path], advice: str = "") -> None:
    """Run pip; stops with ``advice`` where it fails."""
    if call(arguments):
        raise Stop("pip could not install everything, see above." + advice)


def command(venv: Path, name: str) -> Path:
    """A command inside an environment."""
    return venv / "Scripts" / f"{name}.exe" if os.name == "nt" else venv / "bin" / name


def call(arguments: Sequence[str | Path], extra: Mapping[str, str] | None = None) -> int:
    """Run a command in the repository's root; returns its exit status."""
    # Bytecode is kept: without it, half of the tests' time goes into compiling the same modules again.
    hidden = ("PYTHONHOME", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE")
    environment = {key: value for key, value in os.environ.items() if key not in hidden}
    sys.stdout.flush()
    return subprocess.call([str(part) for part in arguments], cwd=ROOT, env=environment | (extra or {}))


def say(text: str) -> None:
    """One line about what happens now."""
    print(f"== {text}", flush=True)


def _venv(suffix: str) -> Path:
    """Beside the ordinary environment, which ``NBF_VENV`` may put elsewhere."""
    place = Path(os.environ.get("NBF_VENV") or ROOT / ".venv").absolute()
    return place.with_name(place.name + suffix)


def _constraints(recipe: Recipe) -> list[str | Path]:
    if not CONSTRAINTS.is_file():
        raise Stop(f"{CONSTRAINTS.relative_to(ROOT)} is missing; make it with: python3 tools/dev.py lock")
    limited = recipe.venv / "nbf-constraints.txt"
    limited.write_text(constraints_for(recipe, CONSTRAINTS.read_text(encoding="utf-8")), encoding="utf-8")
    options = ["--constraint", limited]
    index = os.environ.get("NBF_TORCH_INDEX")
    # An environment with a torch of its own says itself which build it needs.
    return [*options, "--extra-index-url", index] if index and not recipe.frees("torch") else options


def _installed(stamp: Path, wanted: str, dev: bool) -> bool:
    try:
        done = json.loads(stamp.read_text())
        return done["fingerprint"] == wanted and (done["dev"] or not dev)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _name(line: str) -> str:
    """The distribution that a line of the constraints is about."""
    return re.match(r"[A-Za-z0-9._-]*", line).group()


_CPU_ADVICE = (
    "\nThis machine shows no NVIDIA driver, so no CUDA packages are installed. If pip says above that"
    "\ntorch cannot be had on this condition, its index has no CPU build: set NBF_TORCH_INDEX to the"
    "\naddress of PyTorch's index of CPU wheels (PyTorch's install page shows it), or set NBF_CUDA=1 to"
    "\ntake the CUDA build."
)
