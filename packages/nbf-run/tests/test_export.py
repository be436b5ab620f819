"""Results of a fit and of a benchmark as files for other programs."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import nbf_run
from nbf_core.contracts import PeopleTable
from nbf_core.errors import ConfigError, InputError
from nbf_core.plugins import ComponentEntry, get_plugin_manager, hookimpl
from nbf_run.cli.main import run
from nbf_run.exporting import KINDS, all_kinds, export
from nbf_run.stored import open_run
from nbf_run.tasks import fit_to

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def film(pipeline: Path, bright: np.ndarray, tmp_path: Path) -> Path:
    """A film of three frames, fitted."""
    frames = [tmp_path / f"frame-{number}.png" for number in range(3)]
    for number, path in enumerate(frames):
        Image.fromarray(np.roll(bright, number, axis=1)).save(path)
    fit_to(tmp_path / "run", pipeline, frames, film=True)
    return tmp_path / "run"


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_every_kind_has_its_files(film: Path, tmp_path: Path):
    out = tmp_path / "out"
    written = export(open_run(film), out, [kind for kind in KINDS if kind != "glb-fit"])
    assert {str(path.relative_to(out)) for path in written} == files(out)
    each = {f"frame-{number}/person-1.{suffix}" for number in range(3) for suffix in ("npz", "glb", "obj")}
    assert files(out) == each | {"track-1.npz", "track-1.glb", "result_keypoints.json"}


def test_arrays_are_the_fitted_body(film: Path, tmp_path: Path):
    results = open_run(film)
    export(results, tmp_path / "out", ["npz", "npz-film"])
    fitted = results[1].people[0].fitted
    with np.load(tmp_path / "out" / "frame-1" / "person-1.npz", allow_pickle=False) as one:
        assert np.allclose(one["vertices"], fitted.vertices) and np.allclose(one["transl"], fitted.params.transl)
        assert one["size"].tolist() == [120, 90] and one["frame"] == 1
    with np.load(tmp_path / "out" / "track-1.npz", allow_pickle=False) as track:
        assert track["vertices"].shape[0] == 3 and track["frame"].tolist() == [0, 1, 2]
        assert np.allclose(track["vertices"][1], fitted.vertices) and track["faces"].ndim == 2


def test_an_animation_shows_every_frame_in_its_time(film: Path, tmp_path: Path):
    trimesh = pytest.importorskip("trimesh")
    export(open_run(film), tmp_path / "out", ["glb-film"], rate=10)
    content = (tmp_path / "out" / "track-1.glb").read_bytes()
    length = struct.unpack("<I", content[12:16])[0]
    tree = json.loads(content[20 : 20 + length])
    (animation,) = tree["animations"]
    assert len(animation["channels"]) == 3 and {c["target"]["path"] for c in animation["channels"]} == {"scale"}
    ends = [tree["accessors"][sampler["input"]]["max"][0] for sampler in animation["samplers"]]
    assert ends == pytest.approx([0.1, 0.2, 0.3])
    assert len(trimesh.load(tmp_path / "out" / "track-1.glb").geometry) == 3


def test_keypoints_are_laid_out_as_published(film: Path, tmp_path: Path):
    results = open_run(film)
    export(results, tmp_path / "out", ["keypoints"])
    found = json.loads((tmp_path / "out" / "result_keypoints.json").read_text())
    assert np.shape(found["poses"]) == (3, 24, 3, 3) and np.shape(found["betas"])[0] == 3
    assert np.allclose(found["transl"][2], results[2].people[0].fitted.params.transl, atol=1e-6)
    assert [Path(path).name for path in found["image_path"]] == [f"frame-{number}.png" for number in range(3)]


class Shelf:
    """A data set that takes people."""

    @classmethod
    def write_people(cls, people: PeopleTable, folder: Path) -> Path:
        content = {"images": list(people.images), "boxes": people.boxes.tolist(), "n": len(people.transl)}
        (folder / "shelf.json").write_text(json.dumps(content))
        return folder / "shelf.json"


class Plugin:
    NBF_CONTRACT = 1

    @hookimpl
    def nbf_datasets(self):
        config = "nbf_core.config:Config"
        yield ComponentEntry(name="shelf", target=f"{__name__}:Shelf", config=config, summary="")


@pytest.fixture
def shelf(monkeypatch: pytest.MonkeyPatch):
    """Somebody else's data set, installed."""
    entries = dict(get_plugin_manager().entries("datasets"))
    entry = next(iter(Plugin().nbf_datasets()))
    load = type(entry).load
    monkeypatch.setattr(type(entry), "load", lambda self: Shelf if self.name == "shelf" else load(self))
    manager = type("Manager", (), {"entries": lambda self, kind: entries | {"shelf": entry}})()
    monkeypatch.setattr("nbf_run.exporting.get_plugin_manager", lambda: manager)


def test_data_sets_of_others_take_people_too(shelf, film: Path, tmp_path: Path):
    assert "shelf" in all_kinds()
    out = tmp_path / "out"
    assert export(open_run(film), out, ["shelf"]) == [out / "shelf.json"]
    found = json.loads((out / "shelf.json").read_text())
    assert found["n"] == 3
    pictures = [Image.open(out / path).size for path in found["images"]]
    assert pictures == [(90, 120)] * 3
    box = open_run(film)[0].people[0].box
    assert found["boxes"][0] == pytest.approx([*box[:2], *(box[2:] - box[:2]), found["boxes"][0][4]])


def test_people_become_humandata(film: Path, tmp_path: Path):
    humandata = pytest.importorskip("nbf_datasets.humandata")
    from nbf_datasets.humandata.reading import read_humandata

    assert humandata
    export(open_run(film), tmp_path / "out", ["humandata"])
    data = read_humandata(tmp_path / "out" / "humandata.npz")
    fitted = open_run(film)[2].people[0].fitted
    assert len(data) == 3 and np.allclose(data.smpl["transl"][2], fitted.params.transl)
    assert np.allclose(data.camera["focal"][0], open_run(film)[0].camera.focal)
    assert all((tmp_path / "out" / path).is_file() for path in data.image_path)


def test_results_that_were_never_written_are_exported_too(pipeline: Path, bright: np.ndarray, tmp_path: Path):
    export(nbf_run.load(pipeline).fit(bright), tmp_path, ["npz", "obj"])
    assert {path.suffix for path in tmp_path.rglob("person-1.*")} == {".npz", ".obj"}


def test_wrong_kinds_and_empty_results_are_one_line(film: Path, pipeline: Path, bright: np.ndarray, tmp_path: Path):
    with pytest.raises(ConfigError, match="no kind of file named 'fbx'; there are: npz, .*humandata"):
        export(open_run(film), tmp_path, ["fbx"])
    with pytest.raises(InputError, match="no frames of a film"):
        export(nbf_run.load(pipeline).fit(bright), tmp_path, ["npz-film"])


def test_the_command_says_what_it_wrote_and_what_is_damaged(film: Path, tmp_path: Path, capsys: Capture):
    assert run(["export", str(film), "--kinds", "help"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()][: len(KINDS)] == list(KINDS)
    (film / "frame-1" / "person-1.npz").write_bytes(b"no")
    out = tmp_path / "out"
    assert run(["export", str(film), "--out", str(out), "--kinds", "npz,obj", "--json"]) == 3
    told = capsys.readouterr()
    assert len(json.loads(told.out)["written"]) == 4 and "damaged" in told.err
    assert len(told.err.splitlines()) == 1
    assert run(["export", str(tmp_path / "nothing")]) == 1
    assert "no such file or folder" in capsys.readouterr().err


def test_the_bodies_of_a_benchmark_are_results_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import bench_fakes
    from bench_setting import HOMES, manager, write_pipeline

    from nbf_run.bench import bench

    class Body(bench_fakes.Body):
        def keypoints(self, output, name):
            return (
                output.joints[:, [i % 24 for i in range(25)]]
                if name == "openpose-25"
                else super().keypoints(output, name)
            )

    found = manager()
    for module in HOMES:
        monkeypatch.setattr(f"{module}.get_plugin_manager", lambda: found)
    monkeypatch.setattr("nbf_run.bench.page.write_page", lambda *args: "index.html")
    monkeypatch.setattr(bench_fakes, "Body", Body)
    out = tmp_path / "bench"
    bench(write_pipeline(tmp_path), out)
    with pytest.raises(InputError, match="name the results of one of its methods: .*results"):
        open_run(out)
    folder = out / "results" / "data" / "adversarial-80-px" / "both" / "pckh"
    results = open_run(folder)
    assert results.names[0] == "sample-000000" and len(results) == 4 and not results.is_film
    assert open_run(folder / "result_keypoints.json").names == results.names
    image, person = results[1], results[1].people[0]
    assert (image.image == 9).any() and (image.image != 9).any()  # the patch is over the picture again
    pushed = person.fitted.params.body_pose - person.start.params.body_pose
    assert torch.allclose(pushed[:, 0], torch.tensor(0.02), atol=1e-4)
    assert "MPJPE" in person.errors and np.isnan(person.occluded)
    assert nbf_run.draw(image, "occlusion") is None and nbf_run.draw(image, "fit") is not None
    written = export(results, tmp_path / "out", ["npz", "glb", "keypoints"])
    assert len(written) == 9
