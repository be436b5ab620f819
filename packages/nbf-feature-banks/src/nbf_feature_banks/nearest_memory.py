"""The bank of 3DNBF (Zhang et al., ICCV 2023, section 3.3), after CoKe (Bai et al.) and NeMo (Wang et al.)."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from nbf_core.contracts import Converted
from nbf_core.errors import InputError, ShapeError
from nbf_core.types import BodySpec
from nbf_feature_banks.clutter import spherical_kmeans
from nbf_feature_banks.config import NearestMemoryConfig
from nbf_feature_banks.processes import gather_rows, process_count, sum_over_processes
from nbf_feature_banks.published import convert


class NearestMemoryBank(nn.Module):
    """``features`` [k, o, c] and a ring ``background`` [n, c], all unit length; buffers, so in the checkpoint.

    ``position`` counts the batches written to the ring, ``updates`` all batches that changed the bank.

    Where torch.distributed runs several processes, ``update`` and ``loss`` are collective: each process calls
    them with its own images, even with none. All processes then hold the bank, and together have the loss, that
    one process would with their batches joined in the order of their ranks.
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

        Where nothing is visible nothing changes, the ring included (as published). Raises FloatingPointError,
        on all processes alike and with the bank as it was, where a feature is not finite; InputError where a
        visible feature's kernel or bin does not exist.
        """
        self._check(features, kernels, orientation, visible, background)
        label = (kernels * self.features.shape[1] + orientation)[visible]
        chosen, rows = features[visible].to(self.features), background.flatten(0, 1).to(self.background)
        # Features, not sums per class: then the order of addition, and so each bit, is that of one process.
        label, chosen, rows = gather_rows(label, chosen, rows)
        if len(label) == 0:
            return
        if not (chosen.isfinite().all() and rows.isfinite().all()):
            raise FloatingPointError("bank: features are not finite; the bank was not updated")
        if int(self.updates) >= self.config.hold:
            self._move(label, chosen)
        self._store(rows)
        self.updates += 1

    def _move(self, label: Int[Tensor, "n"], chosen: Float[Tensor, "n c"]) -> None:
        """Move each class that was seen towards the mean of its features."""
        memory = self.features.view(-1, self.features.shape[-1])
        total = torch.zeros_like(memory)
        if total.is_cuda:  # there index_add_ adds in any order, and the processes' banks would drift apart
            total.index_put_((label,), chosen, accumulate=True)
        else:
            total.index_add_(0, label, chosen)
        count = torch.bincount(label, minlength=len(memory))
        seen = count > 0
        mean = total[seen] / count[seen, None]
        momentum = self.momentum
        memory[seen] = F.normalize(momentum * memory[seen] + (1 - momentum) * mean, dim=-1)

    @property
    def momentum(self) -> float:
        """What the next update keeps of a class's memory."""
        config = self.config
        if config.momentum_end is None:
            return config.momentum
        share = (int(self.updates) - config.hold) / config.momentum_steps
        return config.momentum + (config.momentum_end - config.momentum) * min(max(share, 0.0), 1.0)

    def loss(
        self,
        features: Float[Tensor, "b i c"],
        kernels: Int[Tensor, "b i"],
        orientation: Int[Tensor, "b i"],
        visible: Bool[Tensor, "b i"],
        background: Float[Tensor, "b n c"],
    ) -> dict[str, Float[Tensor, ""]]:
        """Cross entropy of each visible feature over all kernel classes and the ring, the noise regulariser, and
        where it has a weight, figure against ground.

        The classes of mesh neighbours are masked out in every orientation; a kernel's own other orientations
        are not (as published). The regulariser is the mean similarity of background to kernel features.

        With several processes each returns its part of the joint mean times their number: the mean over the
        processes, which is what DistributedDataParallel takes of gradients, is then the joint batch's loss.
        """
        self._check(features, kernels, orientation, visible, background)
        config = self.config
        own = torch.stack([visible.sum(), visible.new_tensor(background.shape[:2].numel(), dtype=torch.long)])
        per_feature, per_row = process_count() / sum_over_processes(own).clamp_min(1).to(self.features)
        # Where there is nothing to compute a zero keeps the gradients' path: every process must have one.
        contrastive, regulariser = features.sum() * 0, background.sum() * 0
        if config.weight_contrastive and visible.any():
            values = self._cross_entropy(features[visible], kernels[visible], orientation[visible])
            contrastive = config.weight_contrastive * values.sum() * per_feature
        if config.weight_noise_regulariser:
            similarity = background.to(self.features) @ self.features.mean(dim=(0, 1))
            regulariser = config.weight_noise_regulariser * similarity.sum() * per_row
        terms = {"contrastive": contrastive, "noise_regulariser": regulariser}
        if config.weight_figure_ground:
            seen = features[visible], kernels[visible], orientation[visible]
            figure, ground = self._figure_ground(*seen, background.flatten(0, 1))
            terms["figure_ground"] = config.weight_figure_ground * (figure * per_feature + ground * per_row)
        return terms

    def _figure_ground(
        self,
        features: Float[Tensor, "n c"],
        kernel: Int[Tensor, "n"],
        orientation: Int[Tensor, "n"],
        background: Float[Tensor, "m c"],
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """Cross entropy between a kernel (its own; for background the likest) and the background's mean, summed.

        The choice that a fit makes of a pixel. The contrastive loss leaves it open: it compares with single
        background features, and never asks background to be unlike the kernels.
        """
        features, background = features.to(self.features), background.to(self.features)
        memory, clutter = self.features.clone(), self.clutter()[0]
        own = (features * memory[kernel, orientation]).sum(-1)
        likest = (background @ memory.flatten(0, 1).mT).max(-1).values
        figure = F.softplus((features @ clutter - own) / self.config.temperature)
        ground = F.softplus((likest - background @ clutter) / self.config.temperature)
        return figure.sum(), ground.sum()

    def _cross_entropy(
        self, features: Float[Tensor, "n c"], kernel: Int[Tensor, "n"], orientation: Int[Tensor, "n"]
    ) -> Float[Tensor, "n"]:
        """``logsumexp(logits) - logit of the label`` of each feature.

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
        return total - right

    def clutter(self, centers: int = 1) -> Float[Tensor, "m c"]:
        """Unit centres of the background ring: its mean, or ``centers`` of spherical k-means.

        Raises ValueError where the ring holds fewer features than centres are asked for.
        """
        if centers == 1:
            return F.normalize(self.background.mean(0, keepdim=True), dim=-1)
        return spherical_kmeans(self.background, centers, self.config.seed)

    @classmethod
    def from_published(cls, tensors: Mapping[str, Tensor]) -> Converted:
        """See ``nbf_core.contracts.TakesPublished``: the memory in 3DNBF's checkpoints."""
        return convert(tensors)

    def _store(self, rows: Float[Tensor, "m c"]) -> None:
        """Write one batch to the ring at its place; the ring holds a whole number of batches."""
        size = len(self.background)
        if len(rows) == 0:
            return
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
        size, bins = self.features.shape[:2]
        odd = visible & ((kernels < 0) | (kernels >= size) | (orientation < 0) | (orientation >= bins))
        if odd.any():
            image, item = odd.nonzero()[0].tolist()
            raise InputError(
                f"image {image} of the batch, feature {item}: kernel {int(kernels[image, item])} in orientation bin "
                f"{int(orientation[image, item])}; the bank has {size} kernels of {bins} bins"
            )


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
