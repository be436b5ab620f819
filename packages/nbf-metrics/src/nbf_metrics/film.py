"""How well the movement of a film is followed."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from nbf_metrics._mean import check_points, visible_mean
from nbf_metrics.config import AccelerationConfig
from nbf_metrics.distance import MILLIMETRES


class Acceleration:
    """Acceleration error: the mean distance of the joints' accelerations, predicted and true (mm/frame^2).

    Takes the joints of consecutive frames of one person, in metres, centred or not, alike in both. The
    acceleration at a frame is the second difference over it and its two neighbours (Kanazawa et al., CVPR 2019); times
    the squared frame rate it is one per second. A joint counts where it is visible in all three frames.
    """

    unit = "mm/frame^2"
    lower_is_better = True
    takes = "film"

    def __init__(self, config: AccelerationConfig | None = None):
        self.config = config or AccelerationConfig()

    def __call__(
        self, predicted: Float[Tensor, "b n 3"], truth: Float[Tensor, "b n 3"], visible: Float[Tensor, "b n"]
    ) -> Float[Tensor, "b"]:
        """A value per frame, NaN for the first, the last, and where no joint counts. Raises ShapeError."""
        check_points(predicted, truth, visible, 3)
        values = predicted.new_full(predicted.shape[:1], torch.nan)
        if len(values) >= 3:
            error = predicted - truth
            distance = MILLIMETRES * (error[:-2] - 2 * error[1:-1] + error[2:]).norm(dim=-1)
            seen = (visible > 0).to(distance)
            values[1:-1] = visible_mean(distance, seen[:-2] * seen[1:-1] * seen[2:])
        return values
