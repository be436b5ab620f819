"""The components of a benchmark, each built once: bodies, data, starts, fitters, protocols by what they are made of."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch

from nbf_core.config import Pipeline
from nbf_core.contracts import (
    BodyModel,
    Dataset,
    FeatureBank,
    FilmDataset,
    Fitter,
    Metric,
    OcclusionProtocol,
    Regressor,
)  # fmt: skip
from nbf_core.errors import ConfigError
from nbf_core.plugins import get_plugin_manager
from nbf_core.weights import Weights, find_weights
from nbf_run import build
from nbf_run.bench.config import BenchOptions
from nbf_run.bench.digests import component_facts, digest, file_digest, version
from nbf_run.bench.points import build_metrics
from nbf_run.options import read_pipeline
from nbf_run.trust import trust

FORMAT = 1
"""Raised whenever the same settings would give other results."""

NEEDS = ("body", "renderer", "bank", "regressor", "fitter", "data")
"""The component sections that a benchmark needs."""

Built = TypeVar("Built")


def _remembered(method: Callable[..., str]) -> Callable[..., str]:
    """Names are asked for again and again, and depend on the settings alone."""

    @functools.wraps(method)
    def call(self: Workshop, *names: str) -> str:
        return self._once((method.__name__, *names), lambda: method(self, *names))

    return call


@dataclass(frozen=True)
class Start:
    """What gives the first estimate. ``key`` tells whether two methods start alike."""

    key: str
    regressor: Regressor
    bank: FeatureBank
    weights: Weights
    trust: float


class Workshop:
    """Builds what a benchmark's pipeline names, on one device.

    ``overrides`` are dotted keys and values; ``table`` is taken in place of what ``source`` resolves to.
    """

    def __init__(
        self,
        source: str | Path,
        overrides: Iterable[tuple[str, Any]] = (),
        device: str | None = None,
        table: dict[str, Any] | None = None,
    ) -> None:
        self.source = source
        self.base = read_pipeline(source, overrides, needs=NEEDS, table=table)
        self.options: BenchOptions = self.base.options["bench"]
        for name in self.options.devices:
            _device(self.base, name)
        self.device = _device(self.base, device or self.base.options["fit"].device)
        self._made: dict[Any, Any] = {}

    def pipeline(self, set_name: str, method: str | None = None) -> Pipeline:
        """The pipeline as a set, and a method on it, change it."""
        changes = _ordered(self.options.sets[set_name].set)
        if method is not None:
            changes += _ordered(self.options.methods[method].set)
        return self._once(
            ("pipeline", set_name, method),
            lambda: read_pipeline(self.source, changes, needs=NEEDS, table=self.base.table),
        )

    def body(self, set_name: str) -> BodyModel:
        """The body of a set's people."""
        pipeline = self.pipeline(set_name)
        key = digest(component_facts(pipeline, ["body"]))
        return self._once(("body", key), lambda: build.build_body(pipeline).to(self.device))

    def dataset(self, set_name: str) -> Dataset:
        """The people of a set; their body stays on the CPU, where samples are made."""
        pipeline = self.pipeline(set_name)
        return self._once(
            ("data", self.set_key(set_name)), lambda: build.build_dataset(pipeline, build.build_body(pipeline))
        )

    def person_of(self, set_name: str) -> Callable[[int], int]:
        """Who a sample is: itself, or in a set of films the first frame of its film, as a film is one person."""
        films = self.films(set_name)
        if films is None:
            return int
        first = {index: film.start for film in films for index in film}
        return lambda index: first.get(index, index)

    def films(self, set_name: str) -> Sequence[range] | None:
        """The samples of each film of a set; None where it has single pictures."""
        data = self.dataset(set_name)
        return data.films if isinstance(data, FilmDataset) else None

    @_remembered
    def set_key(self, set_name: str) -> str:
        """The name of a set's people and of what is measured on them."""
        options = self.options.sets[set_name]
        facts = component_facts(self.pipeline(set_name), ["body", "data"])
        truth = [options.truth] if options.truth != "body" else []
        return digest([FORMAT, version("nbf-run"), facts, options.joints, self.options.metrics, *truth])

    def metrics(self, set_name: str) -> Mapping[str, Metric]:
        """The metrics of the benchmark."""
        return self._once(
            ("metrics", set_name),
            lambda: build_metrics(self.options.metrics, self.body(set_name), self.options.sets[set_name].joints),
        )

    def protocol(self, name: str) -> OcclusionProtocol:
        """An occlusion protocol."""

        def make() -> OcclusionProtocol:
            options = self.options.protocols[name]
            config = options.component_config(name)
            return get_plugin_manager().get("protocols", options.use or name).load()(config, seed=self.base.seed)

        return self._once(("protocol", name), make)

    @_remembered
    def protocol_key(self, name: str) -> str:
        """The name of a protocol with its options."""
        options = self.options.protocols[name]
        use = options.use or name
        provider = get_plugin_manager().provider("protocols", use)
        config = options.component_config(name).model_dump(mode="json")
        return digest([use, provider, version(provider), config, options.positions, self.base.seed])

    def start(self, set_name: str, method: str) -> Start:
        """The regressor and bank that a method starts with."""
        pipeline = self.pipeline(set_name, method)
        key = self.start_key(set_name, method)

        def make() -> Start:
            weights = build.pipeline_weights(pipeline)
            torch.manual_seed(pipeline.seed)
            regressor, bank = build.build_estimator(pipeline, self.body(set_name), weights)
            regressor.to(self.device)
            bank.to(self.device)
            asked = pipeline.options["fit"].trust
            deserved = trust(weights.metadata.get("quality")) if asked is None else asked
            return Start(key, regressor, bank, weights, deserved)

        return self._once(("start", key), make)

    @_remembered
    def start_key(self, set_name: str, method: str) -> str:
        """The name of a method's start on a set: body, regressor, bank and the content of the weights."""
        pipeline = self.pipeline(set_name, method)
        name = getattr(pipeline.section("regressor").config, "weights", None)
        content = None if name is None else file_digest(find_weights(name))
        facts = component_facts(pipeline, ["body", "regressor", "bank"])
        fit = pipeline.options["fit"]
        return digest([facts, content, fit.trust, fit.mirror, pipeline.seed, version("torch")])

    def trust(self, set_name: str, method: str) -> float:
        """The weight of the features in a method's fits."""
        asked = self.options.methods[method].trust
        return self.start(set_name, method).trust if asked is None else asked

    def fitter(self, set_name: str, method: str) -> Fitter | None:
        """A method's fitter; None for one that takes its start as it is."""
        if not self.options.methods[method].fit:
            return None
        pipeline, start = self.pipeline(set_name, method), self.start(set_name, method)
        return self._once(
            ("fitter", self.method_key(set_name, method)),
            lambda: build.build_fitter(
                pipeline, self.body(set_name), build.build_renderer(pipeline), start.bank, self.trust(set_name, method)
            ),
        )

    @_remembered
    def method_key(self, set_name: str, method: str) -> str:
        """The name of what a method does on a set."""
        options, pipeline = self.options.methods[method], self.pipeline(set_name, method)
        facts: Any = None
        if options.fit:
            names = ["fitter", "renderer", *sorted(name for name in pipeline.sections if name.startswith("priors."))]
            facts = [component_facts(pipeline, names), options.keypoints, options.trust, self.options.batch]
            facts += ["film"] * options.film
            lift = getattr(pipeline.section("fitter").config, "lift", "off")
            facts += [file_digest(find_weights(lift))] if lift != "off" else []
        return digest([self.start_key(set_name, method), options.start, facts])

    def _once(self, key: Any, make: Callable[[], Built]) -> Built:
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]


def _ordered(changes: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Choosing a component forgets the options of the former one, so it comes before any option."""
    return sorted(changes.items(), key=lambda change: not change[0].endswith(".use"))


def _device(pipeline: Pipeline, name: str) -> torch.device:
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"{pipeline.name}: bench.devices: {name!r} is no device that torch knows") from error
    count = torch.cuda.device_count() if device.type == "cuda" else 0
    if device.type == "cuda" and (not count or (device.index or 0) >= count):
        raise ConfigError(f"{pipeline.name}: {name} is asked for, and torch finds no such device")
    return device
