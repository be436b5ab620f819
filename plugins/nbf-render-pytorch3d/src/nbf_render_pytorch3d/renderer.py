"""The mesh renderer."""

from __future__ import annotations

from jaxtyping import Bool, Float
from torch import Tensor

from nbf_core.errors import ShapeError
from nbf_core.types import Camera, Fragments, Kernels, RenderOutput
from nbf_render_pytorch3d._blend import blend
from nbf_render_pytorch3d._checks import check_inputs, check_mesh
from nbf_render_pytorch3d._raster import load_pytorch3d, rasterise
from nbf_render_pytorch3d._slots import list_corners
from nbf_render_pytorch3d._surface import locate
from nbf_render_pytorch3d.config import PyTorch3DConfig
from nbf_renderers import sample_pixels


class PyTorch3DRenderer:
    """Draws kernels as the corners of a mesh: the neural mesh model that Gaussian volumes came from.

    ``hard`` shows the nearest face of each pixel, ``soft`` blends several over distance and depth (SoftRas). PyTorch3D
    finds the faces, in float32; weights and gradients are in the dtype of the means. CPU and CUDA. Differentiable
    in means, focal length, principal point and attributes; in the hard form through barycentric coordinates alone,
    so that its silhouette has no gradient. The precision of the kernels is not looked at. Raises PluginError
    where PyTorch3D is not installed.
    """

    def __init__(self, config: PyTorch3DConfig | None = None) -> None:
        self.config = config or PyTorch3DConfig()
        load_pytorch3d()

    def render(
        self,
        kernels: Kernels,
        camera: Camera,
        attributes: Float[Tensor, "b k c"] | Float[Tensor, "k c"],
        max_kernels: int | None = None,
    ) -> RenderOutput:
        """Attributes interpolated over the faces, silhouette, and fragments that list the faces' corners.

        A corner's weight is that of its faces times its barycentric coordinates. ``max_kernels`` limits how many
        corners a pixel keeps, nearest first; attributes and silhouette are made of those kept. Where more than
        ``faces_per_pixel`` faces meet, ``truncated`` counts those beyond as one kernel more and ``lost`` bounds
        their weight too. Raises ShapeError where a shape does not fit or ``kernels.faces`` is missing.
        """
        check_mesh(kernels)
        check_inputs(kernels, camera, attributes)
        config, camera = self.config, camera.to(kernels.means.dtype)
        limit = config.max_kernels if max_kernels is None else max_kernels
        if limit is not None and limit < 1:
            raise ShapeError(f"max_kernels: expected at least 1, got {limit}")
        hits = rasterise(kernels, camera, config)
        surface = locate(hits, kernels, camera, beside=config.form == "soft")
        mixed = blend(hits, surface, config, kernels.faces.shape[1])
        slots = list_corners(hits, surface.share, mixed, kernels, camera, limit)
        return RenderOutput(slots.mix(attributes.to(kernels.means.dtype)), slots.silhouette(), slots.fragments)

    def sample(
        self, fragments: Fragments, features: Float[Tensor, "b h w c"], kernels: int
    ) -> tuple[Float[Tensor, "b k c"], Bool[Tensor, "b k"]]:
        """See :func:`nbf_renderers.sample_pixels`."""
        return sample_pixels(fragments, features, kernels)
