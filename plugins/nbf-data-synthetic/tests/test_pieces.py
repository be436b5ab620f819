import subprocess
import sys

import numpy as np
import roma
import torch

from nbf_data_synthetic import clothes
from nbf_data_synthetic.augment import Similarity, colour_tables, finished, resampled
from nbf_data_synthetic.backgrounds import paint
from nbf_data_synthetic.turns import compose


def test_turns_compose_like_rotation_matrices():
    rng = np.random.default_rng(0)
    for first, second in rng.normal(size=(20, 2, 3)) * 2:
        expected = roma.rotvec_composition([torch.from_numpy(second), torch.from_numpy(first)])
        got = torch.from_numpy(compose(second, first))
        assert torch.allclose(roma.rotvec_to_rotmat(got), roma.rotvec_to_rotmat(expected), atol=1e-12)


def test_a_mirrored_image_is_the_image_from_right_to_left():
    image = np.random.default_rng(0).integers(0, 256, (3, 32, 32)).astype(np.uint8)
    tables = np.tile(np.arange(256, dtype=np.float32), (3, 1))
    assert np.array_equal(resampled(image, Similarity(flip=True), tables), image[..., ::-1])
    turned = resampled(image, Similarity(angle=np.pi / 2), tables)
    np.testing.assert_allclose(turned, np.rot90(image, -1, (1, 2)), atol=1e-3)


def test_noise_has_the_width_asked_for():
    grey = np.full((3, 64, 64), 128, np.float32)
    noisy = finished(grey, 0, 5.0, 0.0, 12345).astype(float)
    assert abs(noisy.std() - 5) < 0.2 and abs(noisy.mean() - 128) < 0.3
    assert (finished(grey.copy(), 2, 0.0, 0.0, 1) == 128).all()


def test_colour_tables_never_fall():
    for seed in range(20):
        assert (np.diff(colour_tables(np.random.default_rng(seed)), axis=1) >= 0).all()


def test_backgrounds_differ_and_stay_near_the_range():
    images = [paint(np.random.default_rng(seed), 32) for seed in range(12)]
    assert all(np.isfinite(image).all() and image.min() >= 0 and image.max() < 4 for image in images)
    assert len({image.tobytes() for image in images}) == 12


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
