"""From weighed pairs to fragments, silhouettes and maps, in the dtype of the output."""

from __future__ import annotations

import math

from nbf_render_numba._compile import entry, piece, take_task
from nbf_render_numba._rows import mix_rows
from nbf_render_numba._special import exp_minus


@entry
def draw(counter, scene, setting, bands, count, pairs, seen, lists, mixed):
    """Fill ``seen`` and ``lists`` and mix attributes.

    ``count`` ``[b h w]`` are pairs, ``mixed`` is (table of attributes ``[b or 1, k, c]``, map ``[b h w, c]``, whether
    it must be cleared where nothing is seen).
    """
    table, image, clear = mixed
    while True:
        t = take_task(counter)
        if t >= len(bands.row):
            break
        rows = table[min(bands.person[t], len(table) - 1)]
        list_band(t, scene, setting, bands, count, pairs, seen, lists)
        if image.shape[1] == 0:
            continue
        if clear:
            top = bands.person[t] * setting.height
            for pixel in range((top + bands.row[t]) * setting.width, (top + bands.end[t]) * setting.width):
                if count[pixel] == 0:
                    image[pixel] = 0.0
        for i in range(bands.pixel[t], bands.pixel[t + 1]):
            first, end = seen.first[i], seen.first[i] + seen.kept[i]
            mix_rows(image[seen.pixel[i]], pairs.weight[first:end], rows, pairs.kernel[first:end])


@piece
def list_band(t, scene, setting, bands, count, pairs, seen, lists):
    """Fill ``seen`` and ``lists`` of band ``t``."""
    first, i, person = bands.pair[t], bands.pixel[t], bands.person[t]
    camera = scene.camera[person]
    for y in range(bands.row[t], bands.end[t]):
        v = (y + 0.5 - camera[3]) / camera[1]
        for x in range(setting.width):
            pixel = (person * setting.height + y) * setting.width + x
            lists.silhouette[pixel] = 0.0
            total = count[pixel]
            if total == 0:
                continue
            kept = min(total, setting.limit)
            seen.pixel[i], seen.first[i], seen.kept[i] = pixel, first, kept
            u = (x + 0.5 - camera[2]) / camera[0]
            silhouette = _list(lists, pairs, i, first, kept, math.sqrt(u * u + v * v + 1.0))
            lists.silhouette[pixel] = min(silhouette, 1.0)
            lost = 0.0
            if total > kept:
                lost = _cut(pairs.density[first + kept : first + total], setting.absorptivity)
                # At least as much hides what was cut off as hides the last kept one; this is that one's light.
                lost *= pairs.weight[first + kept - 1] / pairs.density[first + kept - 1]
            lists.truncated[i], lists.lost[i] = total - kept, lost
            first += total
            i += 1


@piece
def _list(lists, pairs, i, first, kept, length):
    """Write the fragments of pixel number ``i``; returns the sum of their weights."""
    total = 0.0
    for m in range(kept):
        j = first + m
        total += pairs.weight[j]
        lists.kernel[i, m], lists.weight[i, m] = pairs.kernel[j], pairs.weight[j]
        lists.depth[i, m] = pairs.depth[j] * length
    for m in range(kept, lists.kernel.shape[1]):
        lists.kernel[i, m], lists.weight[i, m], lists.depth[i, m] = -1, 0.0, math.inf
    return total


@piece
def _cut(activation, absorptivity):
    """What the kernels cut off would weigh by themselves, without the factor ``1 / exp(-1/2)``."""
    total = 0.0
    for j in range(len(activation)):
        density = exp_minus(activation[j])
        total += density * exp_minus(0.5 * absorptivity * density)
    return total
