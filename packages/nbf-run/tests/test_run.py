"""A run directory holds what it promises: pictures, meshes, numbers, and a page that needs nothing else."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image

import nbf_run
from nbf_core.errors import InputError
from nbf_run import run_info, tasks
from nbf_run.cli.main import run
from nbf_run.report.credits import Credit, read_credits
from nbf_run.tasks import demo_to, fit_to, shipped_credits, shipped_photos
from nbf_run.trust import trust


@pytest.fixture
def out(pipeline: Path, photo: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    fit_to(folder, pipeline, [photo, photo], [("fit.batch", 1)])
    return folder


def local_files(page: str) -> list[str]:
    return [unquote(name) for name in re.findall(r'(?:src|href)="([^"]+)"', page)]


def test_the_page_needs_no_network_and_misses_no_file(out: Path):
    page = (out / "index.html").read_text()
    names = local_files(page)
    assert len([name for name in names if name.endswith("-fit.jpg")]) == 4  # two people, link and picture
    assert not re.search(r"https?://|//cdn|@import|<script", page)
    for name in names:
        assert (out / name).is_file(), name


def test_the_same_name_twice_gets_two_folders(out: Path):
    assert (out / "photo-one" / "result.json").is_file()
    assert (out / "photo-one-2" / "result.json").is_file()


def test_numbers_and_arrays_agree(out: Path, bright: np.ndarray):
    record = json.loads((out / "photo-one" / "result.json").read_text())
    person = record["people"][0]
    arrays = np.load(out / person["files"]["arrays"])
    assert np.allclose(arrays["fit_transl"], person["fit"]["transl"])
    assert np.allclose(arrays["fit_transl"], arrays["start_transl"] + 0.01, atol=1e-6)
    assert record["camera"]["size"] == list(bright.shape[:2])
    assert record["camera"]["focal"] == pytest.approx([144.0, 144.0])
    # The joints, seen by the camera that is stored, are the keypoints that are stored.
    joints = arrays["fit_joints"]
    seen = joints[:, :2] / joints[:, 2:] * record["camera"]["focal"] + record["camera"]["center"]
    assert np.allclose(seen, np.array(person["fit"]["keypoints"])[:24], atol=1e-3)
    assert person["occluded_share"] == pytest.approx(0.5)


def test_the_mesh_is_upright_in_gltf_axes(out: Path):
    import trimesh

    record = json.loads((out / "photo-one" / "result.json").read_text())["people"][0]
    mesh = trimesh.load(out / record["files"]["mesh"], force="mesh")
    arrays = np.load(out / record["files"]["arrays"])
    low, high = arrays["fit_vertices"].min(0), arrays["fit_vertices"].max(0)
    assert np.allclose(mesh.bounds, [[low[0], -high[1], -high[2]], [high[0], -low[1], -low[2]]], atol=1e-5)


def test_run_json_is_enough_to_run_again(out: Path):
    info = json.loads((out / "run.json").read_text())
    assert info["pipeline"]["table"]["fit"] == {"batch": 1}
    assert info["seed"] == 0
    assert info["task"] == "fit"
    assert {"python", "torch", "nbf-core", "nbf-run"} <= info["versions"].keys()
    assert {"system", "processor", "cpus", "device"} <= info["machine"].keys()
    assert info["weights"]["metadata"]["quality"] == {"correct_side": 0.9}


def test_going_on_in_a_folder_keeps_what_earlier_processes_wrote(tmp_path: Path):
    pipeline = SimpleNamespace(name="mine", table={}, seed=1)
    for device in ("first", "second", "third"):
        run_info.write_run_info(tmp_path, pipeline, "train", device=device)
    info = json.loads((tmp_path / "run.json").read_text())
    assert info["machine"]["device"] == "third"
    assert [former["machine"]["device"] for former in info["earlier"]] == ["first", "second"]
    assert run_info.write_run_info(tmp_path, pipeline, "fit")["earlier"] == []


def test_versions_hold_plugins_of_any_name(monkeypatch: pytest.MonkeyPatch):
    plugin = SimpleNamespace(dist=SimpleNamespace(name="my-renderer", version="3.1"))
    monkeypatch.setattr(run_info.importlib.metadata, "entry_points", lambda group: [plugin])
    assert run_info.versions()["my-renderer"] == "3.1"


def test_loading_needs_no_plugin_of_a_data_set(pipeline: Path, photo: Path):
    pipeline.write_text(pipeline.read_text().replace('use = "grey"', 'use = "gone"'))
    assert len(nbf_run.load(pipeline).fit(photo)) == 1


def test_pictures_are_square_and_show_the_body(out: Path):
    pictures = {kind: np.asarray(Image.open(out / "photo-one" / f"person-1-{kind}.jpg")).astype(int)
                for kind in ("photo", "start", "fit", "occlusion", "side")}  # fmt: skip
    assert len({picture.shape for picture in pictures.values()}) == 1
    middle = pictures["fit"][75:85, 75:85].mean((0, 1))
    assert middle[2] > middle[0] + 30  # the fit is blue
    middle = pictures["start"][75:85, 75:85].mean((0, 1))
    assert middle[0] > middle[2] + 30  # the start is orange


def test_demo_shows_photos_samples_and_credits(
    pipeline: Path, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(tasks, "shipped_photos", lambda: [photo])
    monkeypatch.setattr(tasks, "shipped_credits", lambda: [Credit("Photos", ("by <somebody>",), "MIT")])
    report = demo_to(tmp_path / "demo", pipeline)
    names = [(entry["image"], entry["synthetic"]) for entry in report["images"]]
    assert names == [(str(photo), False), ("sample 0", True), ("sample 2", True)]
    assert "by &lt;somebody&gt;" in (tmp_path / "demo" / "index.html").read_text()


def test_the_package_ships_its_photos_and_credits():
    assert len(shipped_photos()) >= 4
    assert shipped_credits()


def test_credits_are_read_with_their_licence():
    text = "# Photos\n\n| a |\n|---|\n\n## Cam\n\nBy `X`, [here](a.org).\n\n    Licence\n\n    line two\n"
    assert read_credits(text) == [
        Credit("Photos", (), ""),
        Credit("Cam", ("By X, here (a.org).",), "Licence\n\nline two"),
    ]


def test_demo_refuses_samples_that_do_not_exist(
    pipeline: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(tasks, "shipped_photos", lambda: [])
    out = str(tmp_path / "demo")
    assert run(["demo", str(pipeline), "--set", "demo.samples=[7]", "--out", out]) == 1
    assert "demo.samples: the data set has no sample 7" in capsys.readouterr().err


def test_python_api(pipeline: Path, photo: Path, bright: np.ndarray):
    loaded = nbf_run.load(pipeline)
    assert loaded.fitter.trust == pytest.approx(trust({"correct_side": 0.9}))
    by_path, by_array = loaded.fit([photo, bright])
    assert np.allclose(by_path.people[0].fitted.vertices, by_array.people[0].fitted.vertices)
    with pytest.raises(InputError, match="no person found"):
        loaded.fit(np.zeros((64, 64, 3), np.uint8))
    failures = []
    assert loaded.fit(["gone.jpg"], on_error=lambda name, error: failures.append(name)) == []
    assert failures == ["gone.jpg"]


def test_many_people_are_fitted_together_or_apart_alike(pipeline: Path, bright: np.ndarray):
    results = [nbf_run.load(pipeline, [("fit.batch", batch)]).fit([bright] * 5) for batch in (1, 3, 8)]
    for result in results:
        assert [image.name for image in result] == [f"image-{i}" for i in range(1, 6)]
        assert all(
            np.allclose(image.people[0].fitted.joints, results[0][0].people[0].fitted.joints) for image in result
        )


def test_the_public_surface_is_there_and_light():
    for name in nbf_run.__all__:
        assert getattr(nbf_run, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = nbf_run.nothing


def test_a_fault_while_fitting_costs_one_photo_and_not_the_batch(pipeline: Path, photo: Path):
    loaded = nbf_run.load(pipeline, [("fit.batch", 8)])
    fit, calls = loaded.fitter.fit, []

    def faulty(observation, start):
        calls.append(len(start.transl))
        if len(calls) in (1, 3):  # both photos together, then the second alone
            raise RuntimeError("no convergence")
        return fit(observation, start)

    loaded.fitter.fit = faulty
    errors = []
    images = loaded.fit([photo, photo], lambda name, error: errors.append(str(error)))
    assert calls == [2, 1, 1] and len(images) == 1
    assert errors == [f"{photo}: cannot be fitted: RuntimeError: no convergence"]
