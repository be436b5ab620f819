"""A picture to draw on: a photo or a part of it, its camera, and maps brought onto it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image

from nbf_core.types import Camera
from nbf_run.report.figures import shown
from nbf_run.results import FittedImage


@dataclass(frozen=True)
class Canvas:
    """``picture`` shows ``box`` (x0, y0, x1, y1 in pixels of the photo), as ``camera`` sees it."""

    picture: UInt8[np.ndarray, "h w 3"]
    camera: Camera
    box: Float[np.ndarray, "4"]

    @classmethod
    def of_photo(cls, image: FittedImage, longest: int) -> Canvas:
        """The whole photo, its longer side at most ``longest`` pixels."""
        height, width = image.image.shape[:2]
        scale = min(longest / max(height, width), 1.0)
        size = (max(round(height * scale), 1), max(round(width * scale), 1))
        picture = image.image
        if size != (height, width):
            picture = np.array(Image.fromarray(picture).resize(size[::-1], Image.Resampling.BOX, reducing_gap=2.0))
        box = np.array([0.0, 0.0, width, height])
        return cls(picture.copy(), image.camera.resized(size), box)

    @classmethod
    def of_square(cls, image: FittedImage, square: Float[np.ndarray, "4"], side: int) -> Canvas:
        """A square part of the photo; flat where it leaves it."""
        box = torch.as_tensor(square, dtype=image.camera.focal.dtype)
        return cls(shown(image, square, side), image.camera.cropped(box, (side, side)), np.asarray(square))

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.picture.shape[0], self.picture.shape[1]

    @property
    def grey(self) -> Float[np.ndarray, "h w 1"]:
        """The picture without its colours, darker, so that colours laid over it can be read."""
        return np.asarray(Image.fromarray(self.picture).convert("L"), np.float32)[..., None] * 0.75 + 30

    def points(self, points: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 2"]:
        """Pixels of the photo in pixels of the canvas."""
        height, width = self.size
        return (points[:, :2] - self.box[:2]) * (np.array([width, height]) / (self.box[2:] - self.box[:2]))

    def place(
        self, values: Float[np.ndarray, "mh mw"], square: Float[np.ndarray, "4"], smooth: bool = True
    ) -> Float[np.ndarray, "h w"]:
        """A map over ``square`` (pixels of the photo) in pixels of the canvas; NaN outside the square."""
        height, width = self.size
        rows, columns = values.shape
        # From pixels of the canvas to those of the map: x' = a x + c.
        per = (self.box[2:] - self.box[:2]) / np.array([width, height])
        scale = np.array([columns, rows]) / (square[2:] - square[:2])
        a, c = per * scale, (self.box[:2] - square[:2]) * scale
        how = Image.Resampling.BICUBIC if smooth else Image.Resampling.NEAREST
        # The rim is repeated, for the interpolation to have neighbours there.
        padded = np.pad(np.asarray(values, np.float32), 2, mode="edge")
        data = (a[0], 0.0, c[0] + 2, 0.0, a[1], c[1] + 2)
        placed = np.array(Image.fromarray(padded).transform((width, height), Image.Transform.AFFINE, data, how))
        x = a[0] * (np.arange(width) + 0.5) + c[0]
        y = a[1] * (np.arange(height) + 0.5) + c[1]
        inside = ((y >= 0) & (y <= rows))[:, None] & ((x >= 0) & (x <= columns))[None]
        return np.where(inside, placed, np.nan)
