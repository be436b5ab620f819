"""From a validated pipeline to components: everything is met by name, nothing is imported by package."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from nbf_core.config import Config, Pipeline
from nbf_core.contracts import BodyModel, Dataset, Detector, FeatureBank, Fitter, Regressor, Renderer
from nbf_core.errors import AssetError, ConfigError, PluginError
from nbf_core.plugins import get_plugin_manager
from nbf_core.types import BodySpec
from nbf_core.weights import Weights, load_into, read_weights
from nbf_run.mirror import looking_twice


def component(pipeline: Pipeline, section: str, **handed: Any) -> Any:
    """Build the component of a section. Raises ConfigError or PluginError naming section and component."""
    chosen = pipeline.section(section)
    target = get_plugin_manager().get(chosen.kind, chosen.use).load()
    return target(chosen.config, **handed)


def build_body(pipeline: Pipeline) -> BodyModel:
    """The pipeline's body model."""
    return component(pipeline, "body")


def build_renderer(pipeline: Pipeline) -> Renderer:
    """The pipeline's renderer."""
    return component(pipeline, "renderer")


def build_dataset(pipeline: Pipeline, body: BodyModel, config: Config | None = None) -> Dataset:
    """The pipeline's data set, with another configuration where one is given."""
    chosen = pipeline.section("data")
    target = get_plugin_manager().get(chosen.kind, chosen.use).load()
    return target(config or chosen.config, body=body)


def build_detector(pipeline: Pipeline) -> Detector:
    """The pipeline's detector."""
    return component(pipeline, "detector")


def build_networks(
    pipeline: Pipeline, body: BodyModel, weights: Weights | None = None
) -> tuple[Regressor, FeatureBank]:
    """The regressor and the bank that was trained with it, without weights unless given.

    Options that the pipeline leaves open are those that the weights were made with: their header knows them.
    """
    regressor = component(_as_made(pipeline, "regressor", weights), "regressor", spec=body.spec)
    bank = component(_as_made(pipeline, "bank", weights), "bank", spec=body.spec, channels=regressor.channels)
    if weights is not None:
        check_kernels(weights.path, weights.metadata, body.spec)
        _load(regressor, weights, "regressor")
        _load(bank, weights, "bank")
        regressor.eval()
    return regressor, bank


def build_estimator(pipeline: Pipeline, body: BodyModel, weights: Weights) -> tuple[Regressor, FeatureBank]:
    """Trained networks as fits use them: looking twice where ``fit.mirror`` says so."""
    networks = build_networks(pipeline, body, weights)
    return looking_twice(*networks, body.spec) if pipeline.options["fit"].mirror else networks


def kernels_of(spec: BodySpec) -> str:
    """What tells a body's kernels from others: their vertices, in order."""
    return hashlib.sha256(spec.kernel_vertices.cpu().to(torch.int64).numpy().tobytes()).hexdigest()[:16]


def check_kernels(path: Path, metadata: Mapping[str, Any], spec: BodySpec) -> None:
    """Raise AssetError where weights say that they were trained on other kernels than the body's."""
    made = metadata.get("kernels")
    if made is not None and made != kernels_of(spec):
        raise AssetError(
            f"{path}: was trained on other kernels than the body {spec.name!r} has here (see body.kernels)"
        )


def _as_made(pipeline: Pipeline, section: str, weights: Weights | None) -> Pipeline:
    """The pipeline with the options of the weights in a section, where they are for the component that it uses."""
    chosen = pipeline.section(section)
    made = _made(weights, section)
    if made.get("use", chosen.use) != chosen.use:
        return pipeline
    fields = type(chosen.config).model_fields
    # What training starts from has no part in what it led to.
    open_ones = {key: value for key, value in made.items() if key in fields and key != "pretrained"}
    given = chosen.config.model_dump(include=chosen.config.model_fields_set)
    try:
        config = type(chosen.config).model_validate({**open_ones, **given})
    except ValidationError:  # of another version: then what the weights need is seen when they are loaded
        return pipeline
    return replace(pipeline, sections={**pipeline.sections, section: replace(chosen, config=config)})


def _made(weights: Weights | None, section: str) -> dict[str, Any]:
    """The options of a section that weights say they were made with; none where they do not say."""
    metadata = {} if weights is None else weights.metadata
    for table in (metadata.get("sections"), metadata.get("table")):
        if isinstance(table, dict) and isinstance(table.get(section), dict):
            return table[section]
    return {}


def _load(part: Regressor | FeatureBank, weights: Weights, section: str) -> None:
    """Fill a component. Where the weights do not fit, the error adds what they were made with, if they say so."""
    try:
        load_into(part, weights, section)
    except AssetError as error:
        made = _made(weights, section)
        if not made:
            raise
        options = ", ".join(f"{section}.{key} = {value!r}" for key, value in made.items())
        raise AssetError(f"{error}; the weights are for {options}") from error


def pipeline_weights(pipeline: Pipeline) -> Weights:
    """The weights the pipeline names in ``regressor.weights`` (a name or a file)."""
    name = getattr(pipeline.section("regressor").config, "weights", None)
    if name is None:
        raise ConfigError(f"{pipeline.name}: regressor.weights: this key is missing; it names the trained weights")
    try:
        return read_weights(name)
    except PluginError as error:
        raise PluginError(f"{pipeline.name}: regressor.weights: {error}") from error


def build_fitter(
    pipeline: Pipeline, body: BodyModel, renderer: Renderer, bank: FeatureBank, trust: float = 1.0
) -> Fitter:
    """The pipeline's fitter with the priors it names."""
    priors = {
        name.removeprefix("priors."): component(pipeline, name)
        for name in pipeline.sections
        if name.startswith("priors.")
    }
    return component(pipeline, "fitter", body=body, renderer=renderer, bank=bank, priors=priors, trust=trust)
