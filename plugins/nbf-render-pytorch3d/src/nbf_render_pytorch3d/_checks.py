"""What the renderer refuses, with one clear line each."""

from __future__ import annotations

from torch import Tensor

from nbf_core.errors import ShapeError
from nbf_core.types import Camera, Kernels


def check_mesh(kernels: Kernels) -> None:
    """Raise ShapeError unless means are ``[b, k, 3]`` and faces ``[b, f, 3]`` over them."""
    means, faces = kernels.means, kernels.faces
    if means.dim() != 3 or means.shape[2] != 3:
        raise ShapeError(f"kernels.means: expected shape [b, k, 3], got {list(means.shape)}")
    if faces is None:
        raise ShapeError("kernels.faces: this renderer draws a mesh and needs triangles")
    if faces.dim() != 3 or faces.shape[2] != 3 or len(faces) != len(means):
        raise ShapeError(f"kernels.faces: expected shape [{len(means)}, f, 3], got {list(faces.shape)}")
    if faces.numel() and not 0 <= int(faces.min()) <= int(faces.max()) < means.shape[1]:
        raise ShapeError(f"kernels.faces: an index lies outside 0 to {means.shape[1] - 1}")


def check_inputs(kernels: Kernels, camera: Camera, attributes: Tensor) -> None:
    """Raise ShapeError unless precision, camera and attributes fit the kernels' means."""
    batch, count, _ = kernels.means.shape
    if tuple(kernels.precision.shape) not in ((batch, count), (batch, count, 3, 3)):
        raise ShapeError(
            f"kernels.precision: expected shape [{batch}, {count}] or [{batch}, {count}, 3, 3], "
            f"got {list(kernels.precision.shape)}"
        )
    for name in ("focal", "center"):
        shape = list(getattr(camera, name).shape)
        if shape != [batch, 2]:
            raise ShapeError(f"camera.{name}: expected shape [{batch}, 2], got {shape}")
    if min(camera.size) < 1:
        raise ShapeError(f"camera.size: expected a positive height and width, got {camera.size}")
    if tuple(attributes.shape[:-1]) not in ((batch, count), (count,)):
        raise ShapeError(
            f"attributes: expected shape [{batch}, {count}, c] or [{count}, c], got {list(attributes.shape)}"
        )
