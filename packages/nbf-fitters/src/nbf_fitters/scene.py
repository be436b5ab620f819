"""A body before a camera: what several terms of an objective need of it, made once and when asked for."""

from __future__ import annotations

from functools import cached_property

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from nbf_core.contracts import BodyModel, Renderer
from nbf_core.geometry.camera import central_ray_rotation
from nbf_core.geometry.orientation import kernel_orientation_weights
from nbf_core.types import BodyOutput, BodyParams, Camera, Kernels, RenderOutput
from nbf_fitters.terms import unit_quaternions


class Viewer:
    """Looks at bodies: a camera (batch ``b``), a renderer, and how kernels show their orientation in ``bins``.

    Kernels are drawn ``inset`` of their standard deviations under the skin they sit on: their flanks reach as far
    beyond it, and a body drawn too large is shrunk by a fit.
    """

    def __init__(
        self, body: BodyModel, renderer: Renderer, camera: Camera, bins: int, detach: bool, inset: float = 0.0
    ):
        self.body, self.renderer, self.camera, self.bins, self.detach = body, renderer, camera, bins, detach
        spec, device = body.spec, camera.focal.device
        self.ray = central_ray_rotation(camera)
        self.limbs = spec.kernel_limbs.to(device)
        self.inset = inset / spec.kernel_precision**0.5
        self.faces = spec.kernel_faces.to(device).expand(len(camera.focal), -1, -1)
        self.precision = camera.focal.new_full((len(camera.focal), spec.kernels), spec.kernel_precision)

    def scene(self, params: BodyParams) -> Scene:
        """Pose a body, ready to be looked at."""
        return Scene(self, params, self.body(params, vertices=False))


class Scene:
    """One body for each of the viewer's cameras: ``params`` and ``output``, and what is seen of them."""

    def __init__(self, viewer: Viewer, params: BodyParams, output: BodyOutput):
        self.viewer, self.params, self.output = viewer, params, output
        self._points: dict[str, Tensor] = {}

    @cached_property
    def turns(self) -> Float[Tensor, "b j 4"]:
        """All rotations as unit quaternions, the root first."""
        return unit_quaternions(self.params)

    def points(self, name: str) -> Float[Tensor, "b n 3"]:
        """A keypoint set in camera coordinates (metres)."""
        if name not in self._points:
            self._points[name] = self.viewer.body.keypoints(self.output, name)
        return self._points[name]

    @cached_property
    def orientation(self) -> Float[Tensor, "b k o"]:
        """The weights of each kernel's orientation bins.

        A crop shows limbs as a camera would that is turned towards it: bins are relative to its central ray.
        """
        viewer, points = self.viewer, self.points("openpose-25")
        points = points.detach() if viewer.detach else points
        return kernel_orientation_weights(points @ viewer.ray, viewer.limbs, viewer.bins)

    @cached_property
    def kernels(self) -> Kernels:
        """The kernels as a renderer takes them; the skin's normals carry no gradient."""
        means, viewer = self.output.kernels, self.viewer
        if viewer.inset and viewer.faces.numel():
            with torch.no_grad():
                under = viewer.inset * vertex_normals(means, viewer.faces[0])
            means = means - under
        return Kernels(means, viewer.precision, viewer.faces)

    @cached_property
    def drawn(self) -> RenderOutput:
        """The picture: orientation weights are its attributes."""
        return self.viewer.renderer.render(self.kernels, self.viewer.camera, self.orientation)


def vertex_normals(points: Float[Tensor, "b k 3"], faces: Int[Tensor, "f 3"]) -> Float[Tensor, "b k 3"]:
    """Unit normals, outward where faces are counter-clockwise seen from outside; larger faces count for more.

    Zero for points that no face has.
    """
    a, b, c = (points.index_select(1, corner) for corner in faces.unbind(-1))
    normal = torch.linalg.cross(b - a, c - a)
    total = torch.zeros_like(points)
    for corner in faces.unbind(-1):
        total.index_add_(1, corner, normal)
    return F.normalize(total, dim=-1)
