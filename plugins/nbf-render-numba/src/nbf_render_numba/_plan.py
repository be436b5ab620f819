"""Where a kernel can be seen at all: boxes of pixels, and bands of rows to share the work by."""

from __future__ import annotations

import math

from nbf_render_numba._compile import entry, piece, take_seat, take_task

# Pixels added around a box, against rounding: a box may hold too many pixels, never too few.
_MARGIN = 1e-6
# What an empty pixel costs in candidates, when work is shared among bands.
_EMPTY = 0.1


@entry
def plan(counter, scene, setting, box, order, bands, spare):
    """Fill ``box``, ``order`` and ``bands``, a task a person: the rows in bands of about equal work.

    ``box`` ``[b k, 4]`` is first and last column + 1, first and last row + 1; ``order`` ``[b, k]`` are the kernels
    that have a box, roughly from near to far, then -1. ``bands.pair[t + 1]`` becomes the number of candidates of
    band ``t``. ``spare`` is, for each thread, ``[h + 1]`` and ``[2 k + 2]`` of int32.
    """
    seat = take_seat(counter)
    work, start = spare[0][seat], spare[1][seat]
    while True:
        b = take_task(counter)
        if b >= len(scene.camera):
            break
        work[:] = 0.0
        for k in range(b * scene.kernels, (b + 1) * scene.kernels):
            _place(scene, setting, k, b, box[k])
            x0, x1, y0, y1 = box[k, 0], box[k, 1], box[k, 2], box[k, 3]
            if y1 > y0:
                work[y0] += x1 - x0
                work[y1] -= x1 - x0
        _order(scene.means, box, b * scene.kernels, order[b], start)
        _share(work, setting, bands, len(scene.camera), b)


@piece
def _share(work, setting, bands, people, b):
    """Cut a person's rows into bands, from the change of work at each row."""
    share = len(bands.row) // people
    total = 0.0
    for y in range(setting.height):
        if y > 0:
            work[y] += work[y - 1]
        total += work[y] + _EMPTY * setting.width
    row, done = 0, 0.0
    for part in range(share):
        t = b * share + part
        bands.person[t], bands.row[t] = b, row
        candidates = 0
        while row < setting.height and (part == share - 1 or done < total * (part + 1) / share):
            done += work[row] + _EMPTY * setting.width
            candidates += int(work[row])
            row += 1
        bands.end[t], bands.pair[t + 1] = row, candidates


@entry
def line_up(bands):
    """Turn ``bands.pair`` from numbers to positions; returns all candidates, and the most, and most rows, of a band."""
    bands.pair[0] = 0
    longest, tallest = 0, 0
    for t in range(len(bands.row)):
        longest, tallest = max(longest, bands.pair[t + 1]), max(tallest, bands.end[t] - bands.row[t])
        bands.pair[t + 1] += bands.pair[t]
    return bands.pair[len(bands.row)], longest, tallest


@piece
def _order(means, box, base, order, start):
    """One pass of a bucket sort by z: what it leaves unsorted costs the exact sort of each pixel little."""
    order[:] = -1
    low, high, used = math.inf, -math.inf, 0
    for k in range(len(order)):
        if box[base + k, 1] > 0:
            low, high, used = min(low, means[base + k, 2]), max(high, means[base + k, 2]), used + 1
    buckets = 2 * used + 1
    scale = (buckets - 1) / (high - low) if high > low else 0.0
    start[: buckets + 1] = 0
    for k in range(len(order)):
        if box[base + k, 1] > 0:
            start[_bucket((means[base + k, 2] - low) * scale, buckets) + 1] += 1
    for i in range(buckets):
        start[i + 1] += start[i]
    for k in range(len(order)):
        if box[base + k, 1] > 0:
            i = _bucket((means[base + k, 2] - low) * scale, buckets)
            order[start[i]] = k
            start[i] += 1


@piece
def _bucket(place, buckets):
    """Compared before the cast: depths closer than 1e-305 make the scale infinite, and 0 times that not a number."""
    return int(place) if place < buckets else buckets - 1


@piece
def _place(scene, setting, k, b, box):
    """Fill the box of kernel ``k``: tangents of the image of the ellipsoid ``(x - mu)' S (x - mu) = cutoff``.

    With ``E = cutoff S^-1`` the tangents of constant ``u = x / z`` solve ``(mu_z^2 - E_zz) u^2 - 2 (mu_x mu_z - E_xz) u
    + mu_x^2 - E_xx = 0``, likewise for y. An ellipsoid across the plane of the camera gets the whole picture, one
    behind it nothing.
    """
    z = scene.means[k, 2]
    xx, yy, zz, xz, yz = _extent(scene.precision, k, setting.cutoff)
    front = z * z - zz
    camera = scene.camera[b]
    box[:] = 0
    if front <= 0.0:
        box[1], box[3] = setting.width, setting.height
    elif z > 0.0:
        across, down = (camera[0], camera[2], setting.width), (camera[1], camera[3], setting.height)
        box[0], box[1] = _interval(scene.means[k, 0], z, xx, xz, zz, front, across)
        box[2], box[3] = _interval(scene.means[k, 1], z, yy, yz, zz, front, down)
        if box[1] <= box[0] or box[3] <= box[2]:
            box[:] = 0


@piece
def _interval(x, z, xx, xz, zz, front, axis):
    """First and last + 1 pixel whose centre may lie inside, along one ``axis`` (focal length, centre, size)."""
    focal, center, size = axis
    # expanded by hand: the difference of the two products of the textbook form cancels far from the camera
    square = x * x * zz + z * z * xx - 2 * x * z * xz + xz * xz - xx * zz
    scale = focal / front
    middle, root = (x * z - xz) * scale + center - 0.5, math.sqrt(max(square, 0.0)) * abs(scale)
    first, last = math.ceil(middle - root - _MARGIN), math.floor(middle + root + _MARGIN) + 1.0
    # compared before the cast, which is undefined for what is out of range or not a number
    low = int(min(first, float(size))) if first > 0.0 else 0
    high = int(min(last, float(size))) if last > 0.0 else 0
    return low, high


@piece
def _extent(precision, k, cutoff):
    """xx, yy, zz, xz, yz of ``cutoff S^-1``."""
    s = precision[k]
    if len(s) == 1:
        radius2 = cutoff / s[0]
        return radius2, radius2, radius2, 0.0, 0.0
    minor = s[4] * s[8] - s[5] * s[7]
    scale = cutoff / (s[0] * minor - s[1] * (s[3] * s[8] - s[5] * s[6]) + s[2] * (s[3] * s[7] - s[4] * s[6]))
    xx = minor * scale
    yy = (s[0] * s[8] - s[2] * s[6]) * scale
    zz = (s[0] * s[4] - s[1] * s[3]) * scale
    xz = (s[1] * s[5] - s[2] * s[4]) * scale
    yz = (s[2] * s[3] - s[0] * s[5]) * scale
    return xx, yy, zz, xz, yz
