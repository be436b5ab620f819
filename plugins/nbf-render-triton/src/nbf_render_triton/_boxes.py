"""Boxes of pixels around the kernels' images."""

import triton
import triton.language as tl

from nbf_render_triton._geometry import load_kernel

# Pixels added around a box, against rounding: a box may hold too many pixels, never too few.
_MARGIN = tl.constexpr(0.02)


@triton.jit
def _extent(precision, CUTOFF: tl.constexpr, FULL: tl.constexpr):
    """xx, yy, xz, yz, zz of ``E = CUTOFF S^-1``."""
    if FULL:
        xx, yy, zz = precision[0], precision[4], precision[8]
        xy = 0.5 * (precision[1] + precision[3])
        xz = 0.5 * (precision[2] + precision[6])
        yz = 0.5 * (precision[5] + precision[7])
        first = yy * zz - yz * yz
        scale = CUTOFF / (xx * first - xy * (xy * zz - yz * xz) + xz * (xy * yz - yy * xz))
        return (
            scale * first,
            scale * (xx * zz - xz * xz),
            scale * (xy * yz - xz * yy),
            scale * (xy * xz - xx * yz),
            scale * (xx * yy - xy * xy),
        )
    else:
        radius2 = CUTOFF / precision[0]
        return radius2, radius2, 0.0 * radius2, 0.0 * radius2, radius2


@triton.jit
def _clamped(value, limit):
    """Whole numbers in 0..limit; 0 for what is not a number."""
    value = tl.where(value == value, value, 0.0)
    return tl.minimum(tl.maximum(value, 0.0), limit.to(value.dtype)).to(tl.int32)


@triton.jit
def _interval(x, z, xx, xz, zz, focal, center, limit):
    """Pixels along one axis: the tangents ``u = x / z`` to the ellipsoid, see the plain renderer's boxes."""
    front = z * z - zz
    across = front <= 0.0
    # expanded by hand: the difference of the two products of the textbook form cancels far from the camera
    square = x * x * zz + z * z * xx - 2.0 * x * z * xz + xz * xz - xx * zz
    scale = focal / tl.where(across, 1.0, front)
    middle = (x * z - xz) * scale + center
    reach = tl.sqrt(tl.maximum(square, 0.0)) * tl.abs(scale)  # a negative focal length mirrors
    first = middle - reach - (0.5 + _MARGIN)
    last = middle + reach - (0.5 - _MARGIN)
    low = tl.where(across, 0, _clamped(tl.ceil(first), limit))
    high = tl.where(across, limit, _clamped(tl.floor(last) + 1.0, limit))
    return low, high


@triton.jit
def find_boxes(scene, CUTOFF: tl.constexpr, FULL: tl.constexpr, LANES: tl.constexpr):
    """Write ``scene.boxes``. In float64 throughout, as these are few numbers and a pixel missed is an error."""
    index = tl.program_id(0) * LANES + tl.arange(0, LANES)
    inside = index < scene.total
    index = tl.minimum(index, scene.total - 1)
    x, y, z, narrow = load_kernel(scene, index, inside, FULL)
    x, y, z = x.to(tl.float64), y.to(tl.float64), z.to(tl.float64)
    precision = ()
    for i in tl.static_range(9 if FULL else 1):
        precision = precision + (narrow[i].to(tl.float64),)
    xx, yy, xz, yz, zz = _extent(precision, CUTOFF, FULL)
    camera = scene.camera + (index // scene.kernels) * 4
    focal_x, focal_y = tl.load(camera).to(tl.float64), tl.load(camera + 1).to(tl.float64)
    center_x, center_y = tl.load(camera + 2).to(tl.float64), tl.load(camera + 3).to(tl.float64)
    left, right = _interval(x, z, xx, xz, zz, focal_x, center_x, index * 0 + scene.width)
    top, bottom = _interval(y, z, yy, yz, zz, focal_y, center_y, index * 0 + scene.height)
    # An ellipsoid across the plane of the camera gets the whole image, one behind it none.
    visible = ((z > 0.0) | (z * z <= zz)) & (right > left) & (bottom > top)
    box = scene.boxes + index
    tl.store(box, tl.where(visible, left, 0), mask=inside)
    tl.store(box + scene.total, tl.where(visible, right, 0), mask=inside)
    tl.store(box + 2 * scene.total, tl.where(visible, top, 0), mask=inside)
    tl.store(box + 3 * scene.total, tl.where(visible, bottom, 0), mask=inside)


@triton.jit
def load_box(scene, index, valid):
    """x0, x1, y0, y1; empty where not ``valid``."""
    box = scene.boxes + index
    x0 = tl.load(box, mask=valid, other=0)
    x1 = tl.load(box + scene.total, mask=valid, other=0)
    y0 = tl.load(box + 2 * scene.total, mask=valid, other=0)
    y1 = tl.load(box + 3 * scene.total, mask=valid, other=0)
    return x0, x1, y0, y1
