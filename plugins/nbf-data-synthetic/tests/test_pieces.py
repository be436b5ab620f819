import subprocess
import sys

import numpy as np
import roma
import torch

from nbf_data_synthetic import clothes, jpeg, photos, pixels
from nbf_data_synthetic.augment import Similarity, colour_tables
from nbf_data_synthetic.backgrounds import paint
from nbf_data_synthetic.occluders import draw_occluders
from nbf_data_synthetic.shadows import cast, lit
from nbf_data_synthetic.turns import compose


def test_turns_compose_like_rotation_matrices():
    rng = np.random.default_rng(0)
    for first, second in rng.normal(size=(20, 2, 3)) * 2:
        expected = roma.rotvec_composition([torch.from_numpy(second), torch.from_numpy(first)])
        got = torch.from_numpy(compose(second, first))
        assert torch.allclose(roma.rotvec_to_rotmat(got), roma.rotvec_to_rotmat(expected), atol=1e-12)


def test_a_mirrored_image_is_the_image_from_right_to_left():
    image = np.random.default_rng(0).integers(0, 256, (3, 32, 32)).astype(np.uint8)
    black = np.zeros_like(image)
    flipped = pixels.resampled(image, np.linalg.inv(Similarity(flip=True).matrix), black)
    assert np.array_equal(flipped, image[..., ::-1])
    turned = pixels.resampled(image, np.linalg.inv(Similarity(angle=np.pi / 2).matrix), black)
    assert np.array_equal(turned, np.rot90(image, -1, (1, 2)))


def test_beyond_its_edge_a_smaller_image_shows_the_border():
    image, border = np.full((3, 32, 32), 200, np.uint8), np.full((3, 32, 32), 7, np.uint8)
    small = pixels.resampled(image, np.linalg.inv(Similarity(scale=0.5).matrix), border)
    assert (small[:, 9:23, 9:23] == 200).all() and (small[:, :7] == 7).all() and (small[:, :, 25:] == 7).all()


def test_noise_has_the_width_asked_for():
    noisy = np.full((3, 64, 64), 128, np.uint8)
    pixels.add_noise(noisy, 5.0, 0.0, 12345)
    assert abs(noisy.std() - 5) < 0.2 and abs(noisy.mean(dtype=float) - 128) < 0.3
    together = np.full((3, 64, 64), 128, np.uint8)
    pixels.add_noise(together, 0.0, 5.0, 12345)
    assert np.array_equal(together[0], together[1]) and abs(together.std() - 5) < 0.3


def test_blur_and_compression_leave_an_even_picture_as_it_is():
    even = np.full((3, 64, 64), 128, np.uint8)
    pixels.soften(even, 3)
    assert (even == 128).all() and (pixels.smear(even, 3.0, 2.0, 5) == 128).all()
    jpeg.compress(even, 50)
    assert (even == 128).all()


def test_compression_harms_more_at_lower_quality():
    y, x = np.mgrid[0:64, 0:64]
    image = np.stack([128 + 80 * np.sin(x / 3), 128 + 80 * np.sin(y / 4), 128 + 80 * np.sin((x + y) / 5)])
    image = image.astype(np.uint8)
    errors = []
    for quality in (95, 50, 10):
        damaged = image.copy()
        jpeg.compress(damaged, quality)
        errors.append(np.abs(damaged.astype(float) - image).mean())
    assert errors[0] < 12 and errors[0] < errors[1] < errors[2] < 40


def test_occluders_hide_exactly_what_they_cover():
    rng = np.random.default_rng(3)
    pictures = np.full((2, 3, 64, 64), 255, np.uint8)
    grid = (np.stack(np.meshgrid(np.arange(64), np.arange(64)), -1) + 0.5).astype(np.float64)
    for _ in range(40):
        for occluder in draw_occluders(rng, np.full((1, 2), 32.0), 64, 2):
            image, labels = np.full((3, 64, 64), 99, np.uint8), np.zeros((64, 64), np.int64)
            occluder.draw(image, pictures)
            occluder.hide_map(labels, 64)
            assert np.array_equal(labels == -2, occluder.holds(grid))
            assert not (image != 99).any(0)[labels == 0].any()
            assert (image != 99).any(0)[labels == -2].mean() > 0.9 or not (labels == -2).any()


def test_a_shadow_falls_on_what_lies_behind():
    corners = np.array([[-1.0, -1, 5], [1, -1, 5], [1, 1, 5], [-1, 1, 5]])
    faces = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
    for turned in (faces, faces[:, ::-1]):  # a light from the camera sees one of the two sides
        shadow = cast(corners, np.ascontiguousarray(turned), np.array([0.0, 0, -1]), 1.0, 0.8)
        if np.isfinite(shadow.depth).any():
            break
    assert abs(lit(shadow, 0.0, 0.0, 6.0, 0.02) - 0.2) < 1e-6 and lit(shadow, 0.0, 0.0, 4.0, 0.02) == 1.0
    assert lit(shadow, 3.0, 0.0, 6.0, 0.02) == 1.0


def test_colour_tables_never_fall():
    for seed in range(20):
        assert (np.diff(colour_tables(np.random.default_rng(seed)).astype(int), axis=1) >= 0).all()


def test_backgrounds_differ_and_stay_near_the_range():
    images = [paint(np.random.default_rng(seed), 32) for seed in range(12)]
    images += [photos.paint(np.random.default_rng(seed), 32) for seed in range(12)]
    assert all(np.isfinite(image).all() and image.min() >= 0 and image.max() < 4 for image in images)
    assert len({image.tobytes() for image in images}) == 24


def test_clothes_stand_off_by_at_most_four_centimetres_and_hands_stay_bare():
    rng = np.random.default_rng(0)
    rest = rng.uniform([-0.8, -0.9, -0.1], [0.8, 0.8, 0.15], (500, 3))
    normals = rng.normal(size=(500, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    parts = rng.integers(0, 24, 500)
    marks = np.array([0.03, 0.7, 0.13, 0.67, 0.04, 0.57, 0.18, 0.7, -0.02, -0.44, -0.89, 0.47])
    for seed in range(10):
        cuts = clothes.draw_cuts(np.random.default_rng(seed), marks)
        out = np.empty_like(rest)
        clothes.dress(rest, normals, rest, parts, cuts, marks, out)
        moved = np.linalg.norm(out - rest, axis=1)
        assert moved.max() <= 0.0401 and (moved[parts >= 20] == 0).all()


def test_plugin_and_configuration_import_neither_torch_nor_numba():
    code = (
        "import sys, nbf_data_synthetic.plugin, nbf_data_synthetic.config;"
        "assert not {'torch', 'numba', 'numpy'} & set(sys.modules), 'heavy import'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
