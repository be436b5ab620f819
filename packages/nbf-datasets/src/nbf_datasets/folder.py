"""A folder of images as samples without labels."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image, ImageOps

from nbf_core.errors import InputError
from nbf_core.types import Camera, Sample
from nbf_datasets.config import ImageFolderConfig

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"}


def read_image(path) -> Image.Image:
    """An image as RGB, turned as its EXIF data says. Raises InputError that names the file."""
    try:
        with Image.open(path) as image:
            image.load()
            return ImageOps.exif_transpose(image).convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(f"image {path}: {error}") from error


class ImageFolder:
    """The images of a folder by name, each scaled into a square; samples hold no labels."""

    def __init__(self, config: ImageFolderConfig, body=None):
        self.config = config
        if not config.path.is_dir():
            raise InputError(f"image folder {config.path}: not a folder")
        found = config.path.rglob("*") if config.recursive else config.path.iterdir()
        self.paths = sorted(path for path in found if path.suffix.lower() in SUFFIXES)
        if not self.paths:
            raise InputError(f"image folder {config.path}: no image in it ({', '.join(sorted(SUFFIXES))})")

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Sample:
        """The image in the middle of a black square. Raises InputError for a file that cannot be read."""
        size = self.config.image_size
        image = ImageOps.pad(read_image(self.paths[index]), (size, size))
        pixels = torch.from_numpy(np.asarray(image).transpose(2, 0, 1).copy())
        camera = Camera.from_field((size, size), self.config.focal * size)
        return Sample(image=pixels, camera=camera, index=torch.tensor(index))
