"""Bodies for tests: five joints that move, and a specification of SMPL's joints without a body."""

from __future__ import annotations

import roma
import torch
from torch import nn

from nbf_core.conventions import SMPL_24
from nbf_core.geometry.camera import central_ray_rotation, translation_to_weak
from nbf_core.types import BodyOutput, BodyParams, BodySpec, Camera, RegressorOutput, Sample
from nbf_regressors.losses import forward_kinematics

JOINTS = 5
PARENTS = (-1, 0, 1, 0, 3)
REST = torch.tensor([[0, 0, 0], [0.1, 0.2, 0], [0.1, 0.6, 0], [-0.1, 0.2, 0], [-0.1, 0.6, 0.0]])


def make_spec(names: tuple[str, ...], parents: tuple[int, ...], rest: torch.Tensor) -> BodySpec:
    """One kernel and one vertex a joint, one triangle."""
    count = len(names)
    index = torch.arange(count)
    return BodySpec(
        name="stick", joint_names=names, parents=parents, mirror_joints=tuple(range(count)), shapes=10,
        faces=torch.zeros(1, 3, dtype=torch.long), vertex_parts=index, vertex_kernels=index,
        kernel_vertices=index, kernel_limbs=index % 9, kernel_mirror=index,
        kernel_adjacency=torch.eye(count).bool(), kernel_rest=rest, kernel_precision=4000.0,
        keypoint_weights={},
    )  # fmt: skip


def smpl_spec() -> BodySpec:
    """SMPL's 24 joints and 10 shapes: what a published network is for."""
    return make_spec(SMPL_24, (-1, *range(23)), torch.zeros(24, 3))


class StickBody(nn.Module):
    """Five joints; enough of a body model for the losses. ``root`` is where the root joint rests, as SMPL's does."""

    def __init__(self, root: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> None:
        super().__init__()
        self.root = torch.tensor(root)
        self.spec = make_spec(tuple("abcde"), PARENTS, REST)

    def forward(self, params: BodyParams, vertices: bool = True) -> BodyOutput:
        rest = (self.root + REST).to(params.betas) * (1 + 0.01 * params.betas[:, :1, None])
        turns = roma.rotvec_to_rotmat(torch.cat([params.global_orient[:, None], params.body_pose], dim=1))
        joints = forward_kinematics(turns, rest, PARENTS) + params.transl[:, None]
        return BodyOutput(joints, joints[:, :0], joints, self.skin(joints) if vertices else None)

    def skin(self, joints: torch.Tensor) -> torch.Tensor | None:
        """No skin."""
        return None

    def keypoints(self, output: BodyOutput, name: str) -> torch.Tensor:
        """The joints, over and over."""
        return output.joints[:, torch.arange(25) % JOINTS]


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


def perfect_output(sample: Sample) -> RegressorOutput:
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
