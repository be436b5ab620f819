"""Square, rotated crops of a photo, and the way back from crop to photo coordinates.

Photo coordinates are pixels with pixel centres at +0.5, so a photo spans 0 to its width and height.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

# How much wider the crop is than the circle through the size point, as the model was trained.
_ROOM = 1.25


@dataclass(frozen=True, slots=True)
class Crop:
    """A rotated square of a photo: ``centre`` [2] and ``side`` in photo pixels, ``turn`` [2, 2].

    ``turn`` takes directions in the crop to directions in the photo; it is a proper rotation.
    """

    centre: np.ndarray
    side: float
    turn: np.ndarray

    @staticmethod
    def around(hips: np.ndarray, size_point: np.ndarray) -> Crop | None:
        """The crop that shows a person upright, from the hip centre [2] and the size point [2].

        The size point lies above the head on the body's axis; twice its distance from the hips is
        the size of the person. None where the two points fall together.
        """
        axis = np.asarray(size_point, np.float64) - hips
        length = float(np.hypot(*axis))
        if not np.isfinite(length) or length < 1e-6:
            return None
        sine, cosine = axis[0] / length, -axis[1] / length
        turn = np.array([[cosine, -sine], [sine, cosine]])
        return Crop(centre=np.asarray(hips, np.float64), side=2.0 * length * _ROOM, turn=turn)

    def to_photo(self, points: np.ndarray) -> np.ndarray:
        """Points [..., 2] in units of the crop (0 to 1) to photo pixels [..., 2]."""
        return self.centre + self.side * ((points - 0.5) @ self.turn.T)

    def sample(self, photo: Photo, size: int) -> np.ndarray:
        """The crop as float32 [size, size, 3] in 0 to 255, bilinear; the photo's edge is repeated."""
        level, pixels = photo.level(self.side / size)
        unit = (np.arange(size) + 0.5) / size
        grid = np.stack(np.meshgrid(unit, unit), axis=-1)
        where = self.to_photo(grid) / level - 0.5
        top = np.array([pixels.shape[1] - 1, pixels.shape[0] - 1])
        where = np.clip(where, 0, top)
        low = np.minimum(np.floor(where).astype(np.int64), np.maximum(top - 1, 0))
        fraction = (where - low).astype(np.float32)[..., None, :]
        high = np.minimum(low + 1, top)
        upper = _mix(pixels[low[..., 1], low[..., 0]], pixels[low[..., 1], high[..., 0]], fraction[..., 0])
        lower = _mix(pixels[high[..., 1], low[..., 0]], pixels[high[..., 1], high[..., 0]], fraction[..., 0])
        return _mix(upper, lower, fraction[..., 1])


def _mix(a: np.ndarray, b: np.ndarray, weight: np.ndarray) -> np.ndarray:
    a = a.astype(np.float32)
    return a + (b.astype(np.float32) - a) * weight


class Photo:
    """A photo uint8 [h, w, 3] with reduced copies, so that large people are not sampled with gaps."""

    def __init__(self, image: np.ndarray) -> None:
        self.height, self.width = image.shape[:2]
        self._levels: dict[int, np.ndarray] = {1: image}

    def level(self, scale: float) -> tuple[int, np.ndarray]:
        """A box-reduced copy for sampling every ``scale`` pixels: its factor and its pixels.

        Half the scale: over four calibrated views a full reduction cost accuracy (median reprojection
        error 17.3 against 15.6 pixels), none at all cost time and little else.
        """
        factor = max(1, int(min(scale / 2, self.width, self.height)))
        if factor not in self._levels:
            self._levels[factor] = np.asarray(Image.fromarray(self._levels[1]).reduce(factor))
        return factor, self._levels[factor]

    def without(self, boxes: list[np.ndarray]) -> Photo:
        """A copy with boxes (x0, y0, x1, y1 in pixels) painted grey."""
        pixels = self._levels[1].copy()
        for x0, y0, x1, y1 in boxes:
            pixels[int(y0) : int(np.ceil(y1)), int(x0) : int(np.ceil(x1))] = 127
        return Photo(pixels)

    def letterbox(self, side: int, quarter_turns: int = 0) -> tuple[np.ndarray, Letterbox]:
        """The whole photo, turned counter-clockwise, in a black square: float32 [side, side, 3], 0 to 255."""
        pixels = np.rot90(self._levels[1], quarter_turns)
        height, width = pixels.shape[:2]
        scale = side / max(height, width)
        new_h, new_w = max(1, round(height * scale)), max(1, round(width * scale))
        small = Image.fromarray(np.ascontiguousarray(pixels)).resize((new_w, new_h), Image.Resampling.BILINEAR)
        top, left = (side - new_h) // 2, (side - new_w) // 2
        canvas = np.zeros((side, side, 3), np.float32)
        canvas[top : top + new_h, left : left + new_w] = np.asarray(small)
        offset = np.array([left, top]) / side
        extent = np.array([new_w, new_h]) / side
        return canvas, Letterbox(offset, extent, self.width, self.height, quarter_turns % 4)


@dataclass(frozen=True, slots=True)
class Letterbox:
    """Where a photo lies in the detector's square: ``offset`` [2] and ``extent`` [2] in units of it."""

    offset: np.ndarray
    extent: np.ndarray
    width: int
    height: int
    quarter_turns: int

    def to_photo(self, points: np.ndarray) -> np.ndarray:
        """Points [..., 2] in units of the square (0 to 1) to photo pixels [..., 2]."""
        x, y = np.moveaxis((points - self.offset) / self.extent, -1, 0)
        # Each counter-clockwise quarter took (x, y) to (y, 1 - x); this takes them back.
        for _ in range(self.quarter_turns):
            x, y = 1.0 - y, x
        return np.stack([x * self.width, y * self.height], axis=-1)
