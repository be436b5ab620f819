"""From gradients of pictures, scores and fragments to those of kernels and cameras."""

from __future__ import annotations

import math

from nbf_render_numba._compile import entry, piece, take_seat, take_task
from nbf_render_numba._geometry import push_anisotropic, push_isotropic, sharpness
from nbf_render_numba._rows import dot_rows
from nbf_render_numba._volume import weigh_pixel_backward


@entry
def pull_map(counter, bands, pairs, seen, along, mixed):
    """Fill ``along`` ``[p]``, the derivative by the weights of the kept pairs.

    ``mixed`` is (table ``[b or 1, k, c]``, gradient of the map ``[r, c]``, its row for each seen pixel ``[n]``).
    """
    table, image, place = mixed
    while True:
        t = take_task(counter)
        if t >= len(bands.row):
            break
        rows = table[min(bands.person[t], len(table) - 1)]
        for i in range(bands.pixel[t], bands.pixel[t + 1]):
            first, end = seen.first[i], seen.first[i] + seen.kept[i]
            dot_rows(along[first:end], image[place[i]], rows, pairs.kernel[first:end])


@entry
def push_back(counter, scene, setting, bands, pairs, seen, pull, push, spare):
    """Fill ``push`` from ``pull``; ``spare`` is ``[7, m]`` for each thread."""
    seat = take_seat(counter)
    while True:
        t = take_task(counter)
        if t >= len(bands.row):
            break
        camera = scene.camera[bands.person[t]]
        push.means[t], push.precision[t], push.camera[t] = 0.0, 0.0, 0.0
        top = bands.person[t] * setting.height
        for i in range(bands.pixel[t], bands.pixel[t + 1]):
            first, end = seen.first[i], seen.first[i] + seen.kept[i]
            local = spare[seat, :, : end - first]
            if not _gather_pull(pull, i, seen.pixel[i], first, pairs.weight[first:end], local[0]):
                continue
            row = seen.pixel[i] // setting.width
            u = (seen.pixel[i] - row * setting.width + 0.5 - camera[2]) / camera[0]
            v = (row - top + 0.5 - camera[3]) / camera[1]
            place = (bands.person[t] * scene.kernels, first, u, v, math.sqrt(u * u + v * v + 1.0))
            _push_pixel(scene, setting.absorptivity, pairs, place, pull.depth[i : i + 1], local)
            to_u, to_v = _push_kernels(scene, pairs, place, local, push.means[t], push.precision[t])
            push.camera[t, 0] -= to_u * u / camera[0]
            push.camera[t, 1] -= to_v * v / camera[1]
            push.camera[t, 2] -= to_u / camera[0]
            push.camera[t, 3] -= to_v / camera[1]


@piece
def _gather_pull(pull, i, pixel, first, weight, to_weight):
    """Sum up what comes from outside in ``to_weight``; whether there is anything to pass on."""
    scale, constant = 1.0, 0.0
    if len(pull.scale) > 0:
        scale = pull.scale[pixel]
    if len(pull.silhouette) > 0:
        total = 0.0
        for m in range(len(weight)):
            total += weight[m]
        if total <= 1.0:  # beyond, the silhouette is clamped
            constant = pull.silhouette[pixel]
    found = len(pull.depth) > 0
    for m in range(len(weight)):
        value = constant
        if len(pull.along) > 0:
            value += scale * pull.along[first + m]
        if len(pull.weight) > 0:
            value += pull.weight[i, m]
        to_weight[m] = value
        found |= value != 0.0
    return found


@piece
def _push_pixel(scene, absorptivity, pairs, place, to_depth, local):
    """From gradients of the weights in ``local[0]`` to those of activation, depth and ``q`` in ``local[1:4]``."""
    base, first, u, v, length = place
    to_weight, to_a, to_l, to_q = local[0], local[1], local[2], local[3]
    depth, sharp, hide = local[4], local[5], local[6]
    count = len(depth)
    for m in range(count):
        depth[m] = pairs.depth[first + m] * length
        sharp[m] = sharpness(scene.precision[base + pairs.kernel[first + m]], u, v, length * length)
    values = (pairs.density[first : first + count], depth, sharp, pairs.weight[first : first + count])
    weigh_pixel_backward(values, to_weight, absorptivity, hide, to_a, to_l, to_q)
    for m in range(count):
        to_q[m] /= 2.0 * sharp[m]
        if len(to_depth) > 0:
            to_l[m] += to_depth[0, m]


@piece
def _push_kernels(scene, pairs, place, local, to_means, to_precision):
    """Add the gradients of one pixel's kernels; returns those of the pixel's direction."""
    base, first, u, v, length = place
    sum_u, sum_v = 0.0, 0.0
    for m in range(local.shape[1]):
        kernel = pairs.kernel[first + m]
        mean, s = scene.means[base + kernel], scene.precision[base + kernel]
        ray = (u, v, length, pairs.depth[first + m])
        pull = (local[1, m], local[2, m], local[3, m])
        if len(s) == 1:
            to_u, to_v = push_isotropic(mean, s, ray, pull, to_means[kernel], to_precision[kernel])
        else:
            to_u, to_v = push_anisotropic(mean, s, ray, pull, to_means[kernel], to_precision[kernel])
        sum_u += to_u
        sum_v += to_v
    return sum_u, sum_v
