"""Samples behind occluders."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from nbf_core.contracts import Occluder
from nbf_core.errors import ShapeError
from nbf_core.types import Sample
from nbf_datasets.occlusion.places import scaled
from nbf_datasets.patches import OCCLUDER


def behind(points: Float[Tensor, "n 2"], occluder: Occluder) -> Bool[Tensor, "n"]:
    """Which points (x, y in pixels) lie in the pixels that the occluder covers."""
    x, y = points.unbind(-1)
    return (x >= occluder.x0) & (x < occluder.x1) & (y >= occluder.y0) & (y < occluder.y1)


def covered_cells(occluder: Occluder, image_size: tuple[int, int], map_size: tuple[int, int]) -> Bool[Tensor, "h w"]:
    """Which cells of a map over the image have their centre behind the occluder."""
    y, x = ((torch.arange(cells) + 0.5) * side / cells for cells, side in zip(map_size, image_size, strict=True))
    rows, columns = (y >= occluder.y0) & (y < occluder.y1), (x >= occluder.x0) & (x < occluder.x1)
    return rows[:, None] & columns


def paint(
    samples: Sample,
    occluders: Sequence[Occluder],
    texture: Callable[[int, int, Occluder], np.ndarray],
    joints: Float[Tensor, "b 24 2"] | None = None,
) -> Sample:
    """A copy of collated samples with one occluder each; see ``OcclusionProtocol.apply``.

    ``texture`` gives the pixels [side, side, 3] for (sample index, side, occluder). Raises ShapeError where the
    number of occluders or joints is not that of the samples.
    """
    count = samples.image.shape[0] if samples.image.ndim == 4 else None
    if count != len(occluders):
        raise ShapeError(
            f"occluders: one a sample is needed, got {len(occluders)} for {count or 'no batch of'} samples"
        )
    if joints is not None and len(joints) != count:
        raise ShapeError(f"joints: expected {count} samples, got {len(joints)}")
    changes: dict[str, Tensor] = {"image": _painted(samples, occluders, texture)}
    for name in ("keypoints", "detected"):
        value = getattr(samples, name)
        if value is not None:
            seen = ~torch.stack([behind(one[:, :2], occluder) for one, occluder in zip(value, occluders, strict=True)])
            changes[name] = torch.cat([value[..., :2], torch.where(seen, value[..., 2], 0)[..., None]], -1)
    if joints is not None and samples.visible_joints is not None:
        hidden = torch.stack([behind(one, occluder) for one, occluder in zip(joints, occluders, strict=True)])
        changes["visible_joints"] = torch.where(hidden.to(samples.visible_joints.device), 0, samples.visible_joints)
    for name in ("kernel_map", "part_map"):
        value = getattr(samples, name)
        if value is not None:
            size, cells = tuple(samples.image.shape[-2:]), tuple(value.shape[-2:])
            hidden = torch.stack([covered_cells(occluder, size, cells) for occluder in occluders])
            changes[name] = torch.where(hidden.to(value.device), OCCLUDER, value)
    return replace(samples, **changes)


def _painted(
    samples: Sample, occluders: Sequence[Occluder], texture: Callable[[int, int, Occluder], np.ndarray]
) -> Tensor:
    images = samples.image.clone(memory_format=torch.contiguous_format)
    height, width = images.shape[-2:]
    for image, index, occluder in zip(images, samples.index.tolist(), occluders, strict=True):
        top, left = max(occluder.y0, 0), max(occluder.x0, 0)
        bottom, right = min(occluder.y1, height), min(occluder.x1, width)
        if bottom <= top or right <= left:
            continue
        # Made for the whole square, and cut with it at the image's edge: no position changes what is seen of it.
        side = max(_side(occluder, (height, width)), occluder.y1 - occluder.y0, occluder.x1 - occluder.x0)
        pixels = torch.from_numpy(texture(index, side, occluder).copy()).permute(2, 0, 1).to(images.device)
        rows, columns = slice(top - occluder.y0, bottom - occluder.y0), slice(left - occluder.x0, right - occluder.x0)
        image[:, top:bottom, left:right] = pixels[:, rows, columns]
    return images


def _side(occluder: Occluder, image_size: tuple[int, int]) -> int:
    """The side of an occluder's square before it was cut, in pixels of the image."""
    return max(scaled(occluder.size, side) for side in image_size)
