"""Does an objective know the truth? Fits that begin at the truth, how far they drift, and why.

    python tools/benchmarks/bias.py [--people 16] [--noise 0.9] [--patch 80] [--rows soft mixture]

People in held-out poses with ideal features (``ideal_scenes``), no keypoints. The first block fits with one likelihood
alone: no prior, no anchor, one stage of 80 steps over all parameters; what differs is said by each row. ``own picture``
sees what the kernels themselves would draw: what is left there is not the body's form. The second block are fitters as
they come. Prints the drift in mm, PA-MPJPE and MPJPE, median / 95th percentile, of the fit whatever it costs, and the
share of people to whom it costs less than the truth does.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace

import torch
import torch.nn.functional as F
from ideal_features import PRIORS, joints, spread
from ideal_scenes import IdealBank, Scene, draw_people, observe

from nbf_body_anny.body import AnnyBody
from nbf_core.geometry.alignment import similarity_align
from nbf_core.types import BodyParams
from nbf_fitters import priors_joints
from nbf_fitters.config import INSET, JointConfig, LikelihoodConfig, StageConfig, StagedConfig
from nbf_fitters.correspondence.config import CorrespondenceConfig
from nbf_fitters.correspondence.fitter import CorrespondenceFitter
from nbf_fitters.scene import Viewer
from nbf_fitters.staged import StagedFitter
from nbf_render_numba.config import NumbaConfig
from nbf_render_numba.renderer import NumbaRenderer
from nbf_run.options import FIT_NEEDS, read_pipeline

POSE = ("orientation", "translation", "body_pose")
FREE = (*POSE, "betas")
HANDED = {**PRIORS, "joint": priors_joints.JointPrior(JointConfig())}


def alone(form: str, eps: float = 0.3, attached: bool = False, **settings) -> StagedConfig:
    """A likelihood and nothing else; ``settings`` are the stage's, and ``inset`` and ``anchor``."""
    whole = {"inset": settings.pop("inset", 0.0), "anchor_weight": settings.pop("anchor", 0.0)}
    priors = settings.pop("priors", {})
    stage = {"parameters": POSE, "steps": 80, **settings}
    return StagedConfig(
        likelihood=LikelihoodConfig(form=form, weight=1.0, eps=eps, detach_orientation=not attached),
        priors=priors,
        starts=("estimate",),
        starts_by="cost",
        place=False,
        stages=(StageConfig(**stage),),
        keep_only_better=False,
        features_alone=0.0,
        **whole,
    )


def one_term(form: str) -> Iterator[tuple[str, StagedConfig, bool]]:
    """Rows about one likelihood: name, setting, and whether the picture is the kernels' own."""
    slow, small = {"decay": 0.0}, {"learning_rate": 0.005, "decay": 0.0}
    yield "published steps, orientation attached", alone(form, attached=True), False
    yield "orientation detached", alone(form), False
    yield "  root and place alone", alone(form, parameters=POSE[:2]), False
    yield "  pose alone", alone(form, parameters=POSE[2:]), False
    yield "  own picture", alone(form), True
    yield "  steps decay to nothing", alone(form, **slow), False
    yield "  small steps", alone(form, **small), False
    yield "kernels under the skin, steps decay", alone(form, inset=INSET, **slow), False
    yield "  and damped", alone(form, inset=INSET, damping=0.5, **slow), False
    if form != "mixture":
        return
    yield "  and shape free", alone(form, inset=INSET, damping=0.5, parameters=FREE, **slow), False
    yield "  and three times as long", alone(form, inset=INSET, damping=0.5, **slow, parameters=FREE, steps=240), False
    yield (
        "  and half of a body may be hidden",
        alone(form, eps=1.0, inset=INSET, damping=0.5, parameters=FREE, **slow),
        False,
    )
    weak = {"inset": INSET, "damping": 0.5, "parameters": FREE, **slow}
    yield "  pose prior 1e-5 beside it", alone(form, priors={"gaussian-pose": 1e-5}, **weak), False
    yield "  pose prior 1.7e-4 (the default's)", alone(form, priors={"gaussian-pose": 1.7e-4}, **weak), False
    yield "  anchor 3e-3 (the default's)", alone(form, anchor=3.3e-3, **weak), False


def drawn_by_kernels(body, bank, scene: Scene) -> Scene:
    """The same people as their kernels would draw them."""
    observation = scene.observation
    viewer = Viewer(body, NumbaRenderer(NumbaConfig()), observation.camera, bank.features.shape[1], True)
    with torch.no_grad():
        seen = viewer.scene(scene.truth)
        own = torch.einsum("bko,koc->bkc", seen.orientation, bank.features)
        drawn = viewer.renderer.render(seen.kernels, observation.camera, own)
        total = drawn.fragments.weight.sum(-1).clamp_min(1)
        share = torch.ones_like(drawn.silhouette).view(-1).index_copy(0, drawn.fragments.pixel, total)
        image = drawn.attributes / share.view_as(drawn.silhouette)[..., None]
        image = image + (1 - drawn.silhouette)[..., None] * bank.clutter()[0]
    return replace(scene, observation=replace(observation, features=F.normalize(image, dim=-1).permute(0, 3, 1, 2)))


def drift(body, params: BodyParams, truth: BodyParams) -> str:
    """PA-MPJPE and MPJPE from the truth."""
    one, other = joints(body, params), joints(body, truth)
    aligned = (similarity_align(one, other) - other).norm(dim=-1).mean(-1)
    apart = ((one - one[:, :1]) - (other - other[:, :1])).norm(dim=-1).mean(-1)
    return f"PA {spread(aligned)}  MPJPE {spread(apart)}"


def show(body, name: str, fitter, scene: Scene) -> None:
    """Fit from the truth and print."""
    result = fitter.fit(replace(scene.observation, keypoints=None), scene.truth)
    lower = (result.loss < result.start_loss).float().mean()
    print(f"{name:40s} {drift(body, result.params, scene.truth)}  costs less {lower:.2f}", flush=True)


def silhouettes(body, bank, scene: Scene) -> None:
    """How large the drawn body is beside the seen one."""
    observation = scene.observation
    seen = (observation.features.movedim(1, -1) @ bank.clutter()[0] < 0.9).float()
    for inset in (0.0, INSET):
        viewer = Viewer(body, NumbaRenderer(NumbaConfig()), observation.camera, 3, True, inset)
        with torch.no_grad():
            drawn = viewer.scene(scene.truth).drawn.silhouette
        both, own, true = ((x.flatten(1).sum(-1).mean()) for x in (drawn * seen, drawn, seen))
        print(f"inset {inset:.2f}: {own:.0f} pixels drawn, {true:.0f} seen, {own - both:.0f} drawn beside the body")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=16)
    parser.add_argument("--noise", type=float, default=0.0)
    parser.add_argument("--patch", type=int, default=0)
    parser.add_argument("--channels", type=int, default=64)
    parser.add_argument("--split", choices=["train", "val", "test"], default="test")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rows", nargs="*", default=["simple", "soft", "mixture", "fitters"])
    options = parser.parse_args()
    torch.set_num_threads(1)
    body, generator = AnnyBody(), torch.Generator().manual_seed(options.seed)
    bank = IdealBank(body.spec, options.channels, generator)
    truth, camera = draw_people(options.people, options.split, generator)
    scene = observe(body, bank, truth, camera, options.noise, options.patch, generator)
    own, renderer = drawn_by_kernels(body, bank, scene), NumbaRenderer(NumbaConfig())
    if not options.patch and not options.noise:
        silhouettes(body, bank, scene)
    for form in ("simple", "soft", "mixture"):
        if form in options.rows:
            print(form)
            for name, config, itself in one_term(form):
                if itself and (options.patch or options.noise):
                    continue
                fitter = StagedFitter(config, body, renderer, bank, HANDED)
                show(body, name, fitter, own if itself else scene)
    if "fitters" in options.rows:
        print("fitters as they come")
        for name in ("3dnbf-fit", "demo", "unbiased"):
            config = read_pipeline(name, needs=FIT_NEEDS).section("fitter").config
            config = config.model_copy(update={"keep_only_better": False})
            show(body, f"pipeline {name}", StagedFitter(config, body, renderer, bank, HANDED), scene)
        show(body, "correspondence", CorrespondenceFitter(CorrespondenceConfig(), body, renderer, bank, HANDED), scene)


if __name__ == "__main__":
    main()
