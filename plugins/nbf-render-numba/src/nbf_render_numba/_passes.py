"""The passes over a scene, as calls: what is allocated, how it is shared among threads."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nbf_render_numba._backward import pull_map, push_back
from nbf_render_numba._draw import draw
from nbf_render_numba._memory import as_double, blank_map, flat_with_strides
from nbf_render_numba._plan import line_up, plan
from nbf_render_numba._pool import run_tasks
from nbf_render_numba._records import Bands, Lists, Pairs, Pull, Push, Scene, Seen, Setting
from nbf_render_numba._score import score
from nbf_render_numba._select import collect, count_up

# Bands of all people together: enough to share, few enough that summing their gradients costs nothing.
_BANDS, _MOST_BANDS = 32, 8
# Kernels to place, and candidates to test, from which a second thread pays.
_MANY_KERNELS, _MANY_CANDIDATES = 3000, 1000


@dataclass(frozen=True)
class Drawn:
    """What a picture was made of, kept for the way back."""

    scene: Scene
    setting: Setting
    bands: Bands
    pairs: Pairs
    count: np.ndarray  # [b h w] int32: pairs of each pixel
    seen: Seen
    slots: int  # most kernels kept in any pixel
    threads: int


def make_scene(means: Tensor, precision: Tensor, focal: Tensor, center: Tensor) -> Scene:
    """The scene in float64."""
    people, kernels, _ = means.shape
    camera = np.empty((people, 4))
    camera[:, :2], camera[:, 2:] = as_double(focal, people, 2), as_double(center, people, 2)
    total = people * kernels
    numbers = 1 if precision.dim() == 2 else 9
    return Scene(as_double(means, total, 3), as_double(precision, total, numbers), camera, kernels)


def select(scene: Scene, setting: Setting, threads: int) -> Drawn:
    """Find and weigh the pairs."""
    people, pixels = len(scene.camera), len(scene.camera) * setting.height * setting.width
    share = max(1, min(_MOST_BANDS, _BANDS // max(1, people)))
    tasks = people * share
    bands = Bands(*np.empty((3, tasks), np.int64), *np.empty((2, tasks + 1), np.int64), np.empty(tasks, np.int64))
    box, order = np.empty((len(scene.means), 4), np.int32), np.empty((people, scene.kernels), np.int32)
    spare = (np.empty((threads, setting.height + 1)), np.empty((threads, 2 * scene.kernels + 2), np.int32))
    placing = threads if len(scene.means) >= _MANY_KERNELS else 1
    run_tasks(plan, people, placing, scene, setting, box, order, bands, spare)
    candidates, longest, tallest = line_up(bands)
    threads = threads if candidates >= _MANY_CANDIDATES else 1
    pairs = Pairs(np.empty(candidates, np.int32), *np.empty((3, candidates)))
    count = np.empty(pixels, np.int32)
    spare = (
        np.empty((threads, 2, longest), np.int32),
        np.empty((threads, 3, longest)),
        np.empty((threads, tallest * setting.width), np.int64),
        np.empty((threads, setting.width)),
    )
    run_tasks(collect, tasks, threads, scene, setting, box, order, bands, pairs, spare, count)
    n, slots = count_up(bands)
    seen = Seen(*np.empty((2, n), np.int64), np.empty(n, np.int32))
    return Drawn(scene, setting, bands, pairs, count, seen, slots, threads)


def _room(drawn: Drawn, dtype: torch.dtype) -> tuple[list[Tensor], Lists]:
    """Room for the fields of ``Lists``, as tensors and as arrays."""
    n, slots = len(drawn.seen.pixel), drawn.slots
    tensors = [
        torch.empty(n, slots, dtype=torch.int64),
        torch.empty(n, slots, dtype=dtype),
        torch.empty(n, slots, dtype=dtype),
        torch.empty(n, dtype=torch.int64),
        torch.empty(n, dtype=dtype),
        torch.empty(len(drawn.count), dtype=dtype),
    ]
    return tensors, Lists(*[tensor.numpy() for tensor in tensors])


def render(drawn: Drawn, attributes: Tensor) -> tuple[Tensor, list[Tensor]]:
    """The map ``[b h w, c]`` and the fields of ``Lists``; ``attributes`` are ``[b or 1, k, c]``."""
    tensors, lists = _room(drawn, attributes.dtype)
    image, clear = blank_map(len(drawn.count), attributes.shape[2], attributes.dtype)
    mixed = (attributes.numpy(), image.numpy(), clear)
    _run(draw, drawn, drawn.scene, drawn.setting, drawn.bands, drawn.count, drawn.pairs, drawn.seen, lists, mixed)
    return image, tensors


def compare(
    drawn: Drawn, orientation: Tensor, table: Tensor, gram: Tensor
) -> tuple[Tensor, np.ndarray, Tensor, list[Tensor]]:
    """Scores ``[b h w]``, their derivatives by pair and by mixed orientation, and the fields of ``Lists``."""
    tensors, lists = _room(drawn, table.dtype)
    bins = table.shape[-1]
    scores = torch.empty(len(drawn.count), dtype=table.dtype)
    slope = np.empty(len(drawn.pairs.kernel))
    turn = torch.empty(len(drawn.seen.pixel), bins, dtype=table.dtype)
    spare = np.empty((drawn.threads, drawn.slots + 5, bins))
    inputs = (*flat_with_strides(table.flatten(0, 2)), *flat_with_strides(gram), orientation.numpy())
    scored = (*inputs, scores.numpy(), slope, turn.numpy(), spare)
    _run(score, drawn, drawn.scene, drawn.setting, drawn.bands, drawn.count, drawn.pairs, drawn.seen, lists, scored)
    return scores, slope, turn, tensors


def along_map(drawn: Drawn, table: Tensor, image: np.ndarray, place: np.ndarray) -> np.ndarray:
    """The derivative by each pair's weight ``[p]``, from the gradient of the map: its row for each seen pixel."""
    along = np.empty(len(drawn.pairs.weight))
    _run(pull_map, drawn, drawn.bands, drawn.pairs, drawn.seen, along, (table.numpy(), image, place))
    return along


def push(drawn: Drawn, pull: Pull, precision: bool) -> Push:
    """Gradients by person; that of the precision only if wanted."""
    tasks, people = len(drawn.bands.row), len(drawn.scene.camera)
    numbers = drawn.scene.precision.shape[1] if precision else 0
    kernels = drawn.scene.kernels
    found = Push(np.empty((tasks, kernels, 3)), np.empty((tasks, kernels, numbers)), np.empty((tasks, 4)))
    spare = np.empty((drawn.threads, 7, drawn.slots))
    _run(push_back, drawn, drawn.scene, drawn.setting, drawn.bands, drawn.pairs, drawn.seen, pull, found, spare)
    share = tasks // max(1, people)
    return Push(*[part.reshape(people, share, *part.shape[1:]).sum(1) for part in found])


def _run(kernel, drawn: Drawn, *arguments) -> None:
    run_tasks(kernel, len(drawn.bands.row), drawn.threads, *arguments)
