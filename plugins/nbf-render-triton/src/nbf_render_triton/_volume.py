"""From kernels and cameras to the weights of every pixel's slots, differentiable; no step waits for the GPU."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import triton
from torch import Tensor
from torch.autograd.function import once_differentiable

from nbf_core.types import Camera, Kernels
from nbf_render_triton._boxes import find_boxes
from nbf_render_triton._gather import pull_directions, pull_kernels
from nbf_render_triton._scene import Blocks, Scene, Slots, launch
from nbf_render_triton._select import KEEP, SCAN, select_slots
from nbf_render_triton._weigh import Pulls, Weights, pull_slots, weigh_slots


@dataclass(frozen=True)
class Options:
    """Cutoff of the activation, absorptivity, slots a pixel, image size and block sizes."""

    cutoff: float
    absorptivity: float
    slots: int
    size: tuple[int, int]
    blocks: Blocks


@dataclass(frozen=True)
class Drawn:
    """A scene drawn: ``weight`` ``[m, p]``, ``silhouette`` ``[p]`` and ``depth`` ``[m, p]`` carry gradients."""

    scene: Scene
    slots: Slots
    weight: Tensor
    silhouette: Tensor
    depth: Tensor
    lost: Tensor
    grid: tuple[int, int, int]
    blocks: Blocks

    @property
    def device(self) -> torch.device:
        """Where everything is."""
        return self.weight.device


def draw(kernels: Kernels, camera: Camera, options: Options) -> Drawn:
    """Choose and weigh the kernels of all pixels."""
    dtype = kernels.means.dtype
    precision = kernels.precision.to(dtype)
    camera = camera.to(dtype)
    weight, silhouette, depth, lost, rows, packed, boxes, *rest = _Volume.apply(
        kernels.means, precision, camera.focal, camera.center, options
    )
    batch, count, _ = kernels.means.shape
    height, width = options.size
    scene = Scene(rows, packed, boxes, batch * count, count, height, width)
    kernel, density, spread, occupied, truncated, cut = rest
    slots = Slots(kernel, depth.detach(), density, spread, occupied, truncated, cut, batch * height * width)
    return Drawn(scene, slots, weight, silhouette, depth, lost, (batch, height, width), options.blocks)


class _Volume(torch.autograd.Function):
    @staticmethod
    def forward(ctx, means, precision, focal, center, options):
        scene = _pack(means.detach(), precision.detach(), focal.detach(), center.detach(), options)
        slots = _choose(scene, precision.dim() == 4, options)
        like = {"dtype": means.dtype, "device": means.device}
        out = Weights(
            torch.empty(options.slots, slots.pixels, **like),
            torch.empty(slots.pixels, **like),
            torch.empty(slots.pixels, **like),
        )
        lanes = options.blocks.lanes
        launch(
            weigh_slots,
            (triton.cdiv(slots.pixels, lanes),),
            means.device,
            slots,
            out,
            options.absorptivity,
            options.slots,
            lanes,
            num_warps=4,
        )
        ctx.options, ctx.full = options, precision.dim() == 4
        ctx.sizes = scene[3:]
        ctx.save_for_backward(*scene[:3], *slots[:7], out.weight)
        ctx.set_materialize_grads(False)
        rest = (*scene[:3], slots.kernel, *slots[2:7])
        ctx.mark_non_differentiable(out.lost, *rest)
        return out.weight, out.silhouette, slots.depth, out.lost, *rest

    @staticmethod
    @once_differentiable
    def backward(ctx, by_weight, by_silhouette, by_depth, *_others):
        saved = ctx.saved_tensors
        scene, weight = Scene(*saved[:3], *ctx.sizes), saved[-1]
        slots = Slots(*saved[3:-1], weight.shape[1])
        need = ctx.needs_input_grad
        if by_weight is by_silhouette is by_depth is None:
            return (None,) * 5
        pulls = _pull(slots, weight, (by_weight, by_silhouette, by_depth), ctx.options)
        means = precision = focal = center = None
        if need[0] or need[1]:
            rows = _pull_rows(scene, slots, pulls, ctx.full, ctx.options)
            rows = rows.view(len(scene.camera), scene.kernels, rows.shape[1])
            means = rows[..., :3]
            precision = rows[..., 3:].unflatten(-1, (3, 3)) if ctx.full else rows[..., 3]
        if need[2] or need[3]:
            focal, center = _pull_camera(scene, slots, pulls, ctx.full, ctx.options)
        return means, precision, focal, center, None


def _pack(means: Tensor, precision: Tensor, focal: Tensor, center: Tensor, options: Options) -> Scene:
    """Tensors packed, and a box around every kernel's image."""
    batch, count, _ = means.shape
    full = precision.dim() == 4
    rows = torch.cat([means, precision.reshape(batch, count, 9 if full else 1)], -1).flatten(0, 1)
    boxes = torch.empty(4, batch * count, dtype=torch.int32, device=means.device)
    scene = Scene(rows, torch.cat([focal, center], -1), boxes, batch * count, count, *options.size)
    lanes = options.blocks.lanes
    grid = (triton.cdiv(batch * count, lanes),)
    launch(find_boxes, grid, means.device, scene, options.cutoff, full, lanes, num_warps=1)
    return scene


def _choose(scene: Scene, full: bool, options: Options) -> Slots:
    """The nearest kernels of every pixel."""
    batch, (height, width) = len(scene.camera), options.size
    pixels, device = batch * height * width, scene.rows.device
    whole = {"dtype": torch.int32, "device": device}
    like = {"dtype": scene.rows.dtype, "device": device}
    shape = (options.slots, pixels)
    slots = Slots(
        torch.empty(shape, **whole),
        torch.empty(shape, **like),
        torch.empty(shape, **like),
        torch.empty(shape, **like),
        torch.empty(pixels, **whole),
        torch.empty(pixels, **whole),
        torch.empty(pixels, **like),
        pixels,
    )
    edge = options.blocks.tile
    tiles = batch * triton.cdiv(height, edge) * triton.cdiv(width, 2 * edge)
    launch(
        select_slots,
        (tiles,),
        device,
        scene,
        slots,
        torch.empty(tiles, SCAN.value, **whole),
        options.cutoff,
        options.absorptivity,
        full,
        options.slots,
        min(options.slots, KEEP),
        edge,
        num_warps=1,
        # A depth computed twice must come out the same twice, so nothing may be fused here and not there.
        enable_fp_fusion=False,
    )
    return slots


def _pull(slots: Slots, weight: Tensor, given: tuple[Tensor | None, ...], options: Options) -> Pulls:
    """Gradients of activation, distance and q of all slots."""
    by_weight, by_silhouette, by_depth = given
    pulls = Pulls(
        torch.zeros_like(weight) if by_weight is None else by_weight.contiguous(),
        weight if by_depth is None else by_depth.contiguous(),
        torch.zeros_like(weight[0]) if by_silhouette is None else by_silhouette.contiguous(),
        *(torch.empty_like(weight) for _ in range(3)),
    )
    lanes = options.blocks.lanes
    launch(
        pull_slots,
        (triton.cdiv(slots.pixels, lanes),),
        weight.device,
        slots,
        weight,
        pulls,
        options.absorptivity,
        by_depth is not None,
        options.slots,
        lanes,
        num_warps=4,
    )
    return pulls


def _pull_rows(scene: Scene, slots: Slots, pulls: Pulls, full: bool, options: Options) -> Tensor:
    """Gradient of ``scene.rows``."""
    out = torch.empty_like(scene.rows)
    lanes = options.blocks.lanes
    launch(
        pull_kernels,
        (scene.total,),
        out.device,
        scene,
        slots,
        pulls,
        out,
        full,
        options.slots,
        lanes,
        num_warps=1,
    )
    return out


def _pull_camera(scene: Scene, slots: Slots, pulls: Pulls, full: bool, options: Options) -> tuple[Tensor, Tensor]:
    """Gradients of focal length and principal point, through ``u = (x - c) / f``."""
    out = scene.rows.new_empty(4, slots.pixels)
    lanes = options.blocks.lanes
    grid = (triton.cdiv(slots.pixels, lanes),)
    launch(pull_directions, grid, out.device, scene, slots, pulls, out, full, lanes, num_warps=1)
    sums = out.view(4, len(scene.camera), -1).sum(-1).T
    focal = scene.camera[:, :2]
    return -sums[:, 2:] / focal, -sums[:, :2] / focal
