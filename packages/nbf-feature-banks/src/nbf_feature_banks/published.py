"""The bank in a checkpoint of the published implementation of 3DNBF.

Its memory lists the kernels of the first orientation bin, of the second and so on, then the background ring. The
ring's position was not kept: the next batch goes to its start.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from nbf_core.contracts import Converted

PREFIX = "feature_bank."
NAMES = ("memory", "accumulate_num", "params")
NUM_NOISE, MAX_GROUP = 10, 216  # background features an image gives; images the ring holds


def convert(tensors: Mapping[str, Tensor]) -> Converted:
    """The bank's ``state_dict``; see ``nbf_core.contracts.Converted``."""
    used = frozenset(PREFIX + name for name in NAMES)
    problems = [f"missing: {PREFIX}{name}" for name in NAMES if PREFIX + name not in tensors]
    if problems:
        return Converted({}, {}, used, tuple(problems))
    memory, counts = tensors[PREFIX + "memory"], tensors[PREFIX + "accumulate_num"]
    ring = NUM_NOISE * MAX_GROUP
    kernels = len(counts) if counts.ndim == 1 else 0
    bins, rest = divmod(len(memory) - ring, kernels) if memory.ndim == 2 and kernels else (0, 0)
    if bins < 1 or rest:
        shapes = f"{tuple(memory.shape)} for accumulate_num {tuple(counts.shape)}"
        problem = f"shape: {PREFIX}memory is {shapes}, expected (bins x kernels + {ring}, channels) for (kernels,)"
        return Converted({}, {}, used, (problem,))
    if not memory.isfinite().all():
        return Converted({}, {}, used, (f"values: {PREFIX}memory holds NaN or infinity",))
    memory = memory.float()
    own = {
        "features": memory[: bins * kernels].unflatten(0, (bins, kernels)).transpose(0, 1),
        "background": memory[bins * kernels :],
        "position": torch.zeros((), dtype=torch.long),
        "updates": torch.zeros((), dtype=torch.long),
    }
    return Converted(own, {"orientations": bins, "num_noise": NUM_NOISE, "max_group": MAX_GROUP}, used)
