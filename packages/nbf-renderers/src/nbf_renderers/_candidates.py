"""Which kernels a pixel sees: pairs of pixel and kernel that pass the cutoff, then slots nearest first.

All of this is selection, without gradients.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nbf_core.types import Camera, Kernels
from nbf_renderers._volume import peak

# Pairs tested at a time: bounds the memory of selection where kernels cover much of the image.
_CHUNK = 1 << 18
# Pixels added around a box, against rounding: a box may hold too many pixels, never too few.
_MARGIN = 0.02


@dataclass(frozen=True)
class Pairs:
    """Pairs ``[p]`` of flat pixel in (batch, height, width) and flat kernel in (batch, k); depth, activation."""

    pixel: Tensor
    kernel: Tensor
    depth: Tensor
    activation: Tensor


@dataclass(frozen=True)
class Slots:
    """The ``n`` pixels that see something, ascending, and their at most ``m`` nearest kernels.

    ``kernel`` ``[m, n]`` indexes (batch, k) flat, and repeats the pixel's nearest where not ``valid``, so
    that whatever is computed there is finite. ``truncated`` ``[n]`` counts what was cut off, and ``cut`` ``[n]``
    sums what of it would weigh if nothing stood before it: ``exp(-a - absorptivity exp(-a) / 2)``.
    """

    pixel: Tensor
    kernel: Tensor
    valid: Tensor
    truncated: Tensor
    cut: Tensor


def component_first(kernels: Kernels) -> tuple[Tensor, Tensor]:
    """Means ``[3, b k]`` and precision ``[b k]`` or ``[3, 3, b k]``."""
    means = kernels.means.reshape(-1, 3).T.contiguous()
    precision = kernels.precision
    if precision.dim() == 2:
        return means, precision.reshape(-1)
    return means, precision.reshape(-1, 3, 3).permute(1, 2, 0).contiguous()


def pixel_directions(camera: Camera, pixel: Tensor) -> Tensor:
    """Directions ``[3, n]`` with z = 1 through the centres of flat ``pixel``s of (batch, height, width)."""
    height, width = camera.size
    row = torch.div(pixel, width, rounding_mode="floor")
    column = pixel - row * width
    person = torch.div(row, height, rounding_mode="floor")
    row = row - person * height
    focal, center = camera.focal.index_select(0, person), camera.center.index_select(0, person)
    x, y = (torch.stack([column, row]) + 0.5 - center.T) / focal.T
    return torch.stack([x, y, torch.ones_like(x)])


@torch.no_grad()
def camera_pairs(kernels: Kernels, camera: Camera, cutoff: float) -> Pairs:
    """Pairs with activation below ``cutoff`` and positive depth, found through boxes of pixels."""
    batch, count, _ = kernels.means.shape
    height, width = camera.size
    means, precision = component_first(kernels)
    low, size = _boxes(means, precision, camera, count, cutoff)
    area = size[0] * size[1]
    first = torch.cumsum(area, 0) - area
    base = torch.arange(batch, device=area.device).repeat_interleave(count) * (height * width)
    found = []
    for kernel, position in _enumerate(area, first):
        columns = size[0].index_select(0, kernel)
        row = torch.div(position, columns, rounding_mode="floor")
        corner = base + low[1] * width + low[0]
        pixel = corner.index_select(0, kernel) + position + row * (width - columns)
        mean = means.index_select(1, kernel)
        depth, activation, _ = peak(mean, precision.index_select(-1, kernel), pixel_directions(camera, pixel), mean[2])
        # The depth is in units of the direction's z here: positive in front, whatever the length.
        passing = ((activation < cutoff) & (depth > 0)).nonzero().squeeze(1)
        found.append(Pairs(pixel[passing], kernel[passing], depth[passing], activation[passing]))
    return _join(found)


@torch.no_grad()
def ray_pairs(kernels: Kernels, rays: Tensor, cutoff: float, keep_behind: bool) -> Pairs:
    """The same for any ``rays`` ``[b, h, w, 3]``: every kernel is tested in every ray, a chunk at a time."""
    batch, height, width, _ = rays.shape
    count = kernels.means.shape[1]
    found = []
    for person in range(batch):
        means, precision = component_first(kernels[person : person + 1])
        directions = rays[person].reshape(-1, 3).T
        step = max(1, _CHUNK // max(1, count))
        for start in range(0, height * width, step):
            some = directions[:, start : start + step, None]
            guess = (means[:, None] * some).sum(0) / (some * some).sum(0)
            depth, activation, _ = peak(means[:, None], precision[..., None, :], some, guess)
            passing = activation < cutoff
            if not keep_behind:
                passing &= depth > 0
            pixel, kernel = passing.nonzero(as_tuple=True)
            offset = person * height * width + start
            found.append(
                Pairs(pixel + offset, kernel + person * count, depth[pixel, kernel], activation[pixel, kernel])
            )
    return _join(found)


@torch.no_grad()
def assign_slots(pairs: Pairs, max_kernels: int, absorptivity: float) -> Slots:
    """Sort pairs by pixel and depth and keep the ``max_kernels`` nearest of each pixel.

    The number of slots is that of the fullest pixel.
    """
    order = _by_pixel_and_depth(pairs)
    pixel, occupied = torch.unique_consecutive(pairs.pixel[order], return_counts=True)
    kept = occupied.clamp(max=max_kernels)
    fullest = int(occupied.max()) if len(occupied) else 0
    slots = min(fullest, max_kernels)
    first = torch.cumsum(occupied, 0) - occupied
    slot = torch.arange(slots, device=order.device)[:, None]
    valid = slot < kept
    position = torch.where(valid, first + slot, first)
    kernel = pairs.kernel[order][position]
    cut = pairs.activation.new_zeros(len(pixel))
    if fullest > max_kernels:
        place = torch.arange(len(pixel), device=order.device).repeat_interleave(occupied)
        beyond = (torch.arange(len(order), device=order.device) >= (first + kept)[place]).nonzero().squeeze(1)
        density = torch.exp(-pairs.activation[order[beyond]])
        cut = cut.index_add(0, place[beyond], density * torch.exp(-0.5 * absorptivity * density))
    return Slots(pixel, kernel, valid, occupied - kept, cut)


def _boxes(means: Tensor, precision: Tensor, camera: Camera, count: int, cutoff: float) -> tuple[Tensor, Tensor]:
    """Pixel boxes ``(low, size)``, each ``[2, b k]`` (x, y), around the cutoff ellipsoids' images.

    The ellipsoid ``(x - mu)' S (x - mu) = cutoff`` with ``E = cutoff S^-1`` projects to a conic; its tangents
    of constant ``u = x / z`` solve ``(mu_z^2 - E_zz) u^2 - 2 (mu_x mu_z - E_xz) u + mu_x^2 - E_xx = 0``,
    likewise for y. An ellipsoid across the plane of the camera gets the whole image, one behind it none.
    """
    extent = _extent(precision, cutoff)
    x, z = means[:2], means[2]
    xx, xz, zz = extent[:2], extent[2:4], extent[4]
    front = z * z - zz
    # expanded by hand: the difference of the two products of the textbook form cancels far from the camera
    root = (x * x * zz + z * z * xx - 2 * x * z * xz + xz * xz - xx * zz).clamp_min(0).sqrt()
    focal, center = (v.repeat_interleave(count, 0).T for v in (camera.focal, camera.center))
    limit = torch.tensor([[camera.size[1]], [camera.size[0]]], device=z.device)
    across = (front <= 0)[None]
    scale = focal / front
    middle, reach = (x * z - xz) * scale + center, root * scale.abs()  # a negative focal length mirrors
    first = middle - reach - (0.5 + _MARGIN)
    last = middle + reach - (0.5 - _MARGIN)
    low = torch.where(across, 0, _to_pixel(first.ceil(), limit))
    high = torch.where(across, limit, _to_pixel(last.floor() + 1, limit))
    visible = (z > 0) | (front <= 0)
    return low, torch.where(visible, (high - low).clamp_min(0), 0)


def _extent(precision: Tensor, cutoff: float) -> Tensor:
    """Rows xx, yy, xz, yz, zz of ``E = cutoff S^-1``, ``[5, b k]``.

    Matrices are inverted as ``S = L D L'``, which is stable for any positive definite ``S``, raises for no other,
    and is the same few operations on every device.
    """
    if precision.dim() == 1:
        radius2 = cutoff / precision
        nothing = torch.zeros_like(radius2)
        return torch.stack([radius2, radius2, nothing, nothing, radius2])
    xx, xy, xz, yy, yz, zz = (precision[i, j] for i, j in ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)))
    low_xy, low_xz = xy / xx, xz / xx
    pivot_y, rest_yz = yy - low_xy * xy, yz - low_xy * xz
    low_yz = rest_yz / pivot_y
    pivot_z = zz - low_xz * xz - low_yz * rest_yz
    up_xz = low_xy * low_yz - low_xz  # of L^-1, whose other two entries are -low_xy and -low_yz
    inverse = [
        1 / xx + low_xy**2 / pivot_y + up_xz**2 / pivot_z,
        1 / pivot_y + low_yz**2 / pivot_z,
        up_xz / pivot_z,
        -low_yz / pivot_z,
        1 / pivot_z,
    ]
    return cutoff * torch.stack(inverse)


def _to_pixel(value: Tensor, limit: Tensor) -> Tensor:
    """Clamped to the image before the cast, which is undefined for numbers out of range."""
    return torch.minimum(value.nan_to_num(0.0).clamp_min(0), limit.to(value.dtype)).long()


def _enumerate(area: Tensor, first: Tensor):
    """(kernel, position in its box) of all candidates, in chunks of about ``_CHUNK``."""
    index = torch.arange(len(area), device=area.device)
    total = int(area.sum())
    chunks = [(0, len(area))]
    if total > _CHUNK:
        last = torch.searchsorted(first, torch.arange(0, total, _CHUNK, device=area.device))
        edges = sorted({0, len(area), *last.tolist()})
        chunks = list(zip(edges[:-1], edges[1:], strict=True))
    for start, stop in chunks:
        # cloned: on MPS, repeat_interleave read a slice from the start of its storage before torch 2.10
        kernel = index[start:stop].repeat_interleave(area[start:stop].clone())
        counter = torch.arange(len(kernel), device=area.device)
        yield kernel, counter + first[start:stop][:1] - first.index_select(0, kernel)


def _by_pixel_and_depth(pairs: Pairs) -> Tensor:
    # Sorting int64 goes wrong on MPS (pytorch issue 155560).
    if pairs.depth.dtype == torch.float32 and pairs.depth.device.type != "mps":
        # One sort instead of two: a float's bits, read as an integer, sort like the float (mirrored below 0).
        bits = pairs.depth.contiguous().view(torch.int32).long()
        bits = torch.where(bits < 0, -(bits & 0x7FFFFFFF), bits)
        return torch.argsort((pairs.pixel << 32) + bits + (1 << 31), stable=True)
    by_depth = torch.argsort(pairs.depth, stable=True)
    return by_depth[torch.argsort(pairs.pixel[by_depth].int(), stable=True)]


def _join(found: list[Pairs]) -> Pairs:
    if len(found) == 1:
        return found[0]
    return Pairs(*(torch.cat([getattr(p, name) for p in found]) for name in ("pixel", "kernel", "depth", "activation")))
