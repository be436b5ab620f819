"""How well and how fast the staged fitter fits where features are known to be good.

People in held-out poses are drawn from the mesh; each body pixel shows its kernel's feature plus noise.
Starts are the truth with every rotation disturbed. Prints PA-MPJPE (24 joints, mm) before and after for
several objectives, where fits that begin at the truth drift to, and the time per person.

    python tools/benchmarks/fitting.py --people 16 --degrees 15

With ``--times`` it measures instead how long the published 40 + 80 iterations take a person, by stage and by renderer,
in turns (CPU seconds; wall seconds beside them):

    python tools/benchmarks/fitting.py --times --people 16 --size 80 --channels 128 --threads 2
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import time
from importlib.resources import files

import numpy as np
import roma
import torch
import torch.nn.functional as F

from nbf_body_anny.body import AnnyBody
from nbf_body_anny.config import AnnyConfig
from nbf_core.geometry.alignment import similarity_align
from nbf_core.geometry.orientation import kernel_orientation_labels
from nbf_core.plugins import get_plugin_manager
from nbf_core.types import BodyParams, Camera, Observation
from nbf_feature_banks.config import NearestMemoryConfig
from nbf_feature_banks.nearest_memory import NearestMemoryBank
from nbf_fitters import config as settings
from nbf_fitters import descent, priors, priors_joints, runs
from nbf_fitters.staged import StagedFitter
from nbf_raster import rasterise
from nbf_renderers.config import GaussianConfig
from nbf_renderers.gaussian import GaussianRenderer
from nbf_run.options import FIT_NEEDS, read_pipeline

SIZE = 64  # of the feature map, unless told
REFERENCE = 224  # the grid keypoint noise is given on


class IdealBank:
    """A bank whose background is one direction."""

    def __init__(self, features: torch.Tensor, clutter: torch.Tensor):
        self.features, self._clutter = features, clutter

    def clutter(self, centers: int = 1) -> torch.Tensor:
        return self._clutter


def people(count: int, split: str, generator: torch.Generator) -> tuple[BodyParams, Camera]:
    """Held-out poses, turned at random about the vertical, filling three quarters of the map."""
    with np.load(files("nbf_data_synthetic") / "data" / "poses.npz", allow_pickle=False) as data:
        poses = torch.from_numpy(data[split].astype(np.float32))
    poses = poses[torch.randperm(len(poses), generator=generator)[:count]]
    yaw = torch.zeros(count, 3)
    yaw[:, 1] = torch.rand(count, generator=generator) * 2 * math.pi
    upright = torch.tensor([math.pi, 0, 0]).expand(count, 3)
    camera = Camera.from_field((SIZE, SIZE), 4.0 * SIZE, count)
    transl = torch.zeros(count, 3)
    transl[:, 2] = 4.0 * 1.75 / 0.75
    return BodyParams(
        global_orient=roma.rotvec_composition([upright, yaw, poses[:, 0]]),
        body_pose=poses[:, 1:],
        betas=0.7 * torch.randn(count, 10, generator=generator),
        transl=transl,
    ), camera


def disturbed(params: BodyParams, degrees: float, shrink: float, generator: torch.Generator) -> BodyParams:
    """Every rotation turned by N(0, degrees) about each axis, 5 cm and 5 percent of depth off, mean shape.

    ``shrink`` moves the pose towards the mean pose before, as a regressor that is not sure does.
    """

    def noise(tensor: torch.Tensor) -> torch.Tensor:
        return torch.randn(tensor.shape, generator=generator)

    scale = math.radians(degrees)
    mean = priors.GaussianPosePrior(settings.GaussianPoseConfig()).mean.float().view(23, 3)
    pose = roma.rotvec_slerp(params.body_pose, mean.expand_as(params.body_pose), torch.tensor([shrink]))[0]
    transl = params.transl + 0.05 * noise(params.transl) * torch.tensor([1, 1, params.transl[0, 2]])
    return BodyParams(
        global_orient=roma.rotvec_composition([scale * noise(params.global_orient), params.global_orient]),
        body_pose=roma.rotvec_composition([pose, scale * noise(pose)]),
        betas=torch.zeros_like(params.betas),
        transl=transl,
    )


def observe(body, bank, truth: BodyParams, camera: Camera, args, generator) -> Observation:
    """Feature maps drawn from the mesh, with noise, an occluder, and keypoints with noise."""
    with torch.no_grad():
        output = body(truth)
        points = body.keypoints(output, "openpose-25")
        labels = kernel_orientation_labels(points, body.spec.kernel_limbs, bank.features.shape[1])
    channels = bank.features.shape[-1]
    features = bank.clutter().expand(len(points), SIZE, SIZE, channels).clone()
    faces = body.spec.faces.numpy()
    for i in range(len(points)):
        seen = rasterise(output.vertices[i].numpy(), faces, camera.focal[i], camera.center[i], camera.size)
        triangle = torch.from_numpy(seen.triangle).long()
        corner = torch.from_numpy(seen.barycentric).argmax(-1)
        vertex = body.spec.faces[triangle.clamp_min(0)].gather(-1, corner[..., None])[..., 0]
        kernel = body.spec.vertex_kernels[vertex]
        body_features = bank.features[kernel, labels[i][kernel]]
        features[i] = torch.where((triangle >= 0)[..., None], body_features, features[i])
    side = round(args.patch * SIZE / REFERENCE)
    middle = camera.project(points[:, 8:9])[:, 0]
    confidence = torch.ones(points.shape[:2])
    pixels = camera.project(points)
    if side:
        for i, (x, y) in enumerate((middle - side / 2 + 4 * torch.randn(len(points), 2, generator=generator)).int()):
            x, y = int(x.clamp(0, SIZE - side)), int(y.clamp(0, SIZE - side))
            features[i, y : y + side, x : x + side] = bank.clutter()
            low = torch.tensor([x, y])
            confidence[i] = ((pixels[i] < low) | (pixels[i] > low + side)).any(-1).float()
    noise = torch.randn(features.shape, generator=generator) / math.sqrt(channels)
    features = F.normalize(features + args.noise * noise, dim=-1).permute(0, 3, 1, 2)
    jitter = args.keypoint_noise * SIZE / REFERENCE * torch.randn(pixels.shape, generator=generator)
    keypoints = torch.cat([pixels + jitter, confidence[..., None]], dim=-1)
    return Observation(features=features, camera=camera, keypoints=keypoints)


def pa_mpjpe(body, params: BodyParams, truth: BodyParams) -> torch.Tensor:
    """Millimetres, one value a person."""
    with torch.no_grad():
        joints, target = body(params, vertices=False).joints, body(truth, vertices=False).joints
    return 1000 * (similarity_align(joints, target) - target).norm(dim=-1).mean(-1)


def published() -> settings.StagedConfig:
    """The fitter of the built-in pipeline 3dnbf-fit."""
    return read_pipeline("3dnbf-fit", needs=FIT_NEEDS).section("fitter").config


def objectives(base: settings.StagedConfig) -> dict[str, settings.StagedConfig]:
    """The rows of the table: which likelihood, with keypoints or without."""

    def likelihood(form: str) -> settings.LikelihoodConfig:
        return base.likelihood.model_copy(update={"form": form})

    silent = base.keypoints.model_copy(update={"weight": 0.0})
    rows = {"keypoints only": base.model_copy(update={"feature_weight": 0.0})}
    for form in ("soft", "simple", "mixture"):
        rows[f"{form} only"] = base.model_copy(update={"likelihood": likelihood(form), "keypoints": silent})
    for form in ("soft", "mixture"):
        rows[f"{form} + keypoints"] = base.model_copy(update={"likelihood": likelihood(form)})
    return rows | {"published": published(), "smplify": settings.SmplifyConfig()}


class Clock:
    """CPU and wall seconds of the parts of a fit: every descent, by its place among the stages, and the rest."""

    def __init__(self) -> None:
        self.spent: dict[str, list[float]] = {}

    def __call__(self, name: str, function):
        began = time.process_time(), time.perf_counter()
        value = function()
        now = time.process_time(), time.perf_counter()
        sums = self.spent.setdefault(name, [0.0, 0.0])
        for i in range(2):
            sums[i] += now[i] - began[i]
        return value

    def watch(self, stages) -> None:
        """Count the descents of the fitters that are made from now on."""
        plain, names = descent.descend, {id(stage): f"stage {i + 1}" for i, stage in enumerate(stages)}

        def timed(objective, base, start, stage, course):
            return self(names.get(id(stage), "start"), lambda: plain(objective, base, start, stage, course))

        runs.descend = timed


def times(args, scene) -> None:
    """Print seconds a person by renderer, objective and stage; renderers take turns."""
    body, bank, observation, start, handed = scene
    print(f"{'renderer':10s} {'objective':10s} {'CPU s':>8s} {'wall s':>8s}   CPU s by stage, and the rest")
    base = settings.StagedConfig(starts=("estimate",), starts_by="cost")
    mixture = base.model_copy(update={"stages": published().stages})
    for name, config in (("published", published()), ("mixture", mixture)):
        clocks = {renderer: Clock() for renderer in args.renderers}
        for turn in range(args.repeat + 1):
            for renderer, clock in clocks.items():
                entry = get_plugin_manager().get("renderers", renderer)
                tool = StagedFitter(config, body, entry.load()(entry.load_config()()), bank, handed)
                counted = clock if turn else Clock()  # the first turn compiles and warms up
                counted.watch(config.stages)
                counted("all", lambda tool=tool: tool.fit(observation, start))
        for renderer, clock in clocks.items():
            share = 1 / (args.people * args.repeat)
            total, wall = (share * value for value in clock.spent.pop("all"))
            parts = {part: share * spent[0] for part, spent in sorted(clock.spent.items())}
            parts["rest"] = total - sum(parts.values())
            words = "  ".join(f"{part} {seconds:.3f}" for part, seconds in parts.items())
            print(f"{renderer:10s} {name:10s} {total:8.3f} {wall:8.3f}   {words}", flush=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"peak memory of the process: {peak / 2**20:.2f} GiB, {base.batch_size} people at once at most")


def body_bank_and_priors(channels: int, kind: str, generator: torch.Generator):
    """The free body, a bank of ideal features, and the priors that objectives here name."""
    body = AnnyBody(AnnyConfig())
    features = NearestMemoryBank(NearestMemoryConfig(), spec=body.spec, channels=channels).features
    if kind == "random":
        features = F.normalize(torch.randn(features.shape, generator=generator), dim=-1)
    bank = IdealBank(features, F.normalize(torch.randn(1, channels, generator=generator), dim=-1))
    handed = {
        "gaussian-pose": priors.GaussianPosePrior(settings.GaussianPoseConfig()),
        "joint-angle": priors.JointAnglePrior(settings.JointAngleConfig()),
        "shape": priors.ShapePrior(settings.ShapeConfig()),
        "joint": priors_joints.JointPrior(settings.JointConfig()),
    }
    return body, bank, handed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=16)
    parser.add_argument("--split", choices=["train", "val", "test"], default="val", help="tune on val only")
    parser.add_argument("--degrees", type=float, default=15.0, help="disturbance of every rotation, per axis")
    parser.add_argument("--shrink", type=float, default=0.0, help="0: the true pose, 1: the mean pose")
    parser.add_argument("--noise", type=float, default=1.0, help="length of the noise added to unit features")
    parser.add_argument("--keypoint-noise", type=float, default=3.0, help="pixels on the grid of 224")
    parser.add_argument("--patch", type=int, default=0, help="side of a square occluder on the grid of 224")
    parser.add_argument("--features", choices=["random", "fourier"], default="random")
    parser.add_argument("--channels", type=int, default=64)
    parser.add_argument("--rows", nargs="*", help="only these rows")
    parser.add_argument("--set", nargs="*", default=[], help="fitter settings, as key=json")
    parser.add_argument("--drift", action="store_true", help="also begin at the truth")
    parser.add_argument("--size", type=int, default=SIZE, help="side of the feature map")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--times", action="store_true", help="measure time instead")
    parser.add_argument("--renderers", nargs="*", default=["numba", "gaussian"], help="of which to measure the time")
    parser.add_argument("--repeat", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    globals()["SIZE"] = args.size
    generator = torch.Generator().manual_seed(0)
    body, bank, handed = body_bank_and_priors(args.channels, args.features, generator)
    truth, camera = people(args.people, args.split, generator)
    start = disturbed(truth, args.degrees, args.shrink, generator)
    observation = observe(body, bank, truth, camera, args, generator)
    if args.times:
        times(args, (body, bank, observation, start, handed))
        return
    overrides = dict(item.split("=", 1) for item in args.set)
    base = settings.StagedConfig(**{name: json.loads(value) for name, value in overrides.items()})
    before = pa_mpjpe(body, start, truth)
    print(f"{'start':24s} PA {before.mean():6.1f} median {before.median():6.1f}")
    for name, config in objectives(base).items():
        if args.rows and name not in args.rows:
            continue
        fitter = StagedFitter(config, body, GaussianRenderer(GaussianConfig()), bank, handed)
        for label, begin in (("", start), *((" from truth", truth),) * args.drift):
            clock = time.process_time()
            result = fitter.fit(observation, begin)
            seconds = (time.process_time() - clock) / args.people
            after = pa_mpjpe(body, result.params, truth)
            kept = result.kept.float().mean()
            print(
                f"{name + label:24s} PA {after.mean():6.1f} median {after.median():6.1f} "
                f"p90 {after.quantile(0.9):6.1f} kept {kept:.2f} {seconds:5.2f} CPU s/person"
            )


if __name__ == "__main__":
    main()
