"""How well a model's features find their kernels, on people it has seen, new people, and held-out clips.

    python tools/benchmarks/correspondence.py [--weights small] [--pipeline small-ground] [--samples 128] [--mirror]
                                              [--lift small-lift]

Prints the correspondence quality that training watches and the regressor's own error, one line for each set, with
``--lift`` also the error of the guess that fits begin at, from all evidence and from keypoints alone; then, for the
test clips, where the features see the body's outline and how far in the picture pixels miss their kernels.
"""

from __future__ import annotations

import argparse
from typing import Any

import torch
import torch.nn.functional as F

from nbf_core.config import Pipeline
from nbf_core.contracts import BodyModel, Regressor
from nbf_core.types import Sample, collate
from nbf_core.weights import read_weights
from nbf_fitters.gate.ways import person_ways
from nbf_fitters.lift.lifter import Lifter, read_lifter
from nbf_run.build import build_body, build_dataset, build_networks
from nbf_run.estimate import look as estimate
from nbf_run.estimate import observe, sample_crops
from nbf_run.mirror import looking_twice
from nbf_run.options import read_pipeline
from nbf_run.training.validation import validate

SETS = {
    "training pictures": {},
    "training poses, new people": {"seed": 77},
    "validation clip": {"split": "val"},
    "test clips": {"split": "test"},
    "test clips, 80 px patch": {"split": "test", "patch_size": 80},
}
SHOWN = ("within_10cm", "correct_side", "background_rejected", "start_mpjpe", "start_pa_mpjpe")
BATCH = 32
RINGS = (1, 2, 3, 4, 8)
"""Rings of background end at these distances from the visible body, in pixels of the feature map (64)."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", default="small", help="a model file or the name of installed weights")
    parser.add_argument("--pipeline", default="small-ground", help="the pipeline that made them")
    parser.add_argument("--samples", type=int, default=128, help="people a set")
    parser.add_argument("--mirror", action="store_true", help="with a look at the mirror image too, as the demo fits")
    parser.add_argument("--lift", help="weights of a lift: a file or the name of installed ones")
    options = parser.parse_args()
    needs = ("body", "regressor", "bank", "data")
    pipeline = read_pipeline(options.pipeline, [("regressor.pretrained", False)], needs=needs)
    body = build_body(pipeline)
    regressor, bank = build_networks(pipeline, body, read_weights(options.weights))
    if options.mirror:
        regressor, bank = looking_twice(regressor, bank, body.spec)
    for name, changes in SETS.items():
        batches = batches_of(pipeline, body, changes, options.samples)
        with torch.inference_mode():
            measured = validate(batches, body, regressor, bank)
        print(f"{name:28s}" + "".join(f"{key} {measured[key]:8.3f}   " for key in SHOWN), flush=True)
        if options.lift:
            for what, some in (("guess", bank), ("from keypoints", None)):
                apart, aligned = guessed(batches, body, regressor, read_lifter(options.lift, body, some))
                print(f"    {what}: {apart:.1f} mm MPJPE, {aligned:.1f} PA-MPJPE", flush=True)
        if name == "test clips":
            looked = [look(batch, body, regressor, bank) for batch in batches]
    print("\ntest clips, " + describe(looked))


def batches_of(pipeline: Pipeline, body: BodyModel, changes: dict[str, Any], count: int) -> list[Sample]:
    """The first ``count`` undisturbed people of the pipeline's data set, with keys of ``[data]`` changed."""
    config = pipeline.section("data").config.model_copy(update={"augment": False, **changes})
    data = build_dataset(pipeline, body, config)
    samples = [data[index] for index in range(min(count, len(data)))]
    return [collate(samples[i : i + BATCH]) for i in range(0, len(samples), BATCH)]


@torch.no_grad()
def guessed(batches: list[Sample], body: BodyModel, regressor: Regressor, lifter: Lifter) -> tuple[float, float]:
    """MPJPE and PA-MPJPE (mm) of a lift's guesses."""
    errors = []
    for batch in batches:
        crops = sample_crops(batch)
        guess, _ = lifter(observe(estimate(regressor, crops), crops))
        errors.append(torch.stack(person_ways(body, guess, batch.params), 1))
    return tuple(torch.cat(errors).mean(0).tolist())


@torch.inference_mode()
def look(batch: Sample, body, regressor, bank) -> dict[str, torch.Tensor]:
    """Of a batch's pixels: its distance from the body, whether it looks like body, how far it misses its kernel."""
    features = F.normalize(regressor(batch.image.float() / 255).features.float(), dim=1)
    side = features.shape[-1]
    pixels = features.flatten(2).mT
    score, kernel = (pixels @ bank.features.float().flatten(0, 1).mT).max(-1)
    like_body = score > (pixels @ bank.clutter().float().mT).amax(-1)
    label = batch.kernel_map.flatten(1)
    on_body = (label >= 0).view(-1, 1, side, side).float()
    reached = [F.max_pool2d(on_body, 2 * ring + 1, stride=1, padding=ring).flatten(1) for ring in RINGS]
    drawn = batch.camera.resized((side, side)).project(body(batch.params, vertices=False).kernels)
    where = torch.stack(torch.meshgrid(*[torch.arange(side) + 0.5] * 2, indexing="xy"), -1).flatten(0, 1)

    def miss(kernels):
        return (drawn.gather(1, kernels.clamp_min(0)[..., None].expand(-1, -1, 2)) - where).norm(dim=-1)[label >= 0]

    return {
        "like_body": like_body[label != -2],
        "ring": (len(RINGS) - torch.stack(reached).sum(0).long())[label != -2],
        "background": (label == -1)[label != -2],
        "best": miss(kernel // bank.features.shape[1]),
        "true": miss(label.long()),
    }


def describe(looked: list[dict[str, torch.Tensor]]) -> str:
    """What :func:`look` found in all batches, in two lines."""
    found = {name: torch.cat([each[name] for each in looked]) for name in looked[0]}
    shares = [
        f"to {ring} px: {found['like_body'][found['background'] & (found['ring'] == i)].float().mean():.0%}"
        for i, ring in enumerate(RINGS)
    ]
    median, most = found["best"].quantile(torch.tensor([0.5, 0.8])).tolist()
    return (
        f"background that looks more like body, by its distance from the body: {', '.join(shares)}\n"
        f"best kernel of a body pixel: {median:.1f} px off in the median, 80 % within {most:.1f} "
        f"(the true one: {found['true'].median():.1f})"
    )


if __name__ == "__main__":
    main()
