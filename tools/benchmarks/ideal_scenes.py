"""Scenes whose features are known to be good: people drawn from the mesh with a smooth feature at every point.

A bank of random Fourier features of the kernels' rest positions; every pixel of the body shows the feature of the
visible surface point, interpolated between the kernels around it, in its limb's orientation bin. No part of the
fitters is used here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from importlib.resources import files

import numpy as np
import roma
import torch
import torch.nn.functional as F

from nbf_core.geometry.orientation import kernel_orientation_labels
from nbf_core.types import BodyParams, Camera, Observation
from nbf_raster import interpolate, rasterise

SIZE, FOCAL, DEPTH = 80, 1250.0, 40.0
REFERENCE = 224  # the grid that patches and keypoint noise are given on


class IdealBank:
    """Smooth random features over the surface, another pattern for each orientation, and one of clutter."""

    def __init__(self, spec, channels: int, generator: torch.Generator, length: float = 0.2, turn: float = 1.0):
        waves = torch.randn(3, channels, generator=generator) / length
        phase = 2 * math.pi * torch.rand(channels, generator=generator)
        swing = turn * torch.randn(channels, generator=generator)
        bins = torch.arange(3)[:, None] * swing
        features = torch.cos((spec.kernel_rest @ waves)[:, None] + phase + bins)
        self.features = F.normalize(features, dim=-1)
        self._clutter = F.normalize(torch.randn(1, channels, generator=generator), dim=-1)

    def clutter(self, centers: int = 1) -> torch.Tensor:
        return self._clutter


@dataclass(frozen=True)
class Scene:
    """People, what is seen of them, and which of their joints a patch does not cover."""

    truth: BodyParams
    observation: Observation
    visible: torch.Tensor


def draw_people(count: int, split: str, generator: torch.Generator) -> tuple[BodyParams, Camera]:
    """Held-out poses and varied shapes, turned at random about the vertical, somewhat tilted, 40 m away."""
    with np.load(files("nbf_data_synthetic") / "data" / "poses.npz", allow_pickle=False) as data:
        poses = torch.from_numpy(data[split].astype(np.float32))
    poses = poses[torch.randperm(len(poses), generator=generator)[:count]]
    yaw = torch.zeros(count, 3)
    yaw[:, 1] = torch.rand(count, generator=generator) * 2 * math.pi
    tilt = torch.zeros(count, 3)
    tilt[:, 0] = math.pi + math.radians(12) * torch.randn(count, generator=generator)
    transl = torch.cat([0.2 * torch.randn(count, 2, generator=generator), torch.full((count, 1), DEPTH)], dim=1)
    params = BodyParams(
        global_orient=roma.rotvec_composition([tilt, yaw, poses[:, 0]]),
        body_pose=poses[:, 1:],
        betas=torch.randn(count, 10, generator=generator).clamp(-2, 2),
        transl=transl,
    )
    return params, Camera.from_field((SIZE, SIZE), FOCAL, count)


def disturbed(params: BodyParams, degrees: float, generator: torch.Generator) -> BodyParams:
    """Every joint, the root included, turned by N(0, degrees) about a random axis."""

    def turned(rotation: torch.Tensor) -> torch.Tensor:
        axis = F.normalize(torch.randn(rotation.shape, generator=generator), dim=-1)
        angle = math.radians(degrees) * torch.randn(rotation[..., :1].shape, generator=generator)
        return roma.rotvec_composition([rotation, angle * axis])

    return replace(params, global_orient=turned(params.global_orient), body_pose=turned(params.body_pose))


def turned_round(params: BodyParams) -> BodyParams:
    """The same pose seen from behind: half a turn about the body's own vertical axis."""
    half = torch.tensor([0.0, math.pi, 0.0]).expand_as(params.global_orient)
    return replace(params, global_orient=roma.rotvec_composition([params.global_orient, half]))


def surface_features(body, bank: IdealBank) -> torch.Tensor:
    """The feature of each vertex in each bin [v, o, c]: kernels within 12 cm, weighted by a Gaussian of 2.5 cm."""
    distance = torch.cdist(body.rest_vertices, body.spec.kernel_rest)
    near, index = distance.topk(8, largest=False)
    weight = torch.exp(-0.5 * (near / 0.025) ** 2).masked_fill(near > 0.12, 0)
    mixed = torch.einsum("vn,vnoc->voc", weight, bank.features[index])
    return F.normalize(mixed, dim=-1)


def observe(body, bank, truth: BodyParams, camera: Camera, noise: float, patch: int, generator) -> Scene:
    """Feature maps with noise of length ``noise``; before the hips a square of clutter, its side on the grid of 224."""
    with torch.no_grad():
        output = body(truth)
        points = body.keypoints(output, "openpose-25")
        labels = kernel_orientation_labels(points, body.spec.kernel_limbs, bank.features.shape[1])
    vertex_kernels, faces = body.spec.vertex_kernels, body.spec.faces.numpy()
    surface = surface_features(body, bank)
    rows = torch.arange(len(surface))
    count, channels = len(points), surface.shape[-1]
    features = torch.empty(count, channels, SIZE, SIZE)
    side = round(patch * SIZE / REFERENCE)
    joints, pixels = camera.project(output.joints), camera.project(points)
    visible = ((joints > 0) & (joints < SIZE)).all(-1)
    confidence = ((pixels > 0) & (pixels < SIZE)).all(-1)
    for i in range(count):
        seen = rasterise(output.vertices[i].numpy(), faces, camera.focal[i], camera.center[i], camera.size)
        own = surface[rows, labels[i][vertex_kernels]]
        image = torch.from_numpy(interpolate(seen, faces, own.numpy()))
        off = torch.from_numpy(seen.triangle < 0)
        image = F.normalize(image, dim=-1)
        image[off] = bank.clutter()[0]
        if side:
            jitter = 4 * torch.randn(2, generator=generator)
            low = (pixels[i, 8] + jitter - side / 2).round().clamp(0, SIZE - side)
            x, y = int(low[0]), int(low[1])
            image[y : y + side, x : x + side] = bank.clutter()[0]
            visible[i] &= ((joints[i] < low) | (joints[i] > low + side)).any(-1)
            confidence[i] &= ((pixels[i] < low) | (pixels[i] > low + side)).any(-1)
        speckle = torch.randn(image.shape, generator=generator) * (noise / math.sqrt(channels))
        features[i] = F.normalize(image + speckle, dim=-1).permute(2, 0, 1)
    jitter = 3 * SIZE / REFERENCE * torch.randn(pixels.shape, generator=generator)
    keypoints = torch.cat([pixels + jitter, confidence[..., None].float()], dim=-1)
    return Scene(truth, Observation(features, camera, keypoints), visible)
