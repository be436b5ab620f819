"""How good a model is on held-out samples: correspondences, and the regressor's own error."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F

from nbf_core.config import Config, Pipeline
from nbf_core.config.pipeline import check
from nbf_core.contracts import BodyModel, Dataset, FeatureBank, Regressor
from nbf_core.errors import PluginError
from nbf_core.geometry.alignment import similarity_align
from nbf_core.plugins import get_plugin_manager
from nbf_core.types import Sample
from nbf_run.build import build_dataset
from nbf_run.estimate import start_params
from nbf_run.quality import QualityMeter, correspondence_quality
from nbf_run.training.config import TrainOptions

_STILL = {"augment": False, "cache": None, "skip": True}
"""Samples to measure on are taken as they are, and few enough to be made anew."""


def validation_data(pipeline: Pipeline, options: TrainOptions, body: BodyModel) -> Dataset | None:
    """The samples to measure on while training; None where the data set keeps none apart and no other is named.

    Raises ConfigError or PluginError naming the key of ``train.validation`` that is wrong.
    """
    section, changes = pipeline.section("data"), dict(options.validation)
    model = type(section.config)
    if not changes:
        if "split" not in model.model_fields:
            return None
        data = build_dataset(pipeline, body, _with(section.config, {**_STILL, "split": "val"}))
        return data if len(data) else None
    use = changes.pop("use", section.use)
    given = section.config.model_dump(include=section.config.model_fields_set) if use == section.use else {}
    try:
        entry = get_plugin_manager().get("datasets", use)
    except PluginError as error:
        raise PluginError(f"{pipeline.name}: train.validation.use: {error}") from error
    config = check(entry.load_config(), {**given, **changes}, "train.validation", pipeline.name)
    return entry.load()(_with(config, {key: value for key, value in _STILL.items() if key not in changes}), body=body)


def _with(config: Config, changes: dict[str, Any]) -> Config:
    """A configuration with some options changed, where it has them."""
    return config.model_copy(update={key: value for key, value in changes.items() if key in type(config).model_fields})


def validate(
    batches: list[Sample], body: BodyModel, regressor: Regressor, bank: FeatureBank, clutter_centers: int = 1
) -> dict[str, float]:
    """Correspondence quality (shares in [0, 1]) and the start's MPJPE and PA-MPJPE in millimetres.

    What the samples bring no labels for is left out.
    """
    meter, plain, aligned = QualityMeter(), [], []
    for batch in batches:
        batch = batch.to(bank.features.device)
        output = regressor(batch.image.float() / 255)
        features = F.normalize(output.features.float(), dim=1)
        meter.add(correspondence_quality(features, bank, batch, body.spec, clutter_centers=clutter_centers))
        if batch.params is None:
            continue
        if batch.with_params is not None:
            batch, output = batch[batch.with_params], output[batch.with_params]
        truth = _joints(body, batch.params)
        predicted = _joints(body, start_params(output, batch.camera))
        plain.append((predicted - truth).norm(dim=-1).mean(1))
        aligned.append((similarity_align(predicted, truth) - truth).norm(dim=-1).mean(1))
    result = {key: value for key, value in meter.result().items() if value is not None}
    if not plain:
        return result
    result["start_mpjpe"] = 1000 * float(torch.cat(plain).mean())
    result["start_pa_mpjpe"] = 1000 * float(torch.cat(aligned).mean())
    return result


def _joints(body: BodyModel, params) -> torch.Tensor:
    joints = body(params, vertices=False).joints
    return joints - joints[:, :1]
