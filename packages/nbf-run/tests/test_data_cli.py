"""``nbf-run data``: what is wrong with files of labels, in words, JSON and exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nbf_core.plugins import get_plugin_manager
from nbf_run.cli.main import run

Capture = pytest.CaptureFixture[str]
pytestmark = pytest.mark.skipif(
    "humandata" not in get_plugin_manager().entries("datasets"), reason="nbf-datasets is not installed"
)


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    """Three people of which the second has an empty box, as MMHuman3D would write them."""
    images = tmp_path / "data" / "datasets" / "coco"
    images.mkdir(parents=True)
    for number in range(3):
        Image.new("RGB", (60, 50), (90, 60 * number, 90)).save(images / f"{number}.jpg")
    boxes = np.tile([5.0, 5, 40, 40, 1], (3, 1))
    boxes[1, 3] = 0
    mask = np.isin(np.arange(190), [55, 57]).astype(np.uint8)
    path = tmp_path / "data" / "preprocessed_datasets" / "eft_coco.npz"
    path.parent.mkdir()
    np.savez_compressed(
        path,
        image_path=[f"{number}.jpg" for number in range(3)],
        bbox_xywh=boxes,
        keypoints2d=np.full((3, 2, 3), 20.0),
        keypoints2d_mask=mask,
        meta={"gender": ["m", "f", "f"]},
        **{"__keypoints_compressed__": True, "__data_len__": 3},
    )
    return path


def test_check_says_what_is_wrong_sample_by_sample(capsys: Capture, labels: Path):
    assert run(["data", "check", str(labels)]) == 3
    out = capsys.readouterr().out.splitlines()
    assert out[0] == f"{labels}: 3 samples, 1 to be left out; images in {labels.parents[1] / 'datasets' / 'coco'}"
    assert out[1] == "  sample 1: bbox_xywh: [5, 5, 40, 0] is less than a pixel wide or high"


def test_check_takes_the_published_tree(capsys: Capture, labels: Path):
    np.savez(labels.parents[1] / "smpl_mean_params.npz", pose=np.zeros(144))
    assert run(["data", "check", str(labels.parents[1]), "--json", "--pictures"]) == 3
    (report,) = json.loads(capsys.readouterr().out)
    assert report["usable"] and report["skipped"] == [1] and report["labels"]["gender female"] == 2
    assert report["problems"][0]["field"] == "bbox_xywh"


def test_check_names_files_that_no_run_could_read(capsys: Capture, labels: Path):
    cut = labels.with_name("cut.npz")
    cut.write_bytes(labels.read_bytes()[:300])
    assert run(["data", "check", str(labels), str(cut)]) == 1
    assert capsys.readouterr().err.startswith(f"nbf-run: {cut}: file: no npz file, or cut short")
    assert run(["data", "show", str(cut)]) == 1
    assert run(["data", "check", str(labels.parents[1] / "datasets")]) == 1
    assert "no such file of labels in this folder" in capsys.readouterr().err


def test_show_lists_fields_and_draws_samples(capsys: Capture, labels: Path):
    sheet = labels.parents[2] / "new" / "sheet.png"
    assert run(["data", "show", str(labels), "--out", str(sheet), "--count", "3"]) == 0
    out = capsys.readouterr().out
    assert "keypoints2d (2 joints of human_data)  3" in out and "float64 [3, 2, 3]" in out
    with Image.open(sheet) as picture:
        assert picture.size[0] > 400
    assert run(["data", "show", str(labels), "--out", str(sheet.with_suffix(".txt"))]) == 1
    assert [path.name for path in sheet.parent.iterdir()] == ["sheet.png"]


def test_a_data_set_without_files_is_refused(capsys: Capture, labels: Path):
    assert run(["data", "check", str(labels), "--dataset", "image-folder"]) == 2
    assert "the data set image-folder reads no files that could be looked at" in capsys.readouterr().err
    assert run(["data", "check", str(labels), "--dataset", "humandat"]) == 2
    assert "humandata" in capsys.readouterr().err
