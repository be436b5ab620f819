"""Gradients of kernels and cameras.

Every kernel goes through the pixels of its own box, in their order, and adds up what it finds of itself there:
nothing is added by two programs to one number, so results repeat to the last bit.
"""

import triton
import triton.language as tl

from nbf_render_triton._boxes import load_box
from nbf_render_triton._geometry import direction, load_kernel, peak_pull
from nbf_render_triton._weigh import CHUNK


@triton.jit
def box_pixels(scene, person, box, start, LANES: tl.constexpr):
    """Row, column, flat pixel and whether it is in the box, for LANES pixels of a box from the ``start``-th on."""
    x0, x1, y0, y1 = box
    place = start + tl.arange(0, LANES)
    row = y0 + place // (x1 - x0)
    column = x0 + place % (x1 - x0)
    return row, column, (person * scene.height + row) * scene.width + column, row < y1


@triton.jit
def find_slot(slots, kernel, pixel, inside, M: tl.constexpr):
    """In which slot of each pixel a kernel is; -1 where it is in none."""
    found = tl.where(inside, -1, -1)
    for first in range(0, M, CHUNK):
        slot = first + tl.arange(0, CHUNK)[:, None]
        there = (slot < M) & inside[None, :]
        kernels = tl.load(slots.kernel + slot * slots.pixels + pixel[None, :], mask=there, other=-1)
        found = tl.maximum(found, tl.max(tl.where(kernels == kernel, slot, -1), 0))
    return found


@triton.jit
def _pull_at(pulls, at, seen):
    """The gradients of activation, distance and q in some slots; zeros where not ``seen``."""
    return (
        tl.load(pulls.activation + at, mask=seen, other=0.0),
        tl.load(pulls.distance + at, mask=seen, other=0.0),
        tl.load(pulls.q + at, mask=seen, other=0.0),
    )


@triton.jit
def pull_kernels(scene, slots, pulls, out, FULL: tl.constexpr, M: tl.constexpr, LANES: tl.constexpr):
    """Write the gradient ``[b k, 4 or 12]`` of one kernel's mean and precision."""
    index = tl.program_id(0)
    person = index // scene.kernels
    box = load_box(scene, index, index >= 0)
    x, y, z, precision = load_kernel(scene, index, index >= 0, FULL)
    nothing = tl.zeros((LANES,), x.dtype)
    sums = ()
    for _i in tl.static_range(12 if FULL else 4):
        sums = sums + (nothing,)
    for start in range(0, (box[1] - box[0]) * (box[3] - box[2]), LANES):
        row, column, pixel, inside = box_pixels(scene, person, box, start, LANES)
        slot = find_slot(slots, index - person * scene.kernels, pixel, inside, M)
        pull = _pull_at(pulls, slot * slots.pixels + pixel, slot >= 0)
        u, v = direction(scene, person, row, column)
        mean, matrix, _gu, _gv = peak_pull(x, y, z, precision, u, v, pull, FULL)
        parts = mean + matrix
        added = ()
        for i in tl.static_range(12 if FULL else 4):
            added = added + (sums[i] + parts[i],)
        sums = added
    for i in tl.static_range(12 if FULL else 4):
        tl.store(out + index * (12 if FULL else 4) + i, tl.sum(sums[i], 0))


@triton.jit
def pull_directions(scene, slots, pulls, out, FULL: tl.constexpr, LANES: tl.constexpr):
    """Write ``[4, p]``: of each pixel the gradient of u and v, then these times u and v."""
    pixel = tl.program_id(0) * LANES + tl.arange(0, LANES)
    inside = pixel < slots.pixels
    line = tl.where(inside, pixel, 0) // scene.width
    person = line // scene.height
    u, v = direction(scene, person, line - person * scene.height, pixel - line * scene.width)
    count = tl.load(slots.count + pixel, mask=inside, other=0)
    by_u, by_v = tl.zeros_like(u), tl.zeros_like(v)
    for k in range(0, tl.max(count, 0)):
        seen = k < count
        at = k * slots.pixels + pixel
        kernel = tl.load(slots.kernel + at, mask=seen, other=0)
        x, y, z, precision = load_kernel(scene, person * scene.kernels + kernel, seen, FULL)
        _mean, _matrix, gu, gv = peak_pull(x, y, z, precision, u, v, _pull_at(pulls, at, seen), FULL)
        by_u += gu
        by_v += gv
    tl.store(out + pixel, by_u, mask=inside)
    tl.store(out + slots.pixels + pixel, by_v, mask=inside)
    tl.store(out + 2 * slots.pixels + pixel, by_u * u, mask=inside)
    tl.store(out + 3 * slots.pixels + pixel, by_v * v, mask=inside)
