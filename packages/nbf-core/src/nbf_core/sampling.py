"""Random draws that depend on nothing but what is drawn for: a key per image.

A draw from a shared generator depends on what was drawn before, so on the batch's make-up and on how many
processes share it. Here every number is a hash of its image's key and its own index (a counter-based generator:
Salmon et al., 2011; the mixing is SplitMix64's, Steele et al., 2014). The same image at the same step gives the
same draw in one process or many, in any batch, and after a resume without any random state being stored.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from nbf_core.errors import ShapeError

_INCREMENT = 0x9E3779B97F4A7C15
_FACTORS = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1))


def draw_keys(seed: int, step: int, index: Int[Tensor, "b"], stream: int = 0) -> Int[Tensor, "b"]:
    """One key per image. ``step`` counts batches from the start of training, alike on every process.

    ``index`` is the sample's index in the data set. Draws that must not agree with each other, such as body and
    background pixels of one image, take different values of ``stream``.
    """
    key = torch.zeros_like(index, dtype=torch.long)
    for part in (seed, stream, step, index.long()):
        key = _mix(key + part)
    return key


def draw_pixels(
    weight: Float[Tensor, "b p"], count: int, keys: Int[Tensor, "b"], replacement: bool = False
) -> Int[Tensor, "b count"]:
    """Draw ``count`` pixels of each image with probability proportional to ``weight``.

    Like ``torch.multinomial`` row by row, but a function of each row's key and weights alone. Where all weights
    are zero the draw is uniform; without replacement, pixels of no weight come after all others. Raises
    ShapeError where the keys do not fit, ValueError where more pixels are asked for than there are.
    """
    images, pixels = weight.shape
    if tuple(keys.shape) != (images,):
        raise ShapeError(f"keys: expected ({images},), got {tuple(keys.shape)}")
    if pixels == 0 or (count > pixels and not replacement):
        raise ValueError(f"count: cannot draw {count} of {pixels} pixels without replacement")
    # Apple's devices have no float64; elsewhere 53 bits leave no ties to break.
    weight = weight.to(torch.float32 if weight.device.type == "mps" else torch.float64)
    weight = torch.where((weight > 0).any(1, keepdim=True), weight, 1)
    if replacement:
        place = weight.cumsum(1)
        chosen = torch.searchsorted(place, _uniform(keys, count, weight) * place[:, -1:], right=True)
        return chosen.clamp_max(pixels - 1)
    # The smallest of exponential variables with these rates (Efraimidis and Spirakis, 2006).
    waiting = -_uniform(keys, pixels, weight).log() / weight.clamp_min(1e-30)
    return waiting.topk(count, dim=1, largest=False).indices


def background_weights(free: Float[Tensor, "b h w"], pixel: Int[Tensor, "b k"]) -> Float[Tensor, "b p"]:
    """Where background features may be drawn: ``free`` pixels (off the body, or on an occluder) that no kernel is on.

    ``pixel`` holds each kernel's index into the flattened map, hidden kernels included. As published, the
    pixels of hidden kernels are left out too.
    """
    return free.flatten(1).scatter(1, pixel, 0.0)


def _uniform(keys: Int[Tensor, "b"], count: int, like: Tensor) -> Float[Tensor, "b n"]:
    """Numbers inside (0, 1): number ``i`` of a key is the hash of both."""
    counter = torch.arange(1, count + 1, device=keys.device) * _signed(_INCREMENT)
    bits = 24 if like.dtype == torch.float32 else 52
    value = _shifted(_mix(keys[:, None] + counter), 64 - bits)
    return (value.to(like) + 0.5) / 2**bits


def _mix(value: Int[Tensor, "*b"]) -> Int[Tensor, "*b"]:
    """SplitMix64's step: every bit of the result depends on every bit of ``value``."""
    value = value + _signed(_INCREMENT)
    for shift, factor in _FACTORS:
        value = (value ^ _shifted(value, shift)) * _signed(factor)
    return value


def _shifted(value: Int[Tensor, "*b"], by: int) -> Int[Tensor, "*b"]:
    """Shift right, filling with zeros: torch's own shift of a negative number fills with ones."""
    return (value >> by) & ((1 << (64 - by)) - 1)


def _signed(value: int) -> int:
    """The 64 bits of ``value`` read as a signed number, which is what a tensor takes."""
    return value - (1 << 64) if value >= 1 << 63 else value
