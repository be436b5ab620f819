"""The repository's own tools: a check that never fails checks nothing."""

import importlib.util
import re
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
    lines = tool("environments.py").without_cuda(CONSTRAINTS).splitlines()
    assert lines[1:] == [
        'numpy==2.4.6 ; python_version < "3.13"',
        "nvidia-cublas<0",
        "torch==2.13.0",
        "triton<0",
    ]


def test_every_cuda_package_of_the_lock_is_among_them():
    made = tool("environments.py")
    names = {line.partition("==")[0] for line in made.CONSTRAINTS.read_text().splitlines() if "==" in line}
    # What the CUDA build of torch needs beyond a CPU build: everything that is for Linux only.
    for_linux = {
        line.partition("==")[0]
        for line in made.CONSTRAINTS.read_text().splitlines()
        if 'platform_system == "Linux"' in line and "Windows" not in line.partition(" or ")[0]
    }
    assert {"torch", "numpy"} <= names
    assert {name for name in for_linux if not name.startswith(made.CUDA_NAMES)} == set()


@pytest.mark.parametrize(("value", "expected"), [("0", False), ("1", True)])
def test_the_choice_of_cuda_can_be_forced(monkeypatch, value, expected):
    monkeypatch.setenv("NBF_CUDA", value)
    assert tool("environments.py").wants_cuda() is expected


def test_a_wrong_choice_is_refused(monkeypatch):
    monkeypatch.setenv("NBF_CUDA", "yes")
    made = tool("environments.py")
    with pytest.raises(made.Stop, match="NBF_CUDA=yes: expected 0 or 1"):
        made.wants_cuda()


def test_the_export_keeps_no_path_of_this_machine():
    export = "-e file:///a/b/packages/nbf-core\nnbf-run @ file:///a/b\nnumpy==2.4.6\na[b]==1\n"
    assert tool("dev.py").constraints_of(export).splitlines()[1:] == ["a[b]==1", "numpy==2.4.6"]


@pytest.fixture
def small_clone(tmp_path, monkeypatch):
    """environments.py in a repository of three packages, one of which has an environment of its own."""
    for folder in ("packages/nbf-x", "packages/nbf-y", "plugins/nbf-own"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "pyproject.toml").write_text("a")
    (tmp_path / "plugins/nbf-own/environment.toml").write_text(
        'requirements = ["torch==2.12.1"]\nunlocked = ["torch", "nvidia-*"]\npackages = ["nbf-y"]\n'
        '[variables]\nTRITON_INTERPRET = "1"\n'
    )
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools/constraints.txt").write_text(CONSTRAINTS)
    monkeypatch.delenv("NBF_VENV", raising=False)
    monkeypatch.setenv("NBF_CUDA", "0")
    made = tool("environments.py")
    monkeypatch.setattr(made, "ROOT", tmp_path)
    monkeypatch.setattr(made, "CONSTRAINTS", tmp_path / "tools/constraints.txt")
    return made


def test_the_set_up_is_repeated_when_a_package_changes(small_clone):
    first = small_clone.fingerprint(small_clone.ordinary())
    assert small_clone.fingerprint(small_clone.ordinary()) == first
    (small_clone.ROOT / "packages/nbf-x/pyproject.toml").write_text("b")
    assert small_clone.fingerprint(small_clone.ordinary()) != first


def test_an_own_environment_holds_what_its_file_says(small_clone):
    recipe = small_clone.own("nbf-own")
    assert recipe.venv == small_clone.ROOT / ".venv-nbf-own"
    assert [path.name for path in recipe.packages] == ["nbf-y", "nbf-own"]
    assert recipe.requirements == ("torch==2.12.1",)
    assert recipe.variables == {"TRITON_INTERPRET": "1"}
    assert small_clone.constraints_for(recipe, CONSTRAINTS).splitlines()[1:] == [
        'numpy==2.4.6 ; python_version < "3.13"',
        "triton<0",
    ]


def test_an_own_environment_is_made_again_when_its_own_packages_or_file_change(small_clone):
    first = small_clone.fingerprint(small_clone.own("nbf-own"))
    (small_clone.ROOT / "packages/nbf-x/pyproject.toml").write_text("b")
    assert small_clone.fingerprint(small_clone.own("nbf-own")) == first
    file = small_clone.ROOT / "plugins/nbf-own/environment.toml"
    file.write_text(file.read_text().replace("2.12.1", "2.12.2"))
    assert small_clone.fingerprint(small_clone.own("nbf-own")) != first


def test_the_environments_stand_beside_one_another(small_clone, monkeypatch, tmp_path):
    monkeypatch.setenv("NBF_VENV", str(tmp_path / "elsewhere"))
    assert small_clone.ordinary().venv == tmp_path / "elsewhere"
    assert small_clone.own("nbf-own").venv == tmp_path / "elsewhere-nbf-own"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("requirement = []", "environment.toml: unknown key 'requirement'; known: requirements, unlocked"),
        ('requirements = "torch"', "environment.toml: requirements must be a list of texts"),
        ("variables = { A = 1 }", "environment.toml: variables must be a table of texts"),
        ('packages = ["nbf-z"]', "environment.toml: no such package: nbf-z"),
        ("packages = ", "environment.toml: Invalid value"),
    ],
)
def test_a_wrong_file_of_an_own_environment_is_refused(small_clone, text, problem):
    (small_clone.ROOT / "plugins/nbf-own/environment.toml").write_text(text)
    with pytest.raises(small_clone.Stop, match=problem):
        small_clone.own("nbf-own")


def test_a_plugin_without_an_own_environment_is_told_those_that_have_one(small_clone):
    with pytest.raises(small_clone.Stop, match="'nbf-x' has no environment of its own; these have: nbf-own"):
        small_clone.own("nbf-x")


def test_the_tests_of_an_own_environment_run_with_its_variables(small_clone, monkeypatch):
    monkeypatch.setitem(sys.modules, "environments", small_clone)
    dev = tool("dev.py")
    calls = []
    monkeypatch.setattr(small_clone, "set_up", lambda recipe: recipe.venv / "bin" / "python")
    monkeypatch.setattr(dev, "call", lambda command, extra: calls.append(([*map(str, command)], extra)) or 5)
    monkeypatch.setattr(dev, "ROOT", small_clone.ROOT)
    assert dev.main(["env", "nbf-own", "-k", "hard"]) == 5
    [(command, extra)] = calls
    assert command[1:] == ["-m", "pytest", str(Path("plugins/nbf-own/tests")), "-k", "hard"]
    assert extra == {"TRITON_INTERPRET": "1"}


def test_the_generator_of_the_site_is_fixed_to_the_last_package():
    made = tool("environments.py")
    recipe = made.documentation()
    assert recipe.packages == () and recipe.venv.name.endswith("-docs")
    assert all(re.fullmatch(r"[\w-]+==[\w.]+", line) for line in recipe.requirements)
    assert {"zensical", "mkdocstrings-python"} <= {line.partition("==")[0] for line in recipe.requirements}
    assert made.constraints_for(recipe, CONSTRAINTS).strip() == ""


@pytest.mark.parametrize(("status", "problems"), [(0, 0), (3, 1)])
def test_the_site_is_one_of_the_checks(monkeypatch, status, problems):
    dev = tool("dev.py")
    monkeypatch.setattr(dev.environments, "set_up", lambda recipe: Path("generator"))
    monkeypatch.setattr(dev, "docs", lambda python, generator: status)
    assert dev.site(Path("python")) == problems


def test_where_the_generator_is_not_to_be_had_the_site_is_not_checked(monkeypatch, capsys):
    def refuse(recipe):
        raise dev.Stop("pip could not install everything")

    dev = tool("dev.py")
    monkeypatch.setattr(dev.environments, "set_up", refuse)
    assert dev.site(Path("python")) == 0
    assert "the site was not checked: pip could not install everything" in capsys.readouterr().out


def test_every_own_environment_of_this_repository_can_be_read():
    made = tool("environments.py")
    names = [path.parent.name for path in ROOT.glob("plugins/*/environment.toml")]
    assert "nbf-render-pytorch3d" in names
    for name in names:
        assert made.own(name).packages


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
