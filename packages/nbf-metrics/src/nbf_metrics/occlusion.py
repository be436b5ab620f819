"""How well the hidden part of a body is found."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from nbf_metrics._mean import check_points
from nbf_metrics.config import OcclusionIouConfig


class OcclusionIou:
    """Occlusion IoU: pixels that are hidden in both masks, over those hidden in either (%).

    Takes pixels: 1 where the body is hidden, 0 where it is seen. Hand over as visible the pixels that count, which
    are those of the true body, whole as it would be seen without occluder: off the body there is nothing to hide.
    """

    unit = "%"
    lower_is_better = False
    takes = "occlusion"

    def __init__(self, config: OcclusionIouConfig | None = None):
        self.config = config or OcclusionIouConfig()

    def __call__(
        self, predicted: Float[Tensor, "b n 1"], truth: Float[Tensor, "b n 1"], visible: Float[Tensor, "b n"]
    ) -> Float[Tensor, "b"]:
        """Percent per sample, NaN where neither mask hides anything. Raises ShapeError."""
        check_points(predicted, truth, visible, 1)
        counts = visible > 0
        ours, theirs = ((mask[..., 0] > self.config.threshold) & counts for mask in (predicted, truth))
        union = (ours | theirs).sum(-1)
        share = 100 * (ours & theirs).sum(-1) / union.clamp_min(1)
        # A prediction that is no number is a failure, not a pixel that is seen.
        known = (union > 0) & ~(predicted[..., 0].isnan() & counts).any(-1)
        return torch.where(known, share, torch.nan).to(predicted.dtype)
