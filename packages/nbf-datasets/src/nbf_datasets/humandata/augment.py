"""What is drawn anew for each sample and epoch, and the textures that go with it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from nbf_core.contracts import Occluder
from nbf_datasets.folder import read_image
from nbf_datasets.humandata.config import HumanDataConfig
from nbf_datasets.occlusion.places import at_cell, steps
from nbf_datasets.occlusion.textures import Textures
from nbf_datasets.patches import Patch, draw, texture

_SIMILARITY, _COLOUR, _BACKGROUND, _PATCH = 1, 2, 3, 4  # what random numbers are for


@dataclass(frozen=True)
class Disturbance:
    """How one sample is disturbed in one epoch. The default is not at all."""

    flip: bool = False
    degrees: float = 0.0
    scale: float = 1.0
    gain: np.ndarray | None = None
    occluder: Occluder | None = None


class Augmentation:
    """The random part of loading: a function of configuration, epoch and sample, whoever asks and in which order.

    Each purpose has random numbers of its own, so that switching one off changes nothing else. Raises AssetError for a
    folder of textures that is none.
    """

    def __init__(self, config: HumanDataConfig) -> None:
        self.config = config
        self._pictures = Textures(config.textures, config.seed).files

    def draw(self, epoch: int, index: int) -> Disturbance:
        """What is done to sample ``index``."""
        config = self.config
        if not config.augment:
            return Disturbance()
        rng = self._random(_SIMILARITY, epoch, index)
        # All are drawn in any case: one option does not change what another gives.
        flip, size, turned, angle = rng.random(), rng.standard_normal(), rng.random(), rng.standard_normal()
        limit = config.rotation
        return Disturbance(
            flip=bool(flip < config.flip),
            degrees=float(np.clip(angle * limit / 2, -limit, limit)) if turned < config.rotation_probability else 0.0,
            scale=float(1 + np.clip(size * config.scale, -config.scale, config.scale)),
            gain=self._random(_COLOUR, epoch, index).uniform(1 - config.channel_noise, 1 + config.channel_noise, 3),
            occluder=self._occluder(epoch, index),
        )

    def background(self, epoch: int, index: int) -> np.ndarray | None:
        """Texture [size, size, 3] to stand where the image ends; None for black."""
        if not (self.config.augment and self.config.background_textures):
            return None
        return self._texture(self._random(_BACKGROUND, epoch, index), self.config.image_size)

    def paint(self, image: np.ndarray, occluder: Occluder, epoch: int, index: int) -> None:
        """Draw a patch of texture into ``image`` [size, size, 3] in place."""
        patch = Patch(occluder.x0, occluder.y0, occluder.x1, occluder.y1)
        side = max(patch.x1 - patch.x0, patch.y1 - patch.y0)
        if side > 0:
            draw(image, patch, self._texture(self._random(_PATCH, epoch, index, 1), side))

    def _occluder(self, epoch: int, index: int) -> Occluder | None:
        config = self.config
        if not config.occluder_patches:
            return None
        rng = self._random(_PATCH, epoch, index)
        count = steps(config.patch_size, config.patch_stride)
        there, row, column = rng.random(), int(rng.integers(count)), int(rng.integers(count))
        if there >= config.patch_probability:
            return None
        side = config.image_size
        return at_cell((row, column), config.patch_size, config.patch_stride, (side, side))

    def _texture(self, rng: np.random.Generator, side: int) -> np.ndarray:
        """A square piece of a picture, enlarged so that its shorter side is one to two of the piece's; or made up."""
        if not self._pictures:
            return texture(rng, side, side)
        picture = read_image(self._pictures[int(rng.integers(len(self._pictures)))])
        length = side * float(rng.uniform(1.0, 2.0))
        factor = length / min(picture.size)
        x, y = (float(rng.uniform(0, max(extent * factor - side, 0))) / factor for extent in picture.size)
        box = (x, y, min(x + side / factor, picture.width), min(y + side / factor, picture.height))
        return np.array(picture.resize((side, side), Image.Resampling.BILINEAR, box=box))

    def _random(self, purpose: int, *of: int) -> np.random.Generator:
        return np.random.default_rng((self.config.seed, purpose, *of))
