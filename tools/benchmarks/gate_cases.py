"""People whose truth is known, seen with ideal features or by a trained model: what a gate is calibrated on."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from ideal_features import PRIORS
from ideal_scenes import IdealBank, disturbed, draw_people, observe

from nbf_core.contracts import BodyModel, FeatureBank, Fitter
from nbf_core.types import BodyParams, Observation
from nbf_core.types.tree import stack
from nbf_fitters.config import SmplifyConfig, StagedConfig
from nbf_fitters.correspondence.config import CorrespondenceConfig
from nbf_fitters.correspondence.fitter import CorrespondenceFitter
from nbf_fitters.staged import StagedFitter
from nbf_render_numba.config import NumbaConfig
from nbf_render_numba.renderer import NumbaRenderer
from nbf_run import build
from nbf_run.estimate import look, sample_crops, start_params
from nbf_run.estimate import observe as observe_crops
from nbf_run.options import FIT_NEEDS, read_pipeline
from nbf_run.trust import trust


@dataclass(frozen=True)
class Case:
    """Some people at one start, ``degrees`` a joint from the truth; None: a regressor's."""

    name: str
    observation: Observation
    start: BodyParams
    truth: BodyParams
    bank: FeatureBank
    trust: float
    degrees: float | None
    patch: int


def fitter_of(kind: str, case: Case, body: BodyModel) -> Fitter:
    """A fitter in its default setting."""
    renderer = NumbaRenderer(NumbaConfig())
    handed = {"body": body, "renderer": renderer, "bank": case.bank, "priors": PRIORS, "trust": case.trust}
    if kind == "correspondence":
        return CorrespondenceFitter(CorrespondenceConfig(), **handed)
    return StagedFitter(SmplifyConfig() if kind == "smplify" else StagedConfig(), **handed)


def ideal_cases(body: BodyModel, options: argparse.Namespace, split: str, seed: int) -> Iterator[Case]:
    """Ideal features with each noise, clean and behind an 80 px patch, from starts of each size."""
    for noise in options.noise:
        for patch in options.patches:
            generator = torch.Generator().manual_seed(seed)
            bank = IdealBank(body.spec, options.channels, generator)
            truth, camera = draw_people(options.people, split, generator)
            scene = observe(body, bank, truth, camera, noise, patch, generator)
            silent = replace(scene.observation, keypoints=None)
            for degrees in options.degrees:
                start = disturbed(truth, degrees, generator)
                for seen, what in ((silent, ""), (scene.observation, " + keypoints")):
                    name = f"ideal {noise:g}, patch {patch}, {degrees:g} deg{what}"
                    yield Case(name, seen, start, truth, bank, 1.0, degrees, patch)


def model_cases(body: BodyModel, options: argparse.Namespace, split: str) -> Iterator[Case]:
    """The pictures of the synthetic set as a trained model sees them, from its estimates and from disturbed truths."""
    if not options.pipeline:
        return
    for patch in options.patches:
        changes = [
            ("data.split", split),
            *(("data." + key, value) for key, value in (("size", options.pictures), ("patch_size", patch))),
        ]
        if options.weights:
            changes.append(("regressor.weights", options.weights))
        pipeline = read_pipeline(options.pipeline, changes, needs=(*FIT_NEEDS, "data"))
        weights = build.pipeline_weights(pipeline)
        regressor, bank = build.build_estimator(pipeline, body, weights)
        data = build.build_dataset(pipeline, body)
        samples = stack([data[i] for i in range(options.pictures)])
        crops = sample_crops(samples)
        output = look(regressor, crops)
        deserved, seen, truth = trust(weights.metadata.get("quality")), observe_crops(output, crops), samples.params
        estimate = start_params(output, crops.camera)
        yield Case(f"model, patch {patch}, estimate", seen, estimate, truth, bank, deserved, None, patch)
        generator = torch.Generator().manual_seed(patch)
        for degrees in options.degrees[:2]:
            start = disturbed(truth, degrees, generator)
            yield Case(f"model, patch {patch}, {degrees:g} deg", seen, start, truth, bank, deserved, degrees, patch)
