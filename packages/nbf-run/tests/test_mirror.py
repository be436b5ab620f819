"""Looking at a picture and its mirror image."""

from __future__ import annotations

from dataclasses import replace

import pytest
import roma
import torch
import torch.nn.functional as F

from nbf_core.errors import ConfigError
from nbf_core.types import BodyParams
from nbf_run.mirror import MirroredBank, MirroredRegressor, looking_twice
from nbf_testing.fake_networks import FakeBank, FakeRegressor
from nbf_testing.stick_body import StickBody


@pytest.fixture
def body() -> StickBody:
    return StickBody()


@pytest.fixture
def networks(body):
    torch.manual_seed(0)
    regressor = FakeRegressor(spec=body.spec).eval()
    return regressor, FakeBank(spec=body.spec, channels=regressor.channels)


def pictures(count: int = 2) -> torch.Tensor:
    return torch.rand(count, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def posed(body: StickBody, rotations: torch.Tensor) -> torch.Tensor:
    """Joints relative to the root."""
    turns = roma.rotmat_to_rotvec(rotations)
    neutral = BodyParams.neutral(len(turns), joints=turns.shape[1] - 1, shapes=body.spec.shapes)
    joints = body(replace(neutral, global_orient=turns[:, 0], body_pose=turns[:, 1:])).joints
    return joints - joints[:, :1]


@torch.inference_mode()
def test_a_cosine_is_the_mean_of_those_of_the_two_looks(networks, body):
    regressor, bank = networks
    twice, banks = looking_twice(regressor, bank, body.spec)
    image = pictures()
    both = F.normalize(twice(image).features, dim=1)
    one = F.normalize(regressor(image).features, dim=1)
    other = F.normalize(regressor(image.flip(-1)).features, dim=1).flip(-1)
    assert both.shape[1] == twice.channels == banks.features.shape[-1] == 2 * regressor.channels
    torch.testing.assert_close(banks.features.norm(dim=-1), torch.ones_like(banks.features[..., 0]))

    def cosines(features, kernels):
        return torch.einsum("bchw,koc->bkohw", features, kernels)

    mean = (cosines(one, bank.features) + cosines(other, bank.features[body.spec.kernel_mirror])) / 2
    torch.testing.assert_close(cosines(both, banks.features), mean)
    clutter = torch.einsum("bchw,mc->bmhw", both, banks.clutter())
    expected = (one + other) / 2
    torch.testing.assert_close(clutter, torch.einsum("bchw,mc->bmhw", expected, bank.clutter()))


@torch.inference_mode()
def test_the_mirrored_picture_gives_the_mirrored_person(networks, body):
    """Whatever the network inside thinks of left and right, the two looks together cannot prefer a side."""
    twice = MirroredRegressor(networks[0], body.spec)
    seen, mirrored = twice(pictures()), twice(pictures().flip(-1))
    joints = list(body.spec.mirror_joints)
    here, there = posed(body, seen.rotations), posed(body, mirrored.rotations)
    torch.testing.assert_close(there[:, joints] * torch.tensor([-1.0, 1, 1]), here, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(mirrored.weak_camera, seen.weak_camera * torch.tensor([1.0, -1, 1]))
    torch.testing.assert_close(mirrored.betas, seen.betas)
    first, second = seen.features.chunk(2, dim=1)
    torch.testing.assert_close(mirrored.features, torch.cat([second, first], dim=1).flip(-1))
    torch.testing.assert_close(mirrored.parts.flip(-1)[:, [*joints, len(joints)]], seen.parts)


@torch.inference_mode()
def test_of_two_opposite_rotations_the_first_stays(body):
    class Turning(FakeRegressor):
        """Sees everybody from the front in the picture, from behind in its mirror image, and a bent joint in both."""

        def forward(self, images):
            output, half = super().forward(images), len(images) // 2
            turns = torch.zeros(len(images), self.joints, 3)
            turns[half:, 0, 1] = torch.pi
            turns[:half, 3, 0], turns[half:, 3, 0] = 0.2, 0.4
            return replace(output, rotations=roma.rotvec_to_rotmat(turns))

    seen = MirroredRegressor(Turning(spec=body.spec), body.spec)(pictures(1))
    assert roma.rotmat_to_rotvec(seen.rotations[0, 0]).norm() < 1e-5
    torch.testing.assert_close(roma.rotmat_to_rotvec(seen.rotations[0, 3]), torch.tensor([0.3, 0.0, 0.0]))


def test_it_is_not_trained(networks, body):
    twice, bank = MirroredRegressor(networks[0], body.spec), MirroredBank(networks[1], body.spec.kernel_mirror)
    for call in (lambda: twice.loss(None, None, body), lambda: bank.update(), lambda: bank.loss()):
        with pytest.raises(ConfigError, match="fit.mirror"):
            call()
