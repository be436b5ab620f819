"""What fitting a photo gives: records of plain arrays, on the CPU, in the photo's camera."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from nbf_core.types import BodyParams, Camera

SURE = 0.2
"""Keypoints of less confidence are left out of numbers and pictures."""


@dataclass(frozen=True)
class Posed:
    """One posed body in camera coordinates (metres), and its keypoints in pixels of the photo.

    ``h36m`` are the places of the keypoint set ``h36m-17``, None where the body model does not know them.
    """

    params: BodyParams
    vertices: Float[np.ndarray, "V 3"]
    joints: Float[np.ndarray, "J 3"]
    keypoints: Float[np.ndarray, "n 2"]
    h36m: Float[np.ndarray, "17 3"] | None = None


@dataclass(frozen=True)
class FittedPerson:
    """One person of a photo.

    ``box`` is the detector's, ``square`` the crop that was looked at (x0, y0, x1, y1; it may leave the
    photo). ``keypoints`` are the detector's (x, y, confidence) in pixels of the photo. ``start`` is the
    regressor's estimate, ``fitted`` the result (the start again where ``kept`` is false). ``silhouette`` and
    ``occlusion`` are maps over ``square``, None in what a benchmark stored. ``trace`` holds each loss term at each
    step, ``stages`` the steps at which stages begin, ``history`` the vertices at some steps, if asked for. ``track``
    numbers the people of a film: one person has one number in all its frames. ``errors`` holds name: (start, fitted)
    in millimetres where the truth is known. ``parts`` is the network's part map over ``square`` (joint of the part, -1
    background); ``object_score`` and ``clutter_score`` tell how well body and clutter explain its pixels (cosines, 0
    without body); ``confidence`` tells how far the picture fixes each joint. These are None where nobody knows them.
    """

    box: Float[np.ndarray, "4"]
    square: Float[np.ndarray, "4"]
    score: float
    keypoints: Float[np.ndarray, "n 3"]
    keypoint_set: str
    start: Posed
    fitted: Posed
    start_loss: float
    loss: float
    kept: bool
    silhouette: Float[np.ndarray, "h w"] | None
    occlusion: Bool[np.ndarray, "h w"] | None
    trace: Mapping[str, Float[np.ndarray, "steps"]] = field(default_factory=dict)
    stages: tuple[int, ...] = ()
    history: Mapping[int, Float[np.ndarray, "V 3"]] = field(default_factory=dict)
    track: int | None = None
    errors: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    parts: Int[np.ndarray, "ph pw"] | None = None
    object_score: Float[np.ndarray, "h w"] | None = None
    clutter_score: Float[np.ndarray, "h w"] | None = None
    confidence: Float[np.ndarray, "J"] | None = None

    @property
    def keypoint_errors(self) -> tuple[float, float]:
        """Mean distance of start and fit from the sure keypoints, in percent of the box's longer side.

        NaN where no keypoint is sure.
        """
        sure = self.keypoints[:, 2] > SURE
        if not sure.any():
            return (float("nan"), float("nan"))
        side = max(float((self.box[2:] - self.box[:2]).max()), 1.0)
        start, fitted = (
            float(100 / side * np.linalg.norm(posed.keypoints - self.keypoints[:, :2], axis=1)[sure].mean())
            for posed in (self.start, self.fitted)
        )
        return start, fitted

    @property
    def occluded(self) -> float:
        """Share of the fitted body's pixels that something else explains better; NaN where nobody knows."""
        if self.silhouette is None or self.occlusion is None:
            return float("nan")
        body = self.silhouette > 0.5
        return float((self.occlusion & body).sum() / max(int(body.sum()), 1))


@dataclass(frozen=True)
class FittedImage:
    """A photo and its people, the most certain first. ``faces`` join the vertices of every body.

    ``vertex_parts`` gives each vertex's joint. ``frame`` is a frame's number in its film, counted from 0.
    """

    name: str
    image: UInt8[np.ndarray, "h w 3"]
    camera: Camera
    people: tuple[FittedPerson, ...]
    faces: Int[np.ndarray, "F 3"]
    seconds: float
    synthetic: bool = False
    vertex_parts: Int[np.ndarray, "V"] | None = None
    frame: int | None = None
