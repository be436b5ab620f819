"""A sample of a data set: an image crop and what is known about the person in it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from nbf_core.types.body import BodyParams
from nbf_core.types.camera import Camera
from nbf_core.types.tree import TensorRecord, stack
from nbf_core.types.view import View

BACKGROUND, OCCLUDER, UNKNOWN = -1, -2, -3
"""What label maps hold off the body; UNKNOWN, in batches alone, where a person's data set brings no such map."""


@dataclass(frozen=True)
class Sample(TensorRecord):
    """One person crop (or, collated, a batch of them: every tensor gets a leading ``b``).

    ``camera`` belongs to ``image``; ``params`` are in its camera coordinates. ``keypoints`` are OpenPose-25
    in image pixels with confidence 0 where hidden by an occluder or outside: the truth.
    ``detected`` are the same as a detector would give them, noise included.
    Label maps have the size of the feature map: ``kernel_map`` holds the kernel of the visible surface,
    ``part_map`` its part (joint index); -1 is background, -2 an occluder.
    ``detected_3d`` is what a detector itself says of their depth: metres about the middle of the hips, axes of a camera
    that looks straight at the person, confidence.
    ``visible_joints`` is 1 for the body's 24 joints that are inside the image and not behind an occluder.
    ``view`` tells where the camera stood, in data sets of several calibrated cameras.
    ``joints`` are annotated places of the keypoint set ``h36m-17``: metres in the camera's axes, from any origin, and
    confidence; they may be known where ``params`` are not. ``gender`` says whose shape space ``params`` are in:
    0 the neutral one's, 1 female, 2 male. ``occluded`` are the cells of the label maps behind an occluder in the
    picture, for data sets that leave the maps themselves to whoever has a renderer.
    A field is None where the data set does not know; ``lacks`` names the labels that are. In a batch of people of whom
    not all have the same labels (:func:`collate` with ``partial``) ``with_params`` tells whose ``params`` count, and
    other labels say so themselves: confidences of 0, maps of ``UNKNOWN``.
    """

    image: UInt8[Tensor, "*b 3 h w"]
    camera: Camera
    index: Int[Tensor, "*b"]
    params: BodyParams | None = None
    keypoints: Float[Tensor, "*b 25 3"] | None = None
    detected: Float[Tensor, "*b 25 3"] | None = None
    visible_joints: Float[Tensor, "*b 24"] | None = None
    kernel_map: Int[Tensor, "*b mh mw"] | None = None
    part_map: Int[Tensor, "*b mh mw"] | None = None
    detected_3d: Float[Tensor, "*b 25 4"] | None = None
    view: View | None = None
    joints: Float[Tensor, "*b 17 4"] | None = None
    gender: Int[Tensor, "*b"] | None = None
    occluded: Bool[Tensor, "*b mh mw"] | None = None
    with_params: Bool[Tensor, "*b"] | None = None

    @property
    def lacks(self) -> tuple[str, ...]:
        """Names of the labels that are not known."""
        names = ("params", "keypoints", "detected", "visible_joints", "kernel_map", "part_map")
        return tuple(name for name in names if getattr(self, name) is None)


def collate(samples: list[Sample], partial: bool = False) -> Sample:
    """Join samples into a batch; a label missing from any of them is missing from the batch.

    With ``partial`` it is there if any of them has it. Of those that lack it, keypoints and joints have confidence 0,
    label maps are ``UNKNOWN``, nothing is ``occluded``, and ``params`` are somebody else's: they must not count, which
    ``with_params`` tells (None where all have some). ``view``, ``gender`` and ``visible_joints`` must be known of all.
    """
    if not partial:
        return stack(samples)
    known = [sample.params is not None for sample in samples]
    filled = [replace(sample, **_filling(sample, samples)) for sample in samples]
    batch = stack(filled)
    if all(known) or not any(known):
        return batch
    return replace(batch, with_params=torch.tensor(known))


_SCORED = ("keypoints", "detected", "detected_3d", "joints")  # the last of their numbers is a confidence
_MAPS = {"kernel_map": UNKNOWN, "part_map": UNKNOWN, "occluded": 0}


def _filling(sample: Sample, others: list[Sample]) -> dict[str, Tensor | BodyParams]:
    """Something that takes the place of each label that this sample lacks and another one has."""
    found: dict[str, Tensor | BodyParams] = {}
    for name in ("params", *_SCORED, *_MAPS):
        like = next((value for one in others if (value := getattr(one, name)) is not None), None)
        if like is None or getattr(sample, name) is not None:
            continue
        found[name] = like if name == "params" else torch.full_like(like, _MAPS.get(name, 0))
    return found
