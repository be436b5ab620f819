"""The detector keeps the contract of detectors."""

from pathlib import Path

import numpy as np
from PIL import Image

from nbf_detect_blazepose.config import BlazePoseConfig
from nbf_detect_blazepose.detector import BlazePoseDetector
from nbf_testing.detectors import DetectorConformance

PHOTO = Path(__file__).parent / "data" / "kick_front.jpg"


class TestBlazePose(DetectorConformance):
    def make_detector(self):
        return BlazePoseDetector(BlazePoseConfig())

    def photo(self):
        return np.asarray(Image.open(PHOTO).convert("RGB"))
