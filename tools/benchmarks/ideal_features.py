"""How well and how fast fitters fit where features are known to be good: ``correspondence`` with ``staged`` beside it.

    python tools/benchmarks/ideal_features.py [--people 200] [--staged 16] [--noise 0 0.3 0.9]

People in held-out poses are drawn from the mesh on maps of 80 pixels, 40 metres away; starts are the truth with
every joint turned by N(0, s degrees) about a random axis. Prints PA-MPJPE and MPJPE over 24 joints in mm (median,
95th percentile, mean), the share kept, and processor milliseconds a person. ``shape unknown`` starts from the mean
shape, and 2 m too near or far. Under a patch (80 px on the grid of 224, before the hips) joints it covers are counted
apart; ``centred`` compares visible joints about their own mean, for the pelvis is covered too.
"""

from __future__ import annotations

import argparse
import resource
import time
from dataclasses import replace

import torch
from ideal_scenes import IdealBank, Scene, disturbed, draw_people, observe, turned_round

from nbf_body_anny.body import AnnyBody
from nbf_core.geometry.alignment import similarity_align
from nbf_core.types import BodyParams
from nbf_fitters.config import GaussianPoseConfig, JointAngleConfig, ShapeConfig, StagedConfig
from nbf_fitters.correspondence.config import CorrespondenceConfig
from nbf_fitters.correspondence.fitter import CorrespondenceFitter
from nbf_fitters.priors import GaussianPosePrior, JointAnglePrior, ShapePrior
from nbf_fitters.staged import StagedFitter
from nbf_fitters.starts import two_sided
from nbf_render_numba.config import NumbaConfig
from nbf_render_numba.renderer import NumbaRenderer

PRIORS = {
    "gaussian-pose": GaussianPosePrior(GaussianPoseConfig()),
    "joint-angle": JointAnglePrior(JointAngleConfig()),
    "shape": ShapePrior(ShapeConfig()),
}


def joints(body, params: BodyParams) -> torch.Tensor:
    """Joints in millimetres."""
    with torch.no_grad():
        return 1000 * body(params, vertices=False).joints


def spread(values: torch.Tensor) -> str:
    """Median / 95th percentile (mean)."""
    if not len(values):
        return "-"
    return f"{values.median():6.1f} /{values.quantile(0.95):6.1f} ({values.mean():6.1f})"


def masked(error: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Mean over the joints of each person that the mask has; people without any are left out."""
    count = mask.sum(-1)
    return ((error * mask).sum(-1) / count.clamp_min(1))[count > 0]


class Bench:
    """One body, one bank, one set of people, seen at one noise."""

    def __init__(self, body: AnnyBody, people: int, noise: float, patch: int, options: argparse.Namespace):
        self.body, self.options = body, options
        self.generator = torch.Generator().manual_seed(options.seed)
        self.bank = IdealBank(body.spec, options.channels, self.generator)
        truth, camera = draw_people(people, options.split, self.generator)
        self.scene: Scene = observe(body, self.bank, truth, camera, noise, patch, self.generator)

    def start(self, degrees: float) -> BodyParams:
        """The truth disturbed."""
        return disturbed(self.scene.truth, degrees, self.generator)

    def fitter(self, kind: str, **settings):
        """``correspondence`` or ``staged``."""
        renderer = NumbaRenderer(NumbaConfig())
        if kind == "staged":
            return StagedFitter(StagedConfig(**settings), self.body, renderer, self.bank, PRIORS)
        config = CorrespondenceConfig(threads=self.options.threads, **settings)
        return CorrespondenceFitter(config, self.body, renderer, self.bank, PRIORS)

    def row(self, name: str, fitter, start: BodyParams, keypoints: bool, people: int | None = None) -> None:
        """Fit and print."""
        scene, people = self.scene, people or len(start.transl)
        observation, start, truth = scene.observation[:people], start[:people], scene.truth[:people]
        if not keypoints:
            observation = replace(observation, keypoints=None)
        wall, clock = time.perf_counter(), time.process_time()
        result = fitter.fit(observation, start)
        clock, wall = time.process_time() - clock, time.perf_counter() - wall
        before, after, target = (joints(self.body, params) for params in (start, result.params, truth))

        def pa(found: torch.Tensor) -> torch.Tensor:
            return (similarity_align(found, target) - target).norm(dim=-1).mean(-1)

        def error(found: torch.Tensor, about: torch.Tensor | None = None) -> torch.Tensor:
            if about is None:
                middle, other = found[:, :1], target[:, :1]
            else:
                share = about[..., None] / about.sum(-1)[:, None, None].clamp_min(1)
                middle, other = ((x * share).sum(1, keepdim=True) for x in (found, target))
            return ((found - middle) - (target - other)).norm(dim=-1)

        print(
            f"{name:34s} PA {spread(pa(before))} -> {spread(pa(after))}  MPJPE {spread(error(after).mean(-1))}  "
            f"kept {result.kept.float().mean():.2f}  {1000 * clock / people:6.1f} CPU ms, {people / wall:5.1f}/s",
            flush=True,
        )
        visible = scene.visible[:people]
        if visible.all(-1).float().mean() < 0.5:
            seen, hidden = visible, ~visible
            print(
                f"    visible joints ({seen.float().mean():.2f}) MPJPE {spread(masked(error(before), seen))} -> ",
                end="",
            )
            print(f"{spread(masked(error(after), seen))}, centred {spread(masked(error(after, seen), seen))}")
            print(f"    hidden joints MPJPE {spread(masked(error(before), hidden))} -> ", end="")
            print(spread(masked(error(after), hidden)))
            if result.confidence is not None:
                sure = result.confidence
                print(f"    confidence visible {sure[seen].mean():.2f} hidden {sure[hidden].mean():.2f}")


def clean(bench: Bench, options: argparse.Namespace) -> None:
    """The table without a patch."""
    fast, every = bench.fitter("correspondence"), bench.fitter("correspondence", enough=0)
    fast.fit(bench.scene.observation[:2], bench.scene.truth[:2])
    seven, thirty = bench.start(7), bench.start(30)
    nowhere = torch.zeros_like(thirty.betas)
    off = thirty.transl.clone()
    off[:, 2] += 4 * torch.randint(0, 2, off[:, 2].shape, generator=bench.generator) - 2
    mirror = bench.body.spec.mirror_joints
    starts = {
        "the truth": bench.scene.truth,
        "7 degrees": seven,
        "15 degrees": bench.start(15),
        "30 degrees": thirty,
        "30 degrees, turned by 180": turned_round(thirty),
        "30 degrees, two-sided twin": two_sided(thirty, mirror),
        "30 degrees, shape unknown": replace(thirty, betas=nowhere, transl=off),
    }
    for name, start in starts.items():
        bench.row(name, fast, start, keypoints=False)
    bench.row("30 degrees, all four starts", every, thirty, keypoints=False)
    bench.row("30 degrees, with keypoints", fast, thirty, keypoints=True)
    silent = CorrespondenceFitter(fast.config, bench.body, fast.renderer, bench.bank, PRIORS, trust=0.0)
    bench.row("30 degrees, keypoints alone", silent, thirty, keypoints=True)
    if options.staged:
        staged = bench.fitter("staged")
        bench.row("staged: 7 degrees, keypoints", staged, seven, True, options.staged)
        bench.row("staged: 30 degrees, keypoints", staged, thirty, True, options.staged)
        published = bench.fitter("staged", likelihood={"form": "soft"})
        bench.row("staged, soft: 30 degrees, keypoints", published, thirty, True, options.staged)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=200)
    parser.add_argument("--staged", type=int, default=16, help="people that staged fits, 0: none")
    parser.add_argument("--noise", type=float, nargs="*", default=[0.0, 0.3, 0.9], help="length of the features' noise")
    parser.add_argument("--channels", type=int, default=128)
    parser.add_argument("--split", choices=["train", "val", "test"], default="test", help="tune on val only")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2, help="in which correspondence fits people")
    options = parser.parse_args()
    torch.set_num_threads(1)
    body = AnnyBody()
    for noise in options.noise:
        print(f"noise {noise}")
        bench = Bench(body, options.people, noise, 0, options)
        clean(bench, options)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"peak memory so far {peak:.0f} MB, maps of all people included")
    noise = options.noise[min(1, len(options.noise) - 1)]
    print(f"80 px patch, noise {noise}")
    bench = Bench(body, options.people, noise, 80, options)
    for keypoints in (False, True):
        name = "15 degrees" + ", with keypoints" * keypoints
        bench.row(name, bench.fitter("correspondence"), bench.start(15), keypoints)
        if options.staged:
            bench.row("staged: " + name, bench.fitter("staged"), bench.start(15), keypoints, options.staged)


if __name__ == "__main__":
    main()
