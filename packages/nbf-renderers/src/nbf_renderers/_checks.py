"""What a renderer refuses, with one clear line each."""

from __future__ import annotations

from torch import Tensor

from nbf_core.errors import ShapeError
from nbf_core.types import Camera, Fragments, Kernels, Similarities
from nbf_renderers.config import GaussianConfig


def check_kernels(kernels: Kernels) -> None:
    """Raise ShapeError unless means are ``[b, k, 3]`` and the precision fits them."""
    means, precision = kernels.means, kernels.precision
    if means.dim() != 3 or means.shape[2] != 3:
        raise ShapeError(f"kernels.means: expected shape [b, k, 3], got {list(means.shape)}")
    batch, count, _ = means.shape
    if tuple(precision.shape) not in ((batch, count), (batch, count, 3, 3)):
        raise ShapeError(
            f"kernels.precision: expected shape [{batch}, {count}] or [{batch}, {count}, 3, 3], "
            f"got {list(precision.shape)}"
        )


def check_camera(kernels: Kernels, camera: Camera) -> None:
    """Raise ShapeError unless there is one camera a batch element and its size is positive."""
    batch = len(kernels.means)
    for name in ("focal", "center"):
        shape = tuple(getattr(camera, name).shape)
        if shape != (batch, 2):
            raise ShapeError(f"camera.{name}: expected shape [{batch}, 2], got {list(shape)}")
    if min(camera.size) < 1:
        raise ShapeError(f"camera.size: expected a positive height and width, got {camera.size}")


def check_attributes(kernels: Kernels, attributes: Tensor) -> None:
    """Raise ShapeError unless there is one row of attributes a kernel."""
    batch, count, _ = kernels.means.shape
    if tuple(attributes.shape[:-1]) not in ((batch, count), (count,)):
        raise ShapeError(
            f"attributes: expected shape [{batch}, {count}, c] or [{count}, c], got {list(attributes.shape)}"
        )


def check_similarities(kernels: Kernels, camera: Camera, orientation: Tensor, similarities: Similarities) -> None:
    """Raise ShapeError unless orientation weights and similarities fit the kernels and the camera."""
    batch, count, _ = kernels.means.shape
    if orientation.dim() != 3 or tuple(orientation.shape[:2]) != (batch, count):
        raise ShapeError(f"orientation: expected shape [{batch}, {count}, o], got {list(orientation.shape)}")
    bins = orientation.shape[2]
    expected = {"table": (batch, *camera.size, count, bins), "gram": (count, count, bins)}
    for name, shape in expected.items():
        got = tuple(getattr(similarities, name).shape)
        if got != shape:
            raise ShapeError(f"similarities.{name}: expected shape {list(shape)}, got {list(got)}")


def check_features(fragments: Fragments, features: Tensor, kernels: int) -> None:
    """Raise ShapeError unless features are of the fragments' grid and ``kernels`` are enough for those named there."""
    batch, height, width = fragments.grid
    if features.dim() != 4 or tuple(features.shape[:3]) != fragments.grid:
        raise ShapeError(f"features: expected shape [{batch}, {height}, {width}, c], got {list(features.shape)}")
    last = int(fragments.kernel.max()) if fragments.kernel.numel() else -1
    # Unchecked, the next person's rows, or memory that is nobody's, would be written to.
    if last >= kernels:
        raise ShapeError(f"kernels: expected more than {last}, which the fragments name, got {kernels}")


def slot_limit(max_kernels: int | None, config: GaussianConfig) -> int:
    """How many kernels a pixel may keep. Raises ShapeError below 1."""
    limit = config.max_kernels if max_kernels is None else max_kernels
    if limit < 1:
        raise ShapeError(f"max_kernels: expected at least 1, got {limit}")
    return limit
