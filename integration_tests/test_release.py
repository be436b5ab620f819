"""What a release looks at: files that are wrong in known ways are found, and ours are not among them."""

import shutil
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def built(tools, tmp_path_factory):
    """nbf-raster, its wheel and its sdist."""
    [package] = tools("our_packages").chosen(["nbf-raster"])
    return package, *tools("wheelhouse").build(
        Path(sys.executable), package, tmp_path_factory.mktemp("dist"), ("wheel", "sdist")
    )


def changed(wheel, tmp_path, change):
    """The wheel with other content: ``change`` takes and gives a dictionary of it."""
    with zipfile.ZipFile(wheel) as archive:
        content = {name: archive.read(name).decode() for name in archive.namelist()}
    with zipfile.ZipFile(tmp_path / wheel.name, "w") as archive:
        for name, text in change(content).items():
            archive.writestr(name, text)
    return tmp_path / wheel.name


def test_a_package_of_ours_can_be_published(tools, built, tmp_path):
    package, wheel, sdist = built
    assert tools("release_files").problems(package, wheel, sdist) == []
    assert tools("release").same_again(package, wheel, sdist, tmp_path) == []


INFO = "nbf_raster-0.1.0.dist-info"
INDEX = "https://example.org/" + "simple/"
WRONG = {
    "an index's address": (lambda files: files | {"nbf_raster/x.py": f"# {INDEX}"}, "the address of a package index"),
    "a machine's path": (lambda files: files | {"nbf_raster/x.toml": "a = '/ho" + "me/me/x'"}, "a path of somebody"),
    "no licence": (lambda files: {n: t for n, t in files.items() if "LICENSE" not in n}, "carries no licence"),
    "tests": (lambda files: files | {"tests/test_x.py": ""}, "holds tests/test_x.py, which is no part of it"),
    "bytecode": (lambda files: files | {"nbf_raster/__pycache__/a.pyc": ""}, "holds nbf_raster/__pycache__/a.pyc"),
    "a file less": (lambda files: {n: t for n, t in files.items() if n != "nbf_raster/shade.py"}, "lacks 1 files"),
    "another version": (
        lambda files: (
            files | {f"{INFO}/METADATA": files[f"{INFO}/METADATA"].replace("Version: 0.1.0", "Version: 0.1.1")}
        ),
        "METADATA says nbf-raster 0.1.1, not nbf-raster 0.1.0",
    ),
    "no summary": (
        lambda files: files | {f"{INFO}/METADATA": files[f"{INFO}/METADATA"].replace("Summary:", "X:")},
        "METADATA has no Summary",
    ),
    "a dependency from an address": (
        lambda files: (
            files
            | {
                f"{INFO}/METADATA": files[f"{INFO}/METADATA"].replace(
                    "Summary:", "Requires-Dist: a @ https://example.org/a.whl\nSummary:"
                )
            }
        ),
        "depends on an address",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wheel_that_must_not_be_published_is_found(tools, built, tmp_path, case):
    package, wheel, sdist = built
    change, problem = WRONG[case]
    found = tools("release_files").problems(package, changed(wheel, tmp_path, change), sdist)
    assert any(problem in one for one in found), found


def test_a_file_that_is_too_large_is_found(tools, built, monkeypatch):
    monkeypatch.setattr(tools("release_files"), "LARGEST", 1000)
    assert any("0.0 MB" in problem for problem in tools("release_files").problems(*built))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("no title\n", "does not begin with a title"),
        ("# x\n\n```python\nprint()\n", "a code block that never ends"),
        ("# x\n\n| a | b |\n| 1 | 2 |\n", "a table that does not render"),
        ("# x\n\n| a | b |\n|---|---|\n| 1 | 2 |\n", None),
    ],
)
def test_a_readme_that_does_not_render_is_found(tools, text, problem):
    found = list(tools("release_files").readme_problems(text))
    assert len(found) == (problem is not None)
    assert all(problem in one for one in found)


def test_all_packages_agree_on_their_versions(tools):
    packages = list(tools("our_packages").all_packages().values())
    assert tools("release").versions(packages) == []


@pytest.fixture
def copy(tools, tmp_path):
    """A copy of nbf-renderers to spoil."""
    folder = tmp_path / "nbf-renderers"
    ignore = shutil.ignore_patterns("tests", "__pycache__")
    shutil.copytree(ROOT / "packages" / "nbf-renderers", folder, ignore=ignore)
    return tools("our_packages").Package(folder)


@pytest.mark.parametrize(
    ("file", "before", "after", "problem"),
    [
        ("pyproject.toml", '"0.1.0"', '"0.1.1"', "its version is 0.1.1, its CHANGELOG.md begins with 0.1.0"),
        ("CHANGELOG.md", "* ", "", "its CHANGELOG.md begins with None"),
        ("LICENSE", "Apache", "Other", "its LICENSE is not that of the repository"),
        ("src/nbf_renderers/__init__.py", "\nimport", '\n__version__ = "7"\nimport', "its __version__ 7"),
    ],
)  # fmt: skip
def test_versions_that_disagree_are_found(tools, copy, file, before, after, problem):
    path = copy.folder / file
    path.write_text(path.read_text().replace(before, after))
    assert any(problem in found for found in tools("release").versions([copy]))


def test_a_sibling_outside_its_range_is_found(tools, copy):
    core = tools("our_packages").Package(copy.folder.with_name("nbf-core"))
    core.__dict__["content"] = {"project": {"name": "nbf-core", "version": "0.2.0", "dependencies": []}}
    shutil.copytree(ROOT / "packages" / "nbf-core" / "src", core.folder / "src")
    found = tools("release").versions([copy, core])
    assert any("nbf-renderers: asks for nbf-core<0.2,>=0.1, and nbf-core is 0.2.0" in problem for problem in found)


def test_nothing_is_done_without_dry_run(tools, capsys):
    with pytest.raises(SystemExit):
        tools("release").main([])
    assert "--dry-run" in capsys.readouterr().err


def test_what_is_not_committed_is_said(tools, monkeypatch, tmp_path):
    import subprocess

    release = tools("release")
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    monkeypatch.setattr(release, "ROOT", tmp_path)
    assert release.uncommitted() == []
    (tmp_path / "new.txt").write_text("")
    assert release.uncommitted() == ["1 files are not committed, the first: ?? new.txt"]


# Licences.


def test_the_page_of_licences_is_up_to_date(tools):
    assert tools("licences").stale() == []
    assert tools("licences").unknown() == []


def test_every_notice_is_in_it(tools):
    licences = tools("licences")
    text = licences.PAGE.read_text()
    for file in licences.notices():
        assert file.read_text().strip().splitlines()[0].lstrip("# ") in text
    shipped = {file.parts[-5] for file in licences.notices()}
    assert {"nbf-body-anny", "nbf-detect-blazepose", "nbf-model-small"} <= shipped


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        ("| torch | 2.13.0 |", "| torch | 2.12.0 |", "torch: the page has"),
        ("| pluggy |", "| plugged |", "plugged: the page has"),
        ("CC0", "CC9", "the notices of what our packages carry have changed"),
    ],
)
def test_a_page_that_lags_behind_is_found(tools, monkeypatch, tmp_path, before, after, problem):
    licences = tools("licences")
    old = licences.PAGE.read_text()
    assert before in old
    (tmp_path / "third-party.md").write_text(old.replace(before, after))
    monkeypatch.setattr(licences, "PAGE", tmp_path / "third-party.md")
    assert any(found.startswith(problem) for found in licences.stale())


def test_the_page_of_versions_has_the_numbers_of_the_code():
    from nbf_core.config.pipeline import SCHEMA
    from nbf_core.plugins import CONTRACT

    text = (ROOT / "docs" / "versions.md").read_text()
    assert f"`CONTRACT` in `nbf_core.plugins` | {CONTRACT} |" in text
    assert f"`schema` in the file | {SCHEMA} |" in text
