"""The detector on a photo, on photos without people, and on broken input."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from nbf_core.contracts import Detector
from nbf_core.errors import AssetError, InputError
from nbf_core.types import Person
from nbf_detect_blazepose import models
from nbf_detect_blazepose.config import BlazePoseConfig
from nbf_detect_blazepose.detector import BlazePoseDetector

PHOTO = np.asarray(Image.open(Path(__file__).parent / "data" / "kick_front.jpg").convert("RGB"))
HEIGHT, WIDTH = PHOTO.shape[:2]
# Where the joints are, read off the photo by eye, in pixels; the nose is pixelated.
BY_EYE = {4: (289, 148), 7: (470, 448), 10: (223, 425), 13: (352, 490), 11: (175, 512), 14: (375, 568)}


@pytest.fixture(scope="module")
def detector():
    return BlazePoseDetector(BlazePoseConfig())


@pytest.fixture(scope="module")
def person(detector):
    (found,) = detector.detect(PHOTO)
    return found


def sure(person: Person) -> np.ndarray:
    return person.keypoints[:, 2] > 0.5


def distance(a: np.ndarray, b: np.ndarray, where: np.ndarray) -> float:
    return float(np.median(np.linalg.norm(a[where, :2] - b[where, :2], axis=1)))


def test_it_meets_the_contract(detector):
    assert isinstance(detector, Detector)


def test_the_joints_lie_where_the_eye_sees_them(person):
    for index, place in BY_EYE.items():
        assert np.linalg.norm(person.keypoints[index, :2] - place) < 20, index


def test_the_record_has_the_promised_shapes_and_ranges(person):
    assert person.keypoint_set == "openpose-25"
    assert person.keypoints.shape == (25, 3) and person.keypoints.dtype == np.float32
    assert 0.5 <= person.score <= 1
    assert ((person.keypoints[:, 2] >= 0) & (person.keypoints[:, 2] <= 1)).all()
    assert sure(person).sum() >= 20
    x0, y0, x1, y1 = person.box
    assert 0 <= x0 < x1 <= WIDTH and 0 <= y0 < y1 <= HEIGHT
    found = person.keypoints[person.keypoints[:, 2] > 0]
    assert (found[:, 0] >= x0).all() and (found[:, 0] <= x1).all()
    assert (found[:, 1] >= y0).all() and (found[:, 1] <= y1).all()
    np.testing.assert_allclose(person.keypoints[[20, 23]], 0)


def test_world_landmarks_are_metres_and_look_like_the_photo(person):
    world, flat = person.extras["landmarks_3d"], person.extras["landmarks_2d"]
    assert world.shape == flat.shape == (33, 3)
    shin = np.linalg.norm(world[26] - world[28])
    assert 0.25 < shin < 0.6
    body = slice(11, 33)
    for axis in (0, 1):  # x right, y down: the same order along both axes as in the photo
        assert np.corrcoef(world[body, axis], flat[body, axis])[0, 1] > 0.95


def test_the_same_photo_gives_the_same_numbers(detector, person):
    (again,) = BlazePoseDetector(BlazePoseConfig()).detect(PHOTO.copy())
    np.testing.assert_array_equal(again.keypoints, person.keypoints)
    np.testing.assert_array_equal(detector.detect(PHOTO)[0].keypoints, person.keypoints)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_turned_photo_gives_the_turned_person(detector, person, turns):
    (turned,) = detector.detect(np.rot90(PHOTO, turns))
    points = turned.keypoints.copy()
    for done in range(turns):  # each quarter took (x, y) to (y, width - x); the last one is undone first
        width = WIDTH if (turns - 1 - done) % 2 == 0 else HEIGHT
        points[:, 0], points[:, 1] = width - points[:, 1], points[:, 0].copy()
    assert distance(points, person.keypoints, sure(person) & sure(turned)) < 8


@pytest.mark.parametrize("scale", [0.4, 2.0])
def test_a_scaled_photo_gives_the_scaled_person(detector, person, scale):
    size = (round(WIDTH * scale), round(HEIGHT * scale))
    (scaled,) = detector.detect(np.asarray(Image.fromarray(PHOTO).resize(size, Image.Resampling.LANCZOS)))
    assert distance(scaled.keypoints[:, :2] / scale, person.keypoints, sure(person) & sure(scaled)) < 5


def test_two_people_side_by_side_are_two(detector, person):
    two = np.concatenate([PHOTO, PHOTO[:, ::-1]], axis=1)
    both = detector.detect(two)
    assert len(both) == 2 and both[0].score >= both[1].score
    left = min(both, key=lambda p: p.box[0])
    assert distance(left.keypoints, person.keypoints, sure(person) & sure(left)) < 8
    assert len(BlazePoseDetector(BlazePoseConfig(max_people=1)).detect(two)) == 1


def test_more_rotations_do_not_report_a_person_twice():
    turned = BlazePoseDetector(BlazePoseConfig(rotations=(0, 90, 180, 270)))
    assert len(turned.detect(PHOTO)) == 1


def test_keypoints_outside_the_photo_are_missing(detector):
    upper = PHOTO[: HEIGHT // 2]
    for found in detector.detect(upper):
        seen = found.keypoints[found.keypoints[:, 2] > 0]
        assert (seen[:, 1] <= upper.shape[0]).all()
        np.testing.assert_allclose(found.keypoints[found.keypoints[:, 2] == 0], 0)


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (500, 1), (224, 224), (300, 401)])
@pytest.mark.parametrize("value", [0, 128, 255])
def test_nobody_is_in_a_blank_image(detector, shape, value):
    assert detector.detect(np.full((*shape, 3), value, np.uint8)) == []


def test_nobody_is_in_noise(detector):
    assert detector.detect(np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)) == []


@pytest.mark.parametrize(
    "image",
    [np.zeros((4, 4, 3), np.float32), np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8),
     np.zeros((0, 4, 3), np.uint8), "photo.jpg"],
)  # fmt: skip
@pytest.mark.wrong_shapes
def test_another_kind_of_image_is_refused(detector, image):
    with pytest.raises(InputError, match="^image: "):
        detector.detect(image)


@pytest.mark.parametrize("name", ["pose_detection.tflite", "pose_landmark_full.tflite"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.999])
def test_a_model_file_cut_short_is_named(tmp_path, name, share):
    content = (models._DATA / name).read_bytes()
    path = tmp_path / name
    path.write_bytes(content[: int(len(content) * share)])
    option = "detection_model" if "detection" in name else "landmark_model"
    with pytest.raises(AssetError) as caught:
        BlazePoseDetector(BlazePoseConfig(**{option: path}))
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_shipped_model_that_was_damaged_is_named(tmp_path, monkeypatch):
    shutil.copytree(models._DATA, tmp_path / "data")
    monkeypatch.setattr(models, "_DATA", tmp_path / "data")
    path = tmp_path / "data" / "pose_detection.tflite"
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(AssetError, match="pose_detection.tflite: damaged or cut short"):
        BlazePoseDetector(BlazePoseConfig())


def test_the_wrong_model_and_a_missing_one_are_named(tmp_path):
    with pytest.raises(AssetError, match="pose_detection.tflite: not the expected model"):
        BlazePoseDetector(BlazePoseConfig(landmark_model=models._DATA / "pose_detection.tflite"))
    with pytest.raises(AssetError, match="nothing.tflite: cannot read"):
        BlazePoseDetector(BlazePoseConfig(landmark_model=tmp_path / "nothing.tflite"))


def test_a_wrong_option_is_refused():
    for options in ({"looks": 0}, {"rotations": (45,)}, {"rotations": ()}, {"max_peopel": 2}):
        with pytest.raises(ValidationError):
            BlazePoseConfig(**options)


def test_the_plugin_lists_the_detector_without_heavy_imports():
    code = (
        "import sys\n"
        "from nbf_detect_blazepose import plugin\n"
        "(entry,) = plugin.nbf_detectors()\n"
        "assert entry.name == 'blazepose' and entry.load_config().__name__ == 'BlazePoseConfig'\n"
        "heavy = {'torch', 'numpy', 'ai_edge_litert', 'PIL'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "assert entry.load().__name__ == 'BlazePoseDetector'\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=dict(os.environ))
