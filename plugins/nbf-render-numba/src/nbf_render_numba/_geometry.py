"""Where along a ray a kernel peaks, how dense it is there, and how that changes with kernel and camera.

A ray's direction is ``d = (u, v, 1)``, and depths ``t`` are in its units: ``t = mu' S d / d' S d``, activation
``a = r' S r`` with ``r = mu - t d``. The perpendicular offset ``r`` is small; the equal ``mu' S mu - t^2 d' S d``
subtracts two large numbers. The contract's depth is ``l = t |d|``, its sharpness ``q = d' S d / d' d``.
"""

from __future__ import annotations

import math

from nbf_render_numba._compile import piece


@piece
def apply(s, x, y, z):
    """``S v`` for ``s`` of one number or nine."""
    if len(s) == 1:
        return s[0] * x, s[0] * y, s[0] * z
    return s[0] * x + s[1] * y + s[2] * z, s[3] * x + s[4] * y + s[5] * z, s[6] * x + s[7] * y + s[8] * z


@piece
def peak_isotropic(mean, s, u, v):
    """Depth ``t`` and activation ``a`` along ``(u, v, 1)`` of a kernel with ``S = s I``; ``mean`` is (x, y, z)."""
    # The offset from where the ray passes the kernel's plane: its third component is zero.
    x, y = mean[0] - mean[2] * u, mean[1] - mean[2] * v
    shift = (x * u + y * v) / (u * u + v * v + 1.0)
    x, y = x - shift * u, y - shift * v
    return mean[2] + shift, s * (x * x + y * y + shift * shift)


@piece
def peak_anisotropic(mean, s, u, v):
    """The same for ``s`` of nine numbers."""
    x, y = mean[0] - mean[2] * u, mean[1] - mean[2] * v
    dx, dy, dz = apply(s, u, v, 1.0)
    shift = (x * dx + y * dy) / (u * dx + v * dy + dz)
    x, y = x - shift * u, y - shift * v
    sx, sy, sz = apply(s, x, y, -shift)
    return mean[2] + shift, x * sx + y * sy - shift * sz


@piece
def sharpness(s, u, v, length2):
    """``sqrt(q + 1e-10)``; the small number keeps the square root's derivative finite."""
    if len(s) == 1:
        return math.sqrt(s[0] + 1e-10)
    dx, dy, dz = apply(s, u, v, 1.0)
    return math.sqrt((u * dx + v * dy + dz) / length2 + 1e-10)


@piece
def push_isotropic(mean, s, ray, pull, to_mean, to_precision):
    """Pass gradients ``pull`` of (a, l, q) on, adding to kernel gradients; returns those of (u, v).

    ``ray`` is (u, v, |d|, t).
    """
    u, v, length, t = ray
    to_a, to_l, to_q = pull
    x, y, z = mean[0] - t * u, mean[1] - t * v, mean[2] - t
    # a is at its minimum over t, so its derivative by t is zero: da = 2 S r (dmu - t dd).
    side = 2.0 * s[0] * to_a
    along = to_l / length
    to_mean[0] += side * x + along * u
    to_mean[1] += side * y + along * v
    to_mean[2] += side * z + along
    if len(to_precision) > 0:
        to_precision[0] += to_a * (x * x + y * y + z * z) + to_q
    # l = mu' d / |d|, so its derivative by d is r / |d|
    return along * x - side * t * x, along * y - side * t * y


@piece
def push_anisotropic(mean, s, ray, pull, to_mean, to_precision):
    """The same for a full precision, which is taken to be symmetric. Its gradient is ``r r'``, ``r d'``, ``d d'``."""
    u, v, length, t = ray
    to_a, to_l, to_q = pull
    x, y, z = mean[0] - t * u, mean[1] - t * v, mean[2] - t
    dx, dy, dz = apply(s, u, v, 1.0)
    rx, ry, rz = apply(s, x, y, z)
    steep = u * dx + v * dy + dz
    to_t = to_l * length / steep
    to_mean[0] += 2.0 * to_a * rx + to_t * dx
    to_mean[1] += 2.0 * to_a * ry + to_t * dy
    to_mean[2] += 2.0 * to_a * rz + to_t * dz
    length2 = length * length
    dense = to_q / length2
    if len(to_precision) > 0:
        rest, ray3 = (x, y, z), (u, v, 1.0)
        for i in range(3):
            for j in range(3):
                to_precision[3 * i + j] += to_a * rest[i] * rest[j]
                to_precision[3 * i + j] += (to_t * rest[i] + dense * ray3[i]) * ray3[j]
    # t by d: (S r - t S d) / d' S d;  l = t |d|;  q by d: 2 (S d - q d) / |d|^2
    to_a_side, scale = 2.0 * t * to_a, steep / length2
    to_u = to_t * (rx - t * dx) - to_a_side * rx + to_l * t * u / length + 2.0 * dense * (dx - scale * u)
    to_v = to_t * (ry - t * dy) - to_a_side * ry + to_l * t * v / length + 2.0 * dense * (dy - scale * v)
    return to_u, to_v
