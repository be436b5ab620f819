"""Who is measured under which occluder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

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
    protocol, found = workshop.protocol(cell.protocol), {}
    for index, sample in samples.items():
        try:
            found[index] = protocol.occluders(cell.case, tuple(sample.image.shape[-2:]), index)
        except InputError as error:  # a list of occluders does not know this sample
            failed[index] = reason(error)
    if not cell.case.choose:
        count = workshop.options.protocols[cell.protocol].positions
        return [
            View(index, samples[index], occluder)
            for index, candidates in found.items()
            for occluder in _some(candidates, count, workshop.base.seed, index)
        ]
    key = search_key(workshop, cell, method)
    known = store.get_search(key, item.first)
    if known is None:
        known = _search(workshop, cell, method, {index: samples[index] for index in found})
        store.describe(key, {"set": cell.set, "protocol": cell.protocol, "case": cell.case.name, "search": True})
        store.put_search(key, item.first, known)
    failed.update(known.failed)
    views = []
    for row, index in enumerate(known.samples):
        chosen: dict[int, list[str]] = {}
        for metric in cell.case.choose:
            chosen.setdefault(int(known.best[metric][row]), []).append(metric)
        views += [View(index, samples[index], found[index][at], tuple(by)) for at, by in chosen.items()]
    return views


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
