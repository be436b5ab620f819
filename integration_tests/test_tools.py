"""The repository's own tools: a check that never fails checks nothing."""

import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def tool(name):
    spec = importlib.util.spec_from_file_location(f"tool_{Path(name).stem}", ROOT / "tools" / name)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


CONSTRAINTS = """\
# a comment
numpy==2.4.6 ; python_version < "3.13"
nvidia-cublas==13.1.1.3 ; sys_platform == "linux"
torch==2.13.0
triton==3.7.1
"""


def test_without_a_gpu_no_cuda_package_can_be_installed():
    lines = tool("dev.py").without_cuda(CONSTRAINTS).splitlines()
    assert lines[1:] == [
        'numpy==2.4.6 ; python_version < "3.13"',
        "nvidia-cublas<0",
        "torch==2.13.0",
        "triton<0",
    ]


def test_every_cuda_package_of_the_lock_is_among_them():
    dev = tool("dev.py")
    names = {line.partition("==")[0] for line in dev.CONSTRAINTS.read_text().splitlines() if "==" in line}
    # What the CUDA build of torch needs beyond a CPU build: everything that is for Linux only.
    for_linux = {
        line.partition("==")[0]
        for line in dev.CONSTRAINTS.read_text().splitlines()
        if 'platform_system == "Linux"' in line and "Windows" not in line.partition(" or ")[0]
    }
    assert {"torch", "numpy"} <= names
    assert {name for name in for_linux if not name.startswith(dev.CUDA_NAMES)} == set()


@pytest.mark.parametrize(("value", "expected"), [("0", False), ("1", True)])
def test_the_choice_of_cuda_can_be_forced(monkeypatch, value, expected):
    monkeypatch.setenv("NBF_CUDA", value)
    assert tool("dev.py").wants_cuda() is expected


def test_a_wrong_choice_is_refused(monkeypatch):
    monkeypatch.setenv("NBF_CUDA", "yes")
    dev = tool("dev.py")
    with pytest.raises(dev.Stop, match="NBF_CUDA=yes: expected 0 or 1"):
        dev.wants_cuda()


def test_the_export_keeps_no_path_of_this_machine():
    export = "-e file:///a/b/packages/nbf-core\nnbf-run @ file:///a/b\nnumpy==2.4.6\na[b]==1\n"
    assert tool("dev.py").constraints_of(export).splitlines()[1:] == ["a[b]==1", "numpy==2.4.6"]


def test_the_set_up_is_repeated_when_a_package_changes(tmp_path, monkeypatch):
    dev = tool("dev.py")
    package = tmp_path / "packages" / "nbf-x"
    package.mkdir(parents=True)
    (package / "pyproject.toml").write_text("a")
    (tmp_path / "c.txt").write_text("numpy==1")
    monkeypatch.setattr(dev, "ROOT", tmp_path)
    monkeypatch.setattr(dev, "CONSTRAINTS", tmp_path / "c.txt")
    first = dev.fingerprint()
    assert dev.fingerprint() == first
    (package / "pyproject.toml").write_text("b")
    assert dev.fingerprint() != first


@pytest.fixture
def repository(tmp_path):
    """A repository of one package that passes the check of the lock."""
    package = tmp_path / "packages" / "nbf-x"
    package.mkdir(parents=True)
    (package / "pyproject.toml").write_text('[project]\nname = "nbf-x"\ndependencies = ["numpy (>=1.26)"]\n')
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "constraints.txt").write_text("numpy==2.4.6 ; python_version >= '3.11'\n")
    (tmp_path / "poetry.lock").write_text(
        '[[package]]\nname = "numpy"\nversion = "2.4.6"\n'
        '[[package]]\nname = "nbf-x"\nversion = "0.1.0"\n[package.dependencies]\nnumpy = ">=1.26"\n'
        '[package.source]\ntype = "directory"\nurl = "packages/nbf-x"\n'
    )
    return tmp_path


def test_a_lock_that_agrees_passes(repository):
    assert tool("checks/locked.py").problems(repository) == []


@pytest.mark.parametrize(
    ("file", "before", "after", "problem"),
    [
        ("tools/constraints.txt", "2.4.6", "2.4.5", "constraints.txt lacks numpy 2.4.6"),
        ("tools/constraints.txt", "numpy", "extra==1\nnumpy", "poetry.lock lacks extra 1"),
        ("packages/nbf-x/pyproject.toml", ">=1.26", ">=3", "nbf-x declares numpy"),
        (
            "packages/nbf-x/pyproject.toml",
            '"numpy',
            '"roma", "numpy',
            "nbf-x declares roma, unknown to poetry.lock",
        ),
        ("packages/nbf-x/pyproject.toml", '"numpy (>=1.26)"', "", "nbf-x needs no numpy"),
        ("packages/nbf-x/pyproject.toml", "nbf-x", "nbf-y", "nbf-y is not in poetry.lock"),
    ],
)
def test_a_lock_that_lags_behind_is_found(repository, file, before, after, problem):
    path = repository / file
    path.write_text(path.read_text().replace(before, after))
    assert any(problem in found for found in tool("checks/locked.py").problems(repository))


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("see /" + "home/me/x.npz", "a path of somebody's machine"),
        ("https://example.org/" + "simple/", "the address of a package index"),
        ("    break" + "point()", "a debugger call"),
    ],
)
def test_texts_that_must_not_be_tracked_are_found(text, what):
    assert list(tool("checks/texts.py").forbidden(f"first\n{text}\n")) == [(2, what)]


def test_what_has_grown_too_large_is_found():
    check = tool("checks/code_size.py")
    assert list(check.oversized("def f(a):\n    return a\n")) == []
    assert any("301 lines" in found for found in check.oversized("a = 1\n" * 300))
    assert any("f has 62 lines" in found for found in check.oversized("def f():\n" + "    a = 1\n" * 61))
    assert any("10 arguments" in found for found in check.oversized("def f(a,b,c,d,e,f,g,h,i,j): ...\n"))
