"""Landmarks, their heat maps, and OpenPose's order."""

import numpy as np

from nbf_core.conventions.keypoints import OPENPOSE_25
from nbf_detect_blazepose import landmarks, openpose


def test_a_landmark_follows_a_clear_heat_map_and_ignores_a_faint_one():
    heat = np.full((64, 64, 2), -20.0, np.float32)
    heat[30, 21], heat[30, 22] = 5.0, 5.0
    points = np.array([[20.2 / 64, 29.6 / 64], [0.9, 0.9]])
    moved = landmarks.refine(points, heat, 0.5)
    np.testing.assert_allclose(moved[0], [21.5 / 64, 30 / 64], atol=1e-6)
    np.testing.assert_allclose(moved[1], points[1])


def test_a_landmark_outside_the_crop_and_a_threshold_over_one_change_nothing():
    heat = np.full((64, 64, 1), 9.0, np.float32)
    for point, threshold in (([1.2, 0.5], 0.5), ([-0.1, 0.5], 0.5), ([0.5, 0.5], 2.0)):
        np.testing.assert_allclose(landmarks.refine(np.array([point]), heat, threshold), [point])


def test_openpose_keypoints_come_from_the_right_landmarks():
    points = np.stack([np.arange(33.0), -np.arange(33.0)], axis=1)
    confidence = np.linspace(0.2, 1.0, 33)
    out = openpose.to_openpose25(points, confidence)
    by_name = dict(zip(OPENPOSE_25, out, strict=True))
    np.testing.assert_allclose(by_name["nose"][:2], [0, 0])
    np.testing.assert_allclose(by_name["neck"][:2], [11.5, -11.5])
    np.testing.assert_allclose(by_name["mid_hip"][:2], [23.5, -23.5])
    np.testing.assert_allclose(by_name["mid_hip"][2], confidence[23], rtol=1e-6)  # the less sure of the two
    for name, index in (("left_wrist", 15), ("right_ankle", 28), ("left_ear", 7), ("right_big_toe", 32)):
        np.testing.assert_allclose(by_name[name], [index, -index, confidence[index]], rtol=1e-6)
    for name in ("left_small_toe", "right_small_toe"):
        np.testing.assert_allclose(by_name[name], 0)
    assert set(range(25)) - set(openpose.SOURCES) == {OPENPOSE_25.index(f"{s}_small_toe") for s in ("left", "right")}
