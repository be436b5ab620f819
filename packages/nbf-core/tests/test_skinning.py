"""Forward kinematics level by level is the chain joint by joint; skinning blends rigid motions."""

from __future__ import annotations

import pytest
import roma
import torch

from nbf_core.geometry.skinning import Skeleton, skin

TREES = [(-1,), (-1, 0, 1, 2), (-1, 0, 0, 0, 1, 4, 2, 2), (-1, *range(20))]


@pytest.mark.parametrize("parents", TREES)
@pytest.mark.parametrize("batch", [(), (3,), (2, 0), (2, 3)])
def test_kinematics_are_the_chain(parents, batch):
    generator = torch.Generator().manual_seed(0)
    joints = torch.randn(*batch, len(parents), 3, generator=generator, dtype=torch.float64)
    rotations = roma.rotvec_to_rotmat(torch.randn(*joints.shape, generator=generator, dtype=torch.float64))
    world, placed = Skeleton(parents).double()(rotations, joints)
    turned, places = [rotations[..., 0, :, :]], [joints[..., 0, :]]
    for joint, parent in enumerate(parents[1:], 1):
        bone = joints[..., joint, :] - joints[..., parent, :]
        places.append(places[parent] + (turned[parent] @ bone[..., None])[..., 0])
        turned.append(turned[parent] @ rotations[..., joint, :, :])
    torch.testing.assert_close(world, torch.stack(turned, -3))
    torch.testing.assert_close(placed, torch.stack(places, -2))


def test_skinning_blends_the_motions_of_the_joints():
    generator = torch.Generator().manual_seed(1)
    points, weights = torch.randn(5, 3, generator=generator), torch.rand(5, 4, generator=generator)
    world, shift = torch.randn(2, 4, 3, 3, generator=generator), torch.randn(2, 4, 3, generator=generator)
    each = torch.einsum("bjxy,ny->bnjx", world, points) + shift[:, None]
    expected = torch.einsum("nj,bnjx->bnx", weights, each)
    torch.testing.assert_close(skin(points.expand(2, 5, 3), weights, world, shift), expected)
