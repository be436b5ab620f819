"""``nbf-run model convert`` and ``export`` of body models: dispatch on what plugins offer, whole files or none."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
import tomllib

from nbf_core.config import Config
from nbf_core.contracts import ConvertedFile
from nbf_core.errors import AssetError
from nbf_core.pickles import read_pickle
from nbf_core.plugins import ComponentEntry, hookimpl
from nbf_core.plugins.manager import PluginManager
from nbf_run.cli.main import run


class Box:
    """A body of one sort of files; ``kind`` is what they say they are."""

    kind, layouts = "box", ("box",)

    def __init__(self, config=None):
        pass

    @classmethod
    def from_model_file(cls, path):
        found = read_pickle(path)
        if found.get("kind") != cls.kind:
            return None
        if "corner" not in found:
            raise AssetError(f"{path}: it lacks corner")
        return ConvertedFile({"corner": found["corner"]}, ("kind",))

    def model_files(self, layout):
        corner = np.ones(3)
        return {"box/BOX.npz": {"corner": corner}, "box/BOX.pkl": {"corner": corner}, "regressor.npy": corner}


class Ball(Box):
    kind = "ball"


class Rock:
    """A body without files."""

    def __init__(self, config=None):
        pass


@pytest.fixture(autouse=True)
def bodies(monkeypatch):
    class Plugin:
        NBF_CONTRACT = 1

        @staticmethod
        @hookimpl
        def nbf_body_models():
            for body in (Box, Ball, Rock):
                name = body.__name__
                yield ComponentEntry(name=name.lower(), target=f"{__name__}:{name}", config="x:y", summary="a test's")

    manager = PluginManager()
    manager.register(Plugin, "plugin")
    monkeypatch.setattr("nbf_run.model_files.get_plugin_manager", lambda: manager)
    monkeypatch.setattr(ComponentEntry, "load", lambda entry: {"box": Box, "ball": Ball, "rock": Rock}[entry.name])
    monkeypatch.setattr(ComponentEntry, "load_config", lambda entry: Config)


def test_a_model_is_converted_by_whoever_takes_it(tmp_path, capsys):
    source, out = tmp_path / "model.pkl", tmp_path / "model.npz"
    source.write_bytes(pickle.dumps({"kind": "ball", "corner": np.arange(3.0)}))
    assert run(["model", "convert", str(source), str(out)]) == 0
    printed = capsys.readouterr()
    assert tomllib.loads(printed.out.split("\n", 1)[1]) == {"body": {"use": "ball", "path": out.as_posix()}}
    assert "left out, being no arrays: kind" in printed.err
    with np.load(out, allow_pickle=False) as stored:
        np.testing.assert_array_equal(stored["corner"], np.arange(3.0))
    assert run(["model", "convert", str(source), str(out), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["arrays"] == {"corner": [3]} and found["pipeline"]["body"]["use"] == "ball"


@pytest.mark.parametrize(
    ("content", "options", "code", "says"),
    [
        ({"kind": "tree"}, [], 1, "model.pkl: is a model for none of ball, box"),
        ({"kind": "box"}, [], 1, "model.pkl: it lacks corner"),
        ({"kind": "box"}, ["--body", "rock"], 2, "rock: this body reads no model files"),
        ({"kind": "box"}, ["--body", "bix"], 2, "did you mean 'box'"),
        ({"kind": "box", "corner": print}, [], 1, "print, which is no data and could run code; nothing in it was run"),
    ],
)
def test_what_cannot_be_converted_is_said_and_nothing_is_left(tmp_path, capsys, content, options, code, says):
    source, out = tmp_path / "model.pkl", tmp_path / "model.npz"
    source.write_bytes(pickle.dumps(content))
    assert run(["model", "convert", str(source), str(out), *options]) == code
    assert says in capsys.readouterr().err and [path.name for path in tmp_path.iterdir()] == ["model.pkl"]


def test_a_full_disk_leaves_the_old_file(tmp_path, capsys, monkeypatch):
    source, out = tmp_path / "model.pkl", tmp_path / "model.npz"
    source.write_bytes(pickle.dumps({"kind": "box", "corner": np.zeros(3)}))
    out.write_bytes(b"old")

    def full(file, **arrays):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    assert run(["model", "convert", str(source), str(out)]) == 1
    assert "model.npz: cannot be written" in capsys.readouterr().err
    assert out.read_bytes() == b"old" and len(list(tmp_path.iterdir())) == 2


def test_the_name_of_the_result_says_what_it_is(tmp_path, capsys):
    assert run(["model", "convert", str(tmp_path / "x.pkl"), str(tmp_path / "none" / "x.npz")]) == 1
    assert "none: no such folder" in capsys.readouterr().err
    assert run(["model", "convert", str(tmp_path / "x.pkl"), str(tmp_path / "x.txt")]) == 2
    assert ".safetensors" in capsys.readouterr().err


def test_a_body_is_exported(tmp_path, capsys):
    assert run(["model", "export", "box", str(tmp_path), "--layout", "box"]) == 0
    assert "BOX.npz" in capsys.readouterr().out
    with np.load(tmp_path / "box" / "BOX.npz", allow_pickle=False) as stored:
        assert stored["corner"].tolist() == [1, 1, 1]
    assert read_pickle(tmp_path / "box" / "BOX.pkl")["corner"].tolist() == [1, 1, 1]
    assert np.load(tmp_path / "regressor.npy").tolist() == [1, 1, 1]
    assert run(["model", "export", "box", str(tmp_path), "--layout", "cone", "--json"]) == 2
    assert "box: no layout 'cone'; it can be exported as box" in capsys.readouterr().err
    assert run(["model", "export", "rock", str(tmp_path)]) == 2
    assert "rock: this body cannot be exported" in capsys.readouterr().err
