"""Options of the converters. Imports no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from nbf_core.config import Config


class Pw3dOptions(Config):
    """3DPW.

    ``split``: a split; "occ": the sequences of 3DPW-OCC, from all splits; "all". ``every``: frames whose number this
    divides.
    """

    split: Literal["train", "validation", "test", "occ", "all"] = "test"
    every: int = Field(default=1, ge=1)


class Oh50kOptions(Config):
    """3DOH50K. ``split``: a split. ``apart``: pixels beyond which 2D and projected 3D joints are taken to disagree."""

    split: Literal["train", "test"] = "test"
    apart: float = Field(default=20.0, gt=0)


class H36mOptions(Config):
    """Human3.6M.

    ``split``: train (S1, S5 to S8) or valid (S9, S11). ``protocol``: 1 all cameras, 2 the frontal one. ``every``: each
    so many video frames. ``spacing``: video frames from one number of the extracted frames to the next, found by itself
    where it is 1 or 5. ``fits``: folder of SMPL fits (Human36M_subject1_smpl_param.json ...); then metadata.xml is
    needed beside S1.
    """

    split: Literal["train", "valid"] = "train"
    protocol: Literal[1, 2] = 1
    every: int = Field(default=5, ge=1)
    spacing: int | None = Field(default=None, ge=1)
    fits: Path | None = None


class MpiInf3dhpOptions(Config):
    """MPI-INF-3DHP.

    ``split``: train or test. ``every``: each so many frames; 10 in training and 1 in testing unless given. ``cameras``:
    of the training set; by default the eight in common use. ``fits``: MPI-INF-3DHP_SMPL_NeuralAnnot.json.
    """

    split: Literal["train", "test"] = "train"
    every: int | None = Field(default=None, ge=1)
    cameras: tuple[int, ...] = (0, 1, 2, 4, 5, 6, 7, 8)
    fits: Path | None = None


class MpiiOptions(Config):
    """MPII.

    ``annotations``: the mat file or a json release, found by itself. ``fits``: EFT's file; people then come from it.
    """

    annotations: Path | None = None
    fits: Path | None = None


class LspOptions(Config):
    """Leeds Sports Pose. ``split``: the first or the second thousand images."""

    split: Literal["train", "test"] = "train"


class LspetOptions(Config):
    """Leeds Sports Pose Extended. ``fits``: EFT's file; people then come from it."""

    fits: Path | None = None


class CocoOptions(Config):
    """COCO.

    ``split``: a folder of images. ``least``: keypoints a person must have. ``fits``: EFT's file; people then come from
    it.
    """

    split: str = Field(default="train2014", pattern=r"^[a-z]+20[0-9]{2}$")
    least: int = Field(default=12, ge=1, le=17)
    fits: Path | None = None


class FolderOptions(Config):
    """A folder of images.

    ``boxes``: "whole" takes each image for one person, anything else is the name of a detector. ``people``: all that it
    finds, or the most certain one. ``recursive``: folders below too.
    """

    boxes: str = Field(default="whole", min_length=1)
    people: Literal["all", "first"] = "all"
    recursive: bool = True


class SpinOptions(Config):
    """Labels in SPIN's form.

    ``file``: the npz file. ``fits``: an npy file of numbers [N, 82], pose and shape, in the order of the first file.
    """

    file: Path
    fits: Path | None = None
