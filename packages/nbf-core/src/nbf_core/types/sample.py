"""A sample of a data set: an image crop and what is known about the person in it."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float, Int, UInt8
from torch import Tensor

from nbf_core.types.body import BodyParams
from nbf_core.types.camera import Camera
from nbf_core.types.tree import TensorRecord, stack


@dataclass(frozen=True)
class Sample(TensorRecord):
    """One person crop (or, collated, a batch of them: every tensor gets a leading ``b``).

    ``camera`` belongs to ``image``; ``params`` are in its camera coordinates. ``keypoints`` are OpenPose-25
    in image pixels with confidence 0 where hidden by an occluder or outside: the truth.
    ``detected`` are the same as a detector would give them, noise included.
    Label maps have the size of the feature map: ``kernel_map`` holds the kernel of the visible surface,
    ``part_map`` its part (joint index); -1 is background, -2 an occluder.
    ``visible_joints`` is 1 for the body's 24 joints that are inside the image and not behind an occluder.
    A field is None where the data set does not know; ``lacks`` names those.
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

    @property
    def lacks(self) -> tuple[str, ...]:
        """Names of the labels that are not known."""
        names = ("params", "keypoints", "detected", "visible_joints", "kernel_map", "part_map")
        return tuple(name for name in names if getattr(self, name) is None)


def collate(samples: list[Sample]) -> Sample:
    """Join samples into a batch; a label missing from any of them is missing from the batch."""
    return stack(samples)
