"""Draws a sheet of samples: picture, detected keypoints, kernel map, part map.

    python tools/contact_sheet.py sheet.png [--split train] [--plain] [--patch 80] [--rows 8] [--columns 3]

Yellow keypoints are the person's left, cyan the right; white cells of the maps are an occluder.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from nbf_body_anny.body import AnnyBody
from nbf_core.conventions import OPENPOSE_25
from nbf_core.types import Sample
from nbf_data_synthetic.config import SyntheticConfig
from nbf_data_synthetic.dataset import SyntheticPeople

_COLOURS = np.random.default_rng(0).integers(40, 255, (4000, 3)).astype(np.uint8)


def label_picture(labels: np.ndarray, size: int, first: int) -> np.ndarray:
    """A label map in random colours, enlarged to ``size``."""
    colours = _COLOURS[np.maximum(labels, 0) + first]
    colours = np.where((labels == -1)[..., None], 0, np.where((labels == -2)[..., None], 255, colours))
    index = np.arange(size) * len(labels) // size
    return colours[index][:, index].astype(np.uint8)


def tile(sample: Sample) -> np.ndarray:
    """One sample, [size, 4 size, 3]."""
    image = sample.image.permute(1, 2, 0).numpy()
    marked = image.copy()
    for name, (x, y, confidence) in zip(OPENPOSE_25, sample.detected.numpy(), strict=True):
        if confidence > 0:
            colour = (255, 255, 0) if name.startswith("left") else (0, 255, 255)
            row, column = max(int(y), 1), max(int(x), 1)
            marked[row - 1 : row + 2, column - 1 : column + 2] = colour
    size = len(image)
    kernels = label_picture(sample.kernel_map.numpy(), size, 0)
    parts = label_picture(sample.part_map.numpy(), size, 2000)
    return np.concatenate([image, marked, kernels, parts], 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--split", default="train")
    parser.add_argument("--plain", action="store_true", help="no augmentation")
    parser.add_argument("--patch", type=int, default=0)
    parser.add_argument("--rows", type=int, default=8)
    parser.add_argument("--columns", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--image-size", type=int, default=256)
    given = parser.parse_args()
    config = SyntheticConfig(
        split=given.split,
        size=given.rows * given.columns,
        seed=given.seed,
        augment=not given.plain,
        patch_size=given.patch,
        image_size=given.image_size,
        map_size=64,
    )
    data = SyntheticPeople(config, AnnyBody())
    tiles = [tile(data[index]) for index in range(len(data))]
    rows = [np.concatenate(tiles[k : k + given.columns], 1) for k in range(0, len(tiles), given.columns)]
    Image.fromarray(np.concatenate(rows)).save(given.out)


if __name__ == "__main__":
    main()
