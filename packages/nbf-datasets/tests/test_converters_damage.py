"""Damaged and hostile data sets: a line that names file and field, nothing run, nothing half written, the rest done."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest

from nbf_core.errors import ConfigError, InputError
from nbf_datasets.converters.registry import CONVERTERS
from nbf_datasets.converters.run import convert
from nbf_datasets.humandata.reading import read_humandata
from nbf_testing.miniatures import write_tree

for package in ("scipy", "h5py", "cdflib"):
    pytest.importorskip(package)


@pytest.fixture(scope="module")
def originals(tmp_path_factory) -> dict[str, Path]:
    return write_tree(tmp_path_factory.mktemp("whole"))


@pytest.fixture
def copy(originals, tmp_path):
    """A function that copies a data set to damage it; ``out`` is where conversions of this test go."""
    return lambda name: Path(shutil.copytree(originals[name], tmp_path / "source" / name))


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file()) if folder.exists() else []


ANNOTATIONS = [
    ("3dpw", "pw3d_test.npz", "sequenceFiles/test/downtown_arguing_00.pkl"),
    ("3doh50k", "3doh50k_train.npz", "trainset/annots.json"),
    ("h36m", "h36m_train.npz", "S1/MyPoseFeatures/D3_Positions_mono/Directions 1.54138969.cdf"),
    ("h36m", "h36m_train.npz", "S1/MyPoseFeatures/D2_Positions/Directions 1.54138969.cdf"),
    ("mpi-inf-3dhp", "mpi_inf_3dhp_train.npz", "S1/Seq1/annot.mat"),
    ("mpi-inf-3dhp", "mpi_inf_3dhp_test.npz", "mpi_inf_3dhp_test_set/TS1/annot_data.mat"),
    ("mpii", "mpii_train.npz", "mpii_human_pose_v1_u12_1.mat"),
    ("mpii", "eft_mpii.npz", "eft_fit/MPII_ver01.json"),
    ("lsp", "lsp_train.npz", "joints.mat"),
    ("lspet", "lspet_train.npz", "joints.mat"),
    ("coco", "coco_2014_train.npz", "annotations/person_keypoints_train2014.json"),
]


@pytest.mark.parametrize("name, file, annotation", ANNOTATIONS)
def test_a_file_cut_short_is_named_and_leaves_nothing_behind(copy, tmp_path, name, file, annotation):
    source = copy(name)
    whole = (source / annotation).read_bytes()
    (source / annotation).write_bytes(whole[: len(whole) // 2])
    (said,) = convert(name, source, tmp_path / "out" / file, CONVERTERS[name].files[file])
    told = " ".join([said.error, *said.problems])
    assert Path(annotation).name in told and "\n" not in told
    if said.error:
        assert not left(tmp_path / "out")
    else:  # other files of the data set were whole
        assert said.samples == len(read_humandata(said.path)) > 0 and said.problems


@pytest.mark.parametrize("name, file, annotation", ANNOTATIONS)
def test_a_file_cut_or_changed_anywhere_is_no_surprise(copy, tmp_path, name, file, annotation):
    """Whatever bytes there are, the answer is a report."""
    source, rng = copy(name), np.random.default_rng(0)
    whole = (source / annotation).read_bytes()
    for number in range(6):
        bad = bytearray(whole[: int(rng.integers(len(whole)))] if number % 2 else whole)
        for at in rng.integers(0, max(len(bad), 1), 4 if bad else 0):
            bad[at] = int(rng.integers(256))
        (source / annotation).write_bytes(bytes(bad))
        out = tmp_path / f"out{number}" / file
        (said,) = convert(name, source, out, CONVERTERS[name].files[file])
        assert left(out.parent) == ([] if said.error else [file])


def test_the_other_sequences_and_files_are_done(copy, tmp_path):
    source = copy("3dpw")
    (source / "sequenceFiles/test/flat_guitar_01.pkl").write_bytes(b"nothing")
    made = {one.path.name: one for one in convert("3dpw", source, tmp_path / "out")}
    assert made["pw3d_train.npz"].samples == 6 and not made["pw3d_train.npz"].problems
    assert made["pw3d_test.npz"].samples == 60 and "flat_guitar_01.pkl" in made["pw3d_test.npz"].problems[0]
    source = copy("coco")
    (source / "eft_fit/COCO2014-All-ver01.json").unlink()
    first, second = convert("coco", source, tmp_path / "coco")
    assert not first.error and "COCO2014-All-ver01.json: no such file" in second.error
    assert left(tmp_path / "coco") == ["coco_2014_train.npz"]


class Hostile:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


def test_a_hostile_pickle_is_refused_by_name_and_not_run(copy, tmp_path):
    source, marker = copy("3dpw"), tmp_path / "run"
    (source / "sequenceFiles/test/flat_guitar_01.pkl").write_bytes(pickle.dumps({"poses": Hostile(marker)}, 2))
    (said,) = convert("3dpw", source, tmp_path / "out.npz")
    assert "flat_guitar_01.pkl" in said.problems[0] and "system" in said.problems[0] and not marker.exists()
    assert said.samples == 60


@pytest.mark.parametrize(
    "field, value",
    [
        ("cam_poses", np.zeros((2, 3, 4))),
        ("cam_intrinsics", "text"),
        ("poses", [np.zeros((2, 71))]),
        ("poses2d", [np.zeros((3, 3, 18))]),
        ("jointPositions", []),
        ("betas", [np.zeros(4)]),
        ("poses", 7),
        ("sequence", None),
        ("campose_valid", None),
    ],
)
def test_wrong_fields_of_a_sequence_are_named(copy, tmp_path, field, value):
    source = copy("3dpw")
    path = source / "sequenceFiles/test/flat_guitar_01.pkl"
    held = pickle.loads(path.read_bytes())  # our own miniature
    held[field] = value
    if value is None:
        del held[field]
    path.write_bytes(pickle.dumps(held, 2))
    (said,) = convert("3dpw", source, tmp_path / "out.npz")
    assert str(path) in said.problems[0] and field in said.problems[0]


def change(path: Path, edit) -> None:
    held = json.loads(path.read_text())
    edit(held)
    path.write_text(json.dumps(held))


def test_people_whose_labels_are_no_labels_are_counted(copy, tmp_path):
    source = copy("coco")

    def edit(held):
        first = held["annotations"][0]
        held["annotations"] += [
            first | {"bbox": [1, 2, 3]},
            first | {"bbox": [1, 2, 0.5, 30]},
            first | {"bbox": [1, 2, None, 30]},
            first | {"keypoints": ["x"] * 51},
            first | {"keypoints": [1e400] * 51},
            first | {"image_id": 12345},
        ]

    change(source / "annotations/person_keypoints_train2014.json", edit)
    (said,) = convert("coco", source, tmp_path / "out.npz")
    assert said.samples == 2
    assert said.skipped == {
        "a crowd": 1, "fewer than 12 keypoints": 1, "bbox is not 4 numbers": 1, "box less than a pixel wide or high": 1,
        "boxes: not sensible numbers": 1, "keypoints is not numbers": 1, "keypoints2d: not sensible numbers": 1,
        "image_id is of no image": 1,
    }  # fmt: skip


def test_paths_do_not_leave_the_folder_and_missing_images_are_counted(copy, tmp_path):
    source = copy("coco")

    def edit(held):
        held["images"][0]["file_name"] = "../../../etc/passwd"
        held["images"].append({"id": 99, "file_name": "gone.jpg"})
        held["annotations"].append(held["annotations"][1] | {"image_id": 99})

    change(source / "annotations/person_keypoints_train2014.json", edit)
    (said,) = convert("coco", source, tmp_path / "out.npz")
    assert said.samples == 1
    assert said.skipped["image path leaves the folder"] == said.skipped["no such image"] == 1


def test_nothing_usable_is_an_error_that_says_why(copy, tmp_path):
    source = copy("lsp")
    shutil.rmtree(source / "images")
    (said,) = convert("lsp", source, tmp_path / "out.npz")
    assert "no sample that could be used (2 no such image)" in said.error and not left(tmp_path / "out")


def test_what_is_there_is_kept_unless_asked_for(originals, tmp_path):
    out = tmp_path / "out.npz"
    out.write_bytes(b"precious")
    (said,) = convert("lsp", originals["lsp"], out)
    assert "is there already" in said.error and out.read_bytes() == b"precious"
    (said,) = convert("lsp", originals["lsp"], out, replace=True)
    assert not said.error and len(read_humandata(out)) == 2


def test_wrong_names_and_options_are_refused_before_anything_is_read(originals, tmp_path):
    with pytest.raises(ConfigError, match="did you mean h36m"):
        convert("h36", originals["h36m"], tmp_path / "out.npz")
    with pytest.raises(ConfigError, match="options.evry: unknown key.*every"):
        convert("h36m", originals["h36m"], tmp_path / "out.npz", {"evry": 2})
    with pytest.raises(InputError, match="no such folder"):
        convert("lsp", tmp_path / "gone", tmp_path / "out.npz")
    with pytest.raises(InputError, match="ends in .npz"):
        convert("lsp", originals["lsp"], tmp_path / "out.json")
    with pytest.raises(ConfigError, match="write to a file"):
        convert("spin", originals["lsp"], tmp_path / "out", {"file": "x.npz"})
    assert not (tmp_path / "out").exists()


def test_options_choose_among_the_usual_files(originals, tmp_path):
    made = convert("lsp", originals["lsp"], tmp_path / "a", {"split": "test"})
    assert [one.path.name for one in made] == ["lsp_test.npz"]
    made = convert("lspet", originals["lspet"], tmp_path / "b", {"fits": "eft_fit/LSPet_ver01.json"})
    assert [one.path.name for one in made] == ["eft_lspet.npz"]
    made = convert("h36m", originals["h36m"], tmp_path / "c", {"fits": "fits", "split": "train"})
    assert [one.path.name for one in made] == ["h36m_train.npz"] and read_humandata(made[0].path).with_body.all()


def test_frames_without_a_fit_stay_without(copy, tmp_path):
    source = copy("mpi-inf-3dhp")
    change(source / "MPI-INF-3DHP_SMPL_NeuralAnnot.json", lambda held: held["1"]["1"].pop("11"))
    (said,) = convert("mpi-inf-3dhp", source, tmp_path / "out.npz", {"fits": "MPI-INF-3DHP_SMPL_NeuralAnnot.json"})
    assert read_humandata(said.path).with_body.tolist() == [True, False, True, False]


def test_libraries_that_are_missing_are_named(originals, tmp_path, monkeypatch):
    import sys

    from nbf_core.errors import PluginError

    monkeypatch.setitem(sys.modules, "cdflib", None)
    with pytest.raises(PluginError, match=r"cdflib is not installed.*nbf-datasets\[convert\]"):
        convert("h36m", originals["h36m"], tmp_path / "out.npz")
