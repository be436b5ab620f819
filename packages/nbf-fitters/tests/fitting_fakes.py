"""A body of sticks, a dense renderer and a bank: just enough of each contract to fit something in a test."""

from __future__ import annotations

import math

import roma
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nbf_core.conventions import OPENPOSE_25, SMPL_24, mirror_permutation
from nbf_core.geometry.orientation import kernel_orientation_labels
from nbf_core.types import (
    BodyOutput,
    BodyParams,
    BodySpec,
    Camera,
    Fragments,
    Kernels,
    Observation,
    RenderOutput,
)

PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21)
REST = [
    (0, 0, 0), (0.1, -0.08, 0), (-0.1, -0.08, 0), (0, 0.1, 0), (0.1, -0.48, 0), (-0.1, -0.48, 0),
    (0, 0.25, 0),
    (0.1, -0.9, 0), (-0.1, -0.9, 0), (0, 0.3, 0), (0.1, -0.95, 0.12), (-0.1, -0.95, 0.12), (0, 0.52, 0),
    (0.08, 0.42, 0), (-0.08, 0.42, 0), (0, 0.62, 0.03), (0.18, 0.45, 0), (-0.18, 0.45, 0), (0.45, 0.45, 0),
    (-0.45, 0.45, 0), (0.7, 0.45, 0), (-0.7, 0.45, 0), (0.8, 0.45, 0), (-0.8, 0.45, 0),
]  # fmt: skip
# Points fixed to joints: head for the face, feet for toes and heels.
MARKERS = {
    "nose": (15, (0, 0.05, 0.12)), "left_eye": (15, (0.03, 0.09, 0.1)), "right_eye": (15, (-0.03, 0.09, 0.1)),
    "left_ear": (15, (0.08, 0.06, 0)), "right_ear": (15, (-0.08, 0.06, 0)),
    "left_big_toe": (10, (0.02, 0, 0.05)), "left_small_toe": (10, (0.06, 0, 0.03)), 
    "left_heel": (7, (0, -0.05, -0.05)),
    "right_big_toe": (11, (-0.02, 0, 0.05)), "right_small_toe": (11, (-0.06, 0, 0.03)),
    "right_heel": (8, (0, -0.05, -0.05)),
}  # fmt: skip
JOINT_OF = {"mid_hip": "pelvis"}
PER_BONE = 5


class StickBody(nn.Module):
    """SMPL's skeleton with kernels strung along the bones; shape 0 scales it, the others do nothing."""

    def __init__(self):
        super().__init__()
        rest = torch.tensor(REST, dtype=torch.float64)
        self.rest = rest
        bones = [(PARENTS[j], j) for j in range(1, 24)]
        steps = [(i + 0.5) / PER_BONE for i in range(PER_BONE)]
        self.owner = torch.tensor([parent for parent, _ in bones for _ in steps])
        self.offset = torch.stack([(rest[j] - rest[p]) * s for p, j in bones for s in steps])
        self.marker_owner = torch.tensor([owner for owner, _ in MARKERS.values()])
        self.marker_offset = torch.tensor([offset for _, offset in MARKERS.values()], dtype=torch.float64)
        weights = torch.zeros(25, 24 + len(MARKERS), dtype=torch.float64)
        for row, name in enumerate(OPENPOSE_25):
            name = JOINT_OF.get(name, name)
            weights[row, SMPL_24.index(name) if name in SMPL_24 else 24 + list(MARKERS).index(name)] = 1
        limb = {18: 2, 20: 1, 22: 1, 19: 6, 21: 5, 23: 5, 4: 3, 7: 4, 10: 4, 5: 7, 8: 8, 11: 8}
        count = len(self.owner)
        self.spec = BodySpec(
            name="stick",
            joint_names=SMPL_24,
            parents=PARENTS,
            mirror_joints=mirror_permutation(SMPL_24),
            shapes=10,
            faces=torch.zeros(0, 3, dtype=torch.long),
            vertex_parts=torch.zeros(0, dtype=torch.long),
            vertex_kernels=torch.zeros(0, dtype=torch.long),
            kernel_vertices=torch.arange(count),
            kernel_limbs=torch.tensor([limb.get(j, 0) for _, j in bones for _ in steps]),
            kernel_mirror=torch.arange(count),
            kernel_adjacency=torch.zeros(count, count, dtype=torch.bool),
            kernel_rest=rest[self.owner] + self.offset,
            kernel_precision=300.0,
            keypoint_weights={"openpose-25": weights},
        )

    def forward(self, params: BodyParams, vertices: bool = True) -> BodyOutput:
        like = params.transl
        rest, offset, marker = (x.to(like) for x in (self.rest, self.offset, self.marker_offset))
        rotations = roma.rotvec_to_rotmat(torch.cat([params.global_orient[..., None, :], params.body_pose], -2))
        scale = (1 + 0.05 * params.betas[..., :1])[..., None]
        turned, placed = [rotations[..., 0, :, :]], [params.transl]
        for joint in range(1, 24):
            parent = PARENTS[joint]
            bone = (rest[joint] - rest[parent]) * scale[..., 0, :]
            placed.append(placed[parent] + (turned[parent] @ bone[..., None])[..., 0])
            turned.append(turned[parent] @ rotations[..., joint, :, :])
        joints, frames = torch.stack(placed, -2), torch.stack(turned, -3)

        def attached(owner: Tensor, shift: Tensor) -> Tensor:
            return joints[..., owner, :] + (frames[..., owner, :, :] @ (shift * scale)[..., None])[..., 0]

        return BodyOutput(joints, attached(self.marker_owner, marker), attached(self.owner, offset))

    def keypoints(self, output: BodyOutput, name: str) -> Tensor:
        points = torch.cat([output.joints, output.markers], -2)
        return self.spec.keypoint_weights[name].to(points) @ points


class DenseRenderer:
    """Every kernel at every pixel; the eight densest are composited front to back."""

    def sample(self, fragments, features, kernels):
        raise NotImplementedError("a fit reads no features back")

    def render(self, kernels: Kernels, camera: Camera, attributes: Tensor, max_kernels: int | None = None):
        height, width = camera.size
        rays = camera.rays().flatten(1, 2)
        rays = rays[..., :2] / rays[..., 2:]
        offset = kernels.means[:, None, :, :2] - rays[:, :, None] * kernels.means[:, None, :, 2:]
        density = torch.exp(-kernels.precision[:, None] * offset.square().sum(-1))
        top = density.detach().topk(max_kernels or 8, dim=-1).indices
        depth = kernels.means[:, None, :, 2].expand_as(density).gather(-1, top)
        order = depth.argsort(-1)
        kernel, depth = top.gather(-1, order), depth.gather(-1, order)
        hit = density.gather(-1, kernel)
        through = torch.cumprod(1 - 0.9 * hit, dim=-1)
        weight = hit * torch.cat([torch.ones_like(hit[..., :1]), through[..., :-1]], -1)
        people, pixels, slots = weight.shape
        rows = attributes.gather(1, kernel.flatten(1)[..., None].expand(-1, -1, attributes.shape[-1]))
        image = (weight[..., None] * rows.view(people, pixels, slots, -1)).sum(2)
        fragments = Fragments(
            pixel=torch.arange(people * pixels),
            kernel=kernel.flatten(0, 1),
            weight=weight.flatten(0, 1),
            depth=depth.flatten(0, 1),
            truncated=torch.zeros(people * pixels, dtype=torch.long),
            lost=weight.new_zeros(people * pixels),
            grid=(people, height, width),
        )
        silhouette = weight.sum(-1).clamp_max(1)
        return RenderOutput(image.view(people, height, width, -1), silhouette.view(people, height, width), fragments)


class FixedBank:
    """Unit features that vary smoothly over the rest body, and two clutter directions."""

    def __init__(self, body: StickBody, channels: int = 32, orientations: int = 3):
        generator = torch.Generator().manual_seed(0)
        frequencies = torch.randn(3, channels, generator=generator, dtype=torch.float64) / 0.25
        phase = torch.rand(orientations, channels, generator=generator, dtype=torch.float64) * 2 * math.pi
        waves = torch.cos((body.spec.kernel_rest @ frequencies)[:, None] + 0.2 * phase)
        self.features = F.normalize(waves, dim=-1)
        self._clutter = F.normalize(torch.randn(2, channels, generator=generator, dtype=torch.float64), dim=-1)

    def update(self, *args, **kwargs):
        raise NotImplementedError("a fit does not teach")

    def loss(self, *args, **kwargs):
        raise NotImplementedError("a fit does not teach")

    def clutter(self, centers: int = 1) -> Tensor:
        return self._clutter[:centers]


def people(count: int, size: int = 24, seed: int = 0) -> tuple[BodyParams, Camera]:
    """Standing people with bent limbs, facing the camera, ten metres away, filling most of the map."""
    generator = torch.Generator().manual_seed(seed)

    def noise(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    pose = 0.2 * noise(count, 23, 3)
    pose[:, 15, 2] -= 0.9  # arms lowered
    pose[:, 16, 2] += 0.9
    orient = torch.tensor([math.pi, 0, 0], dtype=torch.float64) + 0.1 * noise(count, 3)
    transl = torch.tensor([0, 0, 10.0], dtype=torch.float64) + 0.05 * noise(count, 3)
    camera = Camera.from_field((size, size), 4.5 * size, count, dtype=torch.float64)
    return BodyParams(orient, pose, torch.zeros(count, 10, dtype=torch.float64), transl), camera


def disturb(params: BodyParams, degrees: float, seed: int = 1) -> BodyParams:
    """All rotations turned by N(0, degrees) about each axis."""
    generator = torch.Generator().manual_seed(seed)
    scale = math.radians(degrees)

    def turned(rotation: Tensor) -> Tensor:
        noise = scale * torch.randn(rotation.shape, generator=generator, dtype=rotation.dtype)
        return roma.rotvec_composition([rotation, noise])

    shift = params.transl.new_tensor([0.05, -0.05, 0.5])
    return BodyParams(turned(params.global_orient), turned(params.body_pose), params.betas, params.transl + shift)


def observe(body: StickBody, bank: FixedBank, truth: BodyParams, camera: Camera) -> Observation:
    """What ideal features and a perfect detector would see."""
    output = body(truth)
    points = body.keypoints(output, "openpose-25")
    labels = kernel_orientation_labels(points, body.spec.kernel_limbs, bank.features.shape[1])
    kernels = Kernels(output.kernels, output.kernels.new_full(output.kernels.shape[:2], body.spec.kernel_precision))
    own = bank.features[torch.arange(body.spec.kernels), labels]
    rendered = DenseRenderer().render(kernels, camera, own)
    background = (1 - rendered.silhouette)[..., None] * bank.clutter(1)[0]
    features = F.normalize(rendered.attributes + background, dim=-1).permute(0, 3, 1, 2)
    pixels = camera.project(points)
    keypoints = torch.cat([pixels, torch.ones_like(pixels[..., :1])], dim=-1)
    return Observation(features=features, camera=camera, keypoints=keypoints)
