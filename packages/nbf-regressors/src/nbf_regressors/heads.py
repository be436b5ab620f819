"""Heads that pool features where each part is seen: PARE's (Kocabas et al., ICCV 2021), and one after it."""

from __future__ import annotations

import roma
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

TOKEN = 32  # channels of one part's summary


class PartGuidedHead(nn.Module):
    """Pools features where each part is seen, and regresses rotations, shape and camera from all parts.

    Pooling weights are class probabilities normalised over the image: PARE's softmax over pixels pools the
    background when a part is hidden. Each part's summary holds its mean position and its visible area.
    """

    def __init__(self, joints: int, shapes: int, width: int, context: int, hidden: int) -> None:
        super().__init__()
        self.joints, self.shapes = joints, shapes
        self.token = nn.Linear(width + 3, TOKEN)
        self.context = nn.Linear(context, hidden // 2)
        inputs = joints * TOKEN + hidden // 2
        self.layers = nn.Sequential(
            nn.LayerNorm(inputs), nn.Linear(inputs, hidden), nn.GELU(),
            nn.LayerNorm(hidden), nn.Linear(hidden, hidden), nn.GELU(), nn.LayerNorm(hidden),
        )  # fmt: skip
        self.out = nn.Linear(hidden, joints * 6 + shapes + 3)
        nn.init.normal_(self.out.weight, std=1e-3)
        nn.init.zeros_(self.out.bias)
        # Upright and facing the camera; the other joints at rest; about four fifths of the crop's height.
        rotation = torch.eye(3)[:, :2].repeat(joints, 1, 1)
        rotation[0] = torch.tensor([[1.0, 0.0], [0.0, -1.0], [0.0, 0.0]])
        self.register_buffer("mean_rotation", rotation, persistent=False)
        self.register_buffer("mean_camera", torch.tensor([0.9, 0.0, 0.0]), persistent=False)

    def forward(
        self, parts: Float[Tensor, "b p h w"], pooled: Float[Tensor, "b c hh ww"], coarse: Float[Tensor, "b d q r"]
    ) -> tuple[Float[Tensor, "b J 3 3"], Float[Tensor, "b shapes"], Float[Tensor, "b 3"]]:
        """Rotations (root relative to the crop's central ray), shape, weak camera (s, tx, ty)."""
        summary = torch.cat([self._summaries(parts, pooled), self.context(coarse.mean(dim=(2, 3)))], dim=1)
        values = self.out(self.layers(summary))
        sixes, betas, camera = values.split([self.joints * 6, self.shapes, 3], dim=1)
        sixes = self.mean_rotation + sixes.reshape(-1, self.joints, 3, 2)
        camera = self.mean_camera + camera
        # A scale below zero has no meaning; softplus keeps its gradient.
        camera = torch.cat([F.softplus(camera[:, :1], beta=4), camera[:, 1:]], dim=1)
        return roma.special_gramschmidt(sixes), betas, camera

    def _summaries(self, parts: Tensor, pooled: Tensor) -> Tensor:
        probability = F.softmax(parts, dim=1)[:, : self.joints]
        weight = F.adaptive_avg_pool2d(probability, pooled.shape[-2:]).flatten(2)
        area = weight.sum(dim=2, keepdim=True)
        weight = weight / (area + 1e-2)
        height, width = pooled.shape[-2:]
        y = torch.linspace(-1, 1, height, dtype=weight.dtype, device=weight.device)
        x = torch.linspace(-1, 1, width, dtype=weight.dtype, device=weight.device)
        place = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1).reshape(-1, 2)
        features = weight @ pooled.flatten(2).mT
        return self.token(torch.cat([features, weight @ place, area.log1p()], dim=2)).flatten(1)


class PareHead(nn.Module):
    """PARE's head, section 3: each part's logits, softmaxed over the pixels, pool the map for that joint.

    One linear map a joint gives its rotation; ``REDUCED`` channels, pooled alike, give shape and camera.
    """

    REDUCED = 64

    def __init__(self, joints: int, shapes: int, width: int) -> None:
        super().__init__()
        self.joints = joints
        self.reduce = nn.Conv2d(width, self.REDUCED, 1)
        self.rotations = nn.Parameter(torch.randn(joints, 6, width) * width**-0.5)
        self.shape = nn.Linear(self.REDUCED * joints, shapes)
        self.camera = nn.Linear(self.REDUCED * joints, 3)
        with torch.no_grad():  # a person of about four fifths of the crop's height
            self.camera.bias.copy_(torch.tensor([0.9, 0.0, 0.0]))

    def forward(
        self, parts: Float[Tensor, "b p h w"], pooled: Float[Tensor, "b c hh ww"], coarse: Float[Tensor, "b d q r"]
    ) -> tuple[Float[Tensor, "b J 3 3"], Float[Tensor, "b shapes"], Float[Tensor, "b 3"]]:
        """Rotations (root relative to the crop's central ray), shape, weak camera (s, tx, ty); no use of ``coarse``."""
        logits = F.adaptive_avg_pool2d(parts[:, : self.joints], pooled.shape[-2:])
        attention = logits.flatten(2).softmax(dim=2)
        pose = torch.einsum("bjp,bcp->bjc", attention, pooled.flatten(2))
        rest = torch.einsum("bjp,bcp->bcj", attention, self.reduce(pooled).flatten(2)).flatten(1)
        sixes = torch.einsum("jkc,bjc->bjk", self.rotations, pose).reshape(-1, self.joints, 3, 2)
        return roma.special_gramschmidt(sixes), self.shape(rest), self.camera(rest)
