"""The worst occluder of each person: the cheap start looks at all of them, the methods then meet the worst."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch

from nbf_core.contracts import Metric, Occluder, OcclusionProtocol, Regressor
from nbf_core.types import Sample
from nbf_run.bench.plan import Cell
from nbf_run.bench.points import body_points, measure, true_points
from nbf_run.bench.store import Search
from nbf_run.estimate import look, sample_crops, start_params


@dataclass(frozen=True)
class Lens:
    """What a search looks through: a start, and the metrics on a set's body."""

    body: torch.nn.Module
    regressor: Regressor
    metrics: Mapping[str, Metric]
    joints: str
    device: torch.device
    batch: int


def search(lens: Lens, protocol: OcclusionProtocol, cell: Cell, samples: Mapping[int, Sample]) -> Search:
    """The values of the cell's metrics under every candidate, and the worst candidate, for each sample.

    Only starts are measured: no fit is made. Values are over all joints. Raises what the regressor raises.
    """
    began = time.perf_counter()
    tables: dict[str, list[np.ndarray]] = {name: [] for name in cell.case.choose}
    metrics = {name: lens.metrics[name] for name in cell.case.choose}
    for index, sample in samples.items():
        candidates = protocol.occluders(cell.case, tuple(sample.image.shape[-2:]), index)
        found = _values(lens, protocol, metrics, _bare(sample), candidates)
        for name, values in found.items():
            tables[name].append(np.asarray(values, np.float32))
    best = {}
    for name, rows in tables.items():
        worst = [protocol.worst(torch.from_numpy(row)[:, None], metrics[name].lower_is_better) for row in rows]
        best[name] = np.array([int(one) for one in worst], np.int64)
    longest = max((len(row) for rows in tables.values() for row in rows), default=0)
    padded = {name: np.stack([_padded(row, longest) for row in rows]) for name, rows in tables.items() if rows}
    return Search(tuple(samples), padded, best, time.perf_counter() - began)


def _values(
    lens: Lens,
    protocol: OcclusionProtocol,
    metrics: Mapping[str, Metric],
    sample: Sample,
    candidates: tuple[Occluder, ...],
) -> dict[str, list[float]]:
    """A value for every candidate, by metric."""
    if len(candidates) == 1:
        return {name: [float("nan")] for name in metrics}  # nothing to look for
    one = sample.map(lambda tensor: tensor[None])
    placed = one.to(lens.device)
    truth = true_points(lens.body, placed, lens.joints)
    values: dict[str, list[float]] = {name: [] for name in metrics}
    for first in range(0, len(candidates), lens.batch):
        some = candidates[first : first + lens.batch]
        pictures = protocol.apply(_repeated(one, len(some)), some)
        crops = sample_crops(pictures.to(lens.device))
        start = start_params(look(lens.regressor, crops), crops.camera)
        points = body_points(lens.body, start, crops.camera, lens.joints)
        found = measure(metrics, points, truth.each(partial(_widened, count=len(some))), None, lens.joints)
        for name in metrics:
            values[name] += found[name]["all"] if name in found else [float("nan")] * len(some)
    return values


def _bare(sample: Sample) -> Sample:
    """The sample without the labels that a search does not need, so that nobody spends time on hiding them."""
    return replace(sample, keypoints=None, detected=None, visible_joints=None, kernel_map=None, part_map=None)


def _repeated(sample: Sample, count: int) -> Sample:
    return sample.map(partial(_widened, count=count))


def _widened(tensor: torch.Tensor, count: int) -> torch.Tensor:
    return tensor.expand(count, *tensor.shape[1:])


def _padded(values: np.ndarray, length: int) -> np.ndarray:
    return np.concatenate([values, np.full(length - len(values), np.nan, np.float32)])
