"""A data set of several calibrated views, arranged by moment and camera."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from nbf_core.contracts import Dataset
from nbf_core.conventions import OPENPOSE_25, mirror_permutation
from nbf_core.errors import InputError
from nbf_core.types import Sample, View, collate

SCORED = (
    "nose", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist", "right_hip",
    "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle",
)  # fmt: skip
"""The keypoints that count: those that every detector and every body has. Neck and middle of the hips are means of
others, eyes and ears lie in one place with the nose, and toes have no agreed one."""

SCORED_INDEX = tuple(OPENPOSE_25.index(name) for name in SCORED)

TRUNK_INDEX = tuple(OPENPOSE_25.index(f"{side}_{name}") for side in ("left", "right") for name in ("shoulder", "hip"))
"""What says where the person is: the middle of these four."""


def trunk_length(points: Float[Tensor, "*b 25 3"]) -> Float[Tensor, "*b"]:
    """From the middle of the shoulders to that of the hips."""
    left_shoulder, left_hip, right_shoulder, right_hip = points[..., list(TRUNK_INDEX), :].unbind(-2)
    return ((left_shoulder + right_shoulder) / 2 - (left_hip + right_hip) / 2).norm(dim=-1)


@dataclass(frozen=True)
class Scene:
    """``m`` moments of one person, each seen by the same ``v`` cameras; everything in float64 but the pictures.

    ``samples`` is the collated batch of ``m v`` pictures, camera by camera within a moment. ``known`` [m v 13] are the
    scored keypoints that count as truth, ``swapped`` tells where the detector took left for right. ``trunk`` is the
    median :func:`trunk_length` in metres, ``names`` the pictures' in words.
    """

    samples: Sample
    moments: Int[Tensor, "m"]
    cameras: Int[Tensor, "v"]
    known: Bool[Tensor, "m v 13"]
    swapped: Bool[Tensor, "m v"]
    trunk: float
    names: tuple[str, ...]

    @property
    def shape(self) -> tuple[int, int]:
        """How many moments and views."""
        return len(self.moments), len(self.cameras)

    @property
    def view(self) -> View:
        """The extrinsics, one row a picture."""
        return self.samples.view

    @property
    def world(self) -> Float[Tensor, "m 25 4"]:
        """The person's keypoints in the world, with confidence."""
        moments, views = self.shape
        return self.view.keypoints.reshape(moments, views, 25, 4)[:, 0]

    def middle(self) -> Float[Tensor, "m 3"]:
        """The middle of the trunk in the world; NaN where a part of it is not known."""
        trunk = self.world[:, list(TRUNK_INDEX)]
        return torch.where((trunk[..., 3] > 0).all(1)[:, None], trunk[..., :3].mean(1), torch.nan)


def read_scene(
    dataset: Dataset, moments: int | None, min_confidence: float, step: Callable[[int, int], None] = lambda *_: None
) -> Scene:
    """The first ``moments`` moments of a data set. Raises InputError where it is not one of several full views."""
    rows: dict[int, list[Sample]] = {}
    names = getattr(dataset, "describe", lambda index: f"sample {index}")
    for index in range(len(dataset)):
        sample = dataset[index]
        if sample.view is None or sample.view.keypoints is None or sample.keypoints is None or sample.detected is None:
            raise InputError(f"{names(index)}: cross-view scoring needs view, world keypoints, keypoints and detected")
        moment = int(sample.view.moment)
        if moments is not None and moment not in rows and len(rows) == moments:
            break
        rows.setdefault(moment, []).append(sample)
        step(index + 1, len(dataset))
    cameras = [[int(sample.view.number) for sample in row] for row in rows.values()]
    if not cameras or len(cameras[0]) < 2 or any(row != cameras[0] for row in cameras):
        raise InputError("cross-view scoring needs the same cameras, two or more, at every moment of the data set")
    samples = collate([sample for row in rows.values() for sample in row]).to(dtype=torch.float64)
    shape = (len(rows), len(cameras[0]))
    return Scene(
        samples=samples,
        moments=torch.tensor(list(rows)),
        cameras=torch.tensor(cameras[0]),
        known=(samples.keypoints[:, list(SCORED_INDEX), 2] >= min_confidence).reshape(*shape, -1),
        swapped=_swapped(samples).reshape(shape),
        trunk=_trunk(samples.view.keypoints),
        names=tuple(names(int(index)) for index in samples.index),
    )


def _trunk(world: Float[Tensor, "n 25 4"]) -> float:
    whole = (world[:, list(TRUNK_INDEX), 3] > 0).all(1)
    if not whole.any():
        raise InputError("cross-view scoring needs both shoulders and hips among the world keypoints")
    return float(trunk_length(world[whole, :, :3]).median())


def _swapped(samples: Sample) -> Bool[Tensor, "n"]:
    """Whether what was detected lies on the truth better with left and right exchanged."""
    truth, detected = samples.keypoints, samples.detected
    mirrored = detected[:, list(mirror_permutation(OPENPOSE_25))]
    counts = ((truth[..., 2] > 0) & (detected[..., 2] > 0) & (mirrored[..., 2] > 0)).double()

    def distance(keypoints: Tensor) -> Tensor:
        return ((keypoints[..., :2] - truth[..., :2]).norm(dim=-1) * counts).sum(1)

    return distance(mirrored) < distance(detected)
