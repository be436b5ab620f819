"""The network that turns evidence into a body."""

from __future__ import annotations

from collections.abc import Sequence

import roma
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from nbf_fitters.lift.evidence import ACROSS, KEYPOINTS, MOMENTS, SOLID, SPLIT

VIEW = 13
"""Numbers that tell how a part is seen: see ``views``."""

RIDGE = 0.01
"""Added to how a part's matched points vary at rest, so that few of them tell little."""


class LiftNetwork(nn.Module):
    """From evidence to rotations, shape and a weak camera relative to the crop's central ray, as regressors give them.

    Each part is a token, and there is one more for the whole; blocks mix tokens and channels in turn (MLP-Mixer,
    Tolstikhin et al., NeurIPS 2021). So what is learned of one part's view serves all parts.
    """

    layers: torch.dtype = torch.float32
    """What the blocks compute in."""

    def __init__(self, parents: Sequence[int], shapes: int, width: int = 128, blocks: int = 5) -> None:
        super().__init__()
        self.parents, self.joints, self.shapes = tuple(parents), len(parents), shapes
        tokens = self.joints + 1
        self.part = nn.Linear(MOMENTS + VIEW + 2 * 3, width)
        self.whole = nn.Linear(KEYPOINTS * 3 + 4, tokens * width)
        self.names = nn.Parameter(0.3 * torch.randn(tokens, width))
        self.blocks = nn.Sequential(*(Block(tokens, width) for _ in range(blocks)))
        self.last = nn.LayerNorm(width)
        self.turns = nn.Parameter(1e-3 * torch.randn(self.joints, width, 6))
        self.turned = nn.Parameter(torch.zeros(self.joints, 6))
        self.out = nn.Linear(tokens * width, shapes + 3)
        nn.init.normal_(self.out.weight, std=1e-3)
        nn.init.zeros_(self.out.bias)
        # Facts of the body, kept with the weights: where each part ends, in units of REACH, and two keypoints near it.
        self.register_buffer("ends", torch.zeros(self.joints, 3))
        self.register_buffer("near", torch.zeros(self.joints, 2, dtype=torch.long))
        # Upright and facing the camera: x stays, y and z turn round.
        self.register_buffer("at_rest", torch.diag(torch.tensor([1.0, -1.0, -1.0]))[:, :2], persistent=False)

    def forward(
        self, moments: Float[Tensor, "b J m"], keypoints: Float[Tensor, "b n 3"], view: Float[Tensor, "b 1"]
    ) -> tuple[Float[Tensor, "b J 3 3"], Float[Tensor, "b shapes"], Float[Tensor, "b 3"]]:
        """Rotations (root relative to the crop's central ray), shape, weak camera (s, tx, ty)."""
        moments, keypoints, middle, half = boxed(moments, keypoints)
        parts = torch.cat([moments, views(moments, self.ends), keypoints[:, self.near].flatten(2)], -1)
        whole = torch.cat([keypoints.flatten(1), view, middle, half.log()], 1)
        with torch.autocast(parts.device.type, self.layers, enabled=self.layers != torch.float32):
            x = F.pad(self.part(parts), (0, 0, 0, 1)) + self.whole(whole).unflatten(1, (-1, self.last.weight.numel()))
            x = self.last(self.blocks(x + self.names.to(x.dtype)))
            out = self.out(x.flatten(1))
        sixes = torch.einsum("bjc,jcd->bjd", x[:, : self.joints].to(self.turns), self.turns) + self.turned
        betas, camera = out.to(self.turns).split([self.shapes, 3], 1)
        # How a part is turned in the picture shows there, whatever its parent does.
        world = roma.special_gramschmidt(self.at_rest + sixes.unflatten(-1, (3, 2)))
        rotations = torch.cat([world[:, :1], world[:, self.parents[1:]].mT @ world[:, 1:]], 1)
        scale = F.softplus(camera[:, :1] + 0.9, beta=4) * half
        return rotations, betas, torch.cat([scale, camera[:, 1:] + middle / scale], 1)


class Block(nn.Module):
    """Mixes tokens, then the channels of each."""

    def __init__(self, tokens: int, width: int, between: int = 64) -> None:
        super().__init__()
        self.before_tokens, self.before_channels = nn.LayerNorm(width), nn.LayerNorm(width)
        self.tokens = nn.Sequential(nn.Linear(tokens, between), nn.ReLU(), nn.Linear(between, tokens))
        self.channels = nn.Sequential(nn.Linear(width, 4 * width), nn.ReLU(), nn.Linear(4 * width, width))
        for branch in (self.tokens, self.channels):
            nn.init.zeros_(branch[-1].weight)

    def forward(self, x: Float[Tensor, "b t c"]) -> Float[Tensor, "b t c"]:
        x = x + self.tokens(self.before_tokens(x).mT).mT
        return x + self.channels(self.before_channels(x))


def boxed(
    moments: Float[Tensor, "b J m"], keypoints: Float[Tensor, "b n 3"]
) -> tuple[Float[Tensor, "b J m"], Float[Tensor, "b n 3"], Float[Tensor, "b 2"], Float[Tensor, "b 1"]]:
    """The evidence in units of the box around it, and that box: its middle and half its larger side.

    So that nothing has to be learned anew for people who stand elsewhere in the crop, or are smaller.
    """
    area, at, rest, toward, across, spread, solid = moments.split([*SPLIT.values()], -1)
    there = torch.cat([area[..., 0] > 0, keypoints[..., 2] > 0], 1)[..., None]
    points = torch.cat([at, keypoints[..., :2]], 1)
    low = torch.where(there, points, 2.0).amin(1)
    high = torch.where(there, points, -2.0).amax(1)
    anything = there.any(1)
    middle = torch.where(anything, (low + high) / 2, 0.0)
    half = torch.where(anything, ((high - low) / 2).amax(1, keepdim=True), 1.0).clamp_min(0.1)
    m, s = middle[:, None], half[:, None]
    moments = torch.cat([area / s, (at - m * (area > 0)) / s, rest, toward, across / s, spread / s**2, solid], -1)
    sure = keypoints[..., 2:]
    return moments, torch.cat([(keypoints[..., :2] - m * sure) / s, sure], -1), middle, half


def views(moments: Float[Tensor, "b J m"], ends: Float[Tensor, "J 3"]) -> Float[Tensor, "b J v"]:
    """How each part is seen, by least squares over its matched points: the affine map from rest to the picture (two
    rows of a scaled rotation), the cross product of its rows, and where it puts the part's joint and end; zeros where
    nothing was matched."""
    area, at, rest, _, across, _, solid = moments.split([*SPLIT.values()], -1)
    symmetric = solid[..., [0, 1, 2, 1, 3, 4, 2, 4, 5]].unflatten(-1, (3, 3)) / SOLID
    ridge = RIDGE * torch.eye(3, dtype=moments.dtype, device=moments.device)
    affine = torch.linalg.solve(symmetric + ridge, across.unflatten(-1, (2, 3)).mT / ACROSS).mT
    joint = at - (affine @ rest[..., None])[..., 0]
    end = joint + (affine @ ends[..., None])[..., 0]
    affine = 4 * affine  # brought to about one
    third = torch.linalg.cross(affine[..., 0, :], affine[..., 1, :])
    told = [affine.flatten(-2).clamp(-4, 4), third.clamp(-4, 4), joint.clamp(-3, 3), end.clamp(-3, 3)]
    return torch.cat(told, -1) * (area > 0)
