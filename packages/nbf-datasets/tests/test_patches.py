import numpy as np

from nbf_datasets import patches
from nbf_datasets.patches import Patch


def test_sizes_scale_from_the_reference_grid():
    assert Patch.around(64, 64, 80, 128) == Patch(41, 41, 87, 87)


def test_drawing_is_cut_at_the_edge():
    image = np.zeros((10, 12, 3), np.uint8)
    patch = Patch(8, -2, 14, 3)
    pixels = np.arange(5 * 6 * 3).reshape(5, 6, 3).astype(np.uint8) + 1
    patches.draw(image, patch, pixels)
    assert (image[:3, 8:] == pixels[2:, :4]).all() and (image > 0).any(-1).sum() == 12
    patches.draw(image, Patch(50, 50, 56, 55), pixels)
    assert (image > 0).any(-1).sum() == 12


def test_textures_are_textured_and_repeatable():
    made = [patches.texture(np.random.default_rng(seed), 30, 20) for seed in range(16)]
    assert all(t.shape == (30, 20, 3) and t.dtype == np.uint8 for t in made)
    assert all(t.std() > 1 for t in made)
    assert np.array_equal(made[3], patches.texture(np.random.default_rng(3), 30, 20))


def test_a_label_map_is_hidden_where_its_cells_have_their_centre_behind_the_patch():
    labels = np.zeros((8, 8), np.int64)
    patches.hide_map(labels, Patch(4, 5, 8, 9), (16, 16))
    assert (labels[2:4, 2:4] == patches.OCCLUDER).all() and (labels == patches.OCCLUDER).sum() == 4
    assert Patch(4, 5, 8, 9).holds(np.array([[4, 5], [8, 5], [7.9, 8.9]])).tolist() == [True, False, True]
