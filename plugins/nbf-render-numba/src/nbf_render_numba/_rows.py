"""Sums over rows of channels: the inner loops that the compiler turns into vector instructions.

Rows are taken by fours, so that the row they are added to, or multiplied with, is touched a quarter as often. Sums may
be reordered and fused here, the same way in every run.
"""

from __future__ import annotations

from nbf_render_numba._compile import piece

_LOOSE = {"reassoc", "contract", "nsz"}


@piece
def mix_rows(out, weight, table, kernel):
    """``out = sum_m weight[m] table[kernel[m]]``."""
    last = len(kernel) - 1
    m = 0
    while m <= last:
        first = m == 0
        if last - m < 2:
            add_row(out, weight[m], table[kernel[m]], first)
            m += 1
            continue
        # a fourth row that is not there weighs nothing
        end = m + 3 if m + 3 <= last else last
        fourth = weight[end] if m + 3 <= last else 0.0
        rows = (table[kernel[m]], table[kernel[m + 1]], table[kernel[m + 2]], table[kernel[end]])
        _add_rows(out, (weight[m], weight[m + 1], weight[m + 2], fourth), rows, first)
        m += 4


@piece(fastmath=_LOOSE)
def add_row(out, weight, row, first):
    """``out += weight row``, or ``=`` where it is the ``first``."""
    scale = row.dtype.type(weight)
    if first:
        for c in range(len(out)):
            out[c] = scale * row[c]
    else:
        for c in range(len(out)):
            out[c] += scale * row[c]


@piece(fastmath=_LOOSE)
def _add_rows(out, weights, rows, first):
    """The same for four rows at once."""
    a, b, c, d = rows
    kind = a.dtype.type
    p, q, r, s = kind(weights[0]), kind(weights[1]), kind(weights[2]), kind(weights[3])
    if first:
        for i in range(len(out)):
            out[i] = p * a[i] + q * b[i] + r * c[i] + s * d[i]
    else:
        for i in range(len(out)):
            out[i] += p * a[i] + q * b[i] + r * c[i] + s * d[i]


@piece
def dot_rows(out, row, table, kernel):
    """``out[m] = row . table[kernel[m]]``."""
    last = len(kernel) - 1
    m = 0
    while m <= last:
        if last - m < 2:
            out[m] = _dot(row, table[kernel[m]])
            m += 1
            continue
        end = m + 3 if m + 3 <= last else last
        rows = (table[kernel[m]], table[kernel[m + 1]], table[kernel[m + 2]], table[kernel[end]])
        out[m], out[m + 1], out[m + 2], fourth = _dots(row, rows)
        if end == m + 3:
            out[end] = fourth
        m += 4


@piece(fastmath=_LOOSE)
def _dot(row, other):
    total = row.dtype.type(0)
    for i in range(len(row)):
        total += row[i] * other[i]
    return total


@piece(fastmath=_LOOSE)
def _dots(row, rows):
    a, b, c, d = rows
    p = row.dtype.type(0)
    q, r, s = p, p, p
    for i in range(len(row)):
        x = row[i]
        p += x * a[i]
        q += x * b[i]
        r += x * c[i]
        s += x * d[i]
    return p, q, r, s
