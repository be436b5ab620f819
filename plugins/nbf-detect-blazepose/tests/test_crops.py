"""Crops and the way between crop and photo."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbf_detect_blazepose.crops import Crop, Photo

RNG = np.random.default_rng(0)


@settings(max_examples=50, deadline=None)
@given(st.floats(-np.pi, np.pi), st.floats(1, 500), st.floats(-100, 100), st.floats(-100, 100))
def test_the_crop_shows_the_size_point_straight_above_the_hips(angle, length, x, y):
    hips = np.array([x, y])
    size_point = hips + length * np.array([np.sin(angle), -np.cos(angle)])
    crop = Crop.around(hips, size_point)
    np.testing.assert_allclose(np.linalg.det(crop.turn), 1.0)
    np.testing.assert_allclose(crop.to_photo(np.array([0.5, 0.5])), hips, atol=1e-9)
    np.testing.assert_allclose(crop.to_photo(np.array([0.5, 0.5 - 1 / 2.5])), size_point, atol=1e-6)


def test_points_that_fall_together_give_no_crop():
    assert Crop.around(np.array([3.0, 4.0]), np.array([3.0, 4.0])) is None


def test_a_crop_of_exactly_the_photo_is_the_photo():
    image = RNG.integers(0, 256, (8, 8, 3), dtype=np.uint8)
    crop = Crop(centre=np.array([4.0, 4.0]), side=8.0, turn=np.eye(2))
    np.testing.assert_allclose(crop.sample(Photo(image), 8), image, atol=1e-4)


def test_a_turned_crop_is_the_turned_photo():
    image = RNG.integers(0, 256, (8, 8, 3), dtype=np.uint8)
    crop = Crop.around(np.array([4.0, 4.0]), np.array([4.0 + 3.2, 4.0]))  # up in the crop is right in the photo
    np.testing.assert_allclose(crop.sample(Photo(image), 8), np.rot90(image), atol=1e-3)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1)])
def test_tiny_photos_can_be_sampled(shape):
    image = np.full((*shape, 3), 7, np.uint8)
    crop = Crop(centre=np.array([0.5, 0.5]), side=4000.0, turn=np.eye(2))
    np.testing.assert_allclose(crop.sample(Photo(image), 4), 7.0)


def test_reduction_keeps_places():
    y, x = np.mgrid[0:1024, 0:1024] + 0.5
    image = np.stack([x, y, x], axis=-1) / 4
    crop = Crop(centre=np.array([512.0, 512.0]), side=1024.0, turn=np.eye(2))
    small = crop.sample(Photo(image.astype(np.uint8)), 64)
    expected = ((np.arange(64) + 0.5) * 16) / 4
    np.testing.assert_allclose(small[32, :, 0], expected, atol=1.0)
    np.testing.assert_allclose(small[:, 32, 1], expected, atol=1.0)


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
@pytest.mark.parametrize("shape", [(40, 64), (64, 40), (1, 1), (200, 3)])
def test_a_bright_spot_in_the_letterbox_is_found_back_in_the_photo(turns, shape):
    image = np.zeros((*shape, 3), np.uint8)
    row, column = shape[0] // 3, shape[1] // 2
    image[row, column] = 255
    square, letterbox = Photo(image).letterbox(224, turns)
    y, x = np.unravel_index(np.argmax(square[..., 0]), (224, 224))
    back = letterbox.to_photo(np.array([x + 0.5, y + 0.5]) / 224)
    np.testing.assert_allclose(back, [column + 0.5, row + 0.5], atol=0.75)
