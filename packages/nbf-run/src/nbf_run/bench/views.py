"""Who is measured under which occluder."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from nbf_core.contracts import Occluder
from nbf_core.errors import AssetError, ConfigError, InputError, PluginError
from nbf_core.types import Sample
from nbf_run.bench.plan import Cell, Item, search_key
from nbf_run.bench.search import Lens, search
from nbf_run.bench.store import Search, Store
from nbf_run.bench.workshop import Workshop

FATAL = (ConfigError, PluginError, AssetError, KeyboardInterrupt)
"""Wrong for everybody: nothing to be noted against one sample."""


@dataclass(frozen=True)
class View:
    """A person under an occluder, and the metrics that chose it."""

    index: int
    sample: Sample
    occluder: Occluder
    chosen: tuple[str, ...] = ()


def load(workshop: Workshop, cell: Cell, item: Item) -> tuple[dict[int, Sample], dict[int, str]]:
    """The samples of an item that can be used, and why the others cannot."""
    dataset, samples, failed = workshop.dataset(cell.set), {}, {}
    for index in item.indices:
        try:
            sample = dataset[index]
            if sample.params is None and sample.joints is None:
                raise InputError("the sample has no true body")
            if workshop.options.sets[cell.set].truth == "joints" and sample.joints is not None:
                sample = replace(sample, params=None)
            samples[index] = sample
        except Exception as error:  # whatever a data set raises costs that sample only
            failed[index] = reason(error)
    return samples, failed


def choose_views(
    workshop: Workshop,
    cell: Cell,
    method: str,
    samples: Mapping[int, Sample],
    failed: dict[int, str],
    store: Store,
    item: Item,
) -> list[View]:
    """Each sample under its occluders, in order; samples that drop out are added to ``failed``."""
    protocol, found, who = workshop.protocol(cell.protocol), {}, patched_as(workshop, cell)
    for index, sample in samples.items():
        try:
            found[index] = protocol.occluders(cell.case, tuple(sample.image.shape[-2:]), who(index))
        except InputError as error:  # a list of occluders does not know this sample
            failed[index] = reason(error)
    if not cell.case.choose:
        count = workshop.options.protocols[cell.protocol].positions
        return [
            View(index, samples[index], occluder)
            for index, candidates in found.items()
            for occluder in _some(candidates, count, workshop.base.seed, who(index))
        ]
    key = search_key(workshop, cell, method)
    known = store.get_search(key, item.first)
    if known is None:
        known = _search(workshop, cell, method, {index: samples[index] for index in found})
        store.describe(key, {"set": cell.set, "protocol": cell.protocol, "case": cell.case.name, "search": True})
        store.put_search(key, item.first, known)
    failed.update(known.failed)
    films, views = workshop.films(cell.set) is not None, []
    for row, index in enumerate(known.samples):
        chosen: dict[Any, list[str]] = {}
        for metric in cell.case.choose:
            at = int(known.best[metric][row])
            chosen.setdefault((at, metric) if films else at, []).append(metric)
        if films:  # each metric's patches over all frames are a film
            views += [View(index, samples[index], found[index][at], (by,)) for at, by in chosen]
            continue
        views += [View(index, samples[index], found[index][at], tuple(by)) for at, by in chosen.items()]
    return views


def patched_as(workshop: Workshop, cell: Cell) -> Callable[[int], int]:
    """Whose patch a sample gets: its own, but in a film that of the first frame, unless each is searched for."""
    return int if cell.case.choose else workshop.person_of(cell.set)


def covered(
    workshop: Workshop,
    cell: Cell,
    sample: Sample,
    occluders: Sequence[Occluder],
    joints: torch.Tensor | None = None,
) -> Sample:
    """The collated samples behind their occluders; all frames of a film behind the same texture."""
    who = patched_as(workshop, cell)
    alike = replace(sample, index=torch.tensor([who(index) for index in sample.index.tolist()]))
    return replace(workshop.protocol(cell.protocol).apply(alike, occluders, joints), index=sample.index)


def batches(workshop: Workshop, cell: Cell, views: Sequence[View]) -> Iterator[Sequence[View]]:
    """The views that are looked at together: ``bench.batch`` people, or consecutive frames of a film.

    Where each frame of a film is seen several times, as under several patches, that is as many films.
    """
    size = workshop.options.batch
    if workshop.films(cell.set) is None:
        for known in (True, False):  # in one batch all are measured against bodies, or all against annotated joints
            some = [view for view in views if (view.sample.params is not None) is known]
            yield from (some[first : first + size] for first in range(0, len(some), size))
        return
    seen: dict[int, list[View]] = {}
    for view in views:
        seen.setdefault(view.index, []).append(view)
    for take in range(max(map(len, seen.values()), default=0)):
        run: list[View] = []
        for index in sorted(seen):
            if run and (len(seen[index]) <= take or index != run[-1].index + 1):
                yield run
                run = []
            run += seen[index][take : take + 1]
        if run:
            yield run


def is_film(workshop: Workshop, cell: Cell, views: Sequence[View]) -> bool:
    """Whether the views are consecutive frames of one film, in order."""
    steps = all(later.index == view.index + 1 for view, later in zip(views, views[1:], strict=False))
    return workshop.films(cell.set) is not None and len(views) > 1 and steps


def _search(workshop: Workshop, cell: Cell, method: str, samples: Mapping[int, Sample]) -> Search:
    """The search of all samples; where that breaks, of each alone: one costs only itself."""
    lens = Lens(
        body=workshop.body(cell.set),
        regressor=workshop.start(cell.set, method).regressor,
        metrics=workshop.metrics(cell.set),
        joints=workshop.options.sets[cell.set].joints,
        device=workshop.device,
        batch=workshop.options.search_batch,
    )
    protocol = workshop.protocol(cell.protocol)
    try:
        return search(lens, protocol, cell, samples)
    except FATAL:
        raise
    except Exception:
        good, failed = {}, []
        for index, sample in samples.items():
            try:
                search(lens, protocol, cell, {index: sample})
                good[index] = sample
            except FATAL:
                raise
            except Exception as error:
                failed.append((index, reason(error)))
        return replace(search(lens, protocol, cell, good), failed=tuple(failed))


def _some(candidates: tuple[Occluder, ...], count: int | None, seed: int, index: int) -> Iterable[Occluder]:
    """``count`` of the candidates, drawn by seed and person; all where there are no more."""
    if count is None or count >= len(candidates):
        return candidates
    picks = np.random.default_rng([seed, index]).permutation(len(candidates))[:count]
    return [candidates[i] for i in picks]


def reason(error: Exception) -> str:
    """An error in one line."""
    text = str(error).splitlines()[0] if str(error) else "no reason given"
    return text if isinstance(error, InputError) else f"{type(error).__name__}: {text}"
