"""What a regressor returns."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from nbf_core.types.tree import TensorRecord


@dataclass(frozen=True)
class RegressorOutput(TensorRecord):
    """A first estimate and the maps it came from.

    ``rotations`` holds the root (in camera axes of the crop, seen along its central ray) and the body joints.
    ``weak_camera`` is (s, tx, ty): scale in [-1, 1] image units per metre, and a shift in metres.
    ``features`` is the raw (not normalised) map that the bank's kernels are compared with.
    ``parts`` are logits: ``J`` parts, then background.
    """

    rotations: Float[Tensor, "b J 3 3"]
    betas: Float[Tensor, "b shapes"]
    weak_camera: Float[Tensor, "b 3"]
    features: Float[Tensor, "b c h w"]
    parts: Float[Tensor, "b p h w"]
