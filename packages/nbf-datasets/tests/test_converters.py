"""Every converter, on a miniature in its data set's own layout: what comes out fits together and is what was put in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nbf_core.conventions import convention
from nbf_datasets.converters.registry import CONVERTERS
from nbf_datasets.converters.run import convert, infos
from nbf_datasets.humandata.checking import check
from nbf_datasets.humandata.data import HumanData
from nbf_datasets.humandata.reading import read_humandata
from nbf_testing.miniatures import DATA_SETS, write_tree
from nbf_testing.miniatures.figure import REST, joints_of, rotations

for package in ("scipy", "h5py", "cdflib"):
    pytest.importorskip(package)


@pytest.fixture(scope="session")
def miniatures(tmp_path_factory) -> dict[str, Path]:
    return write_tree(tmp_path_factory.mktemp("published"))


@pytest.fixture(scope="session")
def made(miniatures):
    """A function that converts once: the file, and what was said of it."""
    kept: dict = {}

    def of(name: str, file: str, **options):
        key = (name, file, *sorted(map(str, options.items())))
        if key not in kept:
            out = miniatures[name].parent.parent / f"preprocessed_datasets{len(kept)}" / file
            preset = dict(CONVERTERS[name].files.get(file, {}))
            kept[key] = convert(name, miniatures[name], out, preset | options)[0]
            assert not kept[key].error, kept[key].error
        return read_humandata(kept[key].path), kept[key]

    return of


def values(data: HumanData, field: str, names) -> np.ndarray:
    found, known = data.keypoints[field].joints(names)
    assert known.all()
    return found.astype(np.float64)


def projected(data: HumanData, places: np.ndarray) -> np.ndarray:
    focal, center = (data.camera[name][:, None].astype(np.float64) for name in ("focal", "center"))
    return places[..., :2] / places[..., 2:3] * focal + center


def poses(data: HumanData) -> np.ndarray:
    smpl = data.smpl
    return np.concatenate([smpl["global_orient"][:, None], smpl["body_pose"]], 1).astype(np.float64)


def relative(joints: np.ndarray) -> np.ndarray:
    return joints - joints.mean(-2, keepdims=True)


@pytest.mark.parametrize(
    "name, file, samples",
    [
        ("3dpw", "pw3d_train.npz", 6),
        ("3dpw", "pw3d_test.npz", 62),
        ("3dpw", "pw3d_test_skip30.npz", 5),
        ("3dpw", "pw3d_occ_test.npz", 3),
        ("3doh50k", "3doh50k_train.npz", 4),
        ("3doh50k", "3doh50k_test.npz", 3),
        ("h36m", "h36m_train.npz", 6),
        ("h36m", "h36m_valid_protocol1.npz", 6),
        ("h36m", "h36m_valid_protocol2.npz", 3),
        ("mpi-inf-3dhp", "mpi_inf_3dhp_train.npz", 4),
        ("mpi-inf-3dhp", "mpi_inf_3dhp_test.npz", 3),
        ("mpii", "mpii_train.npz", 3),
        ("mpii", "eft_mpii.npz", 3),
        ("lsp", "lsp_train.npz", 2),
        ("lsp", "lsp_test.npz", 2),
        ("lspet", "lspet_train.npz", 3),
        ("lspet", "eft_lspet.npz", 3),
        ("coco", "coco_2014_train.npz", 2),
        ("coco", "eft_coco_all.npz", 2),
        ("folder", "images.npz", 2),
    ],
)
def test_every_usual_file_is_made_and_sound(made, miniatures, name, file, samples):
    data, said = made(name, file)
    assert len(data) == said.samples == samples and not said.problems
    report = check(said.path, miniatures[name], pictures=True)
    assert report.usable and not report.problems


@pytest.mark.parametrize(
    "name, file", [(one.name, file) for one in CONVERTERS.values() for file in one.files if one.name != "folder"]
)
def test_keypoints_lie_on_the_people_in_the_pictures(made, miniatures, name, file):
    """The pictures have a white dot at each joint, and dark noise around."""
    data, _ = made(name, file)
    names = ("left_knee", "right_knee", "left_wrist", "right_elbow")
    points = values(data, "keypoints2d", names)
    white = []
    for row, text in enumerate(data.image_path.tolist()):
        pixels = np.asarray(Image.open(miniatures[name] / text).convert("RGB"), np.float64)
        for x, y, confidence in points[row]:
            if confidence > 0 and 1 <= x < pixels.shape[1] - 1 and 1 <= y < pixels.shape[0] - 1:
                around = pixels[int(y) - 1 : int(y) + 2, int(x) - 1 : int(x) + 2].reshape(-1, 3)
                white.append(around.mean())
                box = data.boxes[row]
                assert box[0] <= x <= box[0] + box[2] and box[1] <= y <= box[1] + box[3]
    assert len(white) > 3 and min(white) > 125 and np.median(white) > 160  # of noise it is 95 or so


@pytest.mark.parametrize(
    "name, file", [("3dpw", "pw3d_test.npz"), ("3dpw", "pw3d_occ_test.npz"), ("3doh50k", "3doh50k_train.npz")]
)
def test_bodies_joints_and_pixels_of_one_camera_agree(made, name, file):
    data, _ = made(name, file)
    names = convention("smpl").joints
    joints = values(data, "keypoints3d", names)
    for row, pose in enumerate(poses(data)):
        mine = joints_of(pose, data.smpl["transl"][row].astype(np.float64))
        np.testing.assert_allclose(mine, joints[row, :, :3], atol=2e-5)
    both = tuple(one for one in ("left_elbow", "right_wrist", "left_ankle"))
    seen = values(data, "keypoints2d", both)
    flat = projected(data, joints[:, [names.index(one) for one in both], :3])
    shown = seen[..., 2] > 0
    np.testing.assert_allclose(flat[shown], seen[..., :2][shown], atol=2e-3)


@pytest.mark.parametrize("name, file", [("h36m", "h36m_train.npz"), ("mpi-inf-3dhp", "mpi_inf_3dhp_train.npz")])
def test_fits_in_the_world_are_turned_into_each_camera(made, name, file):
    data, _ = made(name, file, fits={"h36m": "fits"}.get(name, "MPI-INF-3DHP_SMPL_NeuralAnnot.json"))
    assert data.with_body.all()
    joints = ("left_knee", "right_ankle", "left_wrist", "right_shoulder")
    found = values(data, "keypoints3d", joints)[..., :3]
    smpl = convention("smpl").joints
    for row, pose in enumerate(poses(data)):
        mine = joints_of(pose, np.zeros(3))[[smpl.index(one) for one in joints]]
        np.testing.assert_allclose(relative(mine), relative(found[row]), atol=1e-4)


def test_fits_of_eft_belong_to_their_pictures(made):
    """Seen from afar, the body of a fit has the keypoints' outline."""
    names, smpl = ("left_knee", "right_ankle", "left_wrist", "right_shoulder", "head"), convention("smpl").joints
    for name, file in (("coco", "eft_coco_all.npz"), ("mpii", "eft_mpii.npz"), ("lspet", "eft_lspet.npz")):
        data, _ = made(name, file)
        assert data.with_body.all()
        points = values(data, "keypoints2d", names[:4])[..., :2]
        for row, pose in enumerate(poses(data)):
            mine = relative(joints_of(pose, np.zeros(3))[[smpl.index(one) for one in names[:4]]])[:, :2]
            assert np.corrcoef(mine.ravel(), relative(points[row]).ravel())[0, 1] > 0.97


def test_joints_of_human36m_are_the_named_ones(made):
    data, _ = made("h36m", "h36m_valid_protocol2.npz")
    assert {text.split(".")[1].split("/")[0] for text in data.image_path.tolist()} == {"60457274"}
    joints = values(data, "keypoints3d", ("pelvis_extra", "left_hip_extra", "right_hip_extra", "headtop", "neck_extra"))
    pelvis, left, right, top, neck = (joints[0, i, :3] for i in range(5))
    assert np.linalg.norm(left - right) == pytest.approx(2 * REST[1, 0], abs=1e-4)
    assert np.linalg.norm((left + right) / 2 - pelvis) < 0.2 < np.linalg.norm(top - pelvis) and top[1] < neck[1]


def test_frames_taken_out_at_ten_a_second_are_recognised(miniatures, tmp_path):
    source = write_tree(tmp_path, ["h36m"])["h36m"]
    for folder in (source / "S1" / "images").iterdir():
        frames = sorted(folder.iterdir())
        for number, frame in enumerate(frames):
            kept = number % 5 == 0
            frame.rename(folder / f"new_{number // 5 + 1:06d}.jpg") if kept else frame.unlink()
    (mine,) = convert("h36m", source, tmp_path / "mine.npz")
    (usual,) = convert("h36m", miniatures["h36m"], tmp_path / "usual.npz")
    first, second = read_humandata(mine.path), read_humandata(usual.path)
    np.testing.assert_array_equal(first.boxes, second.boxes)
    (given,) = convert("h36m", source, tmp_path / "given.npz", {"spacing": 5})
    assert given.samples == mine.samples == 6
    for folder in (source / "S1" / "images").iterdir():
        (folder / "new_000002.jpg").unlink()
        (folder / "new_000003.jpg").unlink()
    (unclear,) = convert("h36m", source, tmp_path / "unclear.npz")
    assert "Set spacing" in unclear.error and not unclear.path.exists()


def test_what_is_left_out_is_counted_by_reason(made):
    assert made("3dpw", "pw3d_test.npz")[1].skipped == {"camera unknown": 2, "no box: too few keypoints": 2}
    assert made("coco", "coco_2014_train.npz")[1].skipped == {"a crowd": 1, "fewer than 12 keypoints": 1}
    assert made("lspet", "lspet_train.npz")[1].skipped == {"fewer than 6 joints": 1}
    assert made("mpii", "mpii_train.npz")[1].skipped == {"no joints": 1}
    assert list(made("3doh50k", "3doh50k_test.npz")[1].skipped.values()) == [1]


def test_genders_and_shapes_of_3dpw_are_those_of_each_person(made):
    data, _ = made("3dpw", "pw3d_test_skip30.npz")
    assert data.gender.tolist() == [2, 2, 1, 1, 2]
    betas = data.smpl["betas"]
    assert (betas[0] == betas[1]).all() and not (betas[0] == betas[2]).any()


def test_mpii_reads_both_releases_alike(made):
    matlab, _ = made("mpii", "mpii_train.npz")
    json, _ = made("mpii", "mpii.npz", annotations="annot/train.json")
    np.testing.assert_allclose(json.boxes[:3, 2:], matlab.boxes[:, 2:], rtol=1e-6)
    names = convention("mpii").joints
    first, second = (values(one, "keypoints2d", names)[:3] for one in (matlab, json))
    np.testing.assert_allclose(first, second, rtol=1e-5)


def test_labels_in_spins_form(miniatures, tmp_path):
    source = miniatures["lsp"]
    rng = np.random.default_rng(0)
    fields = {
        "imgname": np.array(["images/im0001.jpg", "images/im0002.jpg"]),
        "center": np.full((2, 2), 32.0),
        "scale": np.full(2, 0.3),
        "part": np.concatenate([rng.uniform(5, 60, (2, 24, 2)), np.ones((2, 24, 1))], 2),
        "S": rng.normal(size=(2, 24, 4)) ** 2,
        "pose": rng.normal(size=(2, 72)),
        "shape": rng.normal(size=(2, 10)),
        "has_smpl": np.array([1, 0]),
        "gender": np.array(["f", "m"]),
    }
    np.savez(tmp_path / "labels.npz", **fields)
    (said,) = convert("spin", source, tmp_path / "out.npz", {"file": str(tmp_path / "labels.npz")})
    data = read_humandata(said.path)
    assert data.boxes[0].tolist() == [2.0, 2.0, 60.0, 60.0, 1.0] and data.gender.tolist() == [1, 2]
    np.testing.assert_allclose(values(data, "keypoints2d", convention("smpl_24").joints), fields["part"], rtol=1e-6)
    assert data.with_body.tolist() == [True, False]
    np.testing.assert_allclose(poses(data)[0].ravel(), fields["pose"][0], rtol=1e-5)
    np.save(tmp_path / "fits.npy", rng.normal(size=(2, 82)))
    options = {"file": str(tmp_path / "labels.npz"), "fits": str(tmp_path / "fits.npy")}
    (said,) = convert("spin", source, tmp_path / "fitted.npz", options)
    assert read_humandata(said.path).with_body.all()


def test_people_of_a_folder_from_a_detector(miniatures, tmp_path, monkeypatch):
    from types import SimpleNamespace

    from nbf_core.types import Person
    from nbf_datasets.converters import folder

    class Finds:
        def __init__(self, config):
            pass

        def detect(self, image):
            points = np.concatenate([np.full((17, 2), 20.0), np.full((17, 1), 0.5)], 1)
            one = Person(np.array([10.0, 20, 40, 60]), points, 0.9, "coco-17")
            return [one, one] if image.shape == (64, 64, 3) and not Finds.blind else []

    entry = SimpleNamespace(load=lambda: Finds, load_config=lambda: lambda: None)
    monkeypatch.setattr(folder, "get_plugin_manager", lambda: SimpleNamespace(get=lambda kind, name: entry))
    Finds.blind = False
    (said,) = convert("folder", miniatures["folder"], tmp_path / "all.npz", {"boxes": "any"})
    data = read_humandata(said.path)
    assert said.samples == 4 and data.boxes[0].tolist() == [7.0, 16.0, 36.0, 48.0, 1.0]
    assert "left_wrist_openpose" in data.keypoints["keypoints2d_detected"].known
    (said,) = convert("folder", miniatures["folder"], tmp_path / "first.npz", {"boxes": "any", "people": "first"})
    assert said.samples == 2
    Finds.blind = True
    (said,) = convert("folder", miniatures["folder"], tmp_path / "none.npz", {"boxes": "any"})
    assert said.error and said.skipped == {"nobody found": 2}


def test_the_same_source_gives_the_same_bytes(miniatures, tmp_path):
    for file in ("a.npz", "b.npz"):
        convert("lsp", miniatures["lsp"], tmp_path / file)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_every_converter_is_listed_with_its_options_and_has_a_miniature():
    assert {one.name for one in infos()} == set(DATA_SETS) | {"spin"}
    assert all(one.about and one.options for one in infos())


def test_the_figure_turns_about_its_pelvis():
    pose = np.zeros((24, 3))
    pose[0] = [0, 0, np.pi / 2]
    joints = joints_of(pose, np.array([1.0, 2, 3]))
    np.testing.assert_allclose(joints[0], REST[0] + [1, 2, 3])
    np.testing.assert_allclose(joints[15] - joints[0], rotations(pose)[0] @ (REST[15] - REST[0]), atol=1e-12)
