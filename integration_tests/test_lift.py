"""The lift that ships, and the tools that make one."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest
import torch

from nbf_core.geometry.alignment import similarity_align
from nbf_core.types import collate
from nbf_core.weights import read_weights
from nbf_fitters.gate.ways import rotations
from nbf_fitters.lift.lifter import read_lifter
from nbf_run.build import build_body, build_dataset, build_estimator, build_fitter, build_renderer, pipeline_weights
from nbf_run.estimate import look, observe, sample_crops, start_params
from nbf_run.options import FIT_NEEDS, read_pipeline

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def lifting():
    """The modules of tools/lifting by name."""
    sys.path.insert(0, str(ROOT / "tools"))
    yield lambda name: importlib.import_module(f"lifting.{name}")
    sys.path.remove(str(ROOT / "tools"))


@pytest.fixture(scope="module")
def seen():
    """Twelve test people, what the shipped network sees of them, and where it thinks that they stand."""
    pipeline = read_pipeline("demo", needs=(*FIT_NEEDS, "data"))
    body = build_body(pipeline)
    regressor, bank = build_estimator(pipeline, body, pipeline_weights(pipeline))
    data = build_dataset(pipeline, body)
    samples = collate([data[index] for index in range(12)])
    crops = sample_crops(samples)
    output = look(regressor, crops)
    return pipeline, body, bank, samples, observe(output, crops), start_params(output, crops.camera)


def errors(body, params, truth) -> tuple[float, float]:
    """MPJPE and PA-MPJPE in millimetres."""
    one, other = body(params, vertices=False).joints, body(truth, vertices=False).joints
    apart = ((one - one[:, :1]) - (other - other[:, :1])).norm(dim=-1).mean()
    return 1000 * float(apart), 1000 * float((similarity_align(one, other) - other).norm(dim=-1).mean())


def test_the_shipped_lift_is_nearer_to_the_truth_than_the_regressor(seen):
    _, body, bank, samples, observation, start = seen
    before = errors(body, start, samples.params)
    for bank_or_none, share in ((bank, 0.85), (None, 0.95)):
        guess, usable = read_lifter("small-lift", body, bank_or_none)(observation)
        after = errors(body, guess, samples.params)
        assert usable.all() and after[0] < share * before[0] and after[1] < share * before[1]


def test_the_demos_fit_begins_there(seen):
    pipeline, body, bank, samples, observation, start = seen
    fitter = build_fitter(pipeline, body, build_renderer(pipeline), bank, 0.3)
    result = fitter.fit(observation[:4], start[:4])
    assert result.kept.all() and torch.equal(result.start.body_pose, start[:4].body_pose)
    assert errors(body, result.params, samples.params[:4])[0] < errors(body, start[:4], samples.params[:4])[0]


def test_lift_and_network_are_small_together():
    sizes = [read_weights(name).path.stat().st_size for name in ("small", "small-lift")]
    assert sum(sizes) < 25e6
    made = read_weights("small-lift").metadata["lift"]
    assert made["body"] == "anny" and made["weights"] == "small" and len(made["validation"]) == 6


def test_simulated_people_show_what_drawn_people_show(lifting, seen):
    """The kernels that a simulation takes for seen are those that the renderer drew."""
    _, body, _, samples, _, _ = seen
    simulate = lifting("simulate")
    simulator = simulate.Simulator(body, torch.zeros(1, 24, 3), ())
    posed = body(samples.params, vertices=False).kernels
    focal = samples.camera.focal[:, :1] / (samples.camera.size[1] / 2)
    image = posed[..., :2] / posed[..., 2:] * focal[:, None]
    found, area = simulator._seen(rotations(samples.params), posed, image, focal)
    right = wrong = missed = 0
    for person, labels in enumerate(samples.kernel_map):
        drawn = torch.zeros(len(found[person]), dtype=torch.bool)
        drawn[labels[labels >= 0]] = True
        right += int((found[person] & drawn).sum())
        wrong += int((found[person] & ~drawn).sum())
        missed += int((~found[person] & drawn).sum())
        # The crop's area is 4; clothes and hair make drawn people larger.
        covered = float((area[person] * found[person]).sum()) / 4 / float((labels >= 0).float().mean())
        assert 0.6 < covered < 1.1
    assert right / (right + wrong) > 0.7 and right / (right + missed) > 0.75


def test_simulated_people_are_drawn_with_their_truth(lifting, seen):
    body = seen[1]
    simulate = lifting("simulate")
    poses = torch.randn(20, 24, 3, generator=torch.Generator().manual_seed(0)) * 0.2
    simulator = simulate.Simulator(body, poses, (((16, 18), 0.5),))
    people = simulator(32, torch.Generator().manual_seed(1))
    again = simulator(32, torch.Generator().manual_seed(1))
    assert all(torch.equal(a, b) for a, b in zip(people.tensors(), again.tensors(), strict=True))
    assert all(tensor.isfinite().all() for tensor in people.tensors())
    # Keypoints that were found lie where the truth projects: hips are joints of both.
    hip = body.spec.joint_names.index("left_hip")
    sure = people.keypoints[:, 12, 2] > 0
    assert sure.sum() > 10
    miss = (people.keypoints[sure, 12, :2] - people.image[sure, hip]).norm(dim=-1)
    assert miss.median() < 0.1


def test_a_lift_is_trained_goes_on_and_is_read(lifting, seen, tmp_path, monkeypatch, capsys):
    train = lifting("train")
    command = ["train.py", "--out", str(tmp_path), "--share", "0", "--workers", "0", "--width", "48"]
    monkeypatch.setattr(train, "BATCH", 16)
    monkeypatch.setattr(train, "_look_at_pictures", lambda options: _look_here(train, options))
    for steps in ("3", "6"):
        monkeypatch.setattr(sys, "argv", [*command, "--steps", steps, "--validation", "4"])
        train.main()
    assert (tmp_path / "validation.csv").read_text().count("\n") == 4  # names, steps 0, 3 and 6
    _, body, bank, _, observation, _ = seen
    guess, usable = read_lifter(str(tmp_path / "lift.safetensors"), body, bank)(observation)
    assert usable.all() and guess.body_pose.isfinite().all()
    assert "lift.safetensors" in capsys.readouterr().out


def _look_here(train, options) -> None:
    """In this process: starting others takes longer than four pictures."""
    if not train._chunk(options, "val", 0).is_file():
        train._look(options, "val", 0)
    torch.set_num_threads(1)
