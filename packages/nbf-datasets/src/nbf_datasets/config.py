"""Configurations of the built-in data sets. Imports no torch."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from nbf_core.config import Config


class ImageFolderConfig(Config):
    """A folder of images, each taken as one crop of one person.

    ``path``: the folder. ``image_size``: pictures are scaled to this square, padded with black (px).
    ``focal``: focal length assumed, in image sizes. ``recursive``: look into sub-folders.
    """

    path: Path
    image_size: int = Field(default=128, ge=8)
    focal: float = Field(default=4.0, gt=0)
    recursive: bool = False
