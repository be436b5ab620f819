"""The Gaussian volume renderer on NVIDIA GPUs."""

from __future__ import annotations

from jaxtyping import Bool, Float
from torch import Tensor

from nbf_core.types import Camera, Fragments, Kernels, RenderOutput, ScoreOutput, Similarities
from nbf_render_triton._fragments import fragments_of
from nbf_render_triton._mix import mix
from nbf_render_triton._scene import Blocks, check_device, check_size
from nbf_render_triton._score import compare
from nbf_render_triton._volume import Drawn, Options, draw
from nbf_render_triton.config import TritonConfig
from nbf_renderers import check_attributes, check_camera, check_kernels, check_similarities, sample_pixels, slot_limit


class TritonRenderer:
    """Volume rendering of Gaussian kernels (VoGE, Wang et al., ICLR 2023), written for a GPU.

    The same as ``nbf_renderers.GaussianRenderer``, with the gradient written out. Results and gradients of
    ``render`` and ``score`` repeat to the last bit, and neither waits for the GPU: only the first look at the
    fragments does. Raises NbfError where tensors are not on a CUDA device, or neither float32 nor float64.
    """

    def __init__(self, config: TritonConfig | None = None) -> None:
        self.config = config or TritonConfig()

    def render(
        self,
        kernels: Kernels,
        camera: Camera,
        attributes: Float[Tensor, "b k c"] | Float[Tensor, "k c"],
        max_kernels: int | None = None,
    ) -> RenderOutput:
        """Attribute map ``sum_m w_m A[k_m]``, silhouette ``min(1, sum_m w_m)`` and fragments.

        ``kernels`` are in camera coordinates (metres, OpenCV axes), ``camera`` has their batch and the size
        of the output. Differentiable once in means, precision, focal length, principal point and attributes.
        Raises ShapeError where a shape does not fit.
        """
        check_kernels(kernels)
        check_camera(kernels, camera)
        check_attributes(kernels, attributes)
        drawn = self._draw(kernels, camera, max_kernels)
        return RenderOutput(mix(drawn, attributes), drawn.silhouette.view(drawn.grid), fragments_of(drawn))

    def score(
        self,
        kernels: Kernels,
        camera: Camera,
        orientation: Float[Tensor, "b k o"],
        similarities: Similarities,
        max_kernels: int | None = None,
    ) -> ScoreOutput:
        """See :class:`nbf_core.contracts.ScoringRenderer`; 3DNBF (ICCV 2023), section 3.4, without its features."""
        check_kernels(kernels)
        check_camera(kernels, camera)
        check_similarities(kernels, camera, orientation, similarities)
        drawn = self._draw(kernels, camera, max_kernels)
        score = compare(drawn, orientation, similarities)
        return ScoreOutput(score, drawn.silhouette.view(drawn.grid), fragments_of(drawn))

    def sample(
        self, fragments: Fragments, features: Float[Tensor, "b h w c"], kernels: int
    ) -> tuple[Float[Tensor, "b k c"], Bool[Tensor, "b k"]]:
        """See :func:`nbf_renderers.sample_pixels`."""
        return sample_pixels(fragments, features, kernels)

    def _draw(self, kernels: Kernels, camera: Camera, max_kernels: int | None) -> Drawn:
        check_device(kernels.means)
        batch, count, _ = kernels.means.shape
        height, width = camera.size
        # More slots than kernels would stay empty; one stays, so that a person without kernels is no special case.
        slots = max(1, min(slot_limit(max_kernels, self.config), count))
        check_size(slots, batch * height * width)
        config = self.config
        blocks = Blocks.of(kernels.means.device)
        return draw(kernels, camera, Options(config.cutoff, config.absorptivity, slots, camera.size, blocks))
