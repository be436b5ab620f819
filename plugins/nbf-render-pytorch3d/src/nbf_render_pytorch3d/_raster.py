"""Which faces of a mesh each pixel meets: all that PyTorch3D is asked for."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from nbf_core.errors import PluginError
from nbf_core.types import Camera, Kernels
from nbf_render_pytorch3d._requirements import REQUIREMENTS
from nbf_render_pytorch3d.config import PyTorch3DConfig

# On a GPU, PyTorch3D's bins have room for so many faces of a mesh unless told otherwise.
_BIN = 10000


@dataclass(frozen=True)
class Hits:
    """The faces that ``n`` pixels meet, nearest first.

    ``pixel`` ``[n]`` indexes the flattened picture(s), ascending. ``corner`` ``[n, s, 3]`` are the kernels of each
    face; a slot that is not ``there`` ``[n, s]`` repeats the nearest. ``rest`` ``[n]``: no face that was left out
    for lack of slots has a point nearer than this z (metres); infinite where none was.
    """

    pixel: Tensor
    corner: Tensor
    there: Tensor
    rest: Tensor
    grid: tuple[int, int, int]

    @property
    def person(self) -> Tensor:
        """Of each pixel, ``[n]``."""
        return torch.div(self.pixel, self.grid[1] * self.grid[2], rounding_mode="floor")

    @property
    def center(self) -> Tensor:
        """Of each pixel in its picture, ``[n, 2]`` as (x, y)."""
        inside = self.pixel - self.person * (self.grid[1] * self.grid[2])
        row = torch.div(inside, self.grid[2], rounding_mode="floor")
        return torch.stack([inside - row * self.grid[2], row], -1) + 0.5


def load_pytorch3d() -> tuple[Callable, type]:
    """PyTorch3D's ``rasterize_meshes`` and ``Meshes``. Raises PluginError saying how to get them."""
    try:
        rasteriser = importlib.import_module("pytorch3d.renderer.mesh.rasterize_meshes")
        structures = importlib.import_module("pytorch3d.structures")
    except ImportError as error:
        raise PluginError(
            f"pytorch3d: cannot import PyTorch3D ({error}); in a clone of nbf, python3 tools/dev.py env"
            f" nbf-render-pytorch3d makes an environment that has it; elsewhere pip install {' '.join(REQUIREMENTS)}"
        ) from error
    return rasteriser.rasterize_meshes, structures.Meshes


@torch.no_grad()
def rasterise(kernels: Kernels, camera: Camera, config: PyTorch3DConfig) -> Hits:
    """Find the ``config.blended`` nearest faces of each pixel."""
    rasterize_meshes, meshes = load_pytorch3d()
    height, width = camera.size
    limit = config.blended
    faces = _drawable(kernels, config.z_clip)
    # One face more than are blended tells whether there are more.
    slots = limit + 1 if config.form == "soft" else limit
    found, depth, _, _ = rasterize_meshes(
        meshes(_normalised(kernels.means, camera), faces),
        image_size=(height, width),
        blur_radius=config.blur_radius * _scale(camera) ** 2,
        faces_per_pixel=slots,
        max_faces_per_bin=max(_BIN, faces.shape[1]),
        perspective_correct=True,
        clip_barycentric_coords=config.form == "soft",
        cull_backfaces=config.cull,
    )
    found, depth = found.flatten(0, 2), depth.flatten(0, 2)
    pixel = (found[:, 0] >= 0).nonzero().squeeze(1)
    found, depth = found.index_select(0, pixel), depth.index_select(0, pixel)
    grid = (len(faces), height, width)
    rest = torch.full_like(depth[:, 0], torch.inf)
    if slots > limit:
        # PyTorch3D takes a face's z at another point of its rim than we do: allow for the deepest face.
        nearest = depth[:, limit] - _deepest(kernels, faces)[torch.div(pixel, height * width, rounding_mode="floor")]
        rest = torch.where(found[:, limit] >= 0, nearest, rest)
    there = found[:, :limit] >= 0
    there = there[:, : int(there.sum(1).amax()) if len(there) else 1]
    found = torch.where(there, found[:, : there.shape[1]], found[:, :1])
    corner = faces.flatten(0, 1).index_select(0, found.flatten()).view(*found.shape, 3)
    return Hits(pixel, corner, there, rest, grid)


def _scale(camera: Camera) -> float:
    """The rasteriser's units a pixel: the shorter side of the picture goes from -1 to 1."""
    return 2.0 / min(camera.size)


def _normalised(means: Tensor, camera: Camera) -> Tensor:
    """Points as the rasteriser expects them: float32, x to the left, y up, zero in the middle, z in metres."""
    height, width = camera.size
    middle = means.new_tensor([width / 2, height / 2])
    return torch.cat([(middle - camera.project(means)) * _scale(camera), means[..., 2:]], -1).float()


def _drawable(kernels: Kernels, z_clip: float) -> Tensor:
    """The faces ``[b, f, 3]``, at least one; those that come too near become points, which are never drawn."""
    faces = kernels.faces.long()
    if not faces.shape[1]:
        return faces.new_zeros(len(faces), 1, 3)
    near = (_depths(kernels, faces) <= z_clip).any(-1, keepdim=True)
    return torch.where(near, faces[..., :1], faces)


def _depths(kernels: Kernels, faces: Tensor) -> Tensor:
    """z of the faces' corners, ``[b, f, 3]``."""
    return kernels.means[..., 2].gather(1, faces.flatten(1)).view_as(faces)


def _deepest(kernels: Kernels, faces: Tensor) -> Tensor:
    """The largest extent in z of any face of each mesh, ``[b]``."""
    depths = _depths(kernels, faces)
    return (depths.amax(-1) - depths.amin(-1)).amax(1).float()
