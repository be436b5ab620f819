"""What goes into a renderer and what comes out."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor

from nbf_core.types.tree import TensorRecord


@dataclass(frozen=True)
class Kernels(TensorRecord):
    """Gaussian kernels in camera coordinates.

    ``precision`` (1/m^2) is the inverse covariance: one number a kernel (isotropic) or a symmetric
    positive definite 3 x 3 matrix a kernel.
    """

    means: Float[Tensor, "b k 3"]
    precision: Float[Tensor, "b k"] | Float[Tensor, "b k 3 3"]


@dataclass(frozen=True)
class Fragments(TensorRecord):
    """Which kernels each pixel sees, for the ``n`` pixels that see any, nearest kernel first.

    ``pixel`` indexes the flattened (batch, height, width) grid of ``grid``, ascending. In the ``m`` slots,
    ``kernel`` is -1 where empty, ``weight`` 0 and ``depth`` (along the ray, metres) infinite there.
    ``weight`` carries gradients. ``truncated`` counts, per pixel, the kernels that ``max_kernels`` cut off.
    """

    pixel: Int[Tensor, "n"]
    kernel: Int[Tensor, "n m"]
    weight: Float[Tensor, "n m"]
    depth: Float[Tensor, "n m"]
    truncated: Int[Tensor, "n"]
    grid: tuple[int, int, int]

    @property
    def person(self) -> Int[Tensor, "n"]:
        """Index of the batch element each pixel belongs to."""
        return self.pixel // (self.grid[1] * self.grid[2])


@dataclass(frozen=True)
class RenderOutput(TensorRecord):
    """Rendered attributes, silhouette in [0, 1], and the fragments they were made of."""

    attributes: Float[Tensor, "b h w c"]
    silhouette: Float[Tensor, "b h w"]
    fragments: Fragments
