"""Weighted sums of the kernels' attributes in every pixel, differentiable in weights and attributes."""

from __future__ import annotations

from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

from nbf_render_triton._boxes import load_box
from nbf_render_triton._gather import box_pixels, find_slot
from nbf_render_triton._scene import launch
from nbf_render_triton._volume import Drawn


class Table(NamedTuple):
    """Attributes of kernels, ``[b k, c]`` or, SHARED by all people, ``[k, c]``."""

    rows: Tensor
    channels: int


@triton.jit
def mix_slots(scene, slots, weight, table, out, SHARED: tl.constexpr, PIXELS: tl.constexpr, CHANNELS: tl.constexpr):
    """Write ``sum_m w_m A[k_m]`` for a block of pixels and channels to the map ``out`` ``[p, c]``."""
    pixel = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    channel = (tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS))[None, :]
    inside = pixel < slots.pixels
    count = tl.load(slots.count + pixel, mask=inside, other=0)
    person = pixel // (scene.height * scene.width)
    total = tl.zeros((PIXELS, CHANNELS), weight.dtype.element_ty)
    for m in range(0, tl.max(count, 0)):
        seen = m < count
        at = m * slots.pixels + pixel
        value = tl.load(weight + at, mask=seen, other=0.0)
        row = tl.load(slots.kernel + at, mask=seen, other=0)
        if not SHARED:
            row += person * scene.kernels
        entry = table.rows + row.to(tl.int64)[:, None] * table.channels + channel
        wanted = seen[:, None] & (channel < table.channels)
        total += value[:, None] * tl.load(entry, mask=wanted, other=0.0)
    target = out + pixel.to(tl.int64)[:, None] * table.channels + channel
    tl.store(target, total, mask=inside[:, None] & (channel < table.channels))


@triton.jit
def pull_weights(
    scene,
    slots,
    by_map,
    table,
    out,
    SHARED: tl.constexpr,
    M: tl.constexpr,
    PIXELS: tl.constexpr,
    CHANNELS: tl.constexpr,
):
    """Write the gradient ``[m, p]`` of the weights of a block of pixels: ``<G, A[k_m]>``."""
    pixel = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    inside = pixel < slots.pixels
    count = tl.load(slots.count + pixel, mask=inside, other=0)
    person = pixel // (scene.height * scene.width)
    top = tl.max(count, 0)
    source = by_map + pixel.to(tl.int64)[:, None] * table.channels
    for m in range(0, M):
        seen = m < count
        at = m * slots.pixels + pixel
        row = tl.load(slots.kernel + at, mask=seen, other=0)
        if not SHARED:
            row += person * scene.kernels
        entry = table.rows + row.to(tl.int64)[:, None] * table.channels
        total = tl.zeros((PIXELS, CHANNELS), out.dtype.element_ty)
        for first in range(0, tl.where(m < top, table.channels, 0), CHANNELS):
            channel = (first + tl.arange(0, CHANNELS))[None, :]
            wanted = seen[:, None] & (channel < table.channels)
            total += tl.load(source + channel, mask=wanted, other=0.0) * tl.load(
                entry + channel, mask=wanted, other=0.0
            )
        tl.store(out + at, tl.sum(total, 1), mask=inside)


@triton.jit
def pull_table(
    scene,
    slots,
    weight,
    by_map,
    table,
    SHARED: tl.constexpr,
    M: tl.constexpr,
    LANES: tl.constexpr,
    CHANNELS: tl.constexpr,
):
    """Write the gradient of one kernel's attributes to ``table``: ``sum_p w_p G_p`` over the pixels of its box."""
    row = tl.program_id(0)
    channel = (tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS))[None, :]
    total = tl.zeros((CHANNELS,), weight.dtype.element_ty)
    kernel = row % scene.kernels
    first, last = row // scene.kernels, row // scene.kernels + 1
    if SHARED:
        last = scene.total // scene.kernels
    for person in range(first, last):
        index = person * scene.kernels + kernel
        box = load_box(scene, index, index >= 0)
        for start in range(0, (box[1] - box[0]) * (box[3] - box[2]), LANES):
            _row, _column, pixel, inside = box_pixels(scene, person, box, start, LANES)
            slot = find_slot(slots, kernel, pixel, inside, M)
            value = tl.load(weight + slot * slots.pixels + pixel, mask=slot >= 0, other=0.0)
            source = by_map + pixel.to(tl.int64)[:, None] * table.channels + channel
            wanted = (slot >= 0)[:, None] & (channel < table.channels)
            total += tl.sum(value[:, None] * tl.load(source, mask=wanted, other=0.0), 0)
    target = table.rows + row.to(tl.int64) * table.channels + tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    tl.store(target, total, mask=tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS) < table.channels)


def mix(drawn: Drawn, attributes: Tensor) -> Tensor:
    """``sum_m w_m A[k_m]`` as a map ``[b, h, w, c]``; ``attributes`` are ``[b, k, c]`` or ``[k, c]``."""
    values = attributes.to(drawn.weight.dtype)
    return _Mix.apply(drawn.weight, values.contiguous(), drawn).view(*drawn.grid, attributes.shape[-1])


class _Mix(torch.autograd.Function):
    @staticmethod
    def forward(ctx, weight, values, drawn):
        shared, channels = values.dim() == 2, values.shape[-1]
        table = Table(values.detach(), channels)
        out = weight.new_empty(drawn.slots.pixels, channels)
        size, width = drawn.blocks.mixed, _channels(drawn, channels)
        grid = (triton.cdiv(drawn.slots.pixels, size), triton.cdiv(channels, width))
        launch(
            mix_slots, grid, drawn.device, drawn.scene, drawn.slots, weight.detach(), table, out, shared, size, width
        )
        ctx.save_for_backward(weight, values)
        ctx.drawn = drawn
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx, by_map):
        drawn, (weight, values) = ctx.drawn, ctx.saved_tensors
        by_map = by_map.contiguous()
        shared, channels = values.dim() == 2, values.shape[-1]
        by_weight = by_values = None
        if ctx.needs_input_grad[0]:
            by_weight = torch.empty_like(weight)
            size, width = drawn.blocks.mixed, _channels(drawn, channels)
            grid, table = (triton.cdiv(drawn.slots.pixels, size),), Table(values, channels)
            static = (shared, len(weight), size, width)
            launch(pull_weights, grid, drawn.device, drawn.scene, drawn.slots, by_map, table, by_weight, *static)
        if ctx.needs_input_grad[1]:
            by_values = gather(drawn, weight, by_map, shared).view(values.shape)
        return by_weight, by_values, None


def gather(drawn: Drawn, weight: Tensor, by_map: Tensor, shared: bool) -> Tensor:
    """``sum_p w[p] G[p]`` of every kernel, ``[b k, c]`` or ``[k, c]``; ``by_map`` is ``[p, c]``."""
    channels, scene = by_map.shape[1], drawn.scene
    rows = scene.kernels if shared else scene.total
    out = by_map.new_empty(rows, channels)
    lanes, width = drawn.blocks.lanes, _channels(drawn, channels)
    grid, static = (rows, triton.cdiv(channels, width)), (shared, drawn.weight.shape[0], lanes, width)
    launch(pull_table, grid, drawn.device, scene, drawn.slots, weight, by_map, Table(out, channels), *static)
    return out


def _channels(drawn: Drawn, channels: int) -> int:
    return min(drawn.blocks.channels, triton.next_power_of_2(max(1, channels)))
