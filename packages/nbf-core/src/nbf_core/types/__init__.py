"""The records that flow between components: frozen dataclasses of tensors.

Lengths are metres, angles radians, images RGB. Camera coordinates are OpenCV's: x right, y down, z forward.
Pixel coordinates have pixel centres at +0.5 and the origin at the outer corner of the first pixel.
"""

from nbf_core.types.body import BodyOutput, BodyParams, BodySpec, Skinning
from nbf_core.types.camera import Camera
from nbf_core.types.fitting import FitResult, Observation
from nbf_core.types.people import Person
from nbf_core.types.regression import RegressorOutput
from nbf_core.types.render import Fragments, Kernels, RenderOutput, ScoreOutput, Similarities
from nbf_core.types.sample import Sample, collate
from nbf_core.types.view import View

__all__ = [
    "BodyOutput",
    "BodyParams",
    "BodySpec",
    "Camera",
    "FitResult",
    "Fragments",
    "Kernels",
    "Observation",
    "Person",
    "RegressorOutput",
    "RenderOutput",
    "Sample",
    "ScoreOutput",
    "Similarities",
    "Skinning",
    "View",
    "collate",
]
