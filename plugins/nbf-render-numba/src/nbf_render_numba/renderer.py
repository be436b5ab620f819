"""The compiled Gaussian volume renderer."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from nbf_core.errors import NbfError
from nbf_core.types import Camera, Fragments, Kernels, RenderOutput, ScoreOutput, Similarities
from nbf_render_numba._functions import Call, Render, Sample, Score
from nbf_render_numba._records import Setting
from nbf_render_numba.config import NumbaConfig
from nbf_renderers import (
    check_attributes,
    check_camera,
    check_features,
    check_kernels,
    check_similarities,
    slot_limit,
)

_DTYPES = (torch.float32, torch.float64)


class NumbaRenderer:
    """What :class:`nbf_renderers.GaussianRenderer` computes, in compiled loops over the pixels that see something.

    Volume rendering of Gaussian kernels (VoGE, Wang et al., ICLR 2023). Geometry is float64 whatever the inputs;
    results are in the dtype of the means. Gradients are exact to first order; there is no second order.
    Results are the same to the last bit in every run and for any number of threads. CPU tensors only.
    """

    def __init__(self, config: NumbaConfig | None = None) -> None:
        self.config = config or NumbaConfig()

    def render(
        self,
        kernels: Kernels,
        camera: Camera,
        attributes: Float[Tensor, "b k c"] | Float[Tensor, "k c"],
        max_kernels: int | None = None,
    ) -> RenderOutput:
        """Attribute map ``sum_m w_m A[k_m]``, silhouette ``min(1, sum_m w_m)`` and fragments.

        ``kernels`` are in camera coordinates (metres, OpenCV axes), ``camera`` has their batch and the size
        of the output. Differentiable in means, precision, focal length, principal point and attributes.
        Raises ShapeError where a shape does not fit, NbfError where a tensor is not on the CPU.
        """
        call = self._call(kernels, camera, max_kernels)
        check_attributes(kernels, attributes)
        _check_place("attributes", attributes)
        table = attributes.to(kernels.means.dtype)
        image, *rest = Render.apply(kernels.means, kernels.precision, camera.focal, camera.center, table, call)
        return RenderOutput(image, rest[0], _fragments(rest, call.grid))

    def score(
        self,
        kernels: Kernels,
        camera: Camera,
        orientation: Float[Tensor, "b k o"],
        similarities: Similarities,
        max_kernels: int | None = None,
    ) -> ScoreOutput:
        """See :class:`nbf_core.contracts.ScoringRenderer`; the Gram matrices must be symmetric.

        3DNBF (ICCV 2023), section 3.4, without its features. Raises as :meth:`render` does.
        """
        call = self._call(kernels, camera, max_kernels)
        check_similarities(kernels, camera, orientation, similarities)
        dtype = kernels.means.dtype
        values = {"orientation": orientation, "similarities.table": similarities.table}
        for name, value in {**values, "similarities.gram": similarities.gram}.items():
            _check_place(name, value)
        inputs = (kernels.means, kernels.precision, camera.focal, camera.center, orientation.to(dtype))
        table, gram = similarities.table.detach().to(dtype), similarities.gram.detach().to(dtype)
        score, *rest = Score.apply(*inputs, table, gram, call)
        return ScoreOutput(score, rest[0], _fragments(rest, call.grid))

    def sample(
        self, fragments: Fragments, features: Float[Tensor, "b h w c"], kernels: int
    ) -> tuple[Float[Tensor, "b k c"], Bool[Tensor, "b k"]]:
        """Features per kernel and visibility: ``sum w f / (sum w + 1e-8)`` over the pixels a kernel is seen in.

        A kernel is visible where it is the first of some pixel's list; one that is never hit gets zeros.
        Differentiable in ``features`` and in the fragments' weights. Raises ShapeError where ``features`` is not
        of the fragments' grid or ``kernels`` fewer than those name, NbfError where a tensor is not on the CPU.
        """
        _check_place("features", features)
        _check_place("fragments.weight", fragments.weight)
        check_features(fragments, features, kernels)
        batch = fragments.grid[0]
        dtype = features.dtype
        wide = features if dtype in _DTYPES else features.float()
        threads = self._threads()
        mean = Sample.apply(fragments.weight, wide, fragments.kernel, fragments.pixel, kernels, threads).to(dtype)
        visible = torch.zeros(batch * kernels, dtype=torch.bool)
        if fragments.kernel.shape[1]:
            visible[fragments.kernel[:, 0] + fragments.person * kernels] = True
        return mean.unflatten(0, (batch, kernels)), visible.unflatten(0, (batch, kernels))

    def _call(self, kernels: Kernels, camera: Camera, max_kernels: int | None) -> Call:
        """Check what every picture needs."""
        check_kernels(kernels)
        check_camera(kernels, camera)
        config = self.config
        limit = slot_limit(max_kernels, config)
        values = {"kernels.means": kernels.means, "kernels.precision": kernels.precision}
        for name, value in {**values, "camera.focal": camera.focal, "camera.center": camera.center}.items():
            _check_place(name, value)
        if kernels.means.dtype not in _DTYPES:
            raise NbfError(f"kernels.means: expected float32 or float64, got {kernels.means.dtype}")
        height, width = camera.size
        setting = Setting(height, width, config.cutoff, config.absorptivity, limit)
        return Call(setting, (len(kernels.means), height, width), self._threads())

    def _threads(self) -> int:
        return self.config.threads or torch.get_num_threads()


def _check_place(name: str, value: Tensor) -> None:
    if value.device.type != "cpu":
        raise NbfError(f"{name} is on {value.device}, but the renderer 'numba' works on the CPU; use 'gaussian' there")


def _fragments(fields: list[Tensor], grid: tuple[int, int, int]) -> Fragments:
    _, weight, depth, pixel, kernel, truncated, lost = fields
    return Fragments(pixel, kernel, weight, depth, truncated, lost, grid)
