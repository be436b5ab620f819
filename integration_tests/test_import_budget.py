"""Looking at plugins and pipelines is quick, and does not import torch."""

import json
import sys
import time

import pytest

HEAVY = {"torch", "lightning", "numba", "matplotlib", "scipy", "trimesh"}
SECONDS = 2.0  # generous: the aim is a third of a second on an idle machine; CI's cores are shared
LIGHT = [
    ("--help",),
    ("plugins", "list"),
    ("plugins", "show", "gaussian"),
    ("config", "check", "demo"),
    ("fit", "--help"),
]


def imported(importtime: str) -> set[str]:
    """Top-level modules in what ``-X importtime`` wrote."""
    lines = [line for line in importtime.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}


@pytest.mark.parametrize("arguments", LIGHT, ids=" ".join)
def test_looking_imports_nothing_heavy(nbf_run, arguments):
    done = nbf_run(*arguments, python=("-X", "importtime"))
    assert done.returncode == 0, done.stderr[-2000:]
    found = imported(done.stderr)
    assert "nbf_run" in found
    assert not found & HEAVY


def test_looking_is_quick(nbf_run):
    times = []
    for _ in range(3):
        began = time.perf_counter()
        nbf_run("plugins", "list")
        times.append(time.perf_counter() - began)
    assert min(times) < SECONDS


def test_no_installed_plugin_is_broken(nbf_run):
    listing = json.loads(nbf_run("plugins", "list", "--json").stdout)
    assert listing["failures"] == []


def test_configurations_import_no_torch(nbf_run):
    """The plugins' own modules, all of them in one process."""
    import subprocess

    code = (
        "import sys; from nbf_core.plugins import KINDS, get_plugin_manager as m\n"
        "for kind in KINDS:\n"
        "    for entry in m().entries(kind).values(): entry.load_config()\n"
        f"assert not {HEAVY!r} & set(sys.modules), {HEAVY!r} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
