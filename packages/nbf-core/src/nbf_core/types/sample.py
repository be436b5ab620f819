"""A sample of a data set: an image crop and what is known about the person in it."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from nbf_core.types.body import BodyParams
from nbf_core.types.camera import Camera
from nbf_core.types.tree import TensorRecord, stack
from nbf_core.types.view import View


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
    A field is None where the data set does not know; ``lacks`` names the labels that are.
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

    @property
    def lacks(self) -> tuple[str, ...]:
        """Names of the labels that are not known."""
        names = ("params", "keypoints", "detected", "visible_joints", "kernel_map", "part_map")
        return tuple(name for name in names if getattr(self, name) is None)


def collate(samples: list[Sample]) -> Sample:
    """Join samples into a batch; a label missing from any of them is missing from the batch."""
    return stack(samples)
