from __future__ import annotations

from dataclasses import replace

import pytest
import roma
import torch
from torch import nn

from nbf_core.contracts import Regressor
from nbf_core.errors import ConfigError, ShapeError
from nbf_core.geometry.camera import central_ray_rotation, translation_to_weak
from nbf_core.types import BodyOutput, BodyParams, BodySpec, Camera, RegressorOutput, Sample
from nbf_regressors.config import LossWeights, PareCokeConfig
from nbf_regressors.losses import forward_kinematics, part_loss
from nbf_regressors.pare_coke import PareCoke

JOINTS = 5
PARENTS = (-1, 0, 1, 0, 3)
REST = torch.tensor([[0, 0, 0], [0.1, 0.2, 0], [0.1, 0.6, 0], [-0.1, 0.2, 0], [-0.1, 0.6, 0.0]])


class StickBody(nn.Module):
    """Five joints; enough of a body model for the losses. ``root`` is where the root joint rests, as SMPL's does."""

    def __init__(self, root: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> None:
        super().__init__()
        self.root = torch.tensor(root)
        index = torch.arange(JOINTS)
        self.spec = BodySpec(
            name="stick", joint_names=tuple("abcde"), parents=PARENTS, mirror_joints=(0, 3, 4, 1, 2), shapes=10,
            faces=torch.zeros(1, 3, dtype=torch.long), vertex_parts=index, vertex_kernels=index,
            kernel_vertices=index, kernel_limbs=index, kernel_mirror=index,
            kernel_adjacency=torch.eye(JOINTS).bool(), kernel_rest=REST, kernel_precision=4000.0,
            keypoint_weights={},
        )  # fmt: skip

    def forward(self, params: BodyParams, vertices: bool = True) -> BodyOutput:
        rest = self.root + REST.to(params.betas) * (1 + 0.01 * params.betas[:, :1, None])
        turns = roma.rotvec_to_rotmat(torch.cat([params.global_orient[:, None], params.body_pose], dim=1))
        joints = forward_kinematics(turns, rest, PARENTS) + params.transl[:, None]
        return BodyOutput(joints, joints[:, :0], joints)

    def keypoints(self, output: BodyOutput, name: str) -> torch.Tensor:
        return output.joints


def make_regressor(**options) -> PareCoke:
    torch.manual_seed(0)
    options = {"image_size": 64, "map_size": 32, "width": 16, "channels": 8, "hidden": 32} | options
    return PareCoke(PareCokeConfig(**options), spec=StickBody().spec)


def make_sample(people: int = 2) -> Sample:
    generator = torch.Generator().manual_seed(0)
    params = BodyParams(
        global_orient=torch.tensor([[3.0, 0.2, 0.1]]).repeat(people, 1),
        body_pose=0.3 * torch.randn(people, JOINTS - 1, 3, generator=generator),
        betas=torch.randn(people, 10, generator=generator),
        transl=torch.tensor([[0.2, -0.1, 5.0]]).repeat(people, 1),
    )
    camera = Camera(torch.full((people, 2), 300.0), torch.tensor([[10.0, 40.0]]).repeat(people, 1), (64, 64))
    part_map = torch.randint(-2, JOINTS, (people, 32, 32), generator=generator)
    image = torch.zeros(people, 3, 64, 64, dtype=torch.uint8)
    return Sample(image, camera, torch.arange(people), params=params, part_map=part_map)


def perfect(sample: Sample) -> RegressorOutput:
    """What a regressor would say that knows the truth."""
    params, ray = sample.params, central_ray_rotation(sample.camera)
    root = ray.mT @ roma.rotvec_to_rotmat(params.global_orient)
    logits = torch.full((len(root), JOINTS + 1, 32, 32), -20.0)
    target = torch.where(sample.part_map < 0, JOINTS, sample.part_map)
    return RegressorOutput(
        rotations=torch.cat([root[:, None], roma.rotvec_to_rotmat(params.body_pose)], dim=1),
        betas=params.betas,
        weak_camera=translation_to_weak(params.transl, sample.camera),
        features=torch.zeros(len(root), 8, 32, 32),
        parts=logits.scatter(1, target[:, None], 20.0),
    )


@pytest.mark.parametrize("backbone", ["plain", "efficientnet-lite0"])
@pytest.mark.parametrize("map_size", [16, 32])
def test_maps_have_the_promised_sizes(backbone, map_size):
    regressor = make_regressor(backbone=backbone, map_size=map_size).eval()
    assert isinstance(regressor, Regressor)
    output = regressor(torch.rand(2, 3, 64, 64))
    assert output.features.shape == (2, 8, map_size, map_size)
    assert output.parts.shape == (2, JOINTS + 1, map_size, map_size)
    assert output.betas.shape == (2, 10) and output.weak_camera.shape == (2, 3)
    identity = output.rotations @ output.rotations.mT
    torch.testing.assert_close(identity, torch.eye(3).expand_as(identity), atol=1e-5, rtol=0)
    assert (output.weak_camera[:, 0] > 0).all()


def test_images_are_treated_one_by_one():
    regressor = make_regressor().eval()
    images = torch.rand(3, 3, 64, 64)
    both, one = regressor(images), regressor(images[1:2])
    torch.testing.assert_close(both.features[1:2], one.features, atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(both.rotations[1:2], one.rotations, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("root", [(0.0, 0.0, 0.0), (0.0, -0.2, 0.03)])
def test_the_truth_costs_nothing_and_anything_else_does(root):
    sample = make_sample()
    regressor, output = make_regressor(), perfect(sample)
    terms = regressor.loss(output, sample, StickBody(root))
    assert all(float(value) < 1e-4 for value in terms.values()), terms
    turned = replace(output, rotations=output.rotations.roll(1, dims=1))
    worse = regressor.loss(turned, sample, StickBody())
    assert worse["rotations"] > 0.01 and worse["keypoints_3d"] > 0.01 and worse["keypoints_2d"] > 1e-5


def test_labels_that_are_missing_are_left_out():
    sample = make_sample()
    terms = make_regressor().loss(perfect(sample), replace(sample, params=None), StickBody())
    assert set(terms) == {"camera_prior", "parts"}


def test_background_counts_for_less():
    logits = torch.zeros(1, 3, 2, 2)
    logits[:, 0] = 2.0
    right_on_body = part_loss(logits, torch.tensor([[[0, 0], [-1, -1]]]), background=0.1)
    even = part_loss(logits, torch.tensor([[[0, 0], [-1, -1]]]), background=1.0)
    assert right_on_body < even


def test_every_trainable_parameter_gets_a_gradient():
    sample, regressor = make_sample(4), make_regressor(backbone="efficientnet-lite0", frozen=2).train()
    output = regressor(torch.rand(4, 3, 64, 64))
    (sum(regressor.loss(output, sample, StickBody()).values()) + output.features.square().mean()).backward()
    for name, parameter in regressor.named_parameters():
        frozen = name.startswith(("backbone.stages.0", "backbone.stages.1"))
        assert parameter.requires_grad != frozen, name
        assert (parameter.grad is None) == frozen, name
    assert not regressor.backbone.stages[0].training and regressor.backbone.stages[2].training


def test_wrong_images_and_sizes_are_named():
    with pytest.raises(ShapeError, match="images: expected"):
        make_regressor()(torch.rand(1, 3, 32, 32))
    with pytest.raises(ConfigError, match="map_size"):
        make_regressor(map_size=20)
    with pytest.raises(ConfigError, match="pretrained"):
        make_regressor(backbone="plain", pretrained=True)


def test_the_published_weights_are_the_terms():
    assert LossWeights().keypoints_3d == 5.0 and LossWeights().keypoints_2d == 2.5
