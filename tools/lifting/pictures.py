"""Evidence of real features: what a trained network's pixels match in rendered pictures, kept on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import roma
import torch
from lifting.simulate import People, about
from torch import Tensor

from nbf_core.config import Pipeline
from nbf_core.contracts import BodyModel
from nbf_core.types import BodyParams, Sample, collate
from nbf_core.weights import read_weights
from nbf_fitters.lift.evidence import Surface, in_crop, matched, mirrored, moments, read_keypoints
from nbf_fitters.precision import multiplies_bfloat16_fast
from nbf_run.build import build_dataset, build_estimator
from nbf_run.estimate import look, observe, sample_crops

BATCH = 16
CHUNK = 2048
FIELDS = ("person", "kernel", "place", "weight", "keypoints", "pose", "betas", "transl", "focal")


class Looker:
    """Looks at pictures of a data set as fits do, and keeps what was matched."""

    def __init__(self, body: BodyModel, estimating: Pipeline, weights: str):
        self.regressor, bank = build_estimator(estimating, body, read_weights(weights))
        self.bank = bank.features, bank.clutter()
        self.fast = multiplies_bfloat16_fast(torch.device("cpu"))

    def __call__(self, samples: list[Sample]) -> dict[str, np.ndarray]:
        batch = collate(samples)
        crops = sample_crops(batch)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.fast):
            person, kernel, place, weight = matched(observe(look(self.regressor, crops), crops), *self.bank)
        size = batch.camera.size
        keypoints = torch.cat([in_crop(batch.detected[..., :2], size), batch.detected[..., 2:]], -1)
        pose = torch.cat([batch.params.global_orient[:, None], batch.params.body_pose], 1)
        return {
            "person": person.to(torch.int32).numpy(),
            "kernel": kernel.to(torch.int16).numpy(),
            "place": place.half().numpy(),
            "weight": weight.half().numpy(),
            "keypoints": keypoints.numpy(),
            "pose": pose.numpy(),
            "betas": batch.params.betas.numpy(),
            "transl": batch.params.transl.numpy(),
            "focal": (batch.camera.focal[:, :1] / (size[1] / 2)).numpy(),
        }


def write_chunk(path: Path, looker: Looker, pipeline: Pipeline, body: BodyModel, start: int, epoch: int) -> None:
    """What is matched in ``CHUNK`` pictures of the pipeline's data from ``start`` on, disturbed as in ``epoch``."""
    data = build_dataset(pipeline, body)
    if hasattr(data, "set_epoch"):
        data.set_epoch(epoch)
    rows, seen, stop = [], 0, min(start + CHUNK, len(data))
    for i in range(start, stop, BATCH):
        row = looker([data[j] for j in range(i, min(i + BATCH, stop))])
        row["person"] = row["person"] + seen
        seen += len(row["pose"])
        rows.append(row)
    partial = path.with_suffix(".partial.npz")
    np.savez(partial, **{name: np.concatenate([row[name] for row in rows]) for name in FIELDS})
    partial.replace(path)


class Pictures:
    """People of several such files; ``draw`` gives some of them, turned, mirrored and thinned out anew each time."""

    def __init__(self, paths: list[Path], body: BodyModel, surface: Surface):
        self.body, self.surface = body, surface
        parts = {name: [] for name in FIELDS}
        for path in paths:
            with np.load(path, allow_pickle=False) as file:
                for name in FIELDS:
                    value = torch.from_numpy(file[name])
                    parts[name].append(value + sum(map(len, parts["pose"])) if name == "person" else value)
        self.rows = {name: torch.cat(values) for name, values in parts.items()}
        counts = torch.bincount(self.rows["person"].long(), minlength=len(self))
        self.first = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
        self.mirror = list(body.spec.mirror_joints)

    def __len__(self) -> int:
        return len(self.rows["pose"])

    def draw(self, count: int, rng: torch.Generator) -> People:
        """Some people, disturbed."""
        return self.some(torch.randint(len(self), (count,), generator=rng), rng)

    def some(self, chosen: Tensor, rng: torch.Generator | None = None) -> People:
        """These people; as they are without ``rng``."""
        rows, count = self.rows, len(chosen)
        long = self.first[chosen + 1] - self.first[chosen]
        person = torch.arange(count).repeat_interleave(long)
        pixel = torch.arange(len(person)) - (long.cumsum(0) - long)[person] + self.first[chosen][person]
        kernel, place = rows["kernel"][pixel].long(), rows["place"][pixel].float()
        weight, keypoints = rows["weight"][pixel].float(), rows["keypoints"][chosen].clone()
        rotations, betas = roma.rotvec_to_rotmat(rows["pose"][chosen]), rows["betas"][chosen]
        joints = self._joints(chosen)
        focal = rows["focal"][chosen]
        if rng is not None:
            turn = about(2, 0.2 * torch.randn(count, generator=rng))
            rotations = torch.cat([(turn @ rotations[:, 0])[:, None], rotations[:, 1:]], 1)
            joints, flat = joints @ turn.mT, turn[:, :2, :2]
            place = (flat[person] @ place[..., None])[..., 0]
            keypoints[..., :2] = keypoints[..., :2] @ flat.mT
            keypoints = _disturbed(keypoints, rng)
        found = moments(self.surface, rotations.shape[1], count, person, kernel, place, weight)
        keypoints = read_keypoints(keypoints)
        if rng is not None:
            found = found * (torch.rand(count, 1, 1, generator=rng) > 0.06)
            flip = torch.rand(count, generator=rng) < 0.5
            other = (*mirrored(found, keypoints, self.mirror), *self._mirrored(rotations, joints))
            whole = (found, keypoints, rotations, joints)
            found, keypoints, rotations, joints = (
                torch.where(flip.view(-1, *[1] * (a.ndim - 1)), b, a) for a, b in zip(whole, other, strict=True)
            )
        return People(
            moments=found,
            keypoints=keypoints,
            view=torch.log(focal) - 2,
            focal=focal,
            rotations=rotations,
            betas=betas,
            joints=joints - joints[:, :1],
            image=joints[..., :2] / joints[..., 2:].clamp_min(0.1) * focal[:, None],
        )

    def _joints(self, chosen: Tensor) -> Tensor:
        pose, betas, transl = (self.rows[name][chosen] for name in ("pose", "betas", "transl"))
        return self.body(BodyParams(pose[:, 0], pose[:, 1:], betas, transl), vertices=False).joints

    def _mirrored(self, rotations: Tensor, joints: Tensor) -> tuple[Tensor, Tensor]:
        side = joints.new_tensor([-1.0, 1.0, 1.0])
        return side[:, None] * rotations[:, self.mirror] * side, joints[:, self.mirror] * side


def _disturbed(keypoints: Tensor, rng: torch.Generator) -> Tensor:
    """A few more pixels off, a few more missing, seldom all of them."""
    count, number = keypoints.shape[:2]

    def u(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=rng)

    noise = torch.randn(count, number, 2, generator=rng) * 0.02 * u(count, 1, 1) ** 2
    left = (u(count, number) > 0.15 * u(count, 1)) & (u(count, 1) > 0.07)
    return torch.cat([keypoints[..., :2] + noise, keypoints[..., 2:] * left[..., None]], -1)
