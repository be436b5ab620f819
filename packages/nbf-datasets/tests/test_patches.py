import numpy as np
import pytest
import torch

from nbf_core.types import Camera, Sample
from nbf_datasets import patches
from nbf_datasets.patches import Patch


def test_sizes_and_positions_scale_from_the_reference_grid():
    assert Patch.square(40, 80, 40, 224) == Patch(40, 80, 80, 120)
    assert Patch.square(40, 80, 40, 112) == Patch(20, 40, 40, 60)
    assert Patch.around(64, 64, 80, 128) == Patch(41, 41, 87, 87)


@pytest.mark.parametrize(("size", "stride", "count"), [(40, 20, 11), (80, 20, 9), (40, 30, 8), (224, 10, 1)])
def test_the_grid_has_the_protocol_s_number_of_positions(size, stride, count):
    positions = patches.grid(size, stride)
    assert len(positions) == count**2 and positions[0] == (0, 0)
    assert max(positions) == ((count - 1) * stride,) * 2


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


def test_a_patch_hides_what_its_pixels_cover():
    size = (16, 16)
    near = torch.tensor([[4.0, 4, 1], [3.99, 4, 1], [8.0, 7.9, 1], [7.99, 7.9, 1]])
    sample = Sample(
        image=torch.zeros(3, *size, dtype=torch.uint8),
        camera=Camera.from_field(size, 20.0),
        index=torch.tensor(0),
        keypoints=torch.cat([near, torch.tensor([[15.0, 15, 1]]).expand(21, 3)]),
        visible_joints=torch.ones(24),
        kernel_map=torch.zeros(8, 8, dtype=torch.long),
    )
    patch = Patch(4, 4, 8, 8)
    joints = np.array([[5.0, 5], *[[9, 9]] * 23])
    hidden = patches.occlude(sample, patch, np.full((4, 4, 3), 9, np.uint8), joints)
    assert hidden.keypoints[:, 2].tolist() == [0, 1, 1, 0] + [1] * 21
    assert hidden.visible_joints.tolist() == [0] + [1] * 23
    assert torch.equal(hidden.kernel_map == -2, hidden.image[0, ::2, ::2] == 9)
    assert sample.keypoints[0, 2] == 1 and (sample.kernel_map == 0).all() and hidden.part_map is None
