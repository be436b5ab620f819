"""Leeds Sports Pose Extended (Johnson and Everingham, CVPR 2011), in high resolution: ``joints.mat`` and images."""

from __future__ import annotations

from pathlib import Path

from nbf_core.conventions import convention
from nbf_datasets.converters import eft
from nbf_datasets.converters.boxes import around
from nbf_datasets.converters.config import LspetOptions
from nbf_datasets.converters.lsp import read_joints
from nbf_datasets.converters.rows import Rows, Step
from nbf_datasets.converters.source import find_file

LEAST = 6
"""Joints that must be annotated."""


def convert(source: Path, options: LspetOptions, rows: Rows, step: Step) -> None:
    """People with joints enough; or those of a file of EFT's fits. What is not annotated is unknown."""
    if options.fits is not None:
        eft.convert(source, options.fits, lambda name: _image(Path(name).stem, rows), rows, step)
        return
    rows.joints("keypoints2d", convention("lsp").joints)
    points = read_joints(find_file(source, None, "joints.mat"))
    points[..., 2] = points[..., 2] > 0
    keep = points[..., 2].sum(1) >= LEAST
    rows.skip(f"fewer than {LEAST} joints", int((~keep).sum()))
    images = [_image(f"im{number + 1:05d}", rows) for number in keep.nonzero()[0]]
    rows.add(images, around(points[keep]), {"keypoints2d": points[keep]})
    step("people", len(images), len(images))


def _image(stem: str, rows: Rows) -> str:
    return rows.images.first(*(f"{folder}{stem}{suffix}" for folder in ("", "images/") for suffix in (".png", ".jpg")))
