"""A whole pipeline of stand-ins: a box for a body, a detector that sees a person in whatever is bright."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import roma
import torch
from torch import nn

from nbf_core.config import Config
from nbf_core.conventions import OPENPOSE_25, SMPL_24
from nbf_core.plugins import ComponentEntry, hookimpl
from nbf_core.types import BodyOutput, BodyParams, BodySpec, FitResult, Person, RegressorOutput, Sample

NBF_CONTRACT = 1
CORNERS = torch.tensor(list(itertools.product((-0.3, 0.3), (-0.9, 0.9), (-0.2, 0.2))))
FACES = torch.tensor(
    [[0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1], [2, 3, 7], [2, 7, 6], [0, 2, 6],
     [0, 6, 4], [1, 5, 7], [1, 7, 3]]
)  # fmt: skip


class NoOptions(Config):
    """Nothing to choose."""


class RegressorOptions(Config):
    """Trained weights, as fitting wants them."""

    weights: str | None = None


class Body(nn.Module):
    """A box that is turned and shifted; its joints are the corners, again and again."""

    def __init__(self, config):
        super().__init__()
        eye = torch.eye(8, dtype=torch.bool)
        joints = [i % 8 for i in range(24)]
        self.spec = BodySpec(
            name="box", joint_names=SMPL_24, parents=(-1, *[0] * 23), shapes=10,
            mirror_joints=tuple(range(24)),
            faces=FACES, vertex_parts=torch.zeros(8, dtype=torch.long), vertex_kernels=torch.arange(8),
            kernel_vertices=torch.arange(8), kernel_limbs=torch.zeros(8, dtype=torch.long),
            kernel_mirror=torch.arange(8), kernel_adjacency=eye, kernel_rest=CORNERS, kernel_precision=100.0,
            keypoint_weights={"openpose-25": torch.eye(25, 24)},
        )  # fmt: skip
        self._joints = joints

    def forward(self, params: BodyParams, vertices: bool = True) -> BodyOutput:
        turned = CORNERS @ roma.rotvec_to_rotmat(params.global_orient).mT + params.transl[..., None, :]
        return BodyOutput(
            joints=turned[..., self._joints, :], markers=turned[..., :0, :], kernels=turned, vertices=turned
        )

    def keypoints(self, output: BodyOutput, name: str):
        return self.spec.keypoint_weights[name] @ output.joints


class Bank(nn.Module):
    """One parameter, so that there is something to load."""

    def __init__(self, config, spec, channels):
        super().__init__()
        self.features = nn.Parameter(torch.zeros(8, 1, channels))

    def update(self, features, visible, orientation, background):
        """Learns nothing."""

    def loss(self, features, visible, orientation, background):
        return {}

    def clutter(self, centers=1):
        return self.features[:1, 0]


class Renderer:
    """Draws nothing."""

    def __init__(self, config):
        pass

    def render(self, kernels, camera, attributes, max_kernels=None):
        raise NotImplementedError

    def sample(self, fragments, features, kernels):
        raise NotImplementedError


class Regressor(nn.Module):
    """Everybody stands upright in the middle."""

    image_size, map_size, channels = 64, 16, 4

    def __init__(self, config, spec):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(0.8))

    def forward(self, images):
        b = len(images)
        weak = torch.tensor([0.0, 0.0, 0.0]).repeat(b, 1)
        weak[:, 0] = self.scale
        return RegressorOutput(
            rotations=torch.eye(3).repeat(b, 24, 1, 1), betas=torch.zeros(b, 10), weak_camera=weak,
            features=torch.ones(b, 4, 16, 16), parts=torch.zeros(b, 25, 16, 16),
        )  # fmt: skip

    def loss(self, output, sample, body):
        return {}


class Fitter:
    """Halves the loss and moves the body a little."""

    def __init__(self, config, body, renderer, bank, priors, trust):
        self.trust = trust

    def fit(self, observation, start):
        b, _, h, w = observation.features.shape
        silhouette = torch.zeros(b, h, w)
        silhouette[:, 4:12, 6:10] = 1
        occlusion = torch.zeros(b, h, w, dtype=torch.bool)
        occlusion[:, 4:8] = True
        moved = BodyParams(start.global_orient, start.body_pose, start.betas, start.transl + 0.01)
        return FitResult(
            params=moved, start=start, loss=torch.full((b,), 0.5), start_loss=torch.ones(b),
            kept=torch.ones(b, dtype=torch.bool), silhouette=silhouette, occlusion=occlusion,
            trace={"keypoints": torch.ones(3, b)},
        )  # fmt: skip


class Detector:
    """One person in the middle of a bright picture, nobody in a dark one."""

    def __init__(self, config):
        pass

    def detect(self, image):
        if image.mean() < 20:
            return []
        height, width = image.shape[:2]
        box = np.array([0.3 * width, 0.2 * height, 0.7 * width, 0.8 * height])
        points = np.linspace(box[:2], box[2:], len(OPENPOSE_25))
        return [Person(box, np.concatenate([points, np.ones((len(points), 1))], 1).astype(np.float32), 0.9)]


class Data:
    """Grey samples with a known body."""

    def __init__(self, config, body):
        pass

    def __len__(self):
        return 3

    def __getitem__(self, index):
        from nbf_core.types import Camera

        camera = Camera.from_field((48, 48), 100.0)
        detected = torch.full((25, 3), 24.0)
        detected[:, 2] = 1
        return Sample(
            image=torch.full((3, 48, 48), 90, dtype=torch.uint8), camera=camera, index=torch.tensor(index),
            params=replace(BodyParams.neutral(), transl=torch.tensor([0.0, 0, 5])),
            detected=detected,
        )  # fmt: skip


class DataOptions(Config):
    """The occluder that the demo asks for."""

    patch_size: int = 0


def _entry(name: str, target: str, config: str = "NoOptions") -> ComponentEntry:
    return ComponentEntry(name=name, target=f"stand_ins:{target}", config=f"stand_ins:{config}", summary="a stand-in")


@hookimpl
def nbf_body_models():
    yield _entry("box", "Body")


@hookimpl
def nbf_renderers():
    yield _entry("nothing", "Renderer")


@hookimpl
def nbf_feature_banks():
    yield _entry("empty", "Bank")


@hookimpl
def nbf_regressors():
    yield _entry("upright", "Regressor", "RegressorOptions")


@hookimpl
def nbf_fitters():
    yield _entry("nudge", "Fitter")


@hookimpl
def nbf_detectors():
    yield _entry("bright", "Detector")


@hookimpl
def nbf_datasets():
    yield _entry("grey", "Data", "DataOptions")
