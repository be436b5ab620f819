"""Which kernels a pixel sees: pairs that pass the cutoff, the nearest first, and what those weigh."""

from __future__ import annotations

import math

from nbf_render_numba._compile import entry, piece, take_seat, take_task
from nbf_render_numba._geometry import peak_anisotropic, peak_isotropic, sharpness
from nbf_render_numba._special import exp_minus
from nbf_render_numba._volume import weigh_pixel


@entry
def collect(counter, scene, setting, box, order, bands, found, spare, count):
    """Find the pairs of each band, sort them by pixel with the ``limit`` nearest of each pixel first, weigh those.

    Fills ``found`` (:class:`~._records.Pairs`), ``count`` ``[b h w]``, ``bands.pixel`` and ``bands.fullest``.
    ``spare`` is, for each thread: ``[2, p]`` of int32, ``[3, p]`` of float64, ``[h w]`` of int64 and ``[w]``, with
    ``p`` and ``h`` of one band.
    """
    seat = take_seat(counter)
    places, values, cursors, column = spare[0][seat], spare[1][seat], spare[2][seat], spare[3][seat]
    while True:
        t = take_task(counter)
        if t >= len(bands.row):
            break
        begin, end = bands.pair[t], bands.pair[t + 1]
        low = (bands.person[t] * setting.height + bands.row[t]) * setting.width
        high = (bands.person[t] * setting.height + bands.end[t]) * setting.width
        local, cursor = count[low:high], cursors[: high - low]
        local[:] = 0
        bands.pixel[t + 1], bands.fullest[t] = 0, 0
        if begin == end:
            continue
        pixels, kernels, depth, activation = places[0], places[1], values[0], values[1]
        passed = (pixels, kernels, depth, activation)
        total = _scan(scene, setting.cutoff, box, order, bands, t, column, passed)
        for i in range(total):
            local[pixels[i]] += 1
        # from counts to first positions
        position, seen, fullest = begin, 0, 0
        for i in range(len(local)):
            cursor[i] = position
            position += local[i]
            seen += local[i] > 0
            fullest = max(fullest, local[i])
        bands.pixel[t + 1], bands.fullest[t] = seen, min(fullest, setting.limit)
        for i in range(total):
            j = cursor[pixels[i]]
            cursor[pixels[i]] = j + 1
            found.kernel[j], found.depth[j], found.density[j] = kernels[i], depth[i], activation[i]
        for i in range(len(local)):
            if local[i] > 1:
                _nearest_first(found, cursor[i] - local[i], local[i], setting.limit)
        _weigh_band(scene, setting, bands, t, found, local, values)


@piece
def _weigh_band(scene, setting, bands, t, pairs, count, values):
    """Turn the activations of the kept pairs of a band into densities and weights; ``values`` is ``[3, p]`` to use."""
    first, person = bands.pair[t], bands.person[t]
    camera = scene.camera[person]
    base = person * scene.kernels
    for i in range(len(count)):
        if count[i] == 0:
            continue
        row = i // setting.width
        u = (i - row * setting.width + 0.5 - camera[2]) / camera[0]
        v = (bands.row[t] + row + 0.5 - camera[3]) / camera[1]
        length2 = u * u + v * v + 1.0
        length = math.sqrt(length2)
        end = first + min(count[i], setting.limit)
        kept = end - first
        depth, sharp, hidden = values[0, :kept], values[1, :kept], values[2, :kept]
        density, weight = pairs.density[first:end], pairs.weight[first:end]
        for m in range(kept):
            density[m] = exp_minus(density[m])
            depth[m] = pairs.depth[first + m] * length
            sharp[m] = sharpness(scene.precision[base + pairs.kernel[first + m]], u, v, length2)
        weigh_pixel(density, depth, sharp, setting.absorptivity, hidden, weight)
        first += count[i]


@piece
def _scan(scene, cutoff, box, order, bands, t, column, out):
    """Test all candidates of a band; ``out`` are pixel, kernel, depth, activation of those that pass."""
    b = bands.person[t]
    fx, fy, cx, cy = scene.camera[b, 0], scene.camera[b, 1], scene.camera[b, 2], scene.camera[b, 3]
    width = len(column)
    for x in range(width):
        column[x] = (x + 0.5 - cx) / fx
    row, end = bands.row[t], bands.end[t]
    isotropic = scene.precision.shape[1] == 1
    total = 0
    for i in range(scene.kernels):
        kernel = order[b, i]
        if kernel < 0:
            break
        k = b * scene.kernels + kernel
        mean = (scene.means[k, 0], scene.means[k, 1], scene.means[k, 2])
        for y in range(max(box[k, 2], row), min(box[k, 3], end)):
            v = (y + 0.5 - cy) / fy
            place = ((y - row) * width, box[k, 0], box[k, 1], kernel)
            if isotropic:
                total = _scan_row_isotropic(mean, scene.precision[k, 0], v, column, cutoff, place, out, total)
            else:
                total = _scan_row_anisotropic(mean, scene.precision[k], v, column, cutoff, place, out, total)
    return total


@piece
def _scan_row_isotropic(mean, s, v, column, cutoff, place, out, total):
    """Test the pixels of one row of a kernel's box."""
    start, x0, x1, kernel = place
    pixels, kernels, depths, activations = out
    for x in range(x0, x1):
        depth, activation = peak_isotropic(mean, s, column[x], v)
        # Written in any case, and kept by counting on: cheaper than a branch that goes either way. In front of the
        # camera depths are positive; both comparisons are false of what is not a number.
        pixels[total], kernels[total], depths[total], activations[total] = start + x, kernel, depth, activation
        total += (activation < cutoff) & (depth > 0.0)
    return total


@piece
def _scan_row_anisotropic(mean, s, v, column, cutoff, place, out, total):
    """The same for a precision of nine numbers."""
    start, x0, x1, kernel = place
    pixels, kernels, depths, activations = out
    for x in range(x0, x1):
        depth, activation = peak_anisotropic(mean, s, column[x], v)
        pixels[total], kernels[total], depths[total], activations[total] = start + x, kernel, depth, activation
        total += (activation < cutoff) & (depth > 0.0)
    return total


@piece
def _nearest_first(found, first, count, limit):
    """Sort the ``limit`` nearest to the front; of equally near ones the one of lower index is nearer."""
    kernel, depth, activation = found.kernel, found.depth, found.density
    for i in range(first + 1, first + count):
        t, k, a = depth[i], kernel[i], activation[i]
        j = i
        if i - first >= limit:
            j = first + limit - 1
            if _nearer(depth[j], kernel[j], t, k):
                continue
            kernel[i], depth[i], activation[i] = kernel[j], depth[j], activation[j]
        while j > first and _nearer(t, k, depth[j - 1], kernel[j - 1]):
            kernel[j], depth[j], activation[j] = kernel[j - 1], depth[j - 1], activation[j - 1]
            j -= 1
        kernel[j], depth[j], activation[j] = k, t, a


@piece
def _nearer(t, k, other_t, other_k):
    return t < other_t or (t == other_t and k < other_k)


@entry
def count_up(bands):
    """Turn ``bands.pixel`` from numbers to positions; returns all seen pixels and the most kernels kept in any."""
    bands.pixel[0] = 0
    slots = 0
    for t in range(len(bands.row)):
        bands.pixel[t + 1] += bands.pixel[t]
        slots = max(slots, bands.fullest[t])
    return bands.pixel[len(bands.row)], slots
