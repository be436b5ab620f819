"""Set-up and tasks of the repository. Standard library only; needs Python 3.11 or newer, pip and git.

    python3 tools/dev.py demo [ARGS]     set everything up, then run ``nbf-run demo ARGS``
    python3 tools/dev.py test [ARGS]     the same, then all checks and tests; with ARGS only pytest ARGS
    python3 tools/dev.py run ARGS        ``nbf-run ARGS``
    python3 tools/dev.py lint            style, import rules and repository checks
    python3 tools/dev.py setup           set up for development, run nothing
    python3 tools/dev.py lock            make poetry.lock and tools/constraints.txt again

Everything is installed into ``.venv``, in versions that ``tools/constraints.txt`` fixes. The set-up is
repeated only where the constraints or a pyproject.toml have changed. Environment variables:

    NBF_VENV           where to make the environment, instead of ``.venv``
    NBF_TORCH_INDEX    address of a package index that has CPU builds of PyTorch, where pip's own has none
    NBF_CUDA           1: install PyTorch's CUDA packages, 0: never; otherwise if there is an NVIDIA driver
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONSTRAINTS = ROOT / "tools" / "constraints.txt"
DEV_REQUIREMENTS = ("pytest", "hypothesis", "beartype", "ruff", "import-linter", "packaging")
BUILD_REQUIREMENTS = ("poetry-core",)
LOCK_TOOLS = ("poetry==2.5.1", "poetry-plugin-export==1.10.1", "poetry-plugin-pypi-mirror==0.6.5")
CUDA_NAMES = ("nvidia-", "cuda-", "triton")


class Stop(Exception):
    """Ends the run with a message and no traceback."""


def main(arguments: Sequence[str]) -> int:
    """Run one task; returns the exit status."""
    if sys.version_info < (3, 11):
        raise Stop(f"this needs Python 3.11 or newer, and {sys.executable} is {sys.version.split()[0]}")
    task, *rest = arguments or ["help"]
    if task in ("help", "-h", "--help"):
        print(__doc__)
        return 0
    if task == "demo":
        return nbf_run(["demo", *rest])
    if task == "run":
        return nbf_run(rest)
    if task == "setup":
        set_up(dev=True)
        return 0
    if task == "lint":
        return lint(set_up(dev=True))
    if task == "test":
        return test(set_up(dev=True), rest)
    if task == "lock":
        return lock()
    raise Stop(f"unknown task {task!r}; known: demo, test, run, lint, setup, lock")


def nbf_run(arguments: Sequence[str]) -> int:
    """The nbf-run command in the environment, with everything installed."""
    python = set_up(dev=False)
    # In the caller's folder and environment: the paths among the arguments are the caller's.
    sys.stdout.flush()
    return subprocess.call([str(python.with_name(python.name.replace("python", "nbf-run"))), *arguments])


def lint(python: Path) -> int:
    """Style, import rules and repository checks; returns how many of them failed."""
    steps: dict[str, list[str | Path]] = {
        "ruff": [python, "-m", "ruff", "check", "--no-cache", "."],
        "import rules": [python.with_name(python.name.replace("python", "lint-imports")), "--no-cache"],
        "repository checks": [python, ROOT / "tools" / "checks"],
    }
    failed = 0
    for name, command in steps.items():
        say(name)
        failed += _call(command) != 0
    return failed


def test(python: Path, arguments: Sequence[str]) -> int:
    """Everything CI runs, pytest last; or only pytest with the arguments given."""
    problems = 0 if arguments else lint(python)
    say("pytest")
    status = _call([python, "-m", "pytest", *arguments], {"MPLBACKEND": "Agg"})
    if problems:
        say(f"{problems} of the checks before pytest failed, see above")
    return status or int(problems > 0)


def set_up(dev: bool) -> Path:
    """Make or refresh the environment; returns its python. Quick where nothing has changed."""
    venv = Path(os.environ.get("NBF_VENV") or ROOT / ".venv").absolute()
    python = _command(venv, "python")
    stamp = venv / "nbf-stamp.json"
    wanted = fingerprint()
    if python.exists() and _installed(stamp, wanted, dev):
        return python
    started = time.monotonic()
    say(f"setting up {venv} (the first time takes a minute or a few)")
    _make_venv(venv, python)
    stamp.unlink(missing_ok=True)
    pip = [python, "-m", "pip", "install", "-qq", "--disable-pip-version-check", *_constraints(venv)]
    _pip([*pip, *BUILD_REQUIREMENTS])
    paths = [part for path in package_paths() for part in ("-e", str(path.relative_to(ROOT)))]
    # All paths on one command line: only so does pip find the siblings that the packages name. Without build
    # isolation every package is built with the poetry-core just installed.
    _pip([*pip, "--no-build-isolation", *paths, *(DEV_REQUIREMENTS if dev else ())])
    stamp.write_text(json.dumps({"fingerprint": wanted, "dev": dev}))
    say(f"set up in {time.monotonic() - started:.0f} s")
    return python


def package_paths() -> list[Path]:
    """The folders of all packages and plugins."""
    found = [file.parent for folder in ("packages", "plugins") for file in (ROOT / folder).glob("*/pyproject.toml")]
    if not found:
        raise Stop(f"no packages below {ROOT}: is this a whole clone?")
    return sorted(found)


def fingerprint() -> str:
    """Changes whenever the environment has to be made again."""
    digest = hashlib.sha256()
    for path in (CONSTRAINTS, *(folder / "pyproject.toml" for folder in package_paths())):
        digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    facts = (sys.version, str(ROOT), wants_cuda(), DEV_REQUIREMENTS, BUILD_REQUIREMENTS)
    digest.update(repr(facts).encode())
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
        name = re.match(r"[A-Za-z0-9._-]*", line).group()
        lines.append(f"{name}<0" if name.startswith(CUDA_NAMES) else line)
    return "\n".join(dict.fromkeys(lines)) + "\n"


def lock() -> int:
    """Resolve all versions anew, and export them as constraints for pip."""
    venv = ROOT / ".venv-lock"
    python = _command(venv, "python")
    _make_venv(venv, python)
    _pip([python, "-m", "pip", "install", "-qq", "--disable-pip-version-check", *LOCK_TOOLS])
    poetry = [python, "-m", "poetry", "--no-interaction"]
    if _call([*poetry, "lock"], {"POETRY_VIRTUALENVS_CREATE": "false"}):
        raise Stop(
            "poetry lock failed. Where the package index has no JSON pages, set POETRY_PYPI_MIRROR_URL to the"
            " address of the simple index that pip uses, and run this again"
        )
    export = ["export", "--without-hashes", "--all-groups", "--format", "constraints.txt"]
    done = subprocess.run([*map(str, poetry), *export], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise Stop(f"poetry export failed: {done.stderr.strip()}")
    CONSTRAINTS.write_text(constraints_of(done.stdout), encoding="utf-8")
    say(f"wrote poetry.lock and {CONSTRAINTS.relative_to(ROOT)}; commit both")
    return 0


def constraints_of(export: str) -> str:
    """The export without the repository's own packages, whose lines carry paths of this machine."""
    kept = [line for line in export.splitlines() if re.match(r"[A-Za-z0-9._-]+(\[[^]]*\])?==", line)]
    head = "# Made from poetry.lock by: python3 tools/dev.py lock. Do not edit.\n"
    return head + "\n".join(sorted(kept)) + "\n"


def _constraints(venv: Path) -> list[str]:
    if not CONSTRAINTS.is_file():
        raise Stop(f"{CONSTRAINTS.relative_to(ROOT)} is missing; make it with: python3 tools/dev.py lock")
    options = ["--constraint", str(CONSTRAINTS)]
    if not wants_cuda():
        limited = venv / "nbf-constraints.txt"
        limited.write_text(without_cuda(CONSTRAINTS.read_text(encoding="utf-8")), encoding="utf-8")
        options = ["--constraint", str(limited)]
    index = os.environ.get("NBF_TORCH_INDEX")
    return [*options, "--extra-index-url", index] if index else options


def _make_venv(venv: Path, python: Path) -> None:
    if python.exists():
        # An environment of another Python, or one without pip, is made anew.
        probe = [python, "-c", "import sys, pip; print(sys.version)"]
        if subprocess.run(probe, capture_output=True, text=True).stdout.strip() == sys.version:
            return
    if _call([sys.executable, "-m", "venv", "--clear", venv]):
        raise Stop(f"cannot make {venv}; on Debian and Ubuntu this needs the package python3-venv")


def _pip(command: Sequence[str | Path]) -> None:
    if _call(command) == 0:
        return
    advice = (
        "\nThis machine shows no NVIDIA driver, so no CUDA packages are installed. If pip says above that"
        "\ntorch cannot be had on this condition, its index has no CPU build: set NBF_TORCH_INDEX to the"
        "\naddress of PyTorch's index of CPU wheels (PyTorch's install page shows it), or set NBF_CUDA=1 to"
        "\ntake the CUDA build."
    )
    raise Stop("pip could not install everything, see above." + ("" if wants_cuda() else advice))


def _installed(stamp: Path, wanted: str, dev: bool) -> bool:
    try:
        done = json.loads(stamp.read_text())
        return done["fingerprint"] == wanted and (done["dev"] or not dev)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _command(venv: Path, name: str) -> Path:
    """A command inside an environment."""
    return venv / "Scripts" / f"{name}.exe" if os.name == "nt" else venv / "bin" / name


def _call(command: Sequence[str | Path], extra: Mapping[str, str] | None = None) -> int:
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONHOME", "PYTHONPATH")}
    sys.stdout.flush()
    return subprocess.call([str(part) for part in command], cwd=ROOT, env=environment | (extra or {}))


def say(text: str) -> None:
    """One line about what happens now."""
    print(f"== {text}", flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Stop as stop:
        sys.exit(f"dev.py: {stop}")
    except KeyboardInterrupt:
        sys.exit(130)
