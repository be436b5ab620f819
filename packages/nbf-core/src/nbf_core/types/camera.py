"""The pinhole camera: one convention for the whole project."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from nbf_core.errors import ShapeError
from nbf_core.types.tree import TensorRecord


@dataclass(frozen=True)
class Camera(TensorRecord):
    """Pinhole cameras without distortion, OpenCV axes (x right, y down, z forward).

    ``focal`` and ``center`` are in pixels, x before y; ``size`` is (height, width). Pixel centres are at
    +0.5, so the middle of an image of width ``w`` is at ``w / 2``.
    """

    focal: Float[Tensor, "*b 2"]
    center: Float[Tensor, "*b 2"]
    size: tuple[int, int]

    def __post_init__(self):
        for name in ("focal", "center"):
            value = getattr(self, name)
            if value.shape[-1:] != (2,):
                raise ShapeError(f"camera {name}: expected shape [..., 2], got {tuple(value.shape)}")

    @classmethod
    def from_field(cls, size: tuple[int, int], focal: float, *batch: int, **kwargs) -> Camera:
        """A centred camera of ``size`` (height, width) with one focal length in pixels."""
        height, width = size
        center = torch.tensor([width / 2, height / 2], **kwargs).expand(*batch, 2)
        return cls(focal=torch.full((*batch, 2), float(focal), **kwargs), center=center, size=size)

    def project(self, points: Float[Tensor, "*b n 3"]) -> Float[Tensor, "*b n 2"]:
        """Points in camera coordinates (metres) to pixels. Points with z <= 0 give meaningless pixels."""
        xy = points[..., :2] / points[..., 2:].clamp_min(1e-6)
        return xy * self.focal[..., None, :] + self.center[..., None, :]

    def rays(self) -> Float[Tensor, "*b h w 3"]:
        """Unit directions through all pixel centres."""
        height, width = self.size
        like = {"dtype": self.focal.dtype, "device": self.focal.device}
        x = torch.arange(width, **like) + 0.5
        y = torch.arange(height, **like) + 0.5
        u = ((x - self.center[..., 0, None]) / self.focal[..., 0, None])[..., None, :]
        v = ((y - self.center[..., 1, None]) / self.focal[..., 1, None])[..., :, None]
        u, v = torch.broadcast_tensors(u, v)
        directions = torch.stack([u, v, torch.ones_like(u)], dim=-1)
        return directions / directions.norm(dim=-1, keepdim=True)

    def resized(self, size: tuple[int, int]) -> Camera:
        """The camera of the same picture resampled to ``size`` (height, width)."""
        scale = self.focal.new_tensor([size[1] / self.size[1], size[0] / self.size[0]])
        return replace(self, focal=self.focal * scale, center=self.center * scale, size=size)

    def cropped(self, box: Float[Tensor, "*b 4"], size: tuple[int, int]) -> Camera:
        """The camera of the crop ``box`` = (x0, y0, x1, y1) in pixels, resampled to ``size``."""
        low, high = box[..., :2], box[..., 2:]
        scale = self.focal.new_tensor([size[1], size[0]]) / (high - low)
        return replace(self, focal=self.focal * scale, center=(self.center - low) * scale, size=size)
