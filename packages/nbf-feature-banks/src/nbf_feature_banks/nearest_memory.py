"""The bank of 3DNBF (Zhang et al., ICCV 2023, section 3.3), after CoKe (Bai et al.) and NeMo (Wang et al.)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from nbf_core.errors import ShapeError
from nbf_core.types import BodySpec
from nbf_feature_banks.config import NearestMemoryConfig


class NearestMemoryBank(nn.Module):
    """``features`` [k, o, c] and a ring ``background`` [n, c], all unit length; buffers, so in the checkpoint.

    ``position`` counts the batches written to the ring, ``updates`` all batches that changed the bank.
    """

    features: Float[Tensor, "k o c"]
    background: Float[Tensor, "n c"]

    def __init__(self, config: NearestMemoryConfig, spec: BodySpec, channels: int) -> None:
        super().__init__()
        self.config = config
        generator = torch.Generator().manual_seed(config.seed)
        noise = torch.randn(config.num_noise * config.max_group, channels, generator=generator)
        self.register_buffer("features", _initial(config, spec.kernel_rest.float(), channels, generator))
        self.register_buffer("background", F.normalize(noise, dim=-1))
        self.register_buffer("position", torch.zeros((), dtype=torch.long))
        self.register_buffer("updates", torch.zeros((), dtype=torch.long))
        # A kernel is its own class, not its neighbour.
        adjacency = spec.kernel_adjacency.clone().fill_diagonal_(False)
        self.register_buffer("adjacency", adjacency, persistent=False)

    @torch.no_grad()
    def update(
        self,
        features: Float[Tensor, "b i c"],
        kernels: Int[Tensor, "b i"],
        orientation: Int[Tensor, "b i"],
        visible: Bool[Tensor, "b i"],
        background: Float[Tensor, "b n c"],
    ) -> None:
        """Momentum over each class's mean visible feature; the ring takes ``background``.

        Where nothing is visible nothing changes, the ring included (as published).
        """
        self._check(features, kernels, orientation, visible, background)
        if not visible.any():
            return
        k, o, c = self.features.shape
        if int(self.updates) >= self.config.hold:
            label = (kernels * o + orientation)[visible]
            total = self.features.new_zeros(k * o, c).index_add_(0, label, features[visible].to(self.features))
            count = self.features.new_zeros(k * o).index_add_(0, label, torch.ones_like(label, dtype=total.dtype))
            seen = count > 0
            memory = self.features.view(k * o, c)
            mean = total[seen] / count[seen, None]
            momentum = self.config.momentum
            memory[seen] = F.normalize(momentum * memory[seen] + (1 - momentum) * mean, dim=-1)
        self._store(background.flatten(0, 1).to(self.background))
        self.updates += 1

    def loss(
        self,
        features: Float[Tensor, "b i c"],
        kernels: Int[Tensor, "b i"],
        orientation: Int[Tensor, "b i"],
        visible: Bool[Tensor, "b i"],
        background: Float[Tensor, "b n c"],
    ) -> dict[str, Float[Tensor, ""]]:
        """Cross entropy of each visible feature over all kernel classes and the ring, and the noise regulariser.

        The classes of mesh neighbours are masked out in every orientation; a kernel's own other orientations
        are not (as published). The regulariser is the mean similarity of background to kernel features.
        """
        self._check(features, kernels, orientation, visible, background)
        config = self.config
        regulariser = (background.to(self.features) @ self.features.mean(dim=(0, 1))).mean()
        terms = {"noise_regulariser": config.weight_noise_regulariser * regulariser}
        if visible.any():
            contrastive = self._cross_entropy(features[visible], kernels[visible], orientation[visible])
        else:
            contrastive = features.sum() * 0
        return {"contrastive": config.weight_contrastive * contrastive, **terms}

    def _cross_entropy(
        self, features: Float[Tensor, "n c"], kernel: Int[Tensor, "n"], orientation: Int[Tensor, "n"]
    ) -> Float[Tensor, ""]:
        """Mean of ``logsumexp(logits) - logit of the label``.

        The [n, k o] logits are the whole cost, so they are made once and masked in place, and the ring's
        share is added by its own sum instead of joining the two.
        """
        k, o, _ = self.features.shape
        scaled = features / self.config.temperature
        # Copies: an update may follow before the gradients are taken, and must not change what they see.
        memory, background = self.features.to(scaled, copy=True), self.background.to(scaled, copy=True)
        body = (scaled @ memory.flatten(0, 1).mT).view(-1, k, o)
        right = (scaled * memory[kernel, orientation]).sum(-1)
        # Where the published loss takes 1e5 off, the class leaves the sum: the same number.
        body = body.masked_fill(self.adjacency[kernel][..., None], -torch.inf).flatten(1)
        ring = scaled @ background.mT
        total = torch.logaddexp(body.logsumexp(1), ring.logsumexp(1) + math.log(self.config.weight_noise))
        return (total - right).mean()

    def clutter(self, centers: int = 1) -> Float[Tensor, "m c"]:
        """Unit centres of the background ring: its mean, or ``centers`` of spherical k-means."""
        background = self.background
        if centers == 1:
            return F.normalize(background.mean(0, keepdim=True), dim=-1)
        # Start from features spread evenly over the ring; ten rounds settle it.
        center = background[torch.linspace(0, len(background) - 1, centers).long()]
        for _ in range(10):
            nearest = (background @ center.mT).argmax(dim=1)
            total = torch.zeros_like(center).index_add_(0, nearest, background)
            center = torch.where(total.norm(dim=-1, keepdim=True) > 0, F.normalize(total, dim=-1), center)
        return center

    def _store(self, rows: Float[Tensor, "m c"]) -> None:
        """Write one batch to the ring at its place; the ring holds a whole number of batches."""
        size = len(self.background)
        batches = size // len(rows)
        if batches == 0:
            self.background.copy_(F.normalize(rows[:size], dim=-1))
            return
        start = int(self.position % batches) * len(rows)
        self.background[start : start + len(rows)] = F.normalize(rows, dim=-1)
        self.position += 1

    def _check(self, features, kernels, orientation, visible, background) -> None:
        channels = self.features.shape[-1]
        shape = tuple(features.shape[:2])
        if features.ndim != 3 or features.shape[-1] != channels:
            raise ShapeError(f"features: expected [b, i, {channels}], got {tuple(features.shape)}")
        for name, value in (("kernels", kernels), ("orientation", orientation), ("visible", visible)):
            if tuple(value.shape) != shape:
                raise ShapeError(f"{name}: expected {shape}, got {tuple(value.shape)}")
        if background.ndim != 3 or background.shape[-1] != channels:
            raise ShapeError(f"background: expected [b, n, {channels}], got {tuple(background.shape)}")


def _initial(
    config: NearestMemoryConfig, rest: Float[Tensor, "k 3"], channels: int, generator: torch.Generator
) -> Float[Tensor, "k o c"]:
    """Unit features per kernel and bin: random, or random Fourier features (Rahimi and Recht, 2007)."""
    bins = config.orientations
    if config.init == "random":
        return F.normalize(torch.randn(len(rest), bins, channels, generator=generator), dim=-1)
    frequency = torch.randn(4, channels, generator=generator)
    phase = torch.rand(channels, generator=generator) * 2 * math.pi
    turn = torch.arange(bins) * config.turn
    place = (rest / config.length)[:, None].expand(-1, bins, 3)
    place = torch.cat([place, turn.expand(len(rest), bins)[..., None]], dim=-1)
    return F.normalize(torch.cos(place @ frequency + phase), dim=-1)
