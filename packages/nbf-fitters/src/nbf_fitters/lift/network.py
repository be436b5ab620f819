"""The network that turns evidence into a body."""

from __future__ import annotations

from collections.abc import Sequence

import roma
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from nbf_fitters.lift.evidence import KEYPOINTS, MOMENTS


class LiftNetwork(nn.Module):
    """Residual layers over all evidence (after Martinez et al., ICCV 2017, who lift 2D joints), to rotations, shape and
    a weak camera relative to the crop's central ray, as regressors give them."""

    def __init__(self, parents: Sequence[int], shapes: int, width: int = 768, blocks: int = 3) -> None:
        super().__init__()
        self.parents, self.joints, self.shapes = tuple(parents), len(parents), shapes
        joints = self.joints
        self.first = nn.Linear(joints * MOMENTS + KEYPOINTS * 3 + 4, width)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.GELU(), nn.Linear(width, width))
            for _ in range(blocks)
        )
        self.last = nn.LayerNorm(width)
        self.out = nn.Linear(width, joints * 6 + shapes + 3)
        nn.init.normal_(self.out.weight, std=1e-3)
        nn.init.zeros_(self.out.bias)
        for block in self.blocks:
            nn.init.zeros_(block[-1].weight)
        # Upright and facing the camera: x stays, y and z turn round.
        self.register_buffer("at_rest", torch.diag(torch.tensor([1.0, -1.0, -1.0]))[:, :2], persistent=False)

    def forward(
        self, moments: Float[Tensor, "b J m"], keypoints: Float[Tensor, "b n 3"], view: Float[Tensor, "b 1"]
    ) -> tuple[Float[Tensor, "b J 3 3"], Float[Tensor, "b shapes"], Float[Tensor, "b 3"]]:
        """Rotations (root relative to the crop's central ray), shape, weak camera (s, tx, ty)."""
        moments, keypoints, middle, half = boxed(moments, keypoints)
        x = self.first(torch.cat([moments.flatten(1), keypoints.flatten(1), view, middle, half.log()], 1))
        for block in self.blocks:
            x = x + block(x)
        sixes, betas, camera = self.out(self.last(x)).split([self.joints * 6, self.shapes, 3], 1)
        # How a part is turned in the picture shows there, whatever its parent does.
        world = roma.special_gramschmidt(self.at_rest + sixes.reshape(-1, self.joints, 3, 2))
        rotations = torch.cat([world[:, :1], world[:, self.parents[1:]].mT @ world[:, 1:]], 1)
        scale = F.softplus(camera[:, :1] + 0.9, beta=4) * half
        return rotations, betas, torch.cat([scale, camera[:, 1:] + middle / scale], 1)


def boxed(
    moments: Float[Tensor, "b J m"], keypoints: Float[Tensor, "b n 3"]
) -> tuple[Float[Tensor, "b J m"], Float[Tensor, "b n 3"], Float[Tensor, "b 2"], Float[Tensor, "b 1"]]:
    """The evidence in units of the box around it, and that box: its middle and half its larger side.

    So that nothing has to be learned anew for people who stand elsewhere in the crop, or are smaller.
    """
    area, at, rest, toward, across, spread = moments.split([1, 2, 3, 3, 6, 3], -1)
    there = torch.cat([area[..., 0] > 0, keypoints[..., 2] > 0], 1)[..., None]
    points = torch.cat([at, keypoints[..., :2]], 1)
    low = torch.where(there, points, 2.0).amin(1)
    high = torch.where(there, points, -2.0).amax(1)
    anything = there.any(1)
    middle = torch.where(anything, (low + high) / 2, 0.0)
    half = torch.where(anything, ((high - low) / 2).amax(1, keepdim=True), 1.0).clamp_min(0.1)
    m, s = middle[:, None], half[:, None]
    moments = torch.cat([area / s, (at - m * (area > 0)) / s, rest, toward, across / s, spread / s**2], -1)
    sure = keypoints[..., 2:]
    return moments, torch.cat([(keypoints[..., :2] - m * sure) / s, sure], -1), middle, half
