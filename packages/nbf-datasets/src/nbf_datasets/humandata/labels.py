"""The labels of a HumanData file in the terms of samples, held in memory as small arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nbf_core.conventions import convention
from nbf_core.errors import AssetError
from nbf_datasets.humandata import seen
from nbf_datasets.humandata.config import HumanDataConfig
from nbf_datasets.humandata.data import HumanData
from nbf_datasets.humandata.placing import LEAST

KEYPOINTS = convention("openpose-25").joints
JOINTS = convention("h36m-17").joints


@dataclass(frozen=True)
class Labels:
    """Labels of N samples; None where the file has none of a kind.

    ``keypoints``, ``detected`` [N, 25, 3] are OpenPose-25, ``joints`` [N, 17, 4] ``h36m-17``, ``near`` [N, n, 3] the
    keypoints of ``seen.NAMES``, of which the file annotates ``near_known``.
    """

    keypoints: np.ndarray | None
    detected: np.ndarray | None
    joints: np.ndarray | None
    near: np.ndarray | None
    near_known: np.ndarray | None
    pose: np.ndarray | None
    betas: np.ndarray | None
    transl: np.ndarray | None
    with_body: np.ndarray

    @classmethod
    def of(cls, data: HumanData, config: HumanDataConfig) -> Labels:
        """Raises AssetError naming the field of detections that the file lacks."""
        flat, deep = data.keypoints.get("keypoints2d"), data.keypoints.get("keypoints3d")
        keypoints = near = near_known = detected = joints = pose = None
        if flat is not None:
            keypoints = flat.joints(KEYPOINTS, config.approximate)[0]
            near, near_known = flat.joints(seen.NAMES)
        if config.detected is not None:
            if config.detected not in data.keypoints:
                known = ", ".join(data.keypoints) or "none"
                raise AssetError(f"{data.name}: {config.detected}: this field is missing; keypoints in it: {known}")
            detected = data.keypoints[config.detected].joints(KEYPOINTS, config.approximate)[0]
        if deep is not None:
            joints = deep.joints(JOINTS, config.approximate)[0]
        smpl = data.smpl
        if smpl is not None:
            pose = np.concatenate([smpl["global_orient"][:, None], smpl["body_pose"]], 1)
        return cls(
            keypoints=keypoints,
            detected=detected,
            joints=joints,
            near=near,
            near_known=near_known,
            pose=pose,
            betas=None if smpl is None else smpl["betas"],
            transl=None if smpl is None or data.camera is None else smpl.get("transl"),
            with_body=data.with_body,
        )

    def has(self, label: str) -> np.ndarray:
        """Which samples have a label ("params", "keypoints", "joints"), bool [N]."""
        if label == "params":
            enough = self._count(self.keypoints) >= LEAST
            return self.with_body & (enough if self.transl is None else True)
        return self._count(self.keypoints if label == "keypoints" else self.joints) > 0

    def _count(self, points: np.ndarray | None) -> np.ndarray:
        if points is None:
            return np.zeros(len(self.with_body), np.int64)
        return (points[..., -1] > 0).sum(1)
