"""Two processes have the losses and gradients of one with the joined batch, whatever the labels of each are."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from stick_body import JOINTS, StickBody, make_sample, perfect_output

from nbf_regressors.config import LossWeights
from nbf_regressors.losses import supervised_losses

WEIGHTS = LossWeights(targets="annotations", background=0.1)


def one_half(half: int):
    """Half of a batch: many parts and few keypoints, or the other way round."""
    body = StickBody((0.0, 0.0, 0.0))
    sample = make_sample()
    people = len(sample.image)
    points = torch.rand(people, 25, 3, generator=torch.Generator().manual_seed(half)) * 60
    points[..., 2] = 0.7
    points[:, 3 if half else 20 :, 2] = 0
    side = perfect_output(sample).parts.shape[-1]
    parts = torch.full((people, side, side), -1)
    parts[:, : 1 + half * side // 2] = JOINTS - 1
    return body, replace(sample, keypoints=points, part_map=parts)


def terms_of(body, sample, output=None) -> dict[str, torch.Tensor]:
    """The two weighted means, and the gradients of their sum."""
    output = perfect_output(sample) if output is None else output
    noise = torch.linspace(-1, 1, output.parts.numel()).view_as(output.parts)
    logits = noise.clone().requires_grad_()
    camera = output.weak_camera.detach().clone().requires_grad_()
    terms = supervised_losses(replace(output, parts=logits, weak_camera=camera), sample, body, WEIGHTS)
    found = {name: terms[name] for name in ("parts", "keypoints_2d") if name in terms}
    sum(found.values(), logits.sum() * 0 + camera.sum() * 0).backward()
    return {**{name: value.detach() for name, value in found.items()}, "logits": logits.grad, "camera": camera.grad}


def joined(*halves):
    """One batch of several."""
    from nbf_core.types.tree import TensorRecord

    def cat(values):
        if isinstance(values[0], torch.Tensor):
            return torch.cat(values)
        if isinstance(values[0], TensorRecord):
            return replace(values[0], **{name: cat([getattr(v, name) for v in values]) for name in vars(values[0])})
        return values[0]

    return cat(halves)


def work(rank: int, folder: Path) -> None:
    """One process: its half; then a half of which only the first process has labels."""
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    body, sample = one_half(rank)
    found = [terms_of(body, sample)]
    unlabelled = replace(sample, keypoints=None, part_map=None, params=None)
    found.append(terms_of(body, sample if rank == 0 else unlabelled, perfect_output(sample)))
    torch.save(found, folder / f"{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    folder = tmp_path_factory.mktemp("processes")
    environment = {**os.environ, "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
    started = [
        subprocess.Popen(
            [sys.executable, __file__, str(rank), str(folder)],
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        for rank in (0, 1)
    ]  # fmt: skip
    try:
        for process in started:
            output, _ = process.communicate(timeout=90)
            assert process.returncode == 0, output
    finally:
        for process in started:
            process.kill()
            process.wait()
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in (0, 1)]


def test_the_mean_over_processes_is_the_weighted_mean_of_the_joined_batch(together):
    body, first = one_half(0)
    both = joined(first, one_half(1)[1])
    output = perfect_output(both)
    half = torch.linspace(-1, 1, output.parts[: len(first.image)].numel()).view_as(output.parts[: len(first.image)])
    logits = torch.cat([half, half]).requires_grad_()
    camera = output.weak_camera.detach().clone().requires_grad_()
    terms = supervised_losses(replace(output, parts=logits, weak_camera=camera), both, body, WEIGHTS)
    (terms["parts"] + terms["keypoints_2d"]).backward()
    for name in ("parts", "keypoints_2d"):
        values = torch.stack([each[0][name] for each in together])
        assert not torch.isclose(values[0], values[1], rtol=0.05)
        torch.testing.assert_close(values.mean(), terms[name].detach(), rtol=1e-4, atol=1e-6)
    for name, expected in (("logits", logits.grad), ("camera", camera.grad)):
        mine = torch.cat([each[0][name] for each in together]) / 2
        torch.testing.assert_close(mine, expected, rtol=1e-3, atol=1e-6)


def test_a_process_without_labels_takes_part(together):
    body, sample = one_half(0)
    alone = terms_of(body, sample)
    assert set(together[1][1]) == {"logits", "camera"}
    # All labels there are belong to the first process: half of twice their mean is their mean.
    for name in ("parts", "keypoints_2d"):
        torch.testing.assert_close(together[0][1][name] / 2, alone[name])


if __name__ == "__main__":
    work(int(sys.argv[1]), Path(sys.argv[2]))
