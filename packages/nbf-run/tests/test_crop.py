"""Crops keep camera, keypoints and pixels in step."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nbf_core.types import Person
from nbf_run.crop import crop_boxes, keypoints_in, photo_camera, resample, square_box

number = st.floats(-500, 1500, allow_nan=False)
extent = st.floats(2, 800)


@given(number, number, extent, extent, st.floats(0.5, 3))
def test_square_box_is_square_and_centred(x: float, y: float, w: float, h: float, scale: float):
    box = np.array([x, y, x + w, y + h])
    square = square_box(box, scale)
    assert np.allclose(square[2:] - square[:2], max(scale * max(w, h), 2.0))
    assert np.allclose(square[:2] + square[2:], box[:2] + box[2:])


def test_a_box_without_extent_still_gives_a_crop():
    square = square_box(np.array([5.0, 5, 5, 5]), 1.15)
    assert (square[2:] > square[:2]).all()


@settings(max_examples=30, deadline=None)
@given(st.floats(-300, 900), st.floats(-300, 900), st.floats(20, 1500))
def test_keypoints_follow_the_crops_camera(x: float, y: float, side: float):
    """A point in space lands on the same place of the crop by its camera and by its keypoint."""
    camera = photo_camera((480, 640))
    point = torch.tensor([[0.3, -0.2, 4.0]])
    square = np.array([x, y, x + side, y + side])
    whole = camera.project(point).numpy()
    moved = keypoints_in(square, np.concatenate([whole, [[1.0]]], 1), 128)[:, :2]
    cropped = camera.cropped(torch.tensor(square, dtype=torch.float32), (128, 128)).project(point).numpy()
    assert np.allclose(moved, cropped, atol=2e-2)


def test_pixels_follow_the_crops_camera():
    """A bright dot in the photo is where its keypoint says in the crop, outside parts included."""
    image = np.zeros((100, 160, 3), np.uint8)
    image[58:62, 148:152] = 255
    square = np.array([110.0, 10.0, 210.0, 110.0])
    crop = resample(image, square, 50)[..., 0].astype(float)
    y, x = np.mgrid[0:50, 0:50] + 0.5
    centre = np.array([(crop * x).sum(), (crop * y).sum()]) / crop.sum()
    expected = keypoints_in(square, np.array([[150.0, 60.0, 1.0]]), 50)[0, :2]
    assert np.allclose(centre, expected, atol=0.05)


def test_the_edge_is_repeated_outside():
    image = np.full((40, 40, 3), 10, np.uint8)
    image[:, -1] = 200
    crop = resample(image, np.array([30.0, 0, 70, 40]), 40)
    assert (crop[:, 15:] == 200).all()


@pytest.mark.parametrize("corner", [(-5000.0, -5000.0), (5000.0, 20.0)])
def test_a_box_far_outside_is_no_error(corner: tuple[float, float]):
    square = np.array([*corner, corner[0] + 64, corner[1] + 64])
    assert resample(np.zeros((40, 40, 3), np.uint8), square, 32).shape == (32, 32, 3)


def test_people_of_a_photo_are_one_batch(bright: np.ndarray):
    people = [Person(np.array([10.0, 10, 50, 90]), np.ones((25, 3), np.float32), 1.0) for _ in range(3)]
    camera = photo_camera(bright.shape[:2])
    boxes = np.stack([square_box(p.box, 1.15) for p in people])
    crops = crop_boxes(bright, camera, people, boxes, 64)
    assert crops.images.shape == (3, 3, 64, 64)
    assert crops.camera.focal.shape == (3, 2)
    assert crops.camera.size == (64, 64)
    assert crops.keypoints.shape == (3, 25, 3)


def test_focal_length_is_guessed_or_given():
    assert photo_camera((480, 640)).focal.tolist() == pytest.approx([768.0, 768.0])
    assert photo_camera((480, 640), 500.0).focal.tolist() == [500.0, 500.0]
