"""What the processes of data-parallel training have together. With one process every function is a no-op.

All of it is collective: each process must call with its own share, even an empty one, and in the same order.
"""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor


def process_count() -> int:
    """How many processes train together; 1 where torch.distributed is not in use."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def gather_rows(*shares: Tensor) -> tuple[Tensor, ...]:
    """For each tensor the rows of all processes, in the order of their ranks; counts may differ.

    Without gradients. Every process gets the same values, bit for bit.
    """
    processes = process_count()
    if processes == 1:
        return shares
    own = torch.tensor([len(rows) for rows in shares], device=shares[0].device)
    counts = own.new_empty(processes * len(shares))
    dist.all_gather_into_tensor(counts, own)
    by_tensor = counts.view(processes, -1).T.tolist()
    return tuple(_gather(rows, count) for rows, count in zip(shares, by_tensor, strict=True))


def _gather(rows: Tensor, counts: list[int]) -> Tensor:
    most = max(counts)
    if most == 0:
        return rows
    # Collectives want equal sizes: each process fills up to the longest.
    padded = rows.new_zeros(most, *rows.shape[1:])
    padded[: len(rows)] = rows
    everything = rows.new_empty(len(counts) * most, *rows.shape[1:])
    dist.all_gather_into_tensor(everything, padded)
    return torch.cat([part[:count] for part, count in zip(everything.split(most), counts, strict=True)])


def sum_over_processes(value: Tensor) -> Tensor:
    """The sum of a small tensor over all processes, without gradients."""
    total = value.detach().clone()
    if process_count() > 1:
        dist.all_reduce(total)
    return total
