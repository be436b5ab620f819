"""One item of a benchmark: a few people under their occluders, by all methods of a cell."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import torch

from nbf_core.contracts import SequenceFitter
from nbf_core.errors import InputError
from nbf_core.types import BodyParams, FitResult, Observation, Sample, collate
from nbf_run.bench.plan import Cell, Item, Plan, search_key, seed_of, shard_key
from nbf_run.bench.points import Points, body_points, joint_pixels, measure, true_points
from nbf_run.bench.store import Row, Shard, Store
from nbf_run.bench.views import FATAL, View, batches, choose_views, covered, is_film, load, reason
from nbf_run.bench.workshop import Start, Workshop
from nbf_run.estimate import look, observe, sample_crops, start_params
from nbf_run.quality import QualityMeter, correspondence_quality


@dataclass
class _Found:
    """What a method has given so far."""

    rows: list[Row] = field(default_factory=list)
    failed: dict[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Looked:
    """A batch of views as a start sees them."""

    views: Sequence[View]
    sample: Sample
    observation: Observation
    starts: Mapping[str, BodyParams]
    truth: Points
    seconds: float
    whole: torch.Tensor | None = None  # pixels of the body without occluder


def run_item(workshop: Workshop, plan: Plan, item: Item, store: Store) -> None:
    """Measure what the store does not hold yet of an item, and put it there.

    A sample that cannot be used is noted with its reason and costs only itself. Raises ConfigError, PluginError or
    AssetError.
    """
    cell = plan.cells[item.cell]
    groups: dict[str, list[str]] = {}
    for name in unfinished(workshop, cell, item, store):
        groups.setdefault(workshop.start_key(cell.set, name), []).append(name)
    if not groups:
        return
    samples, failed = load(workshop, cell, item)
    for names in groups.values():
        for name, shard in _measure(workshop, cell, names, samples, dict(failed), store, item):
            about = {"set": cell.set, "protocol": cell.protocol, "case": cell.case.name, "method": name}
            key = shard_key(workshop, cell, name)
            store.describe(key, about)
            store.put(key, item.first, shard)


def unfinished(workshop: Workshop, cell: Cell, item: Item, store: Store) -> list[str]:
    """The methods whose results of an item, or the search that they rest on, the store does not hold."""
    left = []
    for name in cell.methods:
        keys = [shard_key(workshop, cell, name)]
        if cell.case.choose:
            keys.append(search_key(workshop, cell, name))
        if not all(store.has(key, item.first) for key in keys):
            left.append(name)
    return left


def _measure(
    workshop: Workshop,
    cell: Cell,
    names: Sequence[str],
    samples: Mapping[int, Sample],
    failed: dict[int, str],
    store: Store,
    item: Item,
) -> Iterator[tuple[str, Shard]]:
    """What methods that start alike give for the samples, one after the other: each is kept as soon as it is done."""
    start = workshop.start(cell.set, names[0])
    views = choose_views(workshop, cell, names[0], samples, failed, store, item)
    looks = [one for some in batches(workshop, cell, views) for one in _looks(workshop, cell, start, some, failed)]
    meter = QualityMeter()
    for batch in looks:
        meter.add(_quality(workshop, cell, start, batch))
    looked, count = sum(batch.seconds for batch in looks), sum(len(batch.views) for batch in looks)
    for name in names:
        found = _Found(failed=dict(failed))
        for batch in looks:
            _apply(workshop, cell, name, batch, found)
        rows = tuple(row for row in found.rows if row.sample not in found.failed)
        yield name, Shard(rows, tuple(sorted(found.failed.items())), dict(meter.counts), looked, count)


def _looks(
    workshop: Workshop, cell: Cell, start: Start, views: Sequence[View], failed: dict[int, str]
) -> Iterator[_Looked]:
    """A batch as the start sees it; where that breaks, each of its views alone."""
    try:
        looked = _look(workshop, cell, start, views)
    except FATAL:
        raise
    except Exception as error:
        if len(views) == 1:
            failed[views[0].index] = reason(error)
            return
        for view in views:
            yield from _looks(workshop, cell, start, [view], failed)
        return
    yield looked


def _look(workshop: Workshop, cell: Cell, start: Start, views: Sequence[View]) -> _Looked:
    body, device = workshop.body(cell.set), workshop.device
    sample = collate([view.sample for view in views])
    joints = None
    if sample.params is not None:
        joints = joint_pixels(body, sample.params.to(device), sample.camera.to(device)).cpu()
    maps = sample.kernel_map
    occluders = [view.occluder for view in views]
    sample = covered(workshop, cell, sample, occluders, joints).to(device)
    crops = sample_crops(sample)
    output, seconds = timed(device, partial(look, start.regressor, crops))
    truth = true_points(body, sample, workshop.options.sets[cell.set].joints)
    whole = None
    if maps is not None:
        whole = (maps >= 0).flatten(1).to(device)
        truth = replace(truth, occlusion=(sample.kernel_map == -2).flatten(1)[..., None].float())
    starts = {"regressor": start_params(output, crops.camera), "truth": sample.params}
    return _Looked(views, sample, observe(output, crops), starts, truth, seconds, whole)


def _quality(workshop: Workshop, cell: Cell, start: Start, looked: _Looked) -> dict[str, float]:
    """Counts of correspondences, over one view a person."""
    first = {view.index: i for i, view in reversed(list(enumerate(looked.views)))}
    rows = sorted(first.values())
    features, spec = looked.observation.features[rows], workshop.body(cell.set).spec
    maps = looked.sample.kernel_map
    if maps is None or maps.shape[-2:] != features.shape[-2:]:
        return {}  # labels of another size than the features, or none
    return correspondence_quality(features, start.bank, looked.sample[rows], spec)


def _apply(workshop: Workshop, cell: Cell, name: str, looked: _Looked, found: _Found) -> None:
    """Fit and measure a batch; where that breaks, each of its views alone."""
    rows = list(range(len(looked.views)))
    try:
        found.rows += _rows(workshop, cell, name, looked, rows)
        return
    except FATAL:
        raise
    except Exception as error:
        if len(rows) == 1:
            found.failed[looked.views[0].index] = reason(error)
            return
    for row in rows:
        try:
            found.rows += _rows(workshop, cell, name, looked, [row])
        except FATAL:
            raise
        except Exception as error:
            found.failed[looked.views[row].index] = reason(error)


def _rows(workshop: Workshop, cell: Cell, name: str, looked: _Looked, rows: list[int]) -> list[Row]:
    options, which = workshop.options.methods[name], workshop.options.sets[cell.set].joints
    views = [looked.views[row] for row in rows]
    torch.manual_seed(seed_of(workshop.base.seed, cell.set, cell.title, views[0].index))
    fitter = workshop.fitter(cell.set, name)
    observation = looked.observation[rows]
    if not options.keypoints:
        observation = Observation(
            observation.features, observation.camera, None, observation.keypoint_set, observation.silhouette
        )
    start = looked.starts[options.start]
    if start is None:
        raise InputError("the sample has no true body to start from")
    film = is_film(workshop, cell, views)
    fit = fitter and fitter.fit
    if options.film and film and isinstance(fitter, SequenceFitter):
        fit = fitter.fit_sequence
    params, about = _fit(fit, observation, start[rows], workshop.device)
    sample, truth = looked.sample[rows], looked.truth.each(lambda tensor: tensor[rows])
    points = replace(body_points(workshop.body(cell.set), params, sample.camera, which), occlusion=about["hidden"])
    whole = None if looked.whole is None else looked.whole[rows]
    if film:
        points, truth = (replace(some, film=some.joints) for some in (points, truth))
    values = measure(workshop.metrics(cell.set), points, truth, sample.visible_joints, which, whole)
    arrays = _arrays(params, points)
    return [
        Row(
            sample=view.index,
            occluder=view.occluder,
            chosen=view.chosen,
            values={metric: {joints: some[i] for joints, some in sets.items()} for metric, sets in values.items()},
            seconds=about["seconds"],
            kept=about["kept"][i],
            losses=about["losses"][i],
            arrays={key: value[i] for key, value in arrays.items()},
        )
        for i, view in enumerate(views)
    ]


def _fit(
    fit: Callable[..., FitResult] | None, observation: Observation, start: BodyParams, device: torch.device
) -> tuple[BodyParams, dict[str, Any]]:
    count = len(start.transl)
    if fit is None:
        return start, {"seconds": 0.0, "kept": [None] * count, "losses": [None] * count, "hidden": None}
    result, seconds = timed(device, partial(fit, observation, start))
    losses = list(zip(result.start_loss.tolist(), result.loss.tolist(), strict=True))
    hidden = result.occlusion.flatten(1)[..., None].float()
    about = {"seconds": seconds / count, "kept": result.kept.tolist(), "losses": losses, "hidden": hidden}
    return result.params.detach(), about


def _arrays(params: BodyParams, points: Points) -> dict[str, np.ndarray]:
    arrays = {key: getattr(params, key) for key in ("global_orient", "body_pose", "betas", "transl")}
    if points.regressed is not None:
        arrays["keypoints3d"] = points.regressed
    return {key: value.detach().cpu().numpy().astype(np.float32) for key, value in arrays.items()}


def timed(device: torch.device, function: Callable[[], Any]) -> tuple[Any, float]:
    """What ``function`` returns, and the seconds it took."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    began = time.perf_counter()
    value = function()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return value, time.perf_counter() - began
