"""Where a calibrated camera stood when it took a picture, and which others took theirs at the same moment."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor

from nbf_core.types.tree import TensorRecord


@dataclass(frozen=True)
class View(TensorRecord):
    """The extrinsics of a picture of a scene that several synchronised cameras saw.

    A world point ``x`` (metres) is ``rotation x + translation`` in this camera's coordinates. Samples of the same
    ``moment`` show the same person in the same pose; ``number`` tells their cameras apart. ``keypoints`` are
    OpenPose-25 in world coordinates with confidence 0 where not known, from all cameras together or a motion
    capture system: the same in all views of a moment.
    """

    rotation: Float[Tensor, "*b 3 3"]
    translation: Float[Tensor, "*b 3"]
    moment: Int[Tensor, "*b"]
    number: Int[Tensor, "*b"]
    keypoints: Float[Tensor, "*b 25 4"] | None = None

    def to_camera(self, points: Float[Tensor, "*b n 3"]) -> Float[Tensor, "*b n 3"]:
        """World points in this camera's coordinates."""
        return points @ self.rotation.mT + self.translation[..., None, :]

    def to_world(self, points: Float[Tensor, "*b n 3"]) -> Float[Tensor, "*b n 3"]:
        """Points in this camera's coordinates in the world: the inverse of :meth:`to_camera`."""
        return (points - self.translation[..., None, :]) @ self.rotation
