"""The published bank and loss, held against ours. Published rows are bin by bin: ``orientation * k + kernel``."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from nbf_core.sampling import background_weights
from nbf_feature_banks.config import NearestMemoryConfig
from nbf_feature_banks.nearest_memory import NearestMemoryBank
from nbf_testing.golden import cases

HERE = Path(__file__).parent / "golden"


def golden_bank(memory: Tensor, spec, bins: int, **options) -> NearestMemoryBank:
    """A bank that holds published rows: kernel classes first, then the ring."""
    kernels = spec.kernels
    config = NearestMemoryConfig(orientations=bins, **options)
    bank = NearestMemoryBank(config, spec=spec, channels=memory.shape[1])
    bank.features.copy_(memory[: bins * kernels].view(bins, kernels, -1).transpose(0, 1))
    bank.background = memory[bins * kernels :].clone()
    return bank


def rows(bank: NearestMemoryBank) -> Tensor:
    return torch.cat([bank.features.transpose(0, 1).flatten(0, 1), bank.background])


@pytest.mark.parametrize("case", cases("feature_bank", HERE), ids=str)
def test_golden_feature_bank(case, spec_of):
    kernels, bins = case.params["V"], case.params["n_orient"]
    bank = golden_bank(case.tensor("memory0"), spec_of(kernels), bins)
    visible, label = case.tensor("visible").bool(), case.tensor("y").long()
    memories, positions, clutters, similarities, noise = [], [], [], [], []
    for step, x in enumerate(case.tensor("x")):
        background = x[:, kernels:]
        kernel = torch.arange(kernels).expand(len(x), -1)
        orientation = (label[step] - kernel) // kernels if int(label[step].max()) >= kernels else label[step] * 0
        similarities.append(x[:, :kernels] @ rows(bank).mT)  # with the memory before the update, as in the loss
        noise.append(background @ rows(bank)[: kernels * bins].mT)
        bank.update(x[:, :kernels], kernel, orientation, visible[step], background)
        memories.append(rows(bank))
        positions.append(bank.position.clone())
        clutters.append(bank.clutter())
    case.check("memory", torch.stack(memories))
    case.check("similarity", torch.stack(similarities))
    case.check("noise_similarity", torch.stack(noise))
    case.check("clutter_mean", torch.stack(clutters))
    case.check("bg_banks", F.normalize(bank.background, dim=-1))
    case.check("fg_banks_V_nD", bank.features.flatten(1))
    ring = int(case.outputs["max_lru"])
    if ring > 1:
        case.check("lru_after", torch.stack(positions).to(torch.int32) % ring)


@pytest.mark.parametrize("case", cases("coke_loss", HERE), ids=str)
def test_golden_coke_loss(case, spec_of):
    """Contrastive loss, noise regulariser, their gradients, and the memory after the update."""
    kernels, bins, width = case.params["V"], case.params["n_orient"], case.params["W"]
    adjacency = case.tensor("adj_mat")[0].bool()
    bank = golden_bank(
        case.tensor("memory0"), spec_of(kernels, adjacency), bins, weight_noise_regulariser=1.0,
        temperature=case.params["T"], weight_noise=case.params["weight_noise"],
    )  # fmt: skip
    maps = case.tensor("coke_features", requires_grad=True)
    unit = F.normalize(maps, dim=1).flatten(2).mT
    visible, pixel = seen_pixels(case, maps.shape[-2:], width)
    given = case.params["given"]
    raw = case.tensor("vert_coke_features", requires_grad=True) if given else None
    features = F.normalize(raw, dim=-1) if given else unit.gather(1, pixel[..., None].expand(-1, -1, unit.shape[-1]))
    case.check("noise_prob", background_weights(case.tensor("bg_mask"), pixel))
    index = case.tensor("noise_idx").long()
    background = unit.gather(1, index[..., None].expand(-1, -1, unit.shape[-1]))
    orientation = case.tensor("vert_orients").long()
    kernel = torch.arange(kernels).expand_as(orientation)
    known = case.tensor("has_smpl").bool()
    batch = [features[known], kernel[known], orientation[known], visible[known], background[known]]

    terms = bank.loss(*batch)
    weights = case.params.get("w1", 1.0), case.params.get("w2", 1.0)
    case.check("loss_contrastive", weights[0] * terms["contrastive"].reshape(case.outputs["loss_contrastive"].shape))
    case.check("loss_noise_reg", weights[1] * terms["noise_regulariser"])
    (weights[0] * terms["contrastive"] + weights[1] * terms["noise_regulariser"]).backward()
    case.check("grad_coke_features", maps.grad)
    if given:
        case.check("grad_vert_coke_features", torch.zeros_like(raw) if raw.grad is None else raw.grad)
    # The published update sees every image's background, and kernels of images without a body as invisible.
    bank.update(features.detach(), kernel, orientation, visible & known[:, None], background.detach())
    case.check("memory_after", rows(bank))


def seen_pixels(case, size, width) -> tuple[Tensor, Tensor]:
    """Published visibility: kernels outside the map are invisible and moved to pixel 0."""
    place = case.tensor("keypoint_rc")
    limit = torch.tensor(size) - 1
    outside = ((place < 0) | (place > limit)).any(-1)
    place = place.masked_fill(outside[..., None], 0).floor().long()
    return case.tensor("visible").bool() & ~outside, place[..., 0] * width + place[..., 1]
