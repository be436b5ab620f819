"""What the kernels are handed: tensors packed into few records, and the sizes of the blocks they work in."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import triton
from torch import Tensor

from nbf_core.errors import NbfError, ShapeError
from nbf_render_triton._geometry import direction

# Offsets into slots are 32 bit numbers; what would not fit takes 8 GB an array anyway.
_LARGEST = 2**31 - 1


class Scene(NamedTuple):
    """Kernels and cameras of a batch.

    ``rows`` ``[b k, 4 or 12]`` hold mean and precision (one number, or the matrix row by row), ``camera`` ``[b, 4]``
    focal length and principal point, ``boxes`` ``[4, b k]`` int32 the pixels ``x0 <= x < x1``, ``y0 <= y < y1``
    that a kernel may touch. ``total`` is ``b k``; ``kernels``, ``height`` and ``width`` are a person's.
    """

    rows: Tensor
    camera: Tensor
    boxes: Tensor
    total: int
    kernels: int
    height: int
    width: int


class Slots(NamedTuple):
    """The nearest kernels of every pixel, slot first: ``[m, p]`` with ``p = b h w``.

    ``kernel`` is the kernel's number within its person, -1 where empty; ``depth`` the distance to its peak in
    metres, infinite where empty. ``density`` (``exp(-a)``) and ``spread`` (``sqrt(q)``, 1/m) are left as they are
    where empty. ``count`` ``[p]`` is the number of slots taken, ``truncated`` ``[p]`` that of kernels cut off,
    ``cut`` ``[p]`` sums what those would weigh if nothing stood before them.
    """

    kernel: Tensor
    depth: Tensor
    density: Tensor
    spread: Tensor
    count: Tensor
    truncated: Tensor
    cut: Tensor
    pixels: int


@dataclass(frozen=True)
class Blocks:
    """How much one program works on, all powers of two.

    ``tile`` rows and twice as many columns of pixels where kernels are chosen, ``lanes`` pixels elsewhere,
    ``mixed`` pixels and ``channels`` channels at a time where attributes are mixed.
    """

    tile: int = 4
    lanes: int = 32
    mixed: int = 16
    channels: int = 128

    @staticmethod
    def of(device: torch.device) -> Blocks:
        """One warp a tile on a GPU; large blocks in Triton's interpreter, which pays by the operation."""
        return Blocks() if device.type == "cuda" else Blocks(tile=16, lanes=256, mixed=256)


def interpreted() -> bool:
    """Whether Triton's CPU interpreter runs the kernels, which is decided when ``triton`` is imported."""
    return not isinstance(direction, triton.JITFunction)


def check_device(means: Tensor) -> None:
    """Raise NbfError where these kernels cannot run on the tensors at hand."""
    if means.device.type != "cuda" and not (means.device.type == "cpu" and interpreted()):
        raise NbfError(
            f"renderer triton: kernels.means is on {means.device}; it draws on CUDA devices only "
            "(on a CPU use the renderer gaussian)"
        )
    if means.dtype not in (torch.float32, torch.float64):
        raise NbfError(f"renderer triton: kernels.means is {means.dtype}; it draws in float32 and float64 only")


def check_size(slots: int, pixels: int) -> None:
    """Raise ShapeError where a batch is too large for one call."""
    if slots * pixels > _LARGEST:
        raise ShapeError(
            f"camera.size: {pixels} pixels in the batch with {slots} kernels each are too many for one call; "
            "draw fewer people at a time or lower max_kernels"
        )


def launch(kernel: Any, grid: tuple[int, ...], device: torch.device, *arguments: Any, **options: Any) -> None:
    """Run ``kernel`` on the device that holds the tensors, which need not be the current one."""
    if 0 in grid:
        return
    context: Callable = torch.cuda.device if device.type == "cuda" else contextlib.nullcontext
    with context(device):
        kernel[grid](*arguments, **options)
