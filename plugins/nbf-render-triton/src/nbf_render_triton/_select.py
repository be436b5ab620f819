"""Which kernels a pixel sees: the nearest of every pixel, tile by tile.

No list has a capacity that could overflow: a tile goes through all kernels, 128 at a time, and notes those whose
boxes touch it. Pixels keep their nearest in registers, 16 at a time; where ``max_kernels`` is larger, the tile goes
through its kernels again for the next 16.
"""

import triton
import triton.language as tl

from nbf_render_triton._boxes import load_box
from nbf_render_triton._geometry import direction, load_kernel, peak

# Kernels whose boxes are tested at a time.
SCAN = tl.constexpr(128)
# Kernels that a pixel keeps in registers at most.
KEEP = 16


@triton.jit
def _candidates(scene, scratch, block, tile):
    """Note in ``scratch`` which of the ``block``-th SCAN kernels of a person touch the tile; their number."""
    person, top, left, EDGE = tile
    kernel = block * SCAN + tl.arange(0, SCAN)
    x0, x1, y0, y1 = load_box(scene, person * scene.kernels + kernel, kernel < scene.kernels)
    hit = (x1 > left) & (x0 < left + 2 * EDGE) & (x1 > x0) & (y1 > top) & (y0 < top + EDGE) & (y1 > y0)
    place = tl.cumsum(hit.to(tl.int32), 0) - 1
    tl.debug_barrier()  # the last candidates have been read
    tl.store(scratch + place, kernel, mask=hit)
    tl.debug_barrier()  # and these can be
    return tl.sum(hit.to(tl.int32), 0)


@triton.jit
def _visit(scene, kernel, tile, grid, CUTOFF: tl.constexpr, FULL: tl.constexpr):
    """Whether one kernel counts in each pixel of a tile, its depth and its activation there."""
    person, _top, _left, _edge = tile
    row, column, u, v = grid
    index = person * scene.kernels + kernel
    x0, x1, y0, y1 = load_box(scene, index, kernel >= 0)
    x, y, z, precision = load_kernel(scene, index, kernel >= 0, FULL)
    depth, activation, _q = peak(x, y, z, precision, u, v, FULL)
    covered = (column >= x0) & (column < x1) & (row >= y0) & (row < y1)
    return covered & (activation < CUTOFF) & (depth > 0.0), depth, activation


@triton.jit
def _insert(near, who, depth, kernel, KEPT: tl.constexpr):
    """Put a kernel into lists sorted by depth; of two at one depth the one that came first stays first."""
    depths = ()
    kernels = ()
    moved, moved_kernel = depth, kernel
    for i in tl.static_range(KEPT):
        closer = depth < near[i]
        depths = depths + (tl.where(closer, moved, near[i]),)
        kernels = kernels + (tl.where(closer, moved_kernel, who[i]),)
        moved, moved_kernel = tl.where(closer, near[i], moved), tl.where(closer, who[i], moved_kernel)
    return depths, kernels


@triton.jit
def _write(scene, slots, who, first, tile, grid, M: tl.constexpr, KEPT: tl.constexpr, FULL: tl.constexpr):
    """Fill the slots from ``first`` on with the kernels ``who``, and what they weigh alone."""
    person, _top, _left, _edge = tile
    row, column, u, v = grid
    inside = (row < scene.height) & (column < scene.width)
    pixel = (person * scene.height + row) * scene.width + column
    for i in tl.static_range(KEPT):
        taken = who[i] >= 0
        x, y, z, precision = load_kernel(scene, person * scene.kernels + who[i], taken, FULL)
        depth, activation, q = peak(x, y, z, precision, u, v, FULL)
        distance = tl.where(taken, depth * tl.sqrt(u * u + v * v + 1.0), float("inf"))
        at = (first + i) * slots.pixels + pixel
        wanted = inside & (first + i < M)
        tl.store(slots.kernel + at, who[i], mask=wanted)
        tl.store(slots.depth + at, distance, mask=wanted)
        tl.store(slots.density + at, tl.exp(-activation), mask=wanted & taken)
        tl.store(slots.spread + at, tl.sqrt(q + 1e-10), mask=wanted & taken)


@triton.jit
def _cut_off(
    scene,
    scratch,
    blocks,
    last,
    tile,
    grid,
    CUTOFF: tl.constexpr,
    ABSORPTIVITY: tl.constexpr,
    FULL: tl.constexpr,
):
    """Sum what kernels beyond the ``last`` (depth, kernel) would weigh with nothing before them."""
    last_depth, last_kernel = last
    _row, _column, u, _v = grid
    cut = tl.zeros_like(u)
    for block in range(0, blocks):
        hits = _candidates(scene, scratch, block, tile)
        for j in range(0, hits):
            kernel = tl.load(scratch + j)
            passing, depth, activation = _visit(scene, kernel, tile, grid, CUTOFF, FULL)
            beyond = (depth > last_depth) | ((depth == last_depth) & (kernel > last_kernel))
            density = tl.exp(-activation)
            cut += tl.where(passing & beyond, density * tl.exp(-0.5 * ABSORPTIVITY * density), 0.0)
    return cut


@triton.jit
def select_slots(
    scene,
    slots,
    scratch,
    CUTOFF: tl.constexpr,
    ABSORPTIVITY: tl.constexpr,
    FULL: tl.constexpr,
    M: tl.constexpr,
    KEPT: tl.constexpr,
    EDGE: tl.constexpr,
):
    """Find the nearest M kernels, KEPT at a time, of each pixel of a tile of EDGE x 2 EDGE.

    Kernels of one depth stay in the order in which they were given.
    """
    program = tl.program_id(0)
    columns = (scene.width + 2 * EDGE - 1) // (2 * EDGE)
    rows = (scene.height + EDGE - 1) // EDGE
    line = program // columns
    person = line // rows
    tile = (person, (line - person * rows) * EDGE, (program - line * columns) * 2 * EDGE, EDGE)
    lane = tl.arange(0, 2 * EDGE * EDGE)
    row, column = tile[1] + lane // (2 * EDGE), tile[2] + lane % (2 * EDGE)
    u, v = direction(scene, person, row, column)
    grid = (row, column, u, v)
    scratch += program * SCAN

    nothing = tl.full((2 * EDGE * EDGE,), float("inf"), u.dtype)
    last, last_kernel = tl.zeros_like(u), tl.full((2 * EDGE * EDGE,), -1, tl.int32)
    found = 0 * lane
    blocks = (scene.kernels + SCAN - 1) // SCAN
    near = ()
    who = ()
    for _i in tl.static_range(KEPT):
        near = near + (nothing,)
        who = who + (last_kernel,)
    empty = (near, who)
    for first in range(0, M, KEPT):
        near, who = empty
        count = 0 * lane
        for block in range(0, tl.where((tl.max(found, 0) > first) | (first == 0), blocks, 0)):
            hits = _candidates(scene, scratch, block, tile)
            for j in range(0, hits):
                kernel = tl.load(scratch + j)
                passing, depth, _a = _visit(scene, kernel, tile, grid, CUTOFF, FULL)
                count += passing.to(tl.int32)
                beyond = (depth > last) | ((depth == last) & (kernel > last_kernel))
                near, who = _insert(near, who, tl.where(passing & beyond, depth, nothing), kernel, KEPT)
        found = tl.maximum(found, count)
        last, last_kernel = near[KEPT - 1], who[KEPT - 1]
        _write(scene, slots, who, first, tile, grid, M, KEPT, FULL)

    walk = tl.where(tl.max(found, 0) > M, blocks, 0)
    beyond = (near[(M - 1) % KEPT], who[(M - 1) % KEPT])
    cut = _cut_off(scene, scratch, walk, beyond, tile, grid, CUTOFF, ABSORPTIVITY, FULL)
    inside = (row < scene.height) & (column < scene.width)
    pixel = (person * scene.height + row) * scene.width + column
    tl.store(slots.count + pixel, tl.minimum(found, M), mask=inside)
    tl.store(slots.truncated + pixel, tl.maximum(found - M, 0), mask=inside)
    tl.store(slots.cut + pixel, cut, mask=inside)
