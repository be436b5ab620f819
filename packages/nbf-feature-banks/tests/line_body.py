"""A body for tests of the bank."""

from __future__ import annotations

import torch

from nbf_core.types import BodySpec


def make_spec(kernels: int, adjacency: torch.Tensor | None = None) -> BodySpec:
    """A body of nothing but kernels on a line, each touching the next."""
    index = torch.arange(kernels)
    if adjacency is None:
        adjacency = (index[:, None] - index[None]).abs() <= 1
    return BodySpec(
        name="line", joint_names=("pelvis",), parents=(-1,), mirror_joints=(0,), shapes=10,
        faces=torch.zeros(1, 3, dtype=torch.long), vertex_parts=torch.zeros(kernels, dtype=torch.long),
        vertex_kernels=index, kernel_vertices=index, kernel_limbs=torch.zeros(kernels, dtype=torch.long),
        kernel_mirror=index, kernel_adjacency=adjacency.bool(),
        kernel_rest=torch.stack([index * 0.05, index * 0.0, index * 0.0], dim=1), kernel_precision=4000.0,
        keypoint_weights={},
    )  # fmt: skip
