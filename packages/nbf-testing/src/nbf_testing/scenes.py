"""Small scenes with known answers, the same on every machine."""

from __future__ import annotations

import torch
from torch import Tensor

from nbf_core.types import Camera, Kernels


def devices() -> list[str]:
    """The devices to test on: the CPU, and the GPU where there is one."""
    return ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]


def kernel_scene(
    batch: int = 2,
    count: int = 25,
    size: tuple[int, int] = (14, 20),
    channels: int = 3,
    anisotropic: bool = False,
    dtype: torch.dtype = torch.float64,
    device: str = "cpu",
    seed: int = 0,
) -> tuple[Kernels, Camera, Tensor]:
    """Kernels one or two pixels wide, 2 to 4 m before an off-centre camera, and attributes ``[b, k, c]``."""
    draw = torch.Generator().manual_seed(seed)

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=draw, dtype=torch.float64)

    means = (uniform(batch, count, 3) - 0.5) * torch.tensor([1.6, 1.0, 2.0]) + torch.tensor([0.0, 0.0, 3.0])
    precision = 60 + 100 * uniform(batch, count)
    if anisotropic:
        turn = torch.linalg.qr(uniform(batch, count, 3, 3) - 0.5).Q
        precision = turn @ torch.diag_embed(40 + 160 * uniform(batch, count, 3)) @ turn.mT
    focal = 24 + 4 * uniform(batch, 2)
    center = torch.tensor([size[1] / 2, size[0] / 2]) + uniform(batch, 2) - 0.5
    attributes = uniform(batch, count, channels)
    kernels, camera = Kernels(means, precision), Camera(focal, center, size)
    return kernels.to(device, dtype), camera.to(device, dtype), attributes.to(device, dtype)


def single_kernels(dtype: torch.dtype = torch.float64, device: str = "cpu") -> tuple[Kernels, Camera, Tensor]:
    """Four pictures with one kernel each in the middle of a known pixel, ``[4, 2]`` as (column, row).

    Focal lengths and centre differ in x and y and the picture is no square, so that any swap shows.
    """
    pixel = torch.tensor([[2, 1], [13, 2], [4, 8], [9, 6]])
    depth = torch.tensor([2.0, 3.0, 4.0, 5.0])[:, None]
    focal, center = torch.tensor([30.0, 24.0]).expand(4, 2), torch.tensor([9.0, 4.0]).expand(4, 2)
    means = torch.cat([(pixel + 0.5 - center) / focal * depth, depth], -1)[:, None]
    # half a pixel is about one width of the kernel, whatever its depth
    precision = (focal[:, :1] / depth) ** 2 * 4
    kernels, camera = Kernels(means, precision), Camera(focal, center, (10, 16))
    return kernels.to(device, dtype), camera.to(device, dtype), pixel.to(device)
