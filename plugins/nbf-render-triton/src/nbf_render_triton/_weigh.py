"""What the kernels in a pixel's slots weigh, and the gradient of that: functions of depth, density and spread.

With ``x_mk = (l_m - l_k) s_k`` and ``H_m = sum_k e_k (erf(x_mk) + 1) / 2`` the weight is
``w_m = exp(-absorptivity H_m) e_m / exp(-1/2)``.
"""

import math
from typing import NamedTuple

import triton
import triton.language as tl
from torch import Tensor

# The light that a lone kernel lets through to its own peak: so divided, a kernel seen through its centre weighs 1.
_LONE_KERNEL = tl.constexpr(math.exp(-0.5))
# Beyond this many widths a kernel is wholly passed or wholly ahead, to the last bit of float64.
_FAR = tl.constexpr(6.0)
_INV_SQRT_PI = tl.constexpr(1.0 / math.sqrt(math.pi))
# Slots held at a time.
CHUNK = tl.constexpr(16)


class Weights(NamedTuple):
    """``weight`` ``[m, p]``, ``silhouette`` and ``lost`` ``[p]``, all written by :func:`weigh_slots`."""

    weight: Tensor
    silhouette: Tensor
    lost: Tensor


class Pulls(NamedTuple):
    """Gradients, slot first, ``[m, p]``: of weight and (DEPTHS) depth, and ``[p]`` of the silhouette, as given;

    then of activation, distance and q, to be written by :func:`pull_slots` where a slot is taken.
    """

    weight: Tensor
    depth: Tensor
    silhouette: Tensor
    activation: Tensor
    distance: Tensor
    q: Tensor


@triton.jit
def _passed(x):
    """``erf(x) + 1``, clamped."""
    return tl.erf(tl.minimum(tl.maximum(x, -_FAR), _FAR)) + 1.0


@triton.jit
def _bell(x):
    """Half the derivative of :func:`_passed`."""
    near = tl.minimum(tl.maximum(x, -_FAR), _FAR)
    return tl.where(near == x, tl.exp(-near * near) * _INV_SQRT_PI, 0.0)


@triton.jit
def weigh_slots(slots, out, ABSORPTIVITY: tl.constexpr, M: tl.constexpr, LANES: tl.constexpr):
    """Write weights, silhouette and the bound of the lost weight of LANES pixels."""
    pixel = tl.program_id(0) * LANES + tl.arange(0, LANES)
    inside = pixel < slots.pixels
    count = tl.load(slots.count + pixel, mask=inside, other=0)
    cut = tl.load(slots.cut + pixel, mask=inside, other=0.0)
    total = tl.zeros_like(cut)
    light_of_last = tl.zeros_like(cut)
    for first in range(0, M, CHUNK):
        slot = first + tl.arange(0, CHUNK)[:, None]
        taken = slot < count[None, :]
        at = slot * slots.pixels + pixel[None, :]
        depth = tl.load(slots.depth + at, mask=taken, other=0.0)
        density = tl.load(slots.density + at, mask=taken, other=0.0)
        hidden = tl.zeros_like(depth)
        for k in range(0, tl.max(count, 0)):
            before = k * slots.pixels + pixel
            seen = k < count
            depth_k = tl.load(slots.depth + before, mask=seen, other=0.0)
            density_k = tl.load(slots.density + before, mask=seen, other=0.0)
            spread_k = tl.load(slots.spread + before, mask=seen, other=0.0)
            hidden += density_k[None, :] * _passed((depth - depth_k[None, :]) * spread_k[None, :])
        light = tl.exp(-0.5 * ABSORPTIVITY * hidden)
        weight = tl.where(taken, light * density / _LONE_KERNEL, 0.0)
        tl.store(out.weight + at, weight, mask=(slot < M) & inside[None, :])
        total += tl.sum(weight, 0)
        light_of_last += tl.sum(tl.where(slot == count[None, :] - 1, light, 0.0), 0)
    tl.store(out.silhouette + pixel, tl.minimum(total, 1.0), mask=inside)
    # What was cut off peaks behind the last kept kernel, so at least as much light is gone there.
    tl.store(out.lost + pixel, light_of_last * cut / _LONE_KERNEL, mask=inside)


@triton.jit
def _pull_of(pulls, weight, at, seen, through_silhouette):
    """Weight and its whole gradient in some slots; zeros where not ``seen``."""
    value = tl.load(weight + at, mask=seen, other=0.0)
    given = tl.load(pulls.weight + at, mask=seen, other=0.0)
    return value, tl.where(seen, given + through_silhouette, 0.0)


@triton.jit
def pull_slots(
    slots, weight, pulls, ABSORPTIVITY: tl.constexpr, DEPTHS: tl.constexpr, M: tl.constexpr, LANES: tl.constexpr
):
    """Write the gradients of activation, distance and q of LANES pixels' slots."""
    pixel = tl.program_id(0) * LANES + tl.arange(0, LANES)
    inside = pixel < slots.pixels
    count = tl.load(slots.count + pixel, mask=inside, other=0)
    top = tl.max(count, 0)
    through = tl.load(pulls.silhouette + pixel, mask=inside, other=0.0)
    total = tl.zeros_like(through)
    for k in range(0, top):
        total += tl.load(weight + k * slots.pixels + pixel, mask=k < count, other=0.0)
    through = tl.where(total <= 1.0, through, 0.0)
    for first in range(0, M, CHUNK):
        slot = first + tl.arange(0, CHUNK)[:, None]
        taken = slot < count[None, :]
        at = slot * slots.pixels + pixel[None, :]
        value, pull = _pull_of(pulls, weight, at, taken, through[None, :])
        depth = tl.load(slots.depth + at, mask=taken, other=0.0)
        density = tl.load(slots.density + at, mask=taken, other=0.0)
        spread = tl.load(slots.spread + at, mask=taken, other=1.0)
        by_hidden = -ABSORPTIVITY * value * pull
        by_density, by_spread = tl.zeros_like(depth), tl.zeros_like(depth)
        if DEPTHS:
            by_depth = tl.load(pulls.depth + at, mask=taken, other=0.0)
        else:
            by_depth = tl.zeros_like(depth)
        for k in range(0, top):
            other = k * slots.pixels + pixel
            seen = k < count
            value_k, pull_k = _pull_of(pulls, weight, other, seen, through)
            depth_k = tl.load(slots.depth + other, mask=seen, other=0.0)[None, :]
            density_k = tl.load(slots.density + other, mask=seen, other=0.0)[None, :]
            spread_k = tl.load(slots.spread + other, mask=seen, other=0.0)[None, :]
            by_hidden_k = (-ABSORPTIVITY * value_k * pull_k)[None, :]
            # these slots stand before the k-th, and the k-th before these
            x = (depth_k - depth) * spread
            slope = by_hidden_k * density * _bell(x)
            by_density += 0.5 * by_hidden_k * _passed(x)
            by_spread += slope * (depth_k - depth)
            by_depth += by_hidden * density_k * spread_k * _bell((depth - depth_k) * spread_k) - slope * spread
        tl.store(pulls.activation + at, -(pull * value + density * by_density), mask=taken)
        tl.store(pulls.distance + at, by_depth, mask=taken)
        tl.store(pulls.q + at, 0.5 * by_spread / spread, mask=taken)
