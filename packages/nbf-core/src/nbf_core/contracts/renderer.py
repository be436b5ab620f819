"""The contract of a renderer."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from jaxtyping import Bool, Float
from torch import Tensor

from nbf_core.types.camera import Camera
from nbf_core.types.render import Fragments, Kernels, RenderOutput


@runtime_checkable
class Renderer(Protocol):
    """Draws kernels as pixels, and reads pixels back into kernels."""

    def render(
        self,
        kernels: Kernels,
        camera: Camera,
        attributes: Float[Tensor, "b k c"] | Float[Tensor, "k c"],
        max_kernels: int | None = None,
    ) -> RenderOutput:
        """Draw ``attributes`` and the silhouette; differentiable in kernels, camera and attributes.

        ``camera`` has batch ``b`` and the size of the output. ``max_kernels`` overrides the configured
        number of kernels a pixel may keep. Raises ShapeError where a shape does not fit.
        """
        ...

    def sample(
        self, fragments: Fragments, features: Float[Tensor, "b h w c"], kernels: int
    ) -> tuple[Float[Tensor, "b k c"], Bool[Tensor, "b k"]]:
        """Weighted mean of ``features`` over the pixels each of ``kernels`` kernels is seen in, and visibility.

        A kernel is visible where it is the first of some pixel's list; one that is never hit gets zeros.
        """
        ...
