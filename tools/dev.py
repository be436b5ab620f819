"""Set-up and tasks of the repository. Standard library only; needs Python 3.11 or newer, pip and git.

    python3 tools/dev.py demo [ARGS]     set everything up, then run ``nbf-run demo ARGS``
    python3 tools/dev.py test [ARGS]     the same, then all checks and tests; with ARGS only pytest ARGS
    python3 tools/dev.py run ARGS        ``nbf-run ARGS``
    python3 tools/dev.py env NAME [ARGS] the tests of a plugin that has an environment of its own; ARGS go to pytest
    python3 tools/dev.py lint            style, import rules and repository checks
    python3 tools/dev.py docs            build the documentation site into dist/docs/site, and check its links
    python3 tools/dev.py wheels [NAME]   build wheels to install from by name, without the repository, into dist/wheels
    python3 tools/dev.py isolate [NAME]  every package alone in an empty environment, or these: tools/isolation.py
    python3 tools/dev.py licences        write docs/third-party.md: the licences of what we need and what we bring
    python3 tools/dev.py release ARGS    with --dry-run: build everything, look at it, install it; publishes nothing
    python3 tools/dev.py setup           set up for development, run nothing
    python3 tools/dev.py lock            make poetry.lock and tools/constraints.txt again

Everything is installed into ``.venv``, in versions that ``tools/constraints.txt`` fixes; for ``env`` into
``.venv-NAME``, as the plugin's ``environment.toml`` says, and for ``docs`` into ``.venv-docs`` besides. The set-up is
repeated only where one of these or a pyproject.toml has changed. Environment variables:

    NBF_VENV           where to make the environment, instead of ``.venv``; the others are made beside it
    NBF_TORCH_INDEX    address of a package index that has CPU builds of PyTorch, where pip's own has none
    NBF_CUDA           1: install PyTorch's CUDA packages, 0: never; otherwise if there is an NVIDIA driver
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import environments  # noqa: E402 (found through the line above)
from environments import CONSTRAINTS, ROOT, Stop, call, say  # noqa: E402

LOCK_TOOLS = ("poetry==2.5.1", "poetry-plugin-export==1.10.1", "poetry-plugin-pypi-mirror==0.6.5")
# Run where all is installed.
TOOLS = {
    "wheels": "wheelhouse.py",
    "isolate": "isolation.py",
    "licences": "licences.py",
    "release": "release.py",
}


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
    if task == "docs":
        return docs(set_up(dev=True), environments.set_up(environments.documentation()))
    if task == "env":
        return env(rest)
    if task in TOOLS:
        return call([set_up(dev=True), ROOT / "tools" / TOOLS[task], *rest])
    if task == "lock":
        return lock()
    known = ("demo", "test", "env", "run", "lint", "docs", *TOOLS, "setup", "lock")
    raise Stop(f"unknown task {task!r}; known: {', '.join(known)}")


def set_up(dev: bool) -> Path:
    """Make or refresh the ordinary environment; returns its python."""
    return environments.set_up(environments.ordinary(), dev)


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
    for name, step in steps.items():
        say(name)
        failed += call(step) != 0
    return failed


def test(python: Path, arguments: Sequence[str]) -> int:
    """Everything CI runs, pytest last; or only pytest with the arguments given."""
    problems = 0 if arguments else lint(python) + site(python)
    say("pytest")
    status = call([python, "-m", "pytest", *arguments], {"MPLBACKEND": "Agg"})
    if problems:
        say(f"{problems} of the checks before pytest failed, see above")
    return status or int(problems > 0)


def site(python: Path) -> int:
    """The documentation site as a check: 1 where it cannot be built, 0 also where its generator is not to be had."""
    say("documentation site")
    try:
        generator = environments.set_up(environments.documentation())
    except Stop as stop:
        say(f"the site was not checked: {stop}")
        return 0
    return int(docs(python, generator) > 0)


def docs(python: Path, generator: Path) -> int:
    """Build the documentation site and check it; returns the exit status."""
    from docsite.build import build

    return build(python, generator)


def env(arguments: Sequence[str]) -> int:
    """The tests of one plugin in the environment that its ``environment.toml`` describes."""
    if not arguments:
        raise Stop("env needs the name of a plugin: python3 tools/dev.py env NAME [PYTEST ARGS]")
    name, *rest = arguments
    recipe = environments.own(name)
    python = environments.set_up(recipe)
    say(f"pytest in {recipe.venv.name}")
    tests = ROOT / "plugins" / name / "tests"
    return call([python, "-m", "pytest", tests.relative_to(ROOT), *rest], recipe.variables)


def lock() -> int:
    """Resolve all versions anew, and export them as constraints for pip."""
    venv = ROOT / ".venv-lock"
    python = environments.command(venv, "python")
    environments.make_venv(venv, python)
    environments.pip([python, "-m", "pip", "install", "-qq", "--disable-pip-version-check", *LOCK_TOOLS])
    poetry = [python, "-m", "poetry", "--no-interaction"]
    if call([*poetry, "lock"], {"POETRY_VIRTUALENVS_CREATE": "false"}):
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


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Stop as stop:
        sys.exit(f"dev.py: {stop}")
    except KeyboardInterrupt:
        sys.exit(130)
