"""How somebody walks: joint angles over time, and the way that follows from feet that stand still."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nbf_data_synthetic.turns import about, compose

_SIDES = ((1, 4, 7, 16, 18, 1.0), (2, 5, 8, 17, 19, -1.0))
"""Hip, knee, ankle, shoulder, elbow of the left and the right, and the sign of sideways turns."""

_BALLS = [10, 11]
"""The left and the right foot, where it touches the floor."""


@dataclass(frozen=True)
class Gait:
    """One person's walk: strides a second, the phase at the beginning, and how large each movement is (1: usual)."""

    frequency: float
    phase: float
    stride: float
    lift: float
    swing: float
    arms: float  # degrees that the upper arms hang down from the shoulders' line
    elbows: float  # degrees
    lean: float  # degrees
    sway: np.ndarray  # [24, 3, 2] small slow movements of all joints: size (radians) and phase

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Gait:
        """Anybody's."""
        u = rng.random
        sizes = np.deg2rad(1.5) * rng.standard_normal((24, 3))
        sizes[[0, 1, 2, 4, 5, 7, 8]] *= 0.3
        return cls(
            frequency=0.8 + 0.3 * u(),
            phase=u(),
            stride=0.8 + 0.4 * u(),
            lift=0.85 + 0.35 * u(),
            swing=0.4 + 0.9 * u(),
            arms=66.0 + 12.0 * u(),
            elbows=8.0 + 30.0 * u(),
            lean=6.0 * u(),
            sway=np.stack([sizes, u((24, 3))], -1),
        )

    def pose(self, seconds: float) -> np.ndarray:
        """The pose [24, 3] (axis-angle; the root's in a world whose y is up, walking along z)."""
        phase = self.phase + self.frequency * seconds
        pose = self.sway[..., 0] * np.sin(2 * np.pi * (0.5 * phase + self.sway[..., 1]))
        wave = np.cos(2 * np.pi * phase)
        # The pelvis turns with the leading leg, the chest against it; both nod twice a stride.
        pose[0] += np.deg2rad([0.5 * self.lean, -5.0 * self.stride * wave, 2.5 * np.sin(2 * np.pi * phase)])
        for joint in (3, 6, 9):
            pose[joint] += np.deg2rad([0.3 * self.lean, 3.5 * self.stride * wave, -1.0 * np.sin(2 * np.pi * phase)])
        pose[15] += np.deg2rad([-0.6 * self.lean, -3.0 * self.stride * wave, 0.0])
        for (hip, knee, ankle, shoulder, elbow, sign), later in zip(_SIDES, (0.0, 0.5), strict=True):
            # Phase 0 is the heel's touch; the angles are those of a gait laboratory's curves, roughly.
            p = (phase + later) % 1.0
            flexed = self.stride * (8.0 + 21.0 * np.cos(2 * np.pi * (p + 0.03)))
            bent = 3.0 + 13.0 * _bump(p, 0.14, 9.0) + 57.0 * self.lift * _bump(p, 0.71, 3.5)
            pointed = -5.0 + 18.0 * self.stride * _bump(p, 0.63, 14.0) - 6.0 * _bump(p, 0.45, 8.0)
            pose[hip] += np.deg2rad([-flexed, 0.0, 1.5 * sign])
            pose[knee] += np.deg2rad([bent, 0.0, 0.0])
            pose[ankle] += np.deg2rad([pointed, 0.0, 0.0])
            back = self.swing * 20.0 * np.cos(2 * np.pi * p) - 4.0  # arms go against the legs
            hanging = compose(about(0, back), about(2, -sign * self.arms))
            pose[shoulder] = compose(hanging, pose[shoulder])
            pose[elbow] += np.deg2rad([0.0, -sign * (self.elbows - 0.35 * back), 0.0])
        return pose

    def carries(self, seconds: float) -> np.ndarray:
        """How far the left and the right foot carry [2]; together 1."""
        phase = (self.phase + self.frequency * seconds + np.array([0.0, 0.5])) % 1.0
        down = 1 / (1 + np.exp(-np.cos(2 * np.pi * (phase - 0.3)) * 12.0))
        return down / down.sum()


def way(joints: np.ndarray, lowest: np.ndarray, carried: np.ndarray) -> np.ndarray:
    """Where the root must be [f, 3] for the standing foot to stay where it is, from root-centred frames.

    ``joints`` [f, 24, 3] and ``lowest`` [f], the height of the lowest vertex, in a world with y up; ``carried`` [f, 2]
    tells how far the left and the right foot carry. The floor is y = 0.
    """
    steps = -(np.diff(joints[:, _BALLS], axis=0) * (0.5 * (carried[1:] + carried[:-1]))[..., None]).sum(1)
    path = np.concatenate([np.zeros((1, 3)), np.cumsum(_smooth(steps), 0)])
    path[:, 1] = _smooth(-lowest[:, None])[:, 0]
    return path


def _bump(phase: float, centre: float, narrow: float) -> Any:
    """1 at ``centre``, falling to nothing on both sides, once a stride."""
    return np.exp(narrow * (np.cos(2 * np.pi * (phase - centre)) - 1))


def _smooth(values: np.ndarray) -> np.ndarray:
    """Values [f, n] without what feet that are points and not soft would jerk."""
    weights = np.array([1.0, 4.0, 6.0, 4.0, 1.0]) / 16
    padded = np.pad(values, ((2, 2), (0, 0)), mode="edge")
    return sum(weight * padded[k : k + len(values)] for k, weight in enumerate(weights))
