"""Runs every method of a pipeline's ``[bench]`` section on every case of its data set."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch

from nbf_core.config import Pipeline
from nbf_core.contracts import BodyModel, Dataset, FeatureBank, Fitter, Metric, Regressor
from nbf_core.errors import AssetError, ConfigError, InputError, PluginError
from nbf_core.types import BodyParams, Observation, Sample, collate
from nbf_core.weights import Weights
from nbf_run import build
from nbf_run.bench.config import BenchOptions, CaseOptions, MethodOptions
from nbf_run.bench.points import body_points, build_metrics, measure
from nbf_run.bench.results import Result, Row, assemble, write_report
from nbf_run.estimate import look, observe, sample_crops, start_params
from nbf_run.options import read_pipeline
from nbf_run.quality import QualityMeter, correspondence_quality
from nbf_run.run_info import write_run_info
from nbf_run.trust import trust

NEEDS = ("body", "renderer", "bank", "regressor", "fitter", "data")
"""The component sections that a benchmark needs."""

Progress = Callable[[str, int, int], None]
"""Hears the case's name, how many of its people are done, and how many there are."""


@dataclass(frozen=True)
class _Method:
    options: MethodOptions
    trust: float
    fitter: Fitter | None


@dataclass(frozen=True)
class _Parts:
    """What all cases share."""

    body: BodyModel
    regressor: Regressor
    bank: FeatureBank
    metrics: Mapping[str, Metric]
    methods: Sequence[_Method]
    device: torch.device


@dataclass
class _Batch:
    """What a batch of people gave."""

    rows: list[Row] = field(default_factory=list)
    quality: dict[str, float] = field(default_factory=dict)
    looked: float = 0.0  # seconds the regressor took


def bench(
    source: str | Path,
    out: str | Path,
    overrides: Iterable[tuple[str, Any]] = (),
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Run the benchmark of the built-in pipeline or TOML file ``source`` and write its report into ``out``.

    Writes ``report.json`` (also returned), ``samples.csv``, ``report.md``, ``chart.png`` and ``run.json``. A
    sample that cannot be used is listed with its reason under ``failed`` and costs only itself, in every
    method alike. Raises ConfigError, PluginError or AssetError before anything is run, InputError where no
    sample was usable.
    """
    overrides = list(overrides)

    def read(changes: Mapping[str, Any]) -> Pipeline:
        return read_pipeline(source, [*overrides, *changes.items()], needs=NEEDS)

    pipeline = read({})
    options: BenchOptions = pipeline.options["bench"]
    cases = [(case, read(case.set)) for case in options.cases]
    variants = [(method, read(method.set)) for method in options.methods]
    torch.manual_seed(pipeline.seed)
    weights = build.pipeline_weights(pipeline)
    parts = _build(pipeline, variants, weights)
    # Built before the first case runs: a case that cannot be built must not cost the hours before it.
    datasets = [build.build_dataset(changed, build.build_body(changed)) for _, changed in cases]
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    results = [
        _run_case(parts, case, dataset, options, progress) for (case, _), dataset in zip(cases, datasets, strict=True)
    ]
    if not any(result.rows for result in results):
        first = next((failure for result in results for failure in result.failed), None)
        reason = f"; the first: sample {first[0]}: {first[1]}" if first else ": the data set is empty"
        raise InputError(f"{pipeline.name}: no sample could be used{reason}")
    trusts = {method.options.name: method.trust for method in parts.methods}
    report = assemble(options, results, parts.metrics, trusts, pipeline.seed)
    report["run"] = write_run_info(out, pipeline, "bench", weights, parts.device.type)
    write_report(out, report, results)
    return report


def _build(pipeline: Pipeline, variants: list[tuple[MethodOptions, Pipeline]], weights: Weights) -> _Parts:
    device = torch.device(pipeline.options["fit"].device)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ConfigError(f"{pipeline.name}: fit.device: cuda is asked for, and torch finds no such device")
    body = build.build_body(pipeline).to(device)
    metrics = build_metrics(pipeline.options["bench"].metrics, body)
    regressor, bank = build.build_networks(pipeline, body, weights)
    regressor.to(device)
    bank.to(device)
    asked = pipeline.options["fit"].trust
    deserved = trust(weights.metadata.get("quality")) if asked is None else asked
    methods = []
    for options, changed in variants:
        weight = deserved if options.trust is None else options.trust
        fitter = None
        if options.fit:
            fitter = build.build_fitter(changed, body, build.build_renderer(changed), bank, weight)
        methods.append(_Method(options, weight, fitter))
    return _Parts(body, regressor, bank, metrics, methods, device)


def _run_case(
    parts: _Parts, case: CaseOptions, dataset: Dataset, options: BenchOptions, progress: Progress | None
) -> Result:
    total = min(options.samples, len(dataset))
    result, meter, looked = Result(case), QualityMeter(), 0.0
    for first in range(0, total, options.batch):
        indices = range(first, min(first + options.batch, total))
        samples = []
        for index in indices:
            try:
                samples.append((index, _usable(dataset[index])))
            except Exception as error:  # whatever a data set raises costs that sample only
                result.failed.append((index, _reason(error)))
        for batch in _people(parts, samples, result.failed):
            result.rows += batch.rows
            meter.add(batch.quality)
            looked += batch.looked
        if progress is not None:
            progress(case.name, indices.stop, total)
    people = len({row.index for row in result.rows})
    result.quality = meter.result()
    result.regressor_seconds = looked / people if people else None
    return result


def _usable(sample: Sample) -> Sample:
    if sample.params is None:
        raise InputError("the sample has no true body")
    return sample


def _people(parts: _Parts, samples: list[tuple[int, Sample]], failed: list[tuple[int, str]]) -> Iterable[_Batch]:
    """All methods on a batch; where that fails, on each of its people alone: one costs only itself."""
    if not samples:
        return
    try:
        yield _batch(parts, samples)
    except (ConfigError, PluginError, AssetError):
        raise  # wrong for everybody
    except Exception as error:
        if len(samples) == 1:
            failed.append((samples[0][0], _reason(error)))
            return
        for sample in samples:
            yield from _people(parts, [sample], failed)


def _batch(parts: _Parts, samples: list[tuple[int, Sample]]) -> _Batch:
    batch = _Batch()
    sample = collate([one for _, one in samples]).to(parts.device)
    crops = sample_crops(sample)
    output, batch.looked = _timed(parts.device, partial(look, parts.regressor, crops))
    starts = {"regressor": start_params(output, crops.camera), "truth": sample.params}
    observation = observe(output, crops)
    batch.quality = correspondence_quality(observation.features, parts.bank, sample, parts.body.spec)
    truth = body_points(parts.body, sample.params, sample.camera)
    for method in parts.methods:
        fitted = _apply(parts, method, observation, starts[method.options.start])
        points = body_points(parts.body, fitted.params, sample.camera)
        batch.rows += _rows(parts, method, samples, fitted, measure(parts.metrics, points, truth, sample))
    return batch


@dataclass(frozen=True)
class _Fitted:
    params: BodyParams
    seconds: float  # per person
    kept: list[bool] | None = None
    losses: list[tuple[float, float]] | None = None  # at the start, at the end


def _apply(parts: _Parts, method: _Method, observation: Observation, start: BodyParams) -> _Fitted:
    if method.fitter is None:
        return _Fitted(start, 0.0)
    if not method.options.keypoints:
        observation = Observation(observation.features, observation.camera, None, observation.keypoint_set)
    result, seconds = _timed(parts.device, partial(method.fitter.fit, observation, start))
    losses = list(zip(result.start_loss.tolist(), result.loss.tolist(), strict=True))
    return _Fitted(result.params.detach(), seconds / len(losses), result.kept.tolist(), losses)


def _rows(
    parts: _Parts,
    method: _Method,
    samples: list[tuple[int, Sample]],
    fitted: _Fitted,
    values: dict[str, dict[str, list[float]]],
) -> list[Row]:
    return [
        Row(
            method=method.options.name,
            index=index,
            seconds=fitted.seconds,
            kept=fitted.kept[i] if fitted.kept else None,
            losses=fitted.losses[i] if fitted.losses else None,
            values={(name, which): some[i] for name, sets in values.items() for which, some in sets.items()},
        )
        for i, (index, _) in enumerate(samples)
    ]


def _timed(device: torch.device, function: Callable[[], Any]) -> tuple[Any, float]:
    """What ``function`` returns, and the seconds it took."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    began = time.perf_counter()
    value = function()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return value, time.perf_counter() - began


def _reason(error: Exception) -> str:
    text = str(error).splitlines()[0] if str(error) else "no reason given"
    return text if isinstance(error, InputError) else f"{type(error).__name__}: {text}"
