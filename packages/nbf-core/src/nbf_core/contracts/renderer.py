"""The contract of a renderer, and what some renderers offer beyond it."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from jaxtyping import Bool, Float
from torch import Tensor

from nbf_core.types.camera import Camera
from nbf_core.types.render import Fragments, Kernels, RenderOutput, ScoreOutput, Similarities


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
        number of kernels a pixel may keep. Raises ShapeError where a shape does not fit or nothing may be kept.
        """
        ...

    def sample(
        self, fragments: Fragments, features: Float[Tensor, "b h w c"], kernels: int
    ) -> tuple[Float[Tensor, "b k c"], Bool[Tensor, "b k"]]:
        """Weighted mean of ``features`` over the pixels each of ``kernels`` kernels is seen in, and visibility.

        A kernel is visible where it is the first of some pixel's list; one that is never hit gets zeros. Raises
        ShapeError where ``features`` is not of the fragments' grid, or ``kernels`` fewer than those name.
        """
        ...


@runtime_checkable
class ScoringRenderer(Renderer, Protocol):
    """A renderer that can also compare what it draws with an image without drawing a feature: an optional capability.

    A rendered feature is a weighted sum of the kernels' features, which do not change during a fit, nor do the
    image's. So the score below needs the inner products of both and no feature channel. A fitter asks
    ``isinstance(renderer, ScoringRenderer)`` and otherwise makes the score from the fragments itself.
    """

    def score(
        self,
        kernels: Kernels,
        camera: Camera,
        orientation: Float[Tensor, "b k o"],
        similarities: Similarities,
        max_kernels: int | None = None,
    ) -> ScoreOutput:
        """``sum_o softmax_o(W_o) <R_o, f> / |R_o|`` in each pixel, 0 in pixels that see no kernel.

        ``R_o`` and ``W_o`` are the rendered features and ``orientation`` weights of bin ``o``, ``f`` the image's
        feature; equal to rendering all of them, to rounding. Differentiable in kernels, camera and
        orientation, not in the similarities. Raises ShapeError where a shape does not fit.
        """
        ...
