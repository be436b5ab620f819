"""Leeds Sports Pose (Johnson and Everingham, BMVC 2010): ``joints.mat`` and ``images/im0001.jpg``, 2000 of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nbf_core.conventions import convention
from nbf_core.errors import AssetError
from nbf_datasets.converters.boxes import around
from nbf_datasets.converters.config import LspOptions
from nbf_datasets.converters.rows import Rows, Step
from nbf_datasets.converters.source import entry, find_file, read_mat


def convert(source: Path, options: LspOptions, rows: Rows, step: Step) -> None:
    """The first half of the images for training, the second for testing. Hidden joints are annotated too and count."""
    rows.joints("keypoints2d", convention("lsp").joints)
    points = read_joints(find_file(source, None, "joints.mat"))
    points[..., 2] = 1
    half = -(-len(points) // 2)
    chosen = range(half) if options.split == "train" else range(half, len(points))
    images = [rows.images.first(f"images/im{number + 1:04d}.jpg", f"im{number + 1:04d}.jpg") for number in chosen]
    rows.add(images, around(points[chosen]), {"keypoints2d": points[chosen]})
    step("people", len(images), len(images))


def read_joints(path: Path) -> np.ndarray:
    """Joints [n, 14, 3]: x, y and the file's own third number, which LSP calls hidden and LSPET visible.

    Raises AssetError naming file and field. The two files differ in the order of their dimensions.
    """
    held = np.asarray(entry(read_mat(path), "joints", path))
    if held.ndim != 3 or sorted(held.shape[:2]) != [3, 14] or held.dtype.kind not in "fiu":
        raise AssetError(
            f"{path}: joints: expected numbers [14, 3, n] or [3, 14, n], got {held.dtype} {list(held.shape)}"
        )
    order = (2, 0, 1) if held.shape[0] == 14 else (2, 1, 0)
    return held.transpose(order).astype(np.float64)
