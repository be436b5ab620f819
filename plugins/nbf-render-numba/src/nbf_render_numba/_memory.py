"""How tensors are laid out for the compiled functions, and where large maps come from."""

from __future__ import annotations

import mmap

import numpy as np
import torch
from torch import Tensor

# From here on C libraries give fresh pages for every allocation, and clearing fresh pages costs ten times what clearing
# known ones does. Mapped straight from the system, pages are zero and cost nothing until they are touched.
_LARGE = 1 << 25


def blank_map(pixels: int, channels: int, dtype: torch.dtype) -> tuple[Tensor, bool]:
    """A map ``[pixels, channels]``, and whether it must still be cleared."""
    size = pixels * channels * dtype.itemsize
    if size < _LARGE:
        return torch.empty(pixels, channels, dtype=dtype), True
    return torch.frombuffer(_mapped(size), dtype=dtype).view(pixels, channels), False


def _mapped(size: int) -> mmap.mmap:
    if hasattr(mmap, "MAP_PRIVATE"):
        return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    return mmap.mmap(-1, size)


def as_double(tensor: Tensor, *shape: int) -> np.ndarray:
    """A tensor's values as contiguous float64 of ``shape``."""
    return tensor.detach().double().contiguous().numpy().reshape(shape)


def flat_with_strides(tensor: Tensor) -> tuple[np.ndarray, tuple[int, ...]]:
    """The memory under a tensor from its first element on, and how many elements one step takes along each axis.

    Tables may be tens of megabytes a person, so that a copy for another layout would cost more than all the rest.
    """
    if not tensor.numel():
        return torch.empty(0, dtype=tensor.dtype).numpy(), tensor.stride()
    reach = 1 + sum((size - 1) * step for size, step in zip(tensor.shape, tensor.stride(), strict=True))
    return tensor.as_strided((reach,), (1,), tensor.storage_offset()).numpy(), tensor.stride()
