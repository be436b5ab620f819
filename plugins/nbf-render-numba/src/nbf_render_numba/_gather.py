"""From pictures back to kernels: weighted sums over the pixels that each kernel is seen in, in a fixed order."""

from __future__ import annotations

from nbf_render_numba._compile import entry, piece, take_task
from nbf_render_numba._rows import add_row, dot_rows, mix_rows

# How many kernels or pixels make one task.
BLOCK = 64


@entry
def by_kernel(kernel, base, start, entries):
    """Where each kernel is seen: ``entries`` ``[n m]``, flat in ``[n, m]``, kernel by kernel.

    ``kernel`` ``[n, m]`` is -1 where empty, and counted from ``base`` ``[n]`` on. ``start`` ``[kernels + 1]`` becomes
    the first entry of each kernel. Returns how many entries there are.
    """
    start[:] = 0
    for i in range(len(kernel)):
        for m in range(_used(kernel[i])):
            start[base[i] + kernel[i, m]] += 1
    total = 0
    for k in range(len(start)):
        total += start[k]
        start[k] = total
    for i in range(len(kernel) - 1, -1, -1):
        for m in range(_used(kernel[i]) - 1, -1, -1):
            k = base[i] + kernel[i, m]
            start[k] -= 1
            entries[start[k]] = i * kernel.shape[1] + m
    return total


@entry
def sum_by_kernel(counter, start, entries, weight, place, rows, out, sums):
    """``out[k] = sum w rows[place]`` and ``sums[k] = sum w`` over the entries of each kernel."""
    slots = max(1, weight.shape[1])
    while True:
        begin = take_task(counter) * BLOCK
        if begin >= len(out):
            break
        for k in range(begin, min(begin + BLOCK, len(out))):
            if start[k] == start[k + 1]:
                out[k] = 0.0
            total = 0.0
            for e in range(start[k], start[k + 1]):
                i = entries[e] // slots
                w = weight[i, entries[e] - i * slots]
                total += w
                add_row(out[k], w, rows[place[i]], e == start[k])
            sums[k] = total


@entry
def spread_to_pixels(counter, kernel, base, weight, place, table, out):
    """``out[place] = sum_m w_m table[k_m]`` for each listed pixel."""
    while True:
        begin = take_task(counter) * BLOCK
        if begin >= len(kernel):
            break
        for i in range(begin, min(begin + BLOCK, len(kernel))):
            mix_rows(out[place[i]], weight[i], table[base[i] :], kernel[i, : _used(kernel[i])])


@entry
def dot_by_slot(counter, kernel, base, place, rows, table, out):
    """``out[i, m] = rows[place[i]] . table[k_m]``, 0 in empty slots."""
    while True:
        begin = take_task(counter) * BLOCK
        if begin >= len(kernel):
            break
        for i in range(begin, min(begin + BLOCK, len(kernel))):
            out[i] = 0.0
            dot_rows(out[i], rows[place[i]], table[base[i] :], kernel[i, : _used(kernel[i])])


@piece
def _used(kernel):
    """How many slots are not empty; those come last."""
    count = 0
    while count < len(kernel) and kernel[count] >= 0:
        count += 1
    return count
