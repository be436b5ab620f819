"""People found in an image."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Person:
    """One detected person, in pixels of the image given to the detector.

    ``box`` is (x0, y0, x1, y1). ``keypoints`` [n, 3] holds x, y and confidence in [0, 1], in the order of
    ``keypoint_set``. ``extras`` holds whatever else the detector knows, such as 3D landmarks.
    """

    box: np.ndarray
    keypoints: np.ndarray
    score: float
    keypoint_set: str = "openpose-25"
    extras: dict[str, np.ndarray] = field(default_factory=dict)
