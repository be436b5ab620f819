"""How well the drawn features agree with the image's, from inner products alone (3DNBF, ICCV 2023, section 3.4)."""

from __future__ import annotations

from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

from nbf_core.types import Similarities
from nbf_render_triton._mix import gather
from nbf_render_triton._scene import launch
from nbf_render_triton._volume import Drawn

# Rendered features shorter than this (squared) are left as they are by the normalisation.
_SHORTEST2 = tl.constexpr(1e-24)


class Products(NamedTuple):
    """Inner products: ``table`` ``[b, h, w, k, o]``, ``gram`` ``[k, k, o]``; and ``orientation`` ``[b, k, o]``."""

    table: Tensor
    gram: Tensor
    orientation: Tensor
    bins: int


class Scores(NamedTuple):
    """``value`` ``[p]`` and its derivatives by the weights ``[m, p]`` and by the mixed orientation ``[p, o]``."""

    value: Tensor
    by_weight: Tensor
    by_mixed: Tensor


@triton.jit
def _slot(scene, slots, weight, products, m, lanes, bins):
    """Weight, table and orientation entries of slot m, and the Gram matrix's row times all weights."""
    pixel, person, count = lanes
    seen = m < count
    wanted = seen[:, None] & (bins < products.bins)
    value = tl.load(weight + m * slots.pixels + pixel, mask=seen, other=0.0)
    kernel = tl.load(slots.kernel + m * slots.pixels + pixel, mask=seen, other=0)
    cell = pixel.to(tl.int64) * scene.kernels + kernel
    agreement = tl.load(products.table + cell[:, None] * products.bins + bins, mask=wanted, other=0.0)
    row = (person * scene.kernels + kernel)[:, None] * products.bins + bins
    orientation = tl.load(products.orientation + row, mask=wanted, other=0.0)
    line = tl.zeros_like(agreement)
    for n in range(0, tl.max(count, 0)):
        both = seen & (n < count)
        other = tl.load(slots.kernel + n * slots.pixels + pixel, mask=both, other=0)
        factor = tl.load(weight + n * slots.pixels + pixel, mask=both, other=0.0)
        entry = (kernel.to(tl.int64) * scene.kernels + other)[:, None] * products.bins + bins
        line += factor[:, None] * tl.load(products.gram + entry, mask=both[:, None] & wanted, other=0.0)
    return value[:, None], agreement, orientation, line


@triton.jit
def score_slots(
    scene,
    slots,
    weight,
    products,
    out,
    PULL: tl.constexpr,
    M: tl.constexpr,
    LANES: tl.constexpr,
    BINS: tl.constexpr,
):
    """Write the scores of LANES pixels and, where PULL, their derivatives."""
    pixel = tl.program_id(0) * LANES + tl.arange(0, LANES)
    inside = pixel < slots.pixels
    count = tl.load(slots.count + pixel, mask=inside, other=0)
    lanes = (pixel, pixel // (scene.height * scene.width), count)
    bins = tl.arange(0, BINS)[None, :]
    agreement = tl.zeros((LANES, BINS), weight.dtype.element_ty)
    length2, mixed = tl.zeros_like(agreement), tl.zeros_like(agreement)
    for m in range(0, tl.max(count, 0)):
        value, table, orientation, line = _slot(scene, slots, weight, products, m, lanes, bins)
        agreement += value * table
        length2 += value * line
        mixed += value * orientation
    length = tl.sqrt(tl.maximum(length2, _SHORTEST2))
    cosine = agreement / length
    known = bins < products.bins
    share = tl.where(known, tl.exp(mixed - tl.max(tl.where(known, mixed, float("-inf")), 1)[:, None]), 0.0)
    share = share / tl.sum(share, 1)[:, None]
    score = tl.sum(share * cosine, 1)
    tl.store(out.value + pixel, score, mask=inside)
    if PULL:
        by_agreement = share / length
        by_length2 = tl.where(length2 > _SHORTEST2, -0.5 * by_agreement * cosine / length, 0.0)
        by_mixed = share * (cosine - score[:, None])
        tl.store(out.by_mixed + pixel[:, None] * products.bins + bins, by_mixed, mask=inside[:, None] & known)
        for m in range(0, M):
            _value, table, orientation, line = _slot(scene, slots, weight, products, m, lanes, bins)
            pull = by_agreement * table + 2.0 * by_length2 * line + by_mixed * orientation
            tl.store(out.by_weight + m * slots.pixels + pixel, tl.sum(pull, 1), mask=inside)


def compare(drawn: Drawn, orientation: Tensor, similarities: Similarities) -> Tensor:
    """``sum_o softmax_o(W_o) <R_o, f> / |R_o|``, ``[b, h, w]``, with ``|R_o|^2 = w' G_o w``; G is symmetric."""
    dtype = drawn.weight.dtype
    table, gram = (v.detach().to(dtype).contiguous() for v in (similarities.table, similarities.gram))
    return _Score.apply(drawn.weight, orientation.to(dtype).contiguous(), table, gram, drawn).view(drawn.grid)


class _Score(torch.autograd.Function):
    @staticmethod
    def forward(ctx, weight, orientation, table, gram, drawn):
        pixels, bins = drawn.slots.pixels, orientation.shape[-1]
        pull = any(ctx.needs_input_grad[:2])
        out = Scores(
            weight.new_empty(pixels),
            torch.empty_like(weight) if pull else weight,
            weight.new_empty(pixels, bins) if pull else weight,
        )
        lanes = drawn.blocks.lanes
        products = Products(table, gram, orientation.detach(), bins)
        static = (pull, len(weight), lanes, triton.next_power_of_2(max(1, bins)))
        grid = (triton.cdiv(pixels, lanes),)
        arguments = (drawn.scene, drawn.slots, weight.detach(), products, out)
        launch(score_slots, grid, drawn.device, *arguments, *static, num_warps=1)
        if pull:
            ctx.save_for_backward(weight, out.by_weight, out.by_mixed)
            ctx.drawn = drawn
        return out.value

    @staticmethod
    @once_differentiable
    def backward(ctx, by_score):
        weight, by_weight, by_mixed = ctx.saved_tensors
        drawn = ctx.drawn
        orientation = None
        if ctx.needs_input_grad[1]:
            pull = (by_score[:, None] * by_mixed).contiguous()
            orientation = gather(drawn, weight, pull, shared=False).view(drawn.grid[0], drawn.scene.kernels, -1)
        return by_score * by_weight, orientation, None, None, None
