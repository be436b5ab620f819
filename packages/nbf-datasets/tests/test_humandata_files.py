"""HumanData files: what is written is read back, what others wrote is read, what is damaged or hostile is refused."""

from __future__ import annotations

import io
import os
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from humandata_world import COUNT, people, published, tree
from hypothesis import given, settings
from hypothesis import strategies as st

from nbf_core.errors import AssetError, InputError
from nbf_datasets.humandata.archive import Archive
from nbf_datasets.humandata.data import make
from nbf_datasets.humandata.reading import is_humandata, read_humandata
from nbf_datasets.humandata.writing import write_humandata


class Runs:
    """What a hostile file would have run."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def same(one, other):
    assert one.image_path.tolist() == other.image_path.tolist() and one.config == other.config
    np.testing.assert_array_equal(one.boxes, other.boxes)
    assert set(one.keypoints) == set(other.keypoints)
    for name, points in one.keypoints.items():
        np.testing.assert_array_equal(points.full(), other.keypoints[name].full())
        np.testing.assert_array_equal(points.mask(), other.keypoints[name].mask())
    assert set(one.smpl) == set(other.smpl)
    for name, values in one.smpl.items():
        np.testing.assert_array_equal(values, other.smpl[name])
    np.testing.assert_array_equal(one.gender, other.gender)


def test_what_is_written_is_read_back_without_pickle(tmp_path):
    data, _ = people()
    path = write_humandata(replace(data, extra={"misc": {"frame": np.arange(COUNT)}}), tmp_path / "new" / "a.npz")
    found = read_humandata(path)
    same(found, data)
    np.testing.assert_array_equal(found.camera["focal"], data.camera["focal"].astype(np.float32))
    with np.load(path, allow_pickle=False) as plain:
        assert plain["misc/frame"].tolist() == list(range(COUNT))
        assert plain["keypoints2d"].shape == (COUNT, 25, 3) and plain["keypoints2d_mask"].sum() == 25
    assert is_humandata(path) and path.stat().st_mode & 0o444


def test_the_same_data_give_the_same_bytes(tmp_path):
    one, other = (write_humandata(people()[0], tmp_path / name) for name in ("a.npz", "b.npz"))
    assert one.read_bytes() == other.read_bytes()


@pytest.mark.parametrize("compressed", [False, True])
def test_files_of_mmhuman3d_are_read(tmp_path, compressed):
    data, _ = people(with_camera=False)
    found = read_humandata(published(tmp_path / "p.npz", data, compressed))
    same(found, replace(data, gender=np.array([2, 1, 0] * 2)))
    assert found.fields["misc"].startswith("objects") and found.keypoints["keypoints2d"].known[0] == "nose_openpose"


def test_boxes_without_a_score_and_flat_poses_are_read(tmp_path):
    data, _ = people(with_camera=False)
    smpl = {**data.smpl, "body_pose": data.smpl["body_pose"].reshape(COUNT, 69)}
    changes = {"bbox_xywh": data.boxes[:, :4], "smpl": smpl, "has_smpl": np.array([1, 0] * 3), "__data_len__": -1}
    found = read_humandata(published(tmp_path / "p.npz", data, **changes))
    assert found.boxes.shape == (COUNT, 5) and (found.boxes[:, 4] == 1).all()
    assert found.smpl["body_pose"].shape == (COUNT, 23, 3)
    assert found.with_body.tolist() == [True, False] * 3


def test_some_of_the_samples_can_be_taken(tmp_path):
    data = replace(people()[0], extra={"misc": {"frame": np.arange(COUNT), "note": "all"}})
    some = data.select([4, 1])
    assert some.image_path.tolist() == [data.image_path[4], data.image_path[1]]
    np.testing.assert_array_equal(some.keypoints["keypoints3d"].full(), data.keypoints["keypoints3d"].full()[[4, 1]])
    assert some.extra["misc"]["frame"].tolist() == [4, 1] and some.extra["misc"]["note"] == "all"
    same(read_humandata(write_humandata(some, tmp_path / "some.npz")), some)


def test_joints_that_were_not_annotated_come_from_their_relatives():
    values = np.zeros((2, 17, 3))
    values[0, :] = 1
    data = make(["a.jpg", "b.jpg"], np.ones((2, 4)), {"keypoints2d": (values, "coco")})
    points = data.keypoints["keypoints2d"]
    exact, known = points.joints(["left_hip_openpose", "nose"])
    assert not known[0] and known[1] and (exact[0, 0] == 0).all()
    near, known = points.joints(["left_hip_openpose", "nose"], approximate=True)
    assert known.all() and near[0, 0, 2] == 1 and near[1, 0, 2] == 0


def test_converters_hear_of_counts_that_differ():
    with pytest.raises(InputError, match="keypoints2d: 3 samples, image_path has 2"):
        make(["a", "b"], np.ones((2, 4)), {"keypoints2d": (np.ones((3, 17, 3)), "coco")})


MASK = np.isin(np.arange(190), np.arange(20)).astype(np.uint8)
BROKEN = {
    "image_path": ({"image_path": None}, "image_path: this field is missing"),
    "paths-not-text": ({"image_path": np.arange(6)}, "image_path: sample 0: not a path"),
    "bbox_xywh": ({"bbox_xywh": None}, "bbox_xywh: this field is missing"),
    "box-shape": ({"bbox_xywh": np.ones((6, 3))}, r"bbox_xywh: expected \[6, 5\], got \[6, 3\]"),
    "box-count": ({"bbox_xywh": np.ones((5, 5))}, "bbox_xywh: 5 samples, image_path has 6"),
    "length": ({"__data_len__": 7}, "__data_len__: says 7 samples, image_path has 6"),
    "no-mask": ({"keypoints2d_mask": None}, "keypoints2d_mask: this field is missing"),
    "short-mask": ({"keypoints2d_mask": MASK[:100]}, r"keypoints2d_mask: expected \[190\], .* got \[100\]"),
    "odd-mask": ({"keypoints2d_mask": MASK * 3}, "keypoints2d_mask: expected zeros and ones"),
    "few-joints": ({"keypoints2d": np.ones((6, 17, 3))}, r"keypoints2d: expected \[6, 190, ...\].* got \[6, 17\]"),
    "two-numbers": ({"keypoints2d": np.ones((6, 190, 2))}, r"keypoints2d: expected \[6, joints, 3\]"),
    "convention": ({"keypoints2d_convention": "mine"}, "keypoints2d_convention: 'mine' is none of smpl, "),
    "pose": ({"smpl": {"body_pose": np.ones((6, 20, 3))}}, r"smpl/body_pose: expected \[6, 23, 3\], got \[6, 20, 3\]"),
    "orient": ({"smpl": {"body_pose": np.ones((6, 23, 3))}}, "smpl/global_orient: this field is missing"),
    "smpl": ({"smpl": np.array([1, 2])}, "smpl: expected a dictionary, found ndarray"),
    "gender": ({"meta": {"gender": ["m"]}}, "meta/gender: 1 samples, image_path has 6"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_wrong_field_is_named_with_its_file(tmp_path, name):
    changes, text = BROKEN[name]
    path = published(tmp_path / "p.npz", people(with_camera=False)[0], **changes)
    with pytest.raises(AssetError, match=f"p.npz: {text}") as caught:
        read_humandata(path)
    assert "\n" not in str(caught.value)


def test_a_mask_of_other_joints_than_are_there_is_refused(tmp_path):
    data, _ = people(with_camera=False)
    path = published(tmp_path / "p.npz", data, compressed=True, keypoints2d_mask=MASK)
    with pytest.raises(AssetError, match=r"p.npz: keypoints2d_mask: names 20 joints, keypoints2d holds 25"):
        read_humandata(path)


@pytest.mark.parametrize("field", ["smpl", "image_path", "meta", "config"])
def test_a_hostile_pickle_is_refused_and_not_run(tmp_path, field):
    ran = tmp_path / "ran"
    value = {"smpl": {"betas": Runs(ran)}, "meta": {"gender": Runs(ran)}}.get(field)
    if value is None:
        value = (
            np.array([Runs(ran)] * COUNT, dtype=object) if field == "image_path" else np.array(Runs(ran), dtype=object)
        )
    path = published(tmp_path / "p.npz", people(with_camera=False)[0], **{field: value})
    with pytest.raises(AssetError, match=rf"p.npz: {field}: refused or damaged: it names posix\.mkdir"):
        read_humandata(path)
    assert not ran.exists()


def test_a_bomb_is_refused_by_what_it_says_of_itself(tmp_path):
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (6, 5, 10**6)})
        archive.writestr("bbox_xywh.npy", header.getvalue() + bytes(6 * 5 * 8 * 10**6))
    assert path.stat().st_size < 1_000_000
    with pytest.raises(AssetError, match=r"bomb.npz: unpacks to \d+ bytes, more than the 1048576 allowed"):
        read_humandata(path, most=1 << 20)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bbox_xywh.npy", header.getvalue() + bytes(1000))
    with pytest.raises(AssetError, match=r"bomb.npz: bbox_xywh: .*needs 240000000 bytes, 1000 are there"):
        read_humandata(path)


def test_what_is_no_npz_file_is_refused(tmp_path):
    path = tmp_path / "a.npz"
    with pytest.raises(AssetError, match="a.npz: no such file"):
        read_humandata(path)
    path.write_bytes(b"text")
    with pytest.raises(AssetError, match="a.npz: no npz file, or cut short"):
        read_humandata(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("image_path.txt", b"x")
    with pytest.raises(AssetError, match="a.npz: image_path.txt is no array"):
        read_humandata(path)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_damage_anywhere_is_one_line_that_names_the_file(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("damage")
    whole = published(folder / "p.npz", people(with_camera=False)[0]).read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    damaged = whole[:at] if data.draw(st.booleans()) else whole[:at] + bytes([whole[at] ^ 0x41]) + whole[at + 1 :]
    (folder / "p.npz").write_bytes(damaged)
    try:
        found = read_humandata(folder / "p.npz")
        for points in found.keypoints.values():
            points.values()
    except AssetError as error:
        assert str(error).startswith(str(folder / "p.npz")) and "\n" not in str(error)


def test_a_failed_write_leaves_nothing_behind(tmp_path):
    data = replace(people()[0], extra={"misc": np.array([object()])})
    with pytest.raises(InputError, match="misc: an array of object, which is not written"):
        write_humandata(data, tmp_path / "a.npz")
    assert not list(tmp_path.iterdir())
    with pytest.raises(InputError, match="ends in .npz"):
        write_humandata(data, tmp_path / "a.pkl")
    (tmp_path / "file").write_text("")
    with pytest.raises(AssetError, match="cannot be written"):
        write_humandata(people()[0], tmp_path / "file" / "a.npz")


def test_columns_are_read_piece_by_piece(tmp_path, monkeypatch):
    monkeypatch.setattr("nbf_datasets.humandata.archive._CHUNK", 1000)
    path = tree(tmp_path)
    archive = Archive(path)
    assert len(list(archive.chunks("keypoints2d"))) > 1
    with np.load(path) as plain:
        np.testing.assert_array_equal(archive.columns("keypoints2d", [3, 1]), plain["keypoints2d"][:, [3, 1]])
