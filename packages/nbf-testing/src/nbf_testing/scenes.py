"""Small scenes with known answers, the same on every machine."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from nbf_core.types import Camera, Kernels

Primitive = Literal["gaussians", "mesh"]

# Corners of an octahedron, turned so that no corner or edge faces the camera, and its faces seen from outside.
_CORNERS = torch.tensor([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]], dtype=torch.float64)
_TURN = torch.linalg.qr(torch.tensor([[2.0, 1.0, 0.5], [-1.0, 2.0, 0.7], [0.3, -0.6, 2.0]], dtype=torch.float64)).Q
_FACES = torch.tensor([[0, 2, 4], [0, 4, 3], [0, 3, 5], [0, 5, 2], [1, 4, 2], [1, 3, 4], [1, 5, 3], [1, 2, 5]])


def devices() -> list[str]:
    """The devices at hand: the CPU, and the GPU where there is one."""
    found = ["cpu"]
    if torch.cuda.is_available():
        found.append("cuda")
    if torch.backends.mps.is_available():
        found.append("mps")
    return found


def corners(primitive: Primitive) -> int:
    """How many kernels one blob of a scene has: one Gaussian, or the six corners of a closed mesh."""
    return 1 if primitive == "gaussians" else len(_CORNERS)


def blobs(centers: Tensor, radius: Tensor, primitive: Primitive = "gaussians") -> Kernels:
    """Kernels for things of ``radius`` ``[b, n]`` about ``centers`` ``[b, n, 3]`` (metres), blob by blob.

    A Gaussian's density has fallen to ``exp(-1)`` at the radius; a mesh is an octahedron with its corners there.
    """
    if primitive == "gaussians":
        return Kernels(centers, radius**-2)
    turn = _TURN * torch.linalg.det(_TURN)  # a rotation, so that faces stay counter-clockwise seen from outside
    shape = (_CORNERS @ turn.T).to(centers)
    means = (centers[..., None, :] + radius[..., None, None] * shape).flatten(1, 2)
    precision = (radius**-2).repeat_interleave(len(shape), 1)
    first = torch.arange(centers.shape[1])[:, None, None] * len(shape)
    faces = (_FACES + first).flatten(0, 1).expand(len(centers), -1, 3).contiguous()
    return Kernels(means, precision, faces.to(centers.device))


def place(kernels: Kernels, camera: Camera, attributes: Tensor, dtype: torch.dtype, device: str):
    """The scene in ``dtype`` on ``device``; the dtype first, for devices that lack float64."""
    return (
        kernels.to(dtype=dtype).to(device),
        camera.to(dtype=dtype).to(device),
        (attributes.to(dtype) if attributes.is_floating_point() else attributes).to(device),
    )


def kernel_scene(
    batch: int = 2,
    count: int = 25,
    size: tuple[int, int] = (14, 20),
    channels: int = 3,
    anisotropic: bool = False,
    dtype: torch.dtype = torch.float64,
    device: str = "cpu",
    seed: int = 0,
    primitive: Primitive = "gaussians",
) -> tuple[Kernels, Camera, Tensor]:
    """Kernels one or two pixels wide, 2 to 4 m before an off-centre camera, and attributes ``[b, k, c]``.

    Cameras differ from person to person. As a mesh, the kernels (about ``count``) are the corners of small closed
    bodies in the same places.
    """
    draw = torch.Generator().manual_seed(seed)

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=draw, dtype=torch.float64)

    things = count if primitive == "gaussians" else max(1, round(count / corners(primitive)))
    means = (uniform(batch, things, 3) - 0.5) * torch.tensor([1.6, 1.0, 2.0]) + torch.tensor([0.0, 0.0, 3.0])
    precision = 60 + 100 * uniform(batch, things)
    spread = 1.0 if primitive == "gaussians" else 2.5
    kernels = blobs(means, spread * precision**-0.5, primitive)
    count = kernels.means.shape[1]
    if anisotropic:
        turn = torch.linalg.qr(uniform(batch, count, 3, 3) - 0.5).Q
        matrices = turn @ torch.diag_embed(40 + 160 * uniform(batch, count, 3)) @ turn.mT
        kernels = Kernels(kernels.means, (matrices + matrices.mT) / 2, kernels.faces)
    focal = 24 + 4 * uniform(batch, 2)
    center = torch.tensor([size[1] / 2, size[0] / 2]) + uniform(batch, 2) - 0.5
    attributes = uniform(batch, count, channels)
    return place(kernels, Camera(focal, center, size), attributes, dtype, device)


def single_kernels(
    dtype: torch.dtype = torch.float64, device: str = "cpu", primitive: Primitive = "gaussians"
) -> tuple[Kernels, Camera, Tensor]:
    """Four pictures with one blob each in the middle of a known pixel, ``[4, 2]`` as (column, row).

    Focal lengths and centre differ in x and y and the picture is no square, so that any swap shows. A Gaussian is
    about as wide as a pixel, a mesh covers the pixel's centre and no other's.
    """
    pixel = torch.tensor([[2, 1], [13, 2], [4, 8], [9, 6]])
    depth = torch.tensor([2.0, 3.0, 4.0, 5.0], dtype=torch.float64)[:, None]
    focal = torch.tensor([30.0, 24.0], dtype=torch.float64).expand(4, 2)
    center = torch.tensor([9.0, 4.0], dtype=torch.float64).expand(4, 2)
    means = torch.cat([(pixel + 0.5 - center) / focal * depth, depth], -1)[:, None]
    kernels = blobs(means, 0.5 * depth / focal[:, :1], primitive)
    return place(kernels, Camera(focal, center, (10, 16)), pixel, dtype, device)


def filled_picture(
    dtype: torch.dtype = torch.float64, device: str = "cpu", primitive: Primitive = "mesh", channels: int = 2
) -> tuple[Kernels, Camera, Tensor]:
    """One convex body that fills the picture beyond its edges: no outline in sight, so everything is smooth."""
    draw = torch.Generator().manual_seed(5)
    kernels = blobs(torch.tensor([[[0.1, -0.2, 6.0]]]).double(), torch.tensor([[5.0]]).double(), primitive)
    camera = Camera(torch.tensor([[26.0, 27.0]]), torch.tensor([[10.3, 6.8]]), (14, 20))
    attributes = torch.rand(1, kernels.means.shape[1], channels, generator=draw, dtype=torch.float64)
    return place(kernels, camera, attributes, dtype, device)


def body(depth: float, count: int = 858, size: int = 80) -> tuple[Kernels, Camera]:
    """Kernels on an ellipsoid as large as a person, ``depth`` metres away, 1.6 m over 50 of 80 pixels; float64.

    The camera is the published one: a focal length of 5000 pixels of an image of 320, drawn at a quarter, at 40 m.
    """
    draw = torch.Generator().manual_seed(0)
    points = torch.randn(1, count, 3, generator=draw, dtype=torch.float64)
    points = points / points.norm(dim=-1, keepdim=True) * torch.tensor([0.25, 0.8, 0.15])
    means = points + torch.tensor([0.1, -0.2, depth], dtype=torch.float64)
    camera = Camera.from_field((320, 320), 5000.0 * depth / 40, 1, dtype=torch.float64).resized((size, size))
    return Kernels(means, torch.full((1, count), 4000.0, dtype=torch.float64)), camera
