"""The command: one clear line per error, the right exit code, and no torch where none is needed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from nbf_run.cli.main import run

Capture = pytest.CaptureFixture[str]


def fails(capsys: Capture, code: int, *arguments: str) -> str:
    """Run, expect this exit code and exactly one line on stderr; that line."""
    assert run(list(arguments)) == code
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("nbf-run: ")
    return lines[0]


def test_version(capsys: Capture):
    assert run(["--version"]) == 0
    assert re.fullmatch(r"nbf-run \d+\.\d+\.\d+\n", capsys.readouterr().out)


@pytest.mark.parametrize("arguments", [["fit"], ["fit", "demo"], ["nonsense"], ["fit", "demo", "a.jpg", "--odd"]])
def test_wrong_usage(capsys: Capture, arguments: list[str]):
    fails(capsys, 2, *arguments)


def test_misspelt_key(capsys: Capture, pipeline: Path):
    pipeline.write_text(pipeline.read_text().replace("weights =", "wieghts ="))
    line = fails(capsys, 2, "config", "check", str(pipeline))
    assert str(pipeline) in line
    assert "regressor.wieghts: unknown key; did you mean 'weights'?" in line


def test_misspelt_section(capsys: Capture, pipeline: Path):
    assert "did you mean 'fit'" in fails(capsys, 2, "config", "check", str(pipeline), "--set", "fti.focal=3")


def test_missing_component(capsys: Capture, pipeline: Path):
    pipeline.write_text(pipeline.read_text().replace('use = "nudge"', ""))
    assert "fitter.use: this key is missing" in fails(capsys, 2, "config", "check", str(pipeline))


def test_missing_section(capsys: Capture, pipeline: Path, photo: Path):
    pipeline.write_text(pipeline.read_text().replace('[detector]\nuse = "bright"', ""))
    assert "[detector]" in fails(capsys, 2, "fit", str(pipeline), str(photo), "--out", str(photo.parent / "out"))


def test_unknown_component(capsys: Capture, pipeline: Path):
    line = fails(capsys, 2, "config", "check", str(pipeline), "--set", "renderer.use=nothign")
    assert "renderer.use" in line
    assert "did you mean 'nothing'?" in line


def test_a_value_of_the_wrong_kind(capsys: Capture, pipeline: Path):
    assert "fit.batch" in fails(capsys, 2, "config", "check", str(pipeline), "--set", "fit.batch=many")


def test_missing_pipeline(capsys: Capture):
    assert "nowhere.toml: no such file" in fails(capsys, 2, "config", "check", "nowhere.toml")
    assert "did you mean 'demo'?" in fails(capsys, 2, "config", "check", "dmeo")


def test_override_without_value(capsys: Capture, pipeline: Path):
    assert "expected KEY=VALUE" in fails(capsys, 2, "config", "check", str(pipeline), "--set", "fit")


def test_weights_cut_short(capsys: Capture, pipeline: Path, photo: Path, tmp_path: Path):
    weights = tmp_path / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-20])
    line = fails(capsys, 1, "fit", str(pipeline), str(photo), "--out", str(tmp_path / "out"))
    assert "weights.safetensors" in line
    assert "cut short" in line


def test_weights_of_another_model(capsys: Capture, pipeline: Path, photo: Path, tmp_path: Path):
    import torch

    from nbf_core.weights import save_weights

    save_weights(tmp_path / "weights.safetensors", {"regressor.other": torch.zeros(1)}, {})
    line = fails(capsys, 1, "fit", str(pipeline), str(photo), "--out", str(tmp_path / "out"))
    assert "missing scale" in line


def test_missing_weights_name(capsys: Capture, pipeline: Path, photo: Path, tmp_path: Path):
    text = re.sub(r'weights = ".*"', "", pipeline.read_text())
    pipeline.write_text(text)
    line = fails(capsys, 2, "fit", str(pipeline), str(photo), "--out", str(tmp_path / "out"))
    assert "regressor.weights: this key is missing" in line


def test_weights_that_are_not_installed(capsys: Capture, pipeline: Path, photo: Path, tmp_path: Path):
    out = str(tmp_path / "out")
    line = fails(capsys, 2, "fit", str(pipeline), str(photo), "--out", out, "--set", "regressor.weights=huge")
    assert "regressor.weights: no weights named 'huge'" in line
    assert not Path(out).exists()


def test_bad_inputs_are_named_and_the_others_go_on(capsys: Capture, pipeline: Path, photo: Path, tmp_path: Path):
    dark, corrupt, tiny = tmp_path / "dark.png", tmp_path / "corrupt.jpg", tmp_path / "tiny.png"
    Image.new("RGB", (64, 64)).save(dark)
    corrupt.write_bytes(b"\xff\xd8\xff\xe0 nothing more")
    Image.new("RGB", (1, 1)).save(tiny)
    inputs = [str(path) for path in (dark, corrupt, photo, tiny, tmp_path / "gone.jpg")]
    assert run(["fit", str(pipeline), *inputs, "--out", str(tmp_path / "out"), "--json"]) == 3
    said = capsys.readouterr()
    lines = said.err.strip().splitlines()
    assert len(lines) == 4
    for name in ("dark.png: no person found", "corrupt.jpg: ", "tiny.png: 1 x 1", "gone.jpg: no such file"):
        assert any(name in line for line in lines)
    report = json.loads(said.out)
    assert report["summary"] | {"seconds": 0} == {
        "images": 5, "failed": 4, "people": 1, "kept": 1, "seconds": 0,
        "keypoint_error_percent": report["summary"]["keypoint_error_percent"],
    }  # fmt: skip


def test_nothing_fitted_is_a_failure(capsys: Capture, pipeline: Path, tmp_path: Path):
    assert "gone.jpg" in fails(capsys, 1, "fit", str(pipeline), "gone.jpg", "--out", str(tmp_path / "out"), "--json")


def test_an_output_folder_that_is_a_file(capsys: Capture, pipeline: Path, photo: Path):
    assert str(photo) in fails(capsys, 1, "fit", str(pipeline), str(photo), "--out", str(photo))


def test_unexpected_errors_are_one_line_too(
    capsys: Capture, pipeline: Path, photo: Path, monkeypatch: pytest.MonkeyPatch, stand_ins
):
    def broken(*_):
        raise RuntimeError("first\nsecond")

    monkeypatch.setattr(stand_ins.Fitter, "fit", broken)
    line = fails(capsys, 1, "fit", str(pipeline), str(photo), "--out", str(photo.parent / "out"))
    assert "RuntimeError: first second" in line
    monkeypatch.setenv("NBF_DEBUG", "1")
    with pytest.raises(RuntimeError):
        run(["fit", str(pipeline), str(photo), "--out", str(photo.parent / "out")])


def test_fitting_needs_no_data_set(capsys: Capture, pipeline: Path, photo: Path, tmp_path: Path):
    """The plugin of the data set is not installed: fitting works, asking for it says what is missing."""
    pipeline.write_text(pipeline.read_text().replace('use = "grey"', 'use = "gone"'))
    out = tmp_path / "out"
    assert run(["fit", str(pipeline), str(photo), "--out", str(out)]) == 0
    assert json.loads((out / "run.json").read_text())["pipeline"]["table"]["data"] == {"use": "gone"}
    capsys.readouterr()
    assert "no dataset named 'gone'" in fails(capsys, 2, "config", "check", str(pipeline))


def test_plugins_list_and_show(capsys: Capture):
    assert run(["plugins", "list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert listed["components"]["pipelines"]["demo"]["plugin"] == "nbf-run"
    assert run(["plugins", "show", "upright"]) == 0
    assert "weights = None" in capsys.readouterr().out
    assert "nothing named 'upwrong'" in fails(capsys, 2, "plugins", "show", "upwrong")


def test_config_show_is_a_pipeline_again(capsys: Capture, pipeline: Path, tmp_path: Path):
    assert run(["config", "show", str(pipeline), "--set", "fit.batch=3", "--set", "fit.focal=900"]) == 0
    again = tmp_path / "again.toml"
    shown = capsys.readouterr().out
    again.write_text(shown)
    assert run(["config", "show", str(again)]) == 0
    assert capsys.readouterr().out == shown
    assert "batch = 3" in shown


@pytest.mark.parametrize(
    "command",
    [
        "plugins list",
        "--help",
        "fit --help",
        "view --help",
        "model convert --help",
        "config check demo",
        "config show demo",
    ],
)
def test_light_commands_import_no_torch(command: str):
    """Listing, checking and help stay light: nothing of torch, numpy or rich's progress is imported."""
    code = (
        "import sys\nfrom nbf_run.cli.main import run\n"
        f"code = run({command.split()!r})\n"
        "heavy = {'torch', 'numpy', 'PIL', 'numba', 'lightning', 'matplotlib', 'jinja2'} & set(sys.modules)\n"
        "print('HEAVY', code, sorted(heavy))"
    )
    environment = {key: value for key, value in os.environ.items() if key != "NBF_DEBUG"}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=60)
    assert "HEAVY 0 []" in result.stdout, result.stdout + result.stderr
