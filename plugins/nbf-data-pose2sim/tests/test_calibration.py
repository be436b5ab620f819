"""Calibration files become cameras in this project's conventions; errors name the file."""

from __future__ import annotations

import numpy as np
import pytest

from nbf_core.errors import InputError
from nbf_data_pose2sim.calibration import read_calibration
from nbf_data_pose2sim.dataset import data_folder

CAMERA = """<camera serial="cam01">
  <transform r11="{0}" r12="{1}" r13="{2}" r21="{3}" r22="{4}" r23="{5}" r31="{6}" r32="{7}" r33="{8}"
    x="1000" y="-2000" z="1500"/>
  <intrinsic focalLengthU="64000" focalLengthV="64640" centerPointU="32000" centerPointV="57600"
    radialDistortion1="-0.05" radialDistortion2="0.1" tangentalDistortion1="0.001" tangentalDistortion2="0.002"/>
</camera>"""


def write(tmp_path, turn=None):
    # Looks along +y with z up: in the file's axes x is right, y up, z backward.
    turn = np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]]) if turn is None else turn
    path = tmp_path / "Calib.qca.txt"
    path.write_text(f"<calibration><cameras>{CAMERA.format(*turn.ravel())}</cameras></calibration>")
    return path


def test_units_axes_and_pixel_centres(tmp_path):
    (camera,) = read_calibration(write(tmp_path))
    assert camera.name == "cam01"
    np.testing.assert_allclose(camera.focal, [1000, 1010])
    np.testing.assert_allclose(camera.center, [500.5, 900.5])  # the file counts from the first pixel's middle
    np.testing.assert_allclose(np.linalg.det(camera.rotation), 1)
    # Three metres straight ahead of a camera at (1, -2, 1.5).
    ahead = np.array([[1.0, 1.0, 1.5]])
    np.testing.assert_allclose(camera.to_camera(ahead), [[0, 0, 3]], atol=1e-12)
    np.testing.assert_allclose(camera.project(ahead), [camera.center])
    # Right of it is right in the picture, above it is up.
    (u, v), (_, w) = camera.project(np.array([[1.3, 1.0, 1.5], [1.0, 1.0, 1.8]]), distorted=False)
    np.testing.assert_allclose([u, v, w], [600.5, 900.5, 799.5])


def test_distortion_is_opencvs(tmp_path):
    cv2 = pytest.importorskip("cv2", reason="compares with OpenCV: install opencv-python-headless")
    (camera,) = read_calibration(write(tmp_path))
    points = np.random.default_rng(0).uniform([0, 0, 1], [2, 2, 2], (20, 3))
    matrix = np.array([[camera.focal[0], 0, camera.center[0]], [0, camera.focal[1], camera.center[1]], [0, 0, 1]])
    vector, _ = cv2.Rodrigues(camera.rotation)
    expected, _ = cv2.projectPoints(points, vector, camera.translation, matrix, camera.distortion)
    np.testing.assert_allclose(camera.project(points), expected[:, 0], atol=1e-6)


def test_without_distortion_it_is_a_pinhole(tmp_path):
    (camera,) = read_calibration(write(tmp_path))
    middle, edge = (camera.project(np.array([point])) for point in ([1.0, 1, 1.5], [2.0, 1, 1.5]))
    straight = camera.project(np.array([[2.0, 1, 1.5]]), distorted=False)
    assert not np.allclose(edge, straight, atol=0.1) and np.allclose(middle, camera.center)


def test_what_is_shipped_came_from_such_a_file(people):
    """Cameras stand up to two metres high, around the person, and look at them."""
    sequence = people.sequence
    place = -np.einsum("cji,cj->ci", sequence.rotation, sequence.translation)
    assert ((place[:, 2] > 1.5) & (place[:, 2] < 2.2)).all()
    middle = sequence.world[:, 8, :3].mean(0)
    depth = np.einsum("cij,j->ci", sequence.rotation, middle)[:, 2] + sequence.translation[:, 2]
    assert ((depth > 2) & (depth < 6)).all()
    assert (data_folder() / "sequence.npz").stat().st_size < 200_000


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("not xml", "cannot be read"),
        ("<calibration/>", "no <camera>"),
        ("<calibration><cameras><camera serial='c1'/></cameras></calibration>", "camera c1: <transform>"),
    ],
)
def test_a_file_that_is_none_is_named(tmp_path, text, message):
    path = tmp_path / "broken.qca.txt"
    path.write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        read_calibration(path)
    assert "broken.qca.txt" in str(caught.value) and "\n" not in str(caught.value)
