"""Weighted sums over sparse pairs, without an array of pairs times channels where that would be large."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

# Up to this many channels gathering rows is quicker than an embedding bag, whose backward pass costs more.
_FEW_CHANNELS = 16


def _complete(device: torch.device) -> bool:
    """Whether torch, from the oldest version allowed, has embedding bags and ``index_copy`` there: not on MPS."""
    return device.type != "mps"


def put_rows(size: int, index: Tensor, rows: Tensor) -> Tensor:
    """``[size, ...]``, the ``rows`` at ``index``, which names none twice, and zeros elsewhere."""
    flat = rows.new_zeros(size, *rows.shape[1:])
    return flat.index_copy_(0, index, rows) if _complete(rows.device) else flat.index_put_((index,), rows)


def mix(table: Tensor, index: Tensor, weight: Tensor) -> Tensor:
    """``sum_m weight[m, n] table[index[m, n]]``, ``[n, c]``. ``index`` is valid everywhere."""
    channels = table.shape[1]
    if channels > _FEW_CHANNELS and index.numel() and _complete(table.device):
        return functional.embedding_bag(
            index.T.contiguous(), table, per_sample_weights=weight.T.contiguous(), mode="sum"
        )
    rows = table.T.index_select(1, index.reshape(-1)).unflatten(1, index.shape)
    return (weight * rows).sum(1).T


def gather_mean(rows: Tensor, pixel: Tensor, kernel: Tensor, weight: Tensor, total: int) -> Tensor:
    """Per kernel, the mean of ``rows[pixel]`` weighted by ``weight``, ``[total, c]``.

    ``kernel`` and ``weight`` are ``[n, m]``; kernels of index ``total`` are left out.
    """
    slots = kernel.shape[1]
    flat = kernel.reshape(-1)
    weights = weight.to(rows.dtype).reshape(-1)
    sums = weights.new_zeros(total + 1).index_add(0, flat, weights)[:-1]
    if not flat.numel():
        return rows.new_zeros(total, rows.shape[1]) + 0.0 * rows.sum()
    if not _complete(rows.device):
        values = weights[:, None] * rows.index_select(0, pixel).repeat_interleave(slots, 0)
        mean = rows.new_zeros(total + 1, rows.shape[1]).index_add(0, flat, values)[:-1]
        return mean / (sums + 1e-8)[:, None]
    order = torch.argsort(flat, stable=True)
    source = pixel.index_select(0, torch.div(order, slots, rounding_mode="floor"))
    ends = torch.searchsorted(flat.index_select(0, order), torch.arange(total + 1, device=flat.device))
    bags = functional.embedding_bag(
        source, rows, offsets=ends, per_sample_weights=weights.index_select(0, order), mode="sum"
    )
    return bags[:-1] / (sums + 1e-8)[:, None]
