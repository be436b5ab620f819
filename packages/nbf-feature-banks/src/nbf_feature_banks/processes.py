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
    if process_count() == 1:
        return shares
    own = torch.tensor([len(rows) for rows in shares], device=shares[0].device)
    by_tensor = torch.stack(_all(own)).T.tolist()
    return tuple(_gather(rows, count) for rows, count in zip(shares, by_tensor, strict=True))


def _gather(rows: Tensor, counts: list[int]) -> Tensor:
    most = max(counts)
    if most == 0:
        return rows
    # Collectives want equal sizes: each process fills up to the longest.
    padded = rows.new_zeros(most, *rows.shape[1:])
    padded[: len(rows)] = rows
    return torch.cat([part[:count] for part, count in zip(_all(padded), counts, strict=True)])


def _all(own: Tensor) -> list[Tensor]:
    """The tensor of every process, all of one size, in the order of the ranks."""
    gathered = [torch.empty_like(own) for _ in range(process_count())]
    dist.all_gather(gathered, own)
    return gathered


def sum_over_processes(value: Tensor) -> Tensor:
    """The sum of a small tensor over all processes, without gradients."""
    total = value.detach().clone()
    if process_count() > 1:
        dist.all_reduce(total)
    return total
