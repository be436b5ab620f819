"""Trains a lift: from keypoints and matched pixels to bodies, on simulated evidence and on that of rendered pictures.

    python tools/lifting/train.py --out DIR [--weights small] [--steps 22500] [--share 0.5] [--cache FOLDER]

Goes on where it was interrupted. DIR/lift.safetensors is what ``fitter.lift`` takes.
On two cores: looking at the pictures some 35 minutes, the steps 70.
"""

from __future__ import annotations

import argparse
import csv
import math
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lifting.anatomy import limbs, new_network
from lifting.pictures import CHUNK, Looker, Pictures, write_chunk
from lifting.simulate import People, Simulator

from nbf_core.config import Pipeline
from nbf_core.contracts import BodyModel
from nbf_core.geometry.alignment import similarity_align
from nbf_core.types import BodyParams
from nbf_core.weights import save_weights
from nbf_data_synthetic.placing import load_poses
from nbf_fitters.lift.network import LiftNetwork
from nbf_fitters.precision import multiplies_bfloat16_fast
from nbf_regressors.losses import forward_kinematics
from nbf_run.build import build_body
from nbf_run.options import read_pipeline

BATCH, LEARNING_RATE, WARMUP = 256, 1.5e-3, 200
EPOCH = 200  # of the pictures' disturbance: none that the network was trained with
EVERY = 500


def main() -> None:
    """Look at pictures, train, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--weights", default="small", help="the network whose features are matched")
    parser.add_argument("--pipeline", default="small-ground", help="whose data set draws the pictures")
    parser.add_argument("--pictures", type=int, default=45056, help="how many are looked at")
    parser.add_argument("--cache", type=Path, help="folder of rendered pictures of the network's training")
    parser.add_argument("--share", type=float, default=0.5, help="of the people that are from pictures")
    parser.add_argument("--steps", type=int, default=22500)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--validation", type=int, default=384, help="how many held-out pictures")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2, help="processes that look at pictures, and draw people")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    _look_at_pictures(options)
    body = build_body(_pipeline(options))
    simulator = Simulator(body, _poses("train"), limbs(body.spec))
    pictures = Pictures(sorted(options.out.glob("train-*.npz")), body, simulator.surface) if options.share else None
    train(options, body, simulator, pictures)


def _pipeline(options: argparse.Namespace, **data: object) -> Pipeline:
    changes = [(f"data.{key}", value) for key, value in data.items()]
    if options.cache and data.get("split") != "val":
        changes.append(("data.cache", str(options.cache)))
    needs = ("body", "regressor", "bank", "data")
    return read_pipeline(options.pipeline, [("regressor.pretrained", False), *changes], needs=needs)


def _poses(split: str) -> Tensor:
    return torch.from_numpy(load_poses(split)).float()


def _look_at_pictures(options: argparse.Namespace) -> None:
    """Write what is missing of the pictures' evidence, in several processes."""
    jobs = [("val", 0)]
    if options.share > 0:
        jobs += [("train", start) for start in range(0, options.pictures, CHUNK)]
    missing = [job for job in jobs if not _chunk(options, *job).is_file()]
    if not missing:
        return
    count = sum(CHUNK if split == "train" else options.validation for split, _ in missing)
    print(f"looking at {count} pictures", flush=True)
    with ProcessPoolExecutor(options.workers, mp_context=get_context("spawn")) as pool:
        for done in [pool.submit(_look, options, *job) for job in missing]:
            print(done.result(), flush=True)


def _chunk(options: argparse.Namespace, split: str, start: int) -> Path:
    return options.out / f"{split}-{start:06d}.npz"


def _look(options: argparse.Namespace, split: str, start: int) -> str:
    torch.set_num_threads(1)
    changes = {} if split == "train" else {"split": "val", "augment": False, "size": options.validation}
    pipeline = _pipeline(options, **changes)
    body = build_body(pipeline)
    estimating = read_pipeline("demo", needs=("body", "regressor", "bank"))
    path = _chunk(options, split, start)
    write_chunk(path, Looker(body, estimating, options.weights), pipeline, body, start, EPOCH)
    return f"{path.name} written"


class Errors:
    """The losses of a batch, and the errors that are shown."""

    def __init__(self, body: BodyModel):
        shapes, joints = body.spec.shapes, len(body.spec.parents)
        still = BodyParams.neutral(shapes + 1, joints=joints - 1, shapes=shapes)
        betas = torch.cat([torch.zeros(1, shapes), torch.eye(shapes)])
        rest = body(BodyParams(still.global_orient, still.body_pose, betas, still.transl), vertices=False).joints
        self.rest, self.directions, self.parents = rest[0], rest[1:] - rest[0], body.spec.parents

    def posed(self, rotations: Tensor, betas: Tensor) -> Tensor:
        """Joints of posed bodies; the roots stay where they are at rest."""
        rest = self.rest + torch.einsum("sjc,bs->bjc", self.directions, betas)
        return forward_kinematics(rotations, rest, self.parents)

    def loss(self, network: LiftNetwork, people: People) -> Tensor:
        """Joints in space, rotations, shape, joints in the crop where they are near it."""
        rotations, betas, camera = network(people.moments, people.keypoints, people.view)
        joints = self.posed(rotations, betas)
        depth = people.focal / camera[:, :1].clamp_min(0.05)
        seen = joints + torch.cat([camera[:, 1:], depth], 1)[:, None]
        image = seen[..., :2] / seen[..., 2:].clamp_min(0.2) * people.focal[:, None]
        near = (people.image.abs() < 1.5).all(-1, keepdim=True)
        flat = F.smooth_l1_loss(image, people.image, beta=0.1, reduction="none") * near
        deep = (joints - joints[:, :1] - people.joints).norm(dim=-1).mean()
        turned = (rotations - people.rotations).square().mean()
        return 5 * deep + turned + 0.02 * (betas - people.betas).square().mean() + 2 * flat.mean()

    @torch.no_grad()
    def shown(self, network: LiftNetwork, people: People, keypoints: float = 1, pixels: float = 1) -> list[float]:
        """MPJPE and PA-MPJPE in millimetres, with all the evidence or a part of it."""
        rotations, betas, _ = network(people.moments * pixels, people.keypoints * keypoints, people.view)
        joints = self.posed(rotations, betas)
        joints = joints - joints[:, :1]
        apart = (joints - people.joints).norm(dim=-1).mean()
        aligned = (similarity_align(joints, people.joints) - people.joints).norm(dim=-1).mean()
        return [round(1000 * float(apart), 1), round(1000 * float(aligned), 1)]


class Stream(IterableDataset):
    """Batches of people without end, a share of them from pictures; each worker draws its own."""

    def __init__(self, simulator: Simulator, pictures: Pictures | None, share: float, seed: int):
        self.simulator, self.pictures, self.share, self.seed = simulator, pictures, share, seed

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        torch.set_num_threads(1)
        worker = get_worker_info()
        rng = torch.Generator().manual_seed(self.seed * 1009 + (worker.id if worker else 0))
        from_pictures = round(BATCH * self.share) if self.pictures else 0
        while True:
            batch = [self.simulator(BATCH - from_pictures, rng)]
            if from_pictures:
                batch.append(self.pictures.draw(from_pictures, rng))
            yield tuple(torch.cat(some) for some in zip(*[one.tensors() for one in batch], strict=True))


def train(options: argparse.Namespace, body: BodyModel, simulator: Simulator, pictures: Pictures | None) -> None:
    """All steps, going on from DIR/last.pt."""
    errors = Errors(body)
    torch.manual_seed(options.seed)
    network = new_network(body, simulator.joints, options.width)
    mean = AveragedModel(network, multi_avg_fn=_follow)
    if multiplies_bfloat16_fast(torch.device("cpu")):
        network.layers = torch.bfloat16
    optimiser = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=0.01, fused=True)
    last, first = options.out / "last.pt", 0
    if last.is_file():
        saved = torch.load(last, weights_only=True)
        network.load_state_dict(saved["network"])
        mean.load_state_dict(saved["mean"])
        optimiser.load_state_dict(saved["optimiser"])
        first = saved["step"]
    held = Pictures([_chunk(options, "val", 0)], body, simulator.surface)
    held = held.some(torch.arange(len(held)))
    stream = Stream(simulator, pictures, options.share, options.seed * 1_000_003 + first)
    prefetch = {"prefetch_factor": 4} if options.workers else {}
    people = iter(DataLoader(stream, batch_size=None, num_workers=options.workers, **prefetch))
    began = time.time()
    for step in range(first, options.steps + 1):
        if step % EVERY == 0 or step == options.steps:
            row = [step, *errors.shown(mean, held), *errors.shown(mean, held, pixels=0)]
            row += errors.shown(mean, held, keypoints=0)
            _log(options.out / "validation.csv", row, step == first == 0)
            print(*row, f"{time.time() - began:.0f} s", flush=True)
            state = {"network": network.state_dict(), "mean": mean.state_dict(), "step": step}
            torch.save({**state, "optimiser": optimiser.state_dict()}, last.with_suffix(".partial"))
            last.with_suffix(".partial").replace(last)
        if step == options.steps:
            break
        rate = LEARNING_RATE * min(1, (step + 1) / WARMUP) * (0.5 + 0.5 * math.cos(math.pi * step / options.steps))
        for group in optimiser.param_groups:
            group["lr"] = rate
        optimiser.zero_grad()
        errors.loss(network, People(*next(people))).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        mean.update_parameters(network)
    write(options, body, mean.module, row)


def _follow(means: list[Tensor], values: list[Tensor], steps: Tensor) -> None:
    """A running mean of the weights, over few steps at first, over a thousand later."""
    get_ema_multi_avg_fn(min(0.999, float(steps + 1) / float(steps + 20)))(means, values, steps)


def write(options: argparse.Namespace, body: BodyModel, network: LiftNetwork, row: list[float]) -> None:
    """DIR/lift.safetensors, in half precision."""
    state = network.state_dict().items()
    tensors = {f"lift.{name}": value.half() if value.is_floating_point() else value for name, value in state}
    made = {
        "body": body.spec.name, "width": options.width, "blocks": len(network.blocks), "weights": options.weights,
        "steps": options.steps, "seed": options.seed, "share": options.share, "validation": row[1:],
    }  # fmt: skip
    save_weights(options.out / "lift.safetensors", tensors, {"lift": made})
    print(options.out / "lift.safetensors")


def _log(path: Path, row: list[float], new: bool) -> None:
    names = ["step", "mpjpe", "pa_mpjpe", "keypoints_mpjpe", "keypoints_pa_mpjpe", "pixels_mpjpe", "pixels_pa_mpjpe"]
    with path.open("w" if new else "a", newline="") as file:
        writer = csv.writer(file)
        if new:
            writer.writerow(names)
        writer.writerow(row)


if __name__ == "__main__":
    main()
