"""The renderer's operations for torch's automatic differentiation, to first order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nbf_render_numba import _passes
from nbf_render_numba._gather import BLOCK, by_kernel, dot_by_slot, spread_to_pixels, sum_by_kernel
from nbf_render_numba._memory import as_double, blank_map
from nbf_render_numba._pool import run_tasks
from nbf_render_numba._records import Pull, Push, Setting


@dataclass(frozen=True)
class Call:
    """How to draw, and in which grid."""

    setting: Setting
    grid: tuple[int, int, int]
    threads: int


class Render(torch.autograd.Function):
    """(means, precision, focal, center, attributes) to map, silhouette and the fields of the fragments."""

    @staticmethod
    def forward(ctx, means, precision, focal, center, attributes, call: Call):
        table = _as_table(attributes, ctx.needs_input_grad[4])
        drawn = _begin(ctx, call, (means, precision, focal, center))
        image, lists = _passes.render(drawn, table)
        ctx.table = table
        outputs = _outputs(ctx, lists, (means, precision, focal, center, attributes))
        return image.view(*call.grid, image.shape[1]), *outputs

    @staticmethod
    @once_differentiable
    def backward(ctx, to_image, to_silhouette, to_weight, to_depth, *_):
        needs = ctx.needs_input_grad
        attributes = ctx.saved_tensors[4]
        gradients = [None] * 6
        along = np.empty(0)
        if to_image is not None and to_image.shape[3]:
            rows, place = _rows_of(to_image, ctx.drawn.seen.pixel)
            if any(needs[:4]):
                along = _passes.along_map(ctx.drawn, ctx.table, rows, place)
            if needs[4]:
                gradients[4] = _to_table(ctx, rows, place, attributes.shape)
        if any(needs[:4]):
            pull = Pull(np.empty(0), along, _double(to_silhouette, -1), *_lists(ctx, to_weight, to_depth))
            gradients[:4] = _to_inputs(ctx, _passes.push(ctx.drawn, pull, needs[1]))
        return tuple(gradients)


class Score(torch.autograd.Function):
    """(means, precision, focal, center, orientation; table, gram) to score, silhouette and the fragments' fields."""

    @staticmethod
    def forward(ctx, means, precision, focal, center, orientation, table, gram, call: Call):
        drawn = _begin(ctx, call, (means, precision, focal, center))
        vote = orientation.detach().contiguous()
        scores, ctx.slope, ctx.turn, lists = _passes.compare(drawn, vote, table.detach(), gram.detach())
        outputs = _outputs(ctx, lists, (means, precision, focal, center, orientation))
        return scores.view(call.grid), *outputs

    @staticmethod
    @once_differentiable
    def backward(ctx, to_score, to_silhouette, to_weight, to_depth, *_):
        needs = ctx.needs_input_grad
        orientation = ctx.saved_tensors[4]
        gradients = [None] * 8
        scale, along = _double(to_score, -1), ctx.slope if to_score is not None else np.empty(0)
        if any(needs[:4]):
            pull = Pull(scale, along, _double(to_silhouette, -1), *_lists(ctx, to_weight, to_depth))
            gradients[:4] = _to_inputs(ctx, _passes.push(ctx.drawn, pull, needs[1]))
        if needs[4] and to_score is not None:
            pixel = ctx.drawn.seen.pixel
            rows = ctx.turn.numpy() * scale[pixel, None].astype(ctx.turn.numpy().dtype)
            gradients[4] = _to_table(ctx, rows, np.arange(len(pixel)), orientation.shape)
        return tuple(gradients)


class Sample(torch.autograd.Function):
    """(weight ``[n, m]``, features ``[b, h, w, c]``) to the weighted mean of each kernel, ``[b k, c]``."""

    @staticmethod
    def forward(ctx, weight, features, kernel, pixel, kernels: int, threads: int):
        people, height, width, channels = features.shape
        slots, pixels = kernel.contiguous().numpy(), pixel.contiguous().numpy()
        weights = weight.detach().to(features.dtype).contiguous().numpy()
        rows, place = _rows_of(features.detach(), pixels)
        base = pixels // (height * width) * kernels
        threads = threads if weight.numel() * channels > 100_000 else 1
        mean, sums = _sum_rows(slots, base, weights, place, rows, people * kernels, threads)
        scale = torch.from_numpy(sums + 1e-8)[:, None]
        mean /= scale
        ctx.save_for_backward(weight, features, kernel, mean, pixel)
        ctx.rest = (base, scale, threads)
        return mean

    @staticmethod
    @once_differentiable
    def backward(ctx, to_mean):
        weight, features, kernel, mean, pixel = ctx.saved_tensors
        base, scale, threads = ctx.rest
        table = (to_mean / scale).contiguous()
        slots, pixels = kernel.contiguous().numpy(), pixel.contiguous().numpy()
        tasks = -(-len(slots) // BLOCK)
        to_weight = to_features = None
        if ctx.needs_input_grad[1]:
            to_features, clear = blank_map(features.shape[:3].numel(), features.shape[3], features.dtype)
            if clear:
                to_features.zero_()
            weights = weight.detach().to(features.dtype).contiguous().numpy()
            arguments = (slots, base, weights, pixels, table.numpy(), to_features.numpy())
            run_tasks(spread_to_pixels, tasks, threads, *arguments)
            to_features = to_features.view(features.shape)
        if ctx.needs_input_grad[0]:
            rows, place = _rows_of(features.detach(), pixels)
            along = torch.empty(weight.shape, dtype=features.dtype)
            run_tasks(dot_by_slot, tasks, threads, slots, base, place, rows, table.numpy(), along.numpy())
            index = kernel.clamp_min(0) + torch.from_numpy(base)[:, None]
            level = (table * mean).sum(1)[index]
            to_weight = torch.where(kernel >= 0, along - level, 0.0).to(weight.dtype)
        return to_weight, to_features, None, None, None, None


def _begin(ctx, call: Call, inputs: tuple[Tensor, ...]) -> _passes.Drawn:
    """What all pictures begin with; remembered for the way back."""
    ctx.set_materialize_grads(False)
    ctx.call = call
    ctx.drawn = _passes.select(_passes.make_scene(*inputs), call.setting, call.threads)
    return ctx.drawn


def _outputs(ctx, lists: list[Tensor], inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """The silhouette and the fields of the fragments."""
    kernel, weight, depth, truncated, lost, silhouette = lists
    pixel = torch.from_numpy(ctx.drawn.seen.pixel)
    ctx.mark_non_differentiable(pixel, kernel, truncated, lost)
    # The way back reads the memory of all of these; torch refuses it where one was overwritten in between.
    ctx.save_for_backward(*inputs, kernel, weight, pixel)
    return silhouette.view(ctx.call.grid), weight, depth, pixel, kernel, truncated, lost


def _as_table(attributes: Tensor, differentiable: bool) -> Tensor:
    """Attributes as contiguous ``[b or 1, k, c]``; one table for all people where all have the same."""
    table = attributes.detach()
    if table.dim() == 2:
        return table.contiguous()[None]
    if not differentiable and table.stride(0) == 0:
        table = table[:1]
    return table.contiguous()


def _double(gradient: Tensor | None, *shape: int) -> np.ndarray:
    """A gradient as a float64 array of ``shape``; of size 0 where there is none."""
    if gradient is None:
        return np.empty((0,) * len(shape))
    return as_double(gradient, *shape)


def _lists(ctx, to_weight: Tensor | None, to_depth: Tensor | None) -> tuple[np.ndarray, np.ndarray]:
    shape = (len(ctx.drawn.seen.pixel), ctx.drawn.slots)
    return _double(to_weight, *shape), _double(to_depth, *shape)


def _rows_of(values: Tensor, pixel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows ``[r, c]`` of a map ``[b, h, w, c]`` and which of them belongs to each ``pixel``.

    A contiguous map is taken as it is; of any other, such as an expanded number, only the needed rows are copied.
    """
    if values.is_contiguous():
        return values.flatten(0, 2).numpy(), pixel
    _, height, width, _ = values.shape
    index = torch.from_numpy(pixel)
    row = torch.div(index, width, rounding_mode="floor")
    person = torch.div(row, height, rounding_mode="floor")
    rows = values[person, row - person * height, index - row * width].contiguous()
    return rows.numpy(), np.arange(len(pixel))


def _to_inputs(ctx, push: Push) -> list[Tensor | None]:
    """Gradients of means, precision, focal length and centre in their own shapes and dtypes."""
    found = (push.means, push.precision, push.camera[:, :2], push.camera[:, 2:])
    return [
        torch.from_numpy(value).to(like.dtype).view(like.shape) if needed else None
        for value, like, needed in zip(found, ctx.saved_tensors[:4], ctx.needs_input_grad[:4], strict=True)
    ]


def _to_table(ctx, rows: np.ndarray, place: np.ndarray, shape: torch.Size) -> Tensor:
    """The gradient of attributes ``[b, k, c]`` or ``[k, c]``: sums over the pixels each kernel is seen in."""
    people, height, width = ctx.call.grid
    base = ctx.drawn.seen.pixel // (height * width) * ctx.drawn.scene.kernels
    if len(shape) == 2:
        base, people = np.zeros_like(base), 1
    total = people * ctx.drawn.scene.kernels
    kernel, weight = (tensor.detach().numpy() for tensor in ctx.saved_tensors[5:7])
    return _sum_rows(kernel, base, weight, place, rows, total, ctx.drawn.threads)[0].view(shape)


def _sum_rows(
    kernel: np.ndarray,
    base: np.ndarray,
    weight: np.ndarray,
    place: np.ndarray,
    rows: np.ndarray,
    total: int,
    threads: int,
) -> tuple[Tensor, np.ndarray]:
    """Over the pixels that each of ``total`` kernels is seen in: ``sum w rows[place]`` and ``sum w``."""
    start, entries = np.empty(total + 1, np.int64), np.empty(kernel.size, np.int64)
    by_kernel(kernel, base, start, entries)
    out = torch.empty(total, rows.shape[1], dtype=torch.from_numpy(rows[:0]).dtype)
    sums = np.empty(total, rows.dtype)
    tasks = -(-total // BLOCK)
    run_tasks(sum_by_kernel, tasks, threads, start, entries, weight, place, rows, out.numpy(), sums)
    return out, sums
