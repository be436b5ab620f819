"""``nbf-run model convert``: only weights are read, everything odd is said, and nothing is left half done."""

from __future__ import annotations

import json
import os
import pickle
import re
from pathlib import Path

import pytest
import tomllib
import torch

from nbf_core.contracts import Converted
from nbf_core.plugins import ComponentEntry, get_plugin_manager, hookimpl
from nbf_core.weights import read_weights
from nbf_run.checkpoints import convert_checkpoint
from nbf_run.cli.main import run

Capture = pytest.CaptureFixture[str]
TENSORS = {
    "backbone.weight": torch.arange(6.0).reshape(2, 3),
    "backbone.unused": torch.zeros(1),
    "bank.memory": torch.ones(4, 2),
}


def _convert(tensors, needed: str, own: str, unused: frozenset[str], shape: tuple[int, int]) -> Converted:
    value = tensors.get(needed)
    if value is None:
        return Converted({}, {}, unused | {needed}, (f"missing: {needed} {shape}",))
    if tuple(value.shape) != shape:
        return Converted({}, {}, unused | {needed}, (f"shape: {needed} is {tuple(value.shape)}, expected {shape}",))
    return Converted({own: value}, {"width": 3}, unused | {needed})


class TakingRegressor:
    """Takes over one tensor and leaves another."""

    @classmethod
    def from_published(cls, tensors):
        return _convert(tensors, "backbone.weight", "weight", frozenset({"backbone.unused"}), (2, 3))


class TakingBank:
    """Takes over the memory."""

    @classmethod
    def from_published(cls, tensors):
        return _convert(tensors, "bank.memory", "features", frozenset(), (4, 2))


class _Takers:
    NBF_CONTRACT = 1

    @hookimpl
    def nbf_regressors(self):
        yield _entry("taking", "TakingRegressor")

    @hookimpl
    def nbf_feature_banks(self):
        yield _entry("taking-bank", "TakingBank")


def _entry(name: str, target: str) -> ComponentEntry:
    return ComponentEntry(name=name, target=f"takers:{target}", config="takers:None", summary="a stand-in")


@pytest.fixture(scope="module", autouse=True)
def takers():
    """Make the classes above known by name; this module has none of its own that could be imported."""
    import sys
    import types

    module = types.ModuleType("takers")
    module.TakingRegressor, module.TakingBank = TakingRegressor, TakingBank
    sys.modules["takers"] = module
    get_plugin_manager().register(_Takers(), "takers")


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """A checkpoint that fits."""
    path = tmp_path / "published.pth"
    torch.save({"meta": {"epoch": 3, "time": "noon"}, "state_dict": TENSORS, "optimizer": [1, 2]}, path)
    return path


def convert(published: Path, *options: str) -> int:
    out = str(published.parent / "out.safetensors")
    return run(["model", "convert", str(published), out, "--regressor", "taking", "--bank", "taking-bank", *options])


def refused(capsys: Capture, published: Path) -> str:
    """Convert, expect one line on stderr and nothing written; that line."""
    before = sorted(published.parent.iterdir())
    assert convert(published) == 1
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert sorted(published.parent.iterdir()) == before
    return line


def test_what_is_written_goes_into_a_pipeline(capsys: Capture, published: Path, tmp_path: Path):
    assert convert(published) == 0
    said = capsys.readouterr().out
    out = tmp_path / "out.safetensors"
    weights = read_weights(out)
    assert set(weights.tensors) == {"regressor.weight", "bank.features"}
    assert torch.equal(weights.tensors["regressor.weight"], TENSORS["backbone.weight"])
    assert weights.metadata["converted_from"] == "published.pth"
    shown = tomllib.loads(said[said.index("[") :])
    assert shown["regressor"] == {"use": "taking", "width": 3, "weights": out.as_posix()}
    assert shown["bank"] == {"use": "taking-bank", "width": 3} and shown["fit"] == {"trust": 1.0}
    assert convert(published, "--json") == 0
    assert json.loads(capsys.readouterr().out) == {
        "model": str(out), "tensors": {"regressor": 1, "bank": 1}, "pipeline": shown,
    }  # fmt: skip


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "older"])
@pytest.mark.parametrize("wrapper", ["", "module.", "model.", "module.model."])
def test_checkpoints_of_all_sorts(published: Path, tmp_path: Path, wrapper: str, zipped: bool):
    tensors = {wrapper + name: value for name, value in TENSORS.items()}
    stored = {"state_dict": tensors, "global_step": 7} if wrapper.startswith("model") else tensors
    torch.save(stored, published, _use_new_zipfile_serialization=zipped)
    made = convert_checkpoint(published, tmp_path / "out.safetensors", "taking", "taking-bank")
    assert made.tensors == {"regressor": 1, "bank": 1}


def test_a_checkpoint_without_a_bank(capsys: Capture, published: Path):
    torch.save({name: value for name, value in TENSORS.items() if "bank" not in name}, published)
    assert convert(published) == 0
    said = capsys.readouterr()
    assert "[bank]" not in said.out and "[fit]" not in said.out
    assert "no feature bank" in said.err


def test_everything_that_does_not_fit_is_listed(capsys: Capture, published: Path, tmp_path: Path):
    odd = {f"extra.{i}": torch.zeros(i + 1) for i in range(30)}
    torch.save({"backbone.weight": torch.zeros(2, 4), "bank.other": torch.zeros(2), "epoch": 3, **odd}, published)
    assert convert(published, "--json") == 1
    said = capsys.readouterr()
    lines = [line.strip() for line in said.err.strip().splitlines()]
    assert lines[0] == f"nbf-run: {published}: does not fit (33 problems)"
    assert "odd: epoch is no plain tensor" in lines
    assert "shape: backbone.weight is (2, 4), expected (2, 3)" in lines
    assert "odd: bank.other (2,)" in lines and "odd: extra.0 (1,)" in lines
    assert lines[-1] == "odd: 12 more (--json lists all)"
    listed = json.loads(said.out)
    assert listed["model"] is None and len(listed["problems"]) == 33
    assert "odd: extra.29 (30,)" in listed["problems"]
    assert not (tmp_path / "out.safetensors").exists()


def test_a_missing_tensor_is_named(capsys: Capture, published: Path):
    torch.save({"backbone.unused": torch.zeros(1), "bank.memory": torch.ones(4, 2)}, published)
    assert convert(published) == 1
    assert capsys.readouterr().err.splitlines()[1:] == ["  missing: backbone.weight (2, 3)"]


class Hostile:
    """Runs a command where it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "older"])
def test_nothing_in_a_checkpoint_is_executed(capsys: Capture, published: Path, tmp_path: Path, zipped: bool):
    marker = tmp_path / "marker"
    stored = {"state_dict": TENSORS, "meta": Hostile(marker)}
    torch.save(stored, published, _use_new_zipfile_serialization=zipped)
    line = refused(capsys, published)
    assert "could run code" in line and re.search(r"(posix|nt|os)\.system", line)
    assert not marker.exists()
    torch.load(published, weights_only=False)
    assert marker.exists()  # it would have


def test_a_plain_pickle_is_refused_unread(capsys: Capture, published: Path, tmp_path: Path):
    marker = tmp_path / "marker"
    published.write_bytes(pickle.dumps({"state_dict": Hostile(marker)}))
    line = refused(capsys, published)
    assert "nothing of it was run" in line and "cut short" not in line
    assert not marker.exists()


@pytest.mark.parametrize("content", [b"", b"not a checkpoint at all", b"\x80\x02}q\x00.", b"PK\x03\x04" + bytes(50)])
def test_other_files_are_refused(capsys: Capture, published: Path, content: bytes):
    published.write_bytes(content)
    assert str(published) in refused(capsys, published)


def test_a_file_cut_short_is_refused(capsys: Capture, published: Path):
    published.write_bytes(published.read_bytes()[:-200])
    assert "cut short" in refused(capsys, published)


def test_files_that_are_not_there(capsys: Capture, published: Path, tmp_path: Path):
    assert "gone.pth: no such file" in refused(capsys, tmp_path / "gone.pth")
    options = ["--regressor", "taking", "--bank", "taking-bank"]
    assert run(["model", "convert", str(published), str(tmp_path / "no" / "out.safetensors"), *options]) == 1
    assert "no such folder" in capsys.readouterr().err
    # The two names swapped would overwrite the checkpoint.
    assert run(["model", "convert", str(tmp_path / "out.safetensors"), str(published), *options]) == 2
    assert "ends in .safetensors" in capsys.readouterr().err


def test_components_that_take_nothing_say_so(capsys: Capture, published: Path, tmp_path: Path):
    out = str(tmp_path / "out.safetensors")
    assert run(["model", "convert", str(published), out, "--regressor", "upright"]) == 2
    assert "upright: this regressor takes no published checkpoints" in capsys.readouterr().err
    assert run(["model", "convert", str(published), out, "--regressor", "takign"]) == 2
    assert "did you mean 'taking'?" in capsys.readouterr().err


def test_a_full_disk_leaves_what_was_there(capsys: Capture, published: Path, tmp_path: Path, monkeypatch):
    out = tmp_path / "out.safetensors"
    out.write_bytes(b"an earlier model")

    def full(tensors, path, metadata):
        Path(path).write_bytes(b"half of a")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("safetensors.torch.save_file", full)
    assert "No space left on device" in refused(capsys, published)
    assert out.read_bytes() == b"an earlier model"


def test_weights_say_what_they_are_for_where_a_pipeline_differs(
    capsys: Capture, pipeline: Path, photo: Path, published
):
    """Loading a model file into another component names the options that it was made with."""
    assert convert(published) == 0
    out = published.parent / "out.safetensors"
    capsys.readouterr()
    arguments = ["fit", str(pipeline), str(photo), "--set", f"regressor.weights={out.as_posix()}"]
    assert run([*arguments, "--out", str(published.parent / "run")]) == 1
    line = capsys.readouterr().err
    assert "does not fit the regressor" in line and "the weights are for regressor.use = 'taking'" in line
