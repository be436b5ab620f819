"""Fitted people as HumanData: to train on, or to measure with."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nbf_core.contracts import PeopleTable
from nbf_datasets.humandata.data import make
from nbf_datasets.humandata.writing import write_humandata

NAME = "humandata.npz"


def write_people(people: PeopleTable, folder: Path | str) -> Path:
    """Write ``humandata.npz`` into ``folder``: boxes, detected keypoints, bodies, cameras; its path.

    A sample's body stands before the image's own camera. Raises AssetError where the file cannot be written.
    """
    keypoints = {"keypoints2d": (people.keypoints, people.keypoint_set)}
    if people.joints is not None:
        sure = np.ones((*people.joints.shape[:2], 1), np.float32)
        keypoints["keypoints3d"] = (np.concatenate([people.joints, sure], -1), "h36m-17")
    data = make(
        people.images,
        people.boxes,
        keypoints,
        smpl={name: getattr(people, name) for name in ("global_orient", "body_pose", "betas", "transl")},
        has_smpl=np.ones(len(people.images), bool),
        camera={"focal": people.focal, "center": people.center},
        config="nbf-run",
    )
    return write_humandata(data, Path(folder) / NAME)
