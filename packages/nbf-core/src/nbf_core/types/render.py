"""What goes into a renderer and what comes out."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from nbf_core.errors import ShapeError
from nbf_core.types.tree import TensorRecord


@dataclass(frozen=True)
class Kernels(TensorRecord):
    """Gaussian kernels in camera coordinates.

    ``precision`` (1/m^2) is the inverse covariance: one number a kernel (isotropic) or a symmetric
    positive definite 3 x 3 matrix a kernel. ``faces`` are triangles over the kernels, counter-clockwise seen
    from outside, for renderers that draw the body as a mesh; volume renderers ignore them.
    """

    means: Float[Tensor, "b k 3"]
    precision: Float[Tensor, "b k"] | Float[Tensor, "b k 3 3"]
    faces: Int[Tensor, "b f 3"] | None = None


@dataclass(frozen=True)
class Fragments(TensorRecord):
    """Which kernels each pixel sees, for the ``n`` pixels that see any, nearest kernel first.

    ``pixel`` indexes the flattened (batch, height, width) grid of ``grid``, ascending. In the ``m`` slots,
    ``kernel`` is -1 where empty, ``weight`` 0 and ``depth`` (along the ray, metres) infinite there.
    ``weight`` carries gradients. ``truncated`` counts, per pixel, the kernels that ``max_kernels`` cut off, and
    ``lost`` is an upper bound of the sum of the weights that they would have had; both are 0 where none was.
    """

    pixel: Int[Tensor, "n"]
    kernel: Int[Tensor, "n m"]
    weight: Float[Tensor, "n m"]
    depth: Float[Tensor, "n m"]
    truncated: Int[Tensor, "n"]
    lost: Float[Tensor, "n"]
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


@dataclass(frozen=True)
class Similarities(TensorRecord):
    """All that a fit needs to know of an image's features and a bank's, made once before it.

    ``table`` holds the inner product of every pixel's feature with the feature of every kernel and orientation
    bin, ``gram`` those of two kernels' features in the same bin. Memory: ``h w k o`` numbers a person.
    """

    table: Float[Tensor, "b h w k o"]
    gram: Float[Tensor, "k k o"]

    @classmethod
    def of(cls, features: Float[Tensor, "b h w c"], bank: Float[Tensor, "k o c"]) -> Similarities:
        """From unit features of the image and the kernels' features. Raises ShapeError where channels differ."""
        if features.shape[-1] != bank.shape[-1]:
            raise ShapeError(f"channels differ: features {features.shape[-1]}, bank {bank.shape[-1]}")
        table = features @ bank.to(features).flatten(0, 1).mT
        gram = torch.einsum("koc,loc->klo", bank, bank).to(features)
        return cls(table.unflatten(-1, bank.shape[:2]), gram)


@dataclass(frozen=True)
class ScoreOutput(TensorRecord):
    """How well the drawn features agree with the image's: a cosine in [-1, 1] a pixel, 0 where nothing is drawn."""

    score: Float[Tensor, "b h w"]
    silhouette: Float[Tensor, "b h w"]
    fragments: Fragments
