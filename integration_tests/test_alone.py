"""Packages stand alone: two of them tried as ``tools/dev.py isolate`` tries all; undeclared imports are found."""

import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def check():
    spec = importlib.util.spec_from_file_location("check_packages", ROOT / "tools" / "checks" / "packages.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def house(tools, tmp_path_factory):
    """A wheelhouse of nbf-core, nbf-renderers and what their tests need of ours, with the way to install from it."""
    work = tmp_path_factory.mktemp("isolation")
    isolation = tools("isolation")
    packages = tools("our_packages").chosen(["nbf-core", "nbf-renderers"])
    return work, isolation.prepare(Path(sys.executable), packages, work, "linked")


def test_nbf_renderers_brings_core_and_little_else(tools, house):
    """Its example runs as printed, its modules import, and its own tests pass, where nothing else is."""
    work, installer = house
    [package] = tools("our_packages").chosen(["nbf-renderers"])
    found = tools("isolation").examine(package, work, installer)
    assert found.problems == []
    assert {name for name in found.brings if name.startswith("nbf-")} == {"nbf-core", "nbf-renderers"}
    assert {"torch", "numpy", "pluggy"} <= set(found.brings)
    assert not {"pytest", "numba", "matplotlib", "lightning", "pillow", "typer"} & set(found.brings)
    assert found.modules > 5 and "passed" in found.tests and "failed" not in found.tests


def test_nbf_core_stands_alone(tools, house):
    work, installer = house
    [package] = tools("our_packages").chosen(["nbf-core"])
    found = tools("isolation").examine(package, work, installer, tests=False)
    assert found.problems == []
    assert {name for name in found.brings if name.startswith("nbf-")} == {"nbf-core"}


def test_an_undeclared_import_is_found_where_nothing_else_is(tools, tmp_path):
    """The environment of a package that declares nothing has no numpy, whatever the ordinary one has."""
    isolation, installers = tools("isolation"), tools("installers")
    [package] = tools("our_packages").chosen(["nbf-core"])
    linked = installers.Linked(Path(sys.executable), tmp_path, [package])
    environment = isolation.Environment(tmp_path, linked.make(tmp_path / "venv"), linked)
    environment.install("pluggy")
    site = next((tmp_path / "venv").rglob("site-packages"))
    (site / "guilty").mkdir()
    (site / "guilty" / "__init__.py").write_text("")
    for name, text in {"fine": "import pluggy", "hidden": "import numpy", "extra": "import scipy.sparse"}.items():
        (site / "guilty" / f"{name}.py").write_text(text)
    seen = environment.ask("imports", "guilty", "scipy")
    assert seen["imported"] == 2
    assert seen["optional"] == {"guilty.extra": "scipy"}
    assert list(seen["failed"]) == ["guilty.hidden"] and "numpy" in seen["failed"]["guilty.hidden"]
    assert set(environment.ask("list")) == {"pluggy"}


@pytest.fixture
def package(tmp_path):
    """A package that passes the check of imports."""
    (tmp_path / "nbf-x" / "src" / "nbf_x").mkdir(parents=True)
    (tmp_path / "nbf-x" / "tests").mkdir()
    (tmp_path / "nbf-x" / "src" / "nbf_x" / "__init__.py").write_text("import numpy\nfrom nbf_x._own import thing\n")
    (tmp_path / "nbf-x" / "tests" / "test_x.py").write_text("import json, pytest, numpy, helper\n")
    (tmp_path / "nbf-x" / "tests" / "helper.py").write_text("")
    return tmp_path / "nbf-x"


DATA = {"project": {"name": "nbf-x", "dependencies": ["numpy>=1"]}, "dependency-groups": {"test": ["pytest>=8"]}}


@pytest.mark.parametrize(
    ("file", "text", "problem"),
    [
        ("src/nbf_x/a.py", "def f():\n    import torch", "src/nbf_x/a.py imports torch, undeclared in pyproject.toml"),
        ("tests/test_a.py", "import hypothesis", "tests/test_a.py imports hypothesis, which the dependency group"),
        ("src/nbf_x/a.py", "from nbf_y._z import f", "src/nbf_x/a.py imports nbf_y._z.f, which is private"),
        ("src/nbf_x/a.py", "from nbf_y.z import _f", "src/nbf_x/a.py imports nbf_y.z._f, which is private"),
        ("tests/test_a.py", "import nbf_y._z", "tests/test_a.py imports nbf_y._z, which is private"),
    ],
)
def test_imports_that_must_not_be_are_found(check, package, file, text, problem):
    def problems():
        owners = {}
        return [
            *check._imports(package, DATA["project"], owners),
            *check._test_imports(package, DATA, owners),
            *check._private_imports(package),
        ]

    assert problems() == []
    (package / file).write_text(text + "\n")
    assert any(found.startswith(problem) for found in problems())


def test_a_test_may_skip_what_it_lacks(check, package):
    (package / "tests" / "test_x.py").write_text('import pytest\npytest.importorskip("scipy.stats")\nimport scipy\n')
    assert check._test_imports(package, DATA, {}) == []


def test_the_table_keeps_the_rows_of_packages_that_were_not_looked_at(tools, tmp_path, monkeypatch):
    table, isolation = tools("package_table"), tools("isolation")
    page = tmp_path / "docs" / "packages.md"
    page.parent.mkdir()
    page.write_text(f"before\n{table.BEGIN}\n{table.END}\nafter\n")
    monkeypatch.setattr(table, "PAGE", page)
    monkeypatch.setattr(table, "ROOT", tmp_path)
    first, second = (isolation.Found(name, wheel_kb=kb) for name, kb in (("nbf-a", 12.3), ("nbf-b", 4.56)))
    first.brings = {"nbf-a": {"mb": 1.0}, "torch": {"mb": 700.0}}
    table.write([first, second], whole=True)
    table.write([isolation.Found("nbf-b", wheel_kb=1000)], whole=False)
    rows = table.rows_of(page.read_text())
    assert list(rows) == ["nbf-a", "nbf-b"]
    assert rows["nbf-a"].startswith("| nbf-a | 12 | 0.0 | 1 | 701 | 1 |") and "1,000" in rows["nbf-b"]
    assert page.read_text().startswith("before\n") and page.read_text().endswith("after\n")


def test_the_page_has_a_row_for_every_package(tools):
    rows = tools("package_table").rows_of((ROOT / "docs" / "packages.md").read_text())
    assert set(rows) == set(tools("our_packages").all_packages())


def test_wheels_to_install_from_are_made_with_what_they_need_of_ours(tools, tmp_path, capsys):
    wheelhouse = tools("wheelhouse")
    (tmp_path / "nbf_renderers-0.0.9-py3-none-any.whl").touch()
    assert wheelhouse.main(Path(sys.executable), ["nbf-renderers", "--out", str(tmp_path)]) == 0
    versions = {one.module: one.version for one in tools("our_packages").chosen(["nbf-core", "nbf-renderers"])}
    assert {path.name for path in tmp_path.iterdir()} == {
        f"{name}-{versions[name]}-py3-none-any.whl" for name in versions
    }
    assert f"--find-links {tmp_path}" in capsys.readouterr().out


def test_an_unknown_package_is_refused(tools):
    stop = tools("environments").Stop
    with pytest.raises(stop, match="no such package: nbf-z; there are: nbf-body-models"):
        tools("our_packages").chosen(["nbf-z"])


def test_every_name_of_a_dependency_group_can_be_installed(tools):
    """By the names that the lock has, or ours."""
    our_packages = tools("our_packages")
    locked = {line.partition("==")[0] for line in (ROOT / "tools" / "constraints.txt").read_text().splitlines()}
    for package in our_packages.all_packages().values():
        names = {our_packages.requirement_name(text) for group in ("test", "readme") for text in package.group(group)}
        assert names <= locked | set(our_packages.all_packages())
