"""A folder of images without labels: each image is one person, or people are found by a detector."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nbf_core.conventions import convention
from nbf_core.errors import AssetError, InputError
from nbf_core.geometry.keypoints import convert_keypoints
from nbf_core.plugins import get_plugin_manager
from nbf_datasets.converters.boxes import grown
from nbf_datasets.converters.config import FolderOptions
from nbf_datasets.converters.rows import Rows, Step
from nbf_datasets.folder import SUFFIXES, read_image

FOUND = "keypoints2d_detected"
"""The field of keypoints that a detector found; data sets take it by their option ``detected``."""


def convert(source: Path, options: FolderOptions, rows: Rows, step: Step) -> None:
    """Boxes: the whole image, or the detector's; then its keypoints are kept, in a field of their own."""
    pattern = source.rglob("*") if options.recursive else source.iterdir()
    images = sorted(path for path in pattern if path.suffix.lower() in SUFFIXES and path.is_file())
    if not images:
        raise AssetError(f"{source}: no image in it ({', '.join(sorted(SUFFIXES))})")
    detector = None
    if options.boxes != "whole":
        entry = get_plugin_manager().get("detectors", options.boxes)
        detector = entry.load()(entry.load_config()())
        rows.joints(FOUND, convention("openpose_25").joints)
    for done, path in enumerate(images, 1):
        name = path.relative_to(source).as_posix()
        with rows.part():
            image = read_image(path)
            if detector is None:
                rows.add([name], np.array([[0.0, 0.0, *image.size]]))
            else:
                _people(name, np.asarray(image), detector, options.people, rows)
        step("images", done, len(images))


def _people(name: str, image: np.ndarray, detector, which: str, rows: Rows) -> None:
    people = detector.detect(image)
    if not people:
        rows.skip("nobody found")
    for person in people if which == "all" else people[:1]:
        try:
            points, _ = convert_keypoints(
                np.asarray(person.keypoints), person.keypoint_set, "openpose_25", approximate=True
            )
        except ValueError as error:
            raise InputError(f"image {name}: {error}") from error
        x0, y0, x1, y1 = (float(side) for side in person.box)
        rows.add([name], grown(np.array([[x0, y0, x1 - x0, y1 - y0]])), {FOUND: points[None]})
