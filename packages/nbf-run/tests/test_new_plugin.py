"""What ``nbf-run new-plugin`` writes, and what it refuses in one line."""

import json

import pytest

from nbf_core.config.overrides import tomllib
from nbf_core.plugins import KINDS
from nbf_run.cli.main import run
from nbf_run.scaffold import PLUGIN_KINDS, write_plugin


def test_there_is_a_kind_for_every_hook():
    assert {kind.hook for kind in PLUGIN_KINDS.values()} == {*KINDS, "pipelines", "weights"}


@pytest.mark.parametrize("kind", [name for name, kind in PLUGIN_KINDS.items() if kind.is_component])
def test_a_component_comes_with_all_that_a_package_has(tmp_path, kind):
    made = write_plugin(kind, "brand-new", tmp_path)
    files = {path.relative_to(made.folder).as_posix() for path in made.files}
    source = f"src/{made.package}"
    assert {"pyproject.toml", "README.md", "example.toml", "tests/test_conformance.py", "tests/test_plugin.py",
            f"{source}/__init__.py", f"{source}/plugin.py", f"{source}/config.py"} < files  # fmt: skip
    project = tomllib.loads((made.folder / "pyproject.toml").read_text())["project"]
    assert project["name"] == made.distribution == made.folder.name
    assert project["entry-points"]["nbf"] == {"brand-new": f"{made.package}.plugin"}
    for path in made.files:
        text = path.read_text(encoding="utf-8")
        assert "{{" not in text and "{%" not in text and text.endswith("\n") and not text.endswith("\n\n"), path
        assert str(tmp_path) not in text
    tomllib.loads((made.folder / "example.toml").read_text())


def test_the_command_says_what_it_wrote_and_what_comes_next(tmp_path, capsys):
    assert run(["new-plugin", "metric", "median-error", "--out", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    folder = tmp_path / "nbf-metric-median-error"
    assert "src/nbf_metric_median_error/metric.py" in told
    assert told.splitlines()[-1] == f'next: pip install -e "{folder}[test]" && pytest "{folder}/tests"'
    assert run(["new-plugin", "metric", "other", "--out", str(tmp_path), "--json"]) == 0
    about = json.loads(capsys.readouterr().out)
    assert about["distribution"] == "nbf-metric-other" and "README.md" in about["files"]


def test_the_distributions_name_may_be_given_whole(tmp_path):
    made = write_plugin("renderer", "nbf-render-splat", tmp_path)
    assert (made.name, made.distribution) == ("splat", "nbf-render-splat")
    assert (made.folder / "src" / "nbf_render_splat" / "renderer.py").is_file()


def test_weights_are_copied_under_their_name(tmp_path):
    file = tmp_path / "trained.safetensors"
    file.write_bytes(b"weights")
    made = write_plugin("weights", "ours", tmp_path, file)
    assert (made.folder / "src" / made.package / "data" / "ours.safetensors").read_bytes() == b"weights"


REFUSED = {
    "kind": (
        ["rendererer", "a"],
        ["no kind of plugin named 'rendererer'; did you mean 'renderer'?", "known: body-model"],
    ),
    "hook": (["feature_banks", "a"], ["did you mean 'feature-bank'?"]),
    "capitals": (["metric", "MyMetric"], ["'MyMetric' is no name of a plugin", "'my-metric'"]),
    "path": (["metric", "../up"], ["'../up' is no name of a plugin"]),
    "digit": (["metric", "3d"], ["'3d' is no name of a plugin"]),
    "empty": (["metric", ""], ["'' is no name of a plugin"]),
    "taken": (["pipeline", "demo"], ["a pipeline named 'demo' is installed already, from nbf-run"]),
    "no weights": (["weights", "a"], ["--file: weights need their file"]),
    "missing weights": (["weights", "a", "--file", "nowhere.safetensors"], ["nowhere.safetensors: no such file"]),
    "needless file": (["metric", "a", "--file", "a.npz"], ["only a plugin of weights has a file"]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_is_refused_in_one_line(tmp_path, capsys, case):
    arguments, texts = REFUSED[case]
    assert run(["new-plugin", *arguments, "--out", str(tmp_path / "out")]) == 2
    told = capsys.readouterr().err
    assert len(told.splitlines()) == 1 and told.startswith("nbf-run: ")
    for text in texts:
        assert text in told
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_there_is_left_alone(tmp_path, capsys):
    folder = tmp_path / "nbf-metric-mine"
    folder.mkdir()
    assert run(["new-plugin", "metric", "mine", "--out", str(tmp_path)]) == 2
    told = capsys.readouterr().err
    assert f"{folder}: is there already" in told and len(told.splitlines()) == 1
    assert not list(folder.iterdir())
