"""A plugin of made-up components for benchmarks: dots for a body, and starts that a patch pushes aside.

It is registered by hand in tests of this process, and installed under a folder of its own for tests of the command.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from types import SimpleNamespace

import torch
from torch import nn

from nbf_core.config import Config
from nbf_core.conventions import H36M_17, SMPL_24
from nbf_core.plugins import ComponentEntry, hookimpl
from nbf_core.types import BodyOutput, BodyParams, Camera, FitResult, RegressorOutput, Sample

NBF_CONTRACT = 1
REST = torch.randn(24, 3, generator=torch.Generator().manual_seed(0)) * 0.4
CAMERA = Camera.from_field((32, 32), 60.0)


class Empty(Config):
    """Nothing to choose."""


class RegressorConfig(Config):
    """``sideways``: metres that a wholly covered picture pushes every joint."""

    weights: str | None = None
    sideways: float = 0.0


class FitterConfig(Config):
    """``push`` in metres, ``nap`` in seconds, ``bad``: samples on which it breaks."""

    push: float = 0.0
    nap: float = 0.0
    bad: tuple[int, ...] = ()


class DataConfig(Config):
    """``bad`` samples cannot be read, ``untrue`` ones are black."""

    size: int = 5
    bad: tuple[int, ...] = ()
    untrue: tuple[int, ...] = ()


class Body(nn.Module):
    """24 joints that are vertices and kernels too; the pose moves each joint by itself."""

    def __init__(self, config):
        super().__init__()
        pick = torch.zeros(17, 24)
        for i, name in enumerate(H36M_17):
            pick[i, SMPL_24.index(name) if name in SMPL_24 else i] = 1
        self.spec = SimpleNamespace(
            joint_names=SMPL_24,
            name="dots",
            kernel_rest=REST,
            keypoint_weights={"h36m-17": pick},
            parents=(-1, *range(23)),
            faces=torch.tensor([[0, 1, 2], [3, 4, 5]]),
        )

    def forward(self, params, vertices=True):
        moved = torch.cat([torch.zeros_like(params.global_orient)[:, None], params.body_pose], 1)
        points = REST + moved + params.transl[:, None]
        return BodyOutput(points, points[:, :0], points, points if vertices else None)

    def keypoints(self, output, name):
        return self.spec.keypoint_weights[name] @ output.joints


class Renderer:
    """Draws nothing."""

    def __init__(self, config):
        pass


class Bank(nn.Module):
    """A feature for each kernel, and clutter that is none of them."""

    def __init__(self, config, spec, channels):
        super().__init__()
        self.features = nn.Parameter(torch.eye(25)[:24, None])

    def clutter(self, centers=1):
        return torch.eye(25)[24:]


class Regressor(nn.Module):
    """Sees the rest pose in everything, pushed by what is not grey and the more so the further right it is."""

    channels, image_size, map_size = 25, 32, 4
    looked = 0

    def __init__(self, config, spec):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))
        self.sideways = config.sideways

    def forward(self, images):
        b = len(images)
        Regressor.looked += b
        if ((images == 0).float().mean((1, 2, 3)) > 0.5).any():
            raise RuntimeError("a black picture")
        features = torch.zeros(b, 25, 4, 4)
        features[:, 0] = 2
        covered = ((images - 9 / 255).abs() > 1e-6).any(1).float()
        push = (covered * torch.linspace(0.5, 1.5, 32)).mean((1, 2)) * self.sideways
        rotations = torch.eye(3).repeat(b, 24, 1, 1)
        angles = push[:, None].expand(b, 23)
        cosine, sine = torch.cos(angles), torch.sin(angles)
        rotations[:, 1:, 1, 1], rotations[:, 1:, 2, 2] = cosine, cosine
        rotations[:, 1:, 2, 1], rotations[:, 1:, 1, 2] = sine, -sine
        weak = torch.tensor([1.0, 0, 0]).expand(b, 3)
        return RegressorOutput(rotations, torch.zeros(b, 10), weak, features, torch.zeros(b, 25, 4, 4))


class Fitter:
    """Pushes every joint sideways, and remembers what it was handed."""

    seen: list = []

    def __init__(self, config, body, renderer, bank, priors, trust):
        self.config, self.trust = config, trust

    def fit(self, observation, start):
        Fitter.seen.append((self.trust, observation.keypoints is not None, self.config.push))
        if self.config.bad and observation.keypoints is not None:
            if any(int(one) in self.config.bad for one in observation.keypoints[:, 0, 0]):
                raise ValueError("I cannot fit this")
        time.sleep(self.config.nap)
        pose = start.body_pose + torch.tensor([self.config.push, 0, 0])
        b = len(pose)
        params = BodyParams(start.global_orient, pose, start.betas, start.transl)
        flat = torch.zeros(b)
        kept = torch.ones(b, dtype=torch.bool)
        return FitResult(params, start, flat, flat + 1, kept, torch.zeros(b, 4, 4), torch.zeros(b, 4, 4) > 0)


class Data:
    """True bodies are pushed 5 cm sideways, and each a little more than the one before."""

    def __init__(self, config, body):
        self.config = config

    def __len__(self):
        return self.config.size

    def __getitem__(self, index):
        log = os.environ.get("NBF_BENCH_FAKES_LOG")
        if log:
            with Path(log).open("a") as file:
                file.write(f"{index}\n")
        if index in self.config.bad:
            raise OSError("the disk is full")
        params = BodyParams.neutral()
        params.body_pose[:, 0] = 0.05
        params.transl[2] = 4
        image = torch.full((3, 32, 32), 0 if index in self.config.untrue else 9, dtype=torch.uint8)
        detected = torch.ones(25, 3)
        detected[:, 0] = index * 8  # a column of the image; a eighth of it in the feature map
        return Sample(
            image=image,
            camera=CAMERA,
            index=torch.tensor(index),
            params=params,
            detected=detected,
            visible_joints=torch.ones(24),
            kernel_map=torch.zeros(4, 4, dtype=torch.long),
        )


def _entry(target: str, config: str = "Empty") -> list[ComponentEntry]:
    return [ComponentEntry(name="dots", target=f"bench_fakes:{target}", config=f"bench_fakes:{config}", summary="")]


@hookimpl
def nbf_body_models():
    return _entry("Body")


@hookimpl
def nbf_renderers():
    return _entry("Renderer")


@hookimpl
def nbf_feature_banks():
    return _entry("Bank")


@hookimpl
def nbf_regressors():
    return _entry("Regressor", "RegressorConfig")


@hookimpl
def nbf_fitters():
    return _entry("Fitter", "FitterConfig")


@hookimpl
def nbf_datasets():
    return _entry("Data", "DataConfig")
