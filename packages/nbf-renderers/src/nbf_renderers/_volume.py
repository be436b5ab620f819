"""The volume integral: where along a ray a kernel peaks, how much of it is hidden, what it weighs.

Vectors are stored component first, ``[3, ...]``: sums over components are then plain element-wise additions.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

# The published renderer divides all weights by exp(-1/2), the light a lone kernel lets through to its centre
# (its own erf term is 1/2 there), so that a lone kernel seen through its centre weighs 1.
_LONE_KERNEL = math.exp(-0.5)

# Beyond this many widths a kernel is wholly passed or wholly ahead, to the last bit of float64. Left alone,
# the derivative exp(-distance^2) would run into denormal numbers, which cost ten times the time.
_FAR = 6.0


def apply_precision(precision: Tensor, vector: Tensor) -> Tensor:
    """``S v``; ``precision`` is ``[...]`` (isotropic) or ``[3, 3, ...]``, ``vector`` ``[3, ...]``."""
    if precision.dim() < vector.dim():
        return precision * vector
    return (precision * vector).sum(1)


def dot(a: Tensor, b: Tensor) -> Tensor:
    """Inner product over the leading component axis."""
    return (a * b).sum(0)


def peak(means: Tensor, precision: Tensor, direction: Tensor, start: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Depth ``l``, activation ``a`` and ``q = d' S d`` of kernels along rays through the origin.

    ``means`` and ``direction`` are ``[3, ...]``, ``start`` any guess of the depth in units of ``direction``
    (which need not be of unit length; ``l`` and ``q`` are in its units). ``a = (mu - l d)' S (mu - l d)`` is
    taken from the perpendicular offset: the equal ``mu' S mu - (mu' S d)^2 / q`` subtracts two large numbers
    and is wrong by whole units in float32 at the 40 m where bodies stand. The better the guess, the smaller
    the offset that is left to round; it changes nothing else, so no gradient flows through it.
    """
    start = start.detach()
    offset = means - start * direction
    if precision.dim() < means.dim():  # isotropic: S d is parallel to d, so the direction alone decides
        length2 = dot(direction, direction)
        shift = dot(offset, direction) / length2
        rest = offset - shift.detach() * direction
        return start + shift, precision * dot(rest, rest), precision * length2
    turned = apply_precision(precision, direction)
    q = dot(direction, turned)
    shift = dot(offset, turned) / q
    # a is at its minimum over the depth, so its derivative by the depth is zero: detaching is exact.
    rest = offset - shift.detach() * direction
    return start + shift, dot(rest, apply_precision(precision, rest)), q


def weigh(activation: Tensor, depth: Tensor, q: Tensor, valid: Tensor, absorptivity: float) -> tuple[Tensor, Tensor]:
    """Weights ``[m, n]`` of the ``m`` kernels in each of ``n`` rays, and the light that reaches each kernel's peak.

    ``depth`` and ``q`` refer to unit directions. Slots that are not ``valid`` weigh 0 and hide nothing.
    """
    density = torch.where(valid, torch.exp(-activation), 0.0)
    spread = torch.sqrt(q + 1e-10)
    # passed[k, m]: how much of kernel k lies before the peak of kernel m
    distance = ((depth[None] - depth[:, None]) * spread[:, None]).clamp(-_FAR, _FAR)
    passed = torch.erf(distance) + 1.0
    hidden = 0.5 * (density[:, None] * passed).sum(0)
    light = torch.exp(-absorptivity * hidden)
    return light * density / _LONE_KERNEL, light


def lost_weight(light: Tensor, cut: Tensor) -> Tensor:
    """An upper bound ``[n]`` of what the kernels that were cut off would weigh together.

    ``light`` ``[m, n]`` is :func:`weigh`'s. A kernel cut off peaks behind the last kept one, so at least as much of
    the kept ones lies before it; and it hides half of itself. What the others cut off hide is left out.
    """
    if not len(light):
        return cut
    return light[-1].detach() * cut / _LONE_KERNEL
