"""Means over the joined batch of data-parallel training. With one process everything stays as it is."""

from __future__ import annotations

import torch.distributed as dist
from torch import Tensor


def mean_over_processes(values: Tensor) -> Tensor:
    """The mean of a tensor over all processes, without gradients; each of them must call.

    A sum divided by it, averaged over the processes as DistributedDataParallel does with gradients, is the sum of
    all processes divided by theirs: a weighted mean over the joined batch.
    """
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return values
    total = values.detach().clone()
    dist.all_reduce(total)
    return total / dist.get_world_size()
