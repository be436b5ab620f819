"""Where along a ray a kernel peaks, and the gradient of that: functions for use inside kernels.

Directions are (u, v, 1): lengths are put right afterwards. The same formulas as the plain renderer's: the
activation comes from the perpendicular offset, which loses no digits at a distance in float32.
"""

import triton
import triton.language as tl


@triton.jit
def direction(scene, person, row, column):
    """(u, v) of the centres of pixels."""
    camera = scene.camera + person * 4
    focal_x, focal_y = tl.load(camera), tl.load(camera + 1)
    x = column.to(focal_x.dtype) + 0.5 - tl.load(camera + 2)
    y = row.to(focal_x.dtype) + 0.5 - tl.load(camera + 3)
    return x / focal_x, y / focal_y


@triton.jit
def load_kernel(scene, index, valid, FULL: tl.constexpr):
    """x, y, z and the precision, a tuple of 1 or (FULL) 9 numbers; harmless ones where not ``valid``."""
    row = scene.rows + index * (12 if FULL else 4)
    x = tl.load(row, mask=valid, other=1.0)
    y = tl.load(row + 1, mask=valid, other=1.0)
    z = tl.load(row + 2, mask=valid, other=1.0)
    precision = ()
    for i in tl.static_range(9 if FULL else 1):
        precision = precision + (tl.load(row + 3 + i, mask=valid, other=1.0 if i % 4 == 0 else 0.0),)
    return x, y, z, precision


@triton.jit
def _turned(precision, x, y, z):
    """S times a vector."""
    return (
        precision[0] * x + precision[1] * y + precision[2] * z,
        precision[3] * x + precision[4] * y + precision[5] * z,
        precision[6] * x + precision[7] * y + precision[8] * z,
    )


@triton.jit
def _foot(x, y, z, precision, u, v, FULL: tl.constexpr):
    """Depth ``l``, the offset ``r = mu - l d`` left there, and ``q = d' S d``, ``S d`` in units of d."""
    aside, above = x - z * u, y - z * v
    if FULL:
        tx, ty, tz = _turned(precision, u, v, 1.0)
        q = tx * u + ty * v + tz
        shift = (aside * tx + above * ty) / q
    else:
        length2 = u * u + v * v + 1.0
        tx, ty, tz = precision[0] * u, precision[0] * v, precision[0]
        q = precision[0] * length2
        shift = (aside * u + above * v) / length2
    return z + shift, aside - shift * u, above - shift * v, -shift, q, tx, ty, tz


@triton.jit
def peak(x, y, z, precision, u, v, FULL: tl.constexpr):
    """Depth in units of d, activation, and ``q`` for a unit direction."""
    depth, rx, ry, rz, q, _tx, _ty, _tz = _foot(x, y, z, precision, u, v, FULL)
    if FULL:
        hx, hy, hz = _turned(precision, rx, ry, rz)
        return depth, rx * hx + ry * hy + rz * hz, q / (u * u + v * v + 1.0)
    else:
        return depth, precision[0] * (rx * rx + ry * ry + rz * rz), precision[0] + 0.0 * depth


@triton.jit
def peak_pull(x, y, z, precision, u, v, pull, FULL: tl.constexpr):
    """From the gradients ``pull`` of activation, distance and q (unit direction) to those of the inputs.

    Returns that of the mean, of the precision (1 or 9 numbers) and of (u, v). With ``h = S r``, ``t = S d``:
    ``da = 2 h' dmu - 2 l h' dd + r r'``, ``dl = (t' dmu + (h - l t)' dd + r d') / q``, ``dq = 2 t' dd + d d'``,
    the last terms being those of S. At its minimum over the depth the activation does not depend on the depth.
    """
    by_activation, by_distance, by_q = pull
    depth, rx, ry, rz, q, tx, ty, tz = _foot(x, y, z, precision, u, v, FULL)
    length2 = u * u + v * v + 1.0
    length = tl.sqrt(length2)
    by_depth = by_distance * length / q
    by_length = by_distance * depth / length  # d length = (u du + v dv) / length
    if FULL:
        hx, hy, hz = _turned(precision, rx, ry, rz)
        by_raw = by_q / length2
        by_length -= 2.0 * by_raw * q / length2
        gu = 2.0 * by_raw * tx
        gv = 2.0 * by_raw * ty
        dx, dy, dz = by_depth * rx, by_depth * ry, by_depth * rz
        ax, ay, az = by_activation * rx, by_activation * ry, by_activation * rz
        to_precision = (
            ax * rx + dx * u + by_raw * u * u,
            ax * ry + dx * v + by_raw * u * v,
            ax * rz + dx + by_raw * u,
            ay * rx + dy * u + by_raw * v * u,
            ay * ry + dy * v + by_raw * v * v,
            ay * rz + dy + by_raw * v,
            az * rx + dz * u + by_raw * u,
            az * ry + dz * v + by_raw * v,
            az * rz + dz + by_raw,
        )
    else:  # q for a unit direction is the precision itself
        hx, hy, hz = precision[0] * rx, precision[0] * ry, precision[0] * rz
        gu = 0.0 * u
        gv = 0.0 * v
        to_precision = (by_activation * (rx * rx + ry * ry + rz * rz) + by_q,)
    twice = 2.0 * by_activation
    gu += by_depth * (hx - depth * tx) - depth * twice * hx + by_length * u
    gv += by_depth * (hy - depth * ty) - depth * twice * hy + by_length * v
    mean = (twice * hx + by_depth * tx, twice * hy + by_depth * ty, twice * hz + by_depth * tz)
    return mean, to_precision, gu, gv
