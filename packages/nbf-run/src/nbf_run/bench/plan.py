"""What a benchmark has to do: cells (a set under a case of a protocol) and their items (a few people each)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nbf_core.contracts import OcclusionCase
from nbf_core.errors import AssetError, ConfigError, InputError, PluginError
from nbf_run.bench.config import Block
from nbf_run.bench.digests import digest
from nbf_run.bench.workshop import Workshop

_FILES = (".npz", ".safetensors", ".pkl", ".json", ".npy")

_LOOKS_A_FIT = 16
"""Pictures that the regressor looks at in the time of a fit, roughly: for the progress bar alone."""


@dataclass(frozen=True)
class Cell:
    """``methods`` on the first ``people`` of a set under one case of a protocol.

    ``candidates`` is how many occluders there are to choose from, ``views`` how many each person is measured under.
    """

    set: str
    protocol: str
    case: OcclusionCase
    methods: tuple[str, ...]
    people: int
    candidates: int
    views: int

    @property
    def title(self) -> str:
        """What the cell is called: the protocol, and its case where that says more."""
        return self.protocol if self.case.name in ("", self.protocol) else f"{self.protocol} {self.case.name}"


@dataclass(frozen=True)
class Item:
    """What is done at once: the samples ``first`` to ``end - 1`` in cell number ``cell``."""

    cell: int
    first: int
    end: int

    @property
    def indices(self) -> range:
        """The samples."""
        return range(self.first, self.end)


@dataclass(frozen=True)
class Missing:
    """Something that the benchmark asks for and this machine does not have."""

    kind: str  # "set", "method"
    name: str
    reason: str
    set: str | None = None


@dataclass(frozen=True)
class Plan:
    """All cells in the order of the matrix, their items, and what is missing."""

    cells: tuple[Cell, ...]
    items: tuple[Item, ...]
    missing: tuple[Missing, ...]

    def weight(self, item: Item) -> int:
        """How much work an item is, roughly, in fits."""
        cell = self.cells[item.cell]
        search = cell.candidates // _LOOKS_A_FIT if cell.case.choose else 0
        return max(1, (item.end - item.first) * (search + cell.views * len(cell.methods)))


def make_plan(workshop: Workshop) -> Plan:
    """The plan of a workshop's benchmark; everything it needs is built on the way.

    Raises ConfigError, PluginError or AssetError for what cannot be built and is not optional, InputError where
    nothing is left to do.
    """
    missing: list[Missing] = []
    merged: dict[tuple[str, str, str], Cell] = {}
    for set_name, protocol, block in _blocks(workshop):
        methods = block.methods if block.methods is not None else workshop.options.methods
        methods = tuple(name for name in methods if _has_method(workshop, set_name, name, missing))
        if not methods or not _has_set(workshop, set_name, missing):
            continue
        for cell in _cells(workshop, set_name, protocol, methods, block.cases):
            key = (set_name, protocol, cell.case.name)
            former = merged.get(key)
            names = methods if former is None else (*former.methods, *methods)
            merged[key] = replace(cell, methods=tuple(dict.fromkeys(names)))
    if not merged:
        reasons = "; ".join(dict.fromkeys(f"{one.name}: {one.reason}" for one in missing))
        raise InputError(f"{workshop.base.name}: nothing can be measured: {reasons}")
    cells = tuple(merged.values())
    items = tuple(Item(number, *ends) for number, cell in enumerate(cells) for ends in _pieces(workshop, cell))
    return Plan(cells, items, tuple(dict.fromkeys(missing)))


def shard_key(workshop: Workshop, cell: Cell, method: str) -> str:
    """The name of a method's results in a cell."""
    return digest(
        [
            workshop.set_key(cell.set),
            workshop.protocol_key(cell.protocol),
            cell.case.name,
            workshop.method_key(cell.set, method),
            workshop.options.batch,
            *_film_window(workshop, cell),
        ]
    )


def search_key(workshop: Workshop, cell: Cell, method: str) -> str:
    """The name of the search of a cell from a method's start: methods that start alike share it."""
    names = [workshop.set_key(cell.set), workshop.protocol_key(cell.protocol), cell.case.name]
    window = _film_window(workshop, cell)
    return digest(["search", *names, workshop.start_key(cell.set, method), workshop.options.batch, *window])


def seed_of(*names: Any) -> int:
    """A seed that depends on these alone, for components that draw from torch's global generator."""
    return int(digest(list(names)), 16) % (1 << 31)


def _pieces(workshop: Workshop, cell: Cell) -> Iterator[tuple[int, int]]:
    """First and end of what is done at once: so many people, or a film (a long one in windows)."""
    films, size = workshop.films(cell.set), workshop.options.batch
    if films is None:
        yield from ((first, min(first + size, cell.people)) for first in range(0, cell.people, size))
        return
    window = workshop.pipeline(cell.set).options["fit"].window
    for film in films:
        stop = min(film.stop, cell.people)
        yield from ((first, min(first + window, stop)) for first in range(film.start, stop, window))


def _film_window(workshop: Workshop, cell: Cell) -> tuple[int, ...]:
    return () if workshop.films(cell.set) is None else (workshop.pipeline(cell.set).options["fit"].window,)


def _blocks(workshop: Workshop) -> Iterator[tuple[str, str, Block]]:
    options = workshop.options
    for block in options.matrix:
        for set_name in block.sets if block.sets is not None else options.sets:
            for protocol in block.protocols if block.protocols is not None else options.protocols:
                yield set_name, protocol, block


def _cells(
    workshop: Workshop, set_name: str, name: str, methods: tuple[str, ...], cases: tuple[str, ...] | None
) -> Iterator[Cell]:
    options, protocol = workshop.options, workshop.protocol(name)
    own = options.protocols[name]
    limits = [options.samples, options.sets[set_name].samples, own.samples, len(workshop.dataset(set_name))]
    people = min(limit for limit in limits if limit is not None)
    unknown = [case for case in cases or () if case not in {one.name for one in protocol.cases}]
    if unknown:
        known = ", ".join(case.name for case in protocol.cases)
        raise ConfigError(f"{workshop.base.name}: bench.matrix: {name} has no case {unknown[0]!r}; it has {known}")
    for case in protocol.cases:
        if cases is not None and case.name not in cases:
            continue
        choose = tuple(metric for metric in case.choose if metric in options.metrics)
        if case.choose and not choose:
            wanted = ", ".join(case.choose)
            raise ConfigError(f"{workshop.base.name}: bench.metrics: {name} chooses by {wanted}, which is not measured")
        try:
            candidates = len(protocol.occluders(case, (224, 224), 0))
        except InputError:  # a sample that a file of occluders does not know
            candidates = 1
        views = len(choose) if choose else min(candidates, own.positions or candidates)
        yield Cell(set_name, name, replace(case, choose=choose), methods, people, candidates, views)


def _has_set(workshop: Workshop, name: str, missing: list[Missing]) -> bool:
    def build() -> None:
        workshop.body(name)
        workshop.dataset(name)
        workshop.metrics(name)

    options = workshop.options.sets[name]
    return _can(workshop, build, options.optional, Missing("set", name, _absent(options.set)), missing)


def _has_method(workshop: Workshop, set_name: str, name: str, missing: list[Missing]) -> bool:
    if not _has_set(workshop, set_name, missing):
        return False
    optional = workshop.options.methods[name].optional or workshop.options.sets[set_name].optional

    def build() -> None:
        takes = workshop.start(set_name, name).regressor.image_size
        given = getattr(workshop.pipeline(set_name).section("data").config, "image_size", takes)
        if takes != given:
            raise ConfigError(
                f"the regressor takes images of {takes} x {takes} pixels, the set gives {given} x {given}"
            )
        workshop.fitter(set_name, name)

    return _can(
        workshop,
        build,
        optional,
        Missing("method", name, _absent(workshop.options.methods[name].set), set_name),
        missing,
    )


def _can(workshop: Workshop, build: Callable[[], Any], optional: bool, what: Missing, missing: list[Missing]) -> bool:
    """Build; where that fails for something optional, note why it is missing, after what is known of it already."""
    try:
        build()
    except (PluginError, AssetError, ConfigError, InputError) as error:
        if not optional:
            raise
        text = " ".join(str(error).split()).removeprefix(f"{workshop.source}: ")
        # A missing plugin is found before the files that it would read: say all at once.
        files = [path for path in what.reason.split("; ") if path and path not in text]
        missing.append(replace(what, reason="; ".join([text, *(f"{path}: no such file" for path in files)])))
        return False
    return True


def _absent(changes: Mapping[str, Any]) -> str:
    """The files that some settings name and that are not there."""
    files = [value for value in changes.values() if isinstance(value, str) and Path(value).suffix in _FILES]
    return "; ".join(path for path in files if not Path(path).exists())
