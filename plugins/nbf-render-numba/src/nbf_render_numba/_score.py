"""Scores from inner products: no feature channel is touched.

Per pixel, with weights ``w``: ``r_o = <R_o, f> / |R_o| = sum_m w_m T_mo / sqrt(w' G_o w)``, ``p = softmax(sum_m w_m
V_m)`` and the score ``sum_o p_o r_o``; ``T`` is the table, ``G`` the Gram matrices, ``V`` the orientation weights.
"""

from __future__ import annotations

import math

from nbf_render_numba._compile import entry, piece, take_seat, take_task
from nbf_render_numba._draw import list_band

# |R| below this is left as it is, as torch's normalize does.
_SHORTEST = 1e-12


@entry
def score(counter, scene, setting, bands, count, pairs, seen, lists, scored):
    """Fill ``seen`` and ``lists`` and compare.

    ``scored`` is (table ``[b h w, k, o]`` and gram ``[k, k, o]``, each as a flat array and its strides, orientation
    ``[b, k, o]``; to be filled: score ``[b h w]``, its derivative by the weight of each pair ``[p]``, by the mixed
    orientation of each pixel ``[n, o]``; ``[m + 5, o]`` to use for each thread).
    """
    table, steps, gram, strides, orientation, scores, slope, turn, spare = scored
    seat = take_seat(counter)
    sums, facing = spare[seat, :5], spare[seat, 5:]
    while True:
        t = take_task(counter)
        if t >= len(bands.row):
            break
        list_band(t, scene, setting, bands, count, pairs, seen, lists)
        top = bands.person[t] * setting.height
        scores[(top + bands.row[t]) * setting.width : (top + bands.end[t]) * setting.width] = 0.0
        vote = orientation[bands.person[t]]
        for i in range(bands.pixel[t], bands.pixel[t + 1]):
            first, end = seen.first[i], seen.first[i] + seen.kept[i]
            kernel, weight = pairs.kernel[first:end], pairs.weight[first:end]
            # positions in three-dimensional arrays of any layout
            row = (table, seen.pixel[i] * steps[0], steps[1], steps[2])
            _face(kernel, weight, gram, strides, facing)
            scores[seen.pixel[i]] = _compare(kernel, weight, row, vote, sums, facing)
            _differentiate(kernel, row, vote, sums, facing, slope[first:end], turn[i])


@piece
def _face(kernel, weight, gram, strides, facing):
    """``facing[m] = (G w)_m`` in each bin."""
    for o in range(facing.shape[1]):
        for m in range(len(kernel)):
            near = o * strides[2] + kernel[m] * strides[1]
            w = weight[m]
            total = w * gram[near + kernel[m] * strides[0]]
            for k in range(m):
                inner = gram[near + kernel[k] * strides[0]]
                total += weight[k] * inner
                facing[k, o] += w * inner
            facing[m, o] = total


@piece
def _compare(kernel, weight, row, vote, sums, facing):
    """The score of one pixel. Leaves agreement, 1 / length, share and ``r - score`` in ``sums``."""
    table, start, step, bin_step = row
    bins, count = facing.shape[1], len(kernel)
    agreement, inverse, share, rest, logit = sums[0], sums[1], sums[2], sums[3], sums[4]
    for o in range(bins):
        along, length2, turned = 0.0, 0.0, 0.0
        for m in range(count):
            along += weight[m] * table[start + kernel[m] * step + o * bin_step]
            length2 += weight[m] * facing[m, o]
            turned += weight[m] * vote[kernel[m], o]
        agreement[o], inverse[o], logit[o] = along, length2, turned
    largest, total, score = -math.inf, 0.0, 0.0
    for o in range(bins):
        largest = max(largest, logit[o])
    for o in range(bins):
        share[o] = math.exp(logit[o] - largest)
        total += share[o]
    for o in range(bins):
        share[o] /= total
        short = not inverse[o] > _SHORTEST * _SHORTEST
        inverse[o] = 1.0 / (_SHORTEST if short else math.sqrt(inverse[o]))
        score += share[o] * agreement[o] * inverse[o]
        if short:  # the length is then constant
            facing[:count, o] = 0.0
    for o in range(bins):
        rest[o] = agreement[o] * inverse[o] - score
    return score


@piece
def _differentiate(kernel, row, vote, sums, facing, slope, turn):
    """The derivatives of the score by the weights and by the mixed orientation weights."""
    table, start, step, bin_step = row
    agreement, inverse, share, rest = sums[0], sums[1], sums[2], sums[3]
    for o in range(len(turn)):
        turn[o] = share[o] * rest[o]
    for m in range(len(kernel)):
        total = 0.0
        for o in range(len(turn)):
            value = table[start + kernel[m] * step + o * bin_step]
            along = value - agreement[o] * inverse[o] * inverse[o] * facing[m, o]
            total += share[o] * (inverse[o] * along + rest[o] * vote[kernel[m], o])
        slope[m] = total
