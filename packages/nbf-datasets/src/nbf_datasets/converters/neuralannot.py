"""SMPL fits of NeuralAnnot (Moon et al., CVPRW 2022): JSON tables by numbers, the last of which is the frame's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nbf_core.errors import AssetError
from nbf_datasets.converters.poses import Body, turned
from nbf_datasets.converters.source import BadSample, of_sample


@dataclass(frozen=True)
class Fits:
    """The fits of one sequence, by frame. Bodies are in the axes of the data set's world."""

    frames: Mapping[str, Any]

    @classmethod
    def of(cls, table: Any, keys: Sequence[str], path: Path) -> Fits:
        """The fits below ``keys``; none where the table does not have them. Raises AssetError for what is no table."""
        for key in keys:
            if not isinstance(table, Mapping):
                raise AssetError(f"{path}: expected tables by {' and '.join(keys)}")
            table = table.get(key, {})
        if not isinstance(table, Mapping):
            raise AssetError(f"{path}: {'.'.join(keys)}: expected a table of frames")
        return cls(table)

    def body(self, numbers: Sequence[int], rotation: np.ndarray) -> Body:
        """The bodies of frames by their numbers in the file, turned into a camera; ``known`` says which there are."""
        pose, betas, known = np.zeros((len(numbers), 24, 3)), np.zeros((len(numbers), 10)), np.zeros(len(numbers), bool)
        for row, number in enumerate(numbers):
            held = self.frames.get(str(number))
            if held is None:
                continue
            try:
                pose[row] = of_sample(held, "pose", 72).reshape(24, 3)
                betas[row] = of_sample(held, "shape", 10)
            except BadSample:
                continue  # a frame without a fit, as those that the file leaves out
            known[row] = np.isfinite(pose[row]).all() and np.isfinite(betas[row]).all()
        pose[~known], betas[~known] = 0, 0
        return Body(turned(rotation, pose), betas, None, known)
