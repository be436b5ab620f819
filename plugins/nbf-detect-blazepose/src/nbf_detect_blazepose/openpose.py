"""From BlazePose's 33 landmarks to the 25 keypoints of OpenPose."""

from __future__ import annotations

import numpy as np

# OpenPose-25 index -> BlazePose landmarks whose mean it is. The small toes (20 and 23) are missing:
# BlazePose has one point at the tip of each foot, which is taken as the big toe.
SOURCES: dict[int, tuple[int, ...]] = {
    0: (0,),  # nose
    1: (11, 12),  # neck: between the shoulders
    2: (12,),  # right shoulder, elbow, wrist
    3: (14,),
    4: (16,),
    5: (11,),  # left shoulder, elbow, wrist
    6: (13,),
    7: (15,),
    8: (23, 24),  # middle of the hips
    9: (24,),  # right hip, knee, ankle
    10: (26,),
    11: (28,),
    12: (23,),  # left hip, knee, ankle
    13: (25,),
    14: (27,),
    15: (5,),  # right and left eye, right and left ear
    16: (2,),
    17: (8,),
    18: (7,),
    19: (31,),  # left big toe and heel
    21: (29,),
    22: (32,),  # right big toe and heel
    24: (30,),
}


def to_openpose25(points: np.ndarray, confidence: np.ndarray) -> np.ndarray:
    """points [33, 2] in any unit and confidence [33] to float32 [25, 3] (x, y, confidence).

    A mean of two landmarks is as sure as the less sure of them. Keypoints without a source are zero.
    """
    out = np.zeros((25, 3), np.float32)
    for target, sources in SOURCES.items():
        index = list(sources)
        out[target, :2] = points[index].mean(axis=0)
        out[target, 2] = confidence[index].min()
    return out
