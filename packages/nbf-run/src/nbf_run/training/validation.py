"""How good a model is on held-out samples: correspondences, and the regressor's own error."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from nbf_core.contracts import BodyModel, FeatureBank, Regressor
from nbf_core.geometry.alignment import similarity_align
from nbf_core.types import Sample
from nbf_run.estimate import start_params
from nbf_run.quality import QualityMeter, correspondence_quality


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
