"""What can be set about the detector. Imports no numpy."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from nbf_core.config.base import Config

QuarterTurn = Literal[0, 90, 180, 270]


class BlazePoseConfig(Config):
    """Configuration of `BlazePoseDetector`. Scores and confidences lie in 0 to 1."""

    max_people: int = Field(4, ge=1, description="report at most so many people, the most certain first")
    detection_threshold: float = Field(0.5, ge=0, le=1, description="least score of a person's box")
    presence_threshold: float = Field(0.5, ge=0, le=1, description="least presence in the person's crop")
    max_overlap: float = Field(0.3, ge=0, le=1, description="boxes that overlap more are one person")
    rotations: tuple[QuarterTurn, ...] = Field(
        (0,),
        min_length=1,
        description="degrees the photo is turned by for detection; 0 alone finds people who lie or stand "
        "on their hands too, more turns find a few more and mistake more things for people",
    )
    looks: int = Field(2, ge=1, le=5, description="looks at each person; each frames the next one's crop")
    heatmap_threshold: float = Field(
        0.5, ge=0, description="a landmark follows its heat map where that exceeds this; over 1: never"
    )
    box_margin: float = Field(0.1, ge=0, description="room around the keypoints, in longer box sides")
    box_confidence: float = Field(0.3, ge=0, le=1, description="least confidence of a keypoint in the box")
    threads: int = Field(1, ge=1, description="threads of the inference library")
    detection_model: Path | None = Field(None, description="another detection model (.tflite)")
    landmark_model: Path | None = Field(None, description="another landmark model (.tflite)")
