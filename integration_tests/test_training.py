"""Training a tiny model on the synthetic people: what a run leaves, how it goes on, and how it shares the work."""

from __future__ import annotations

import csv
import json
import os
import random
import subprocess
import sys
import time
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from nbf_core.config import parse_override
from nbf_core.errors import AssetError, ConfigError, InputError, PluginError
from nbf_core.weights import load_into, read_weights
from nbf_run.training.checkpoint import read_checkpoint

TINY = [
    "regressor.pretrained=false", "regressor.frozen=0", "regressor.backbone=plain", "regressor.width=16",
    "regressor.hidden=32", "regressor.channels=16", "regressor.image_size=64", "regressor.map_size=32",
    "data.image_size=64", "data.map_size=32", "data.size=16", "train.batch_size=8", "train.workers=0",
    "train.threads=1", "train.validate_every=2", "train.validation_samples=4", "train.checkpoint_every=2",
    "train.precision=float32", "train.warmup=1", "bank.hold=0",
]  # fmt: skip


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """The pictures of all tiny runs, rendered once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def run(cache):
    """Train the pipeline ``small``, made tiny, with further settings."""
    from nbf_run.training import train

    def call(out, *settings, **keywords):
        return train("small", out, tiny(f'train.cache="{cache}"', *settings), **keywords)

    return call


@pytest.fixture(scope="module")
def run_directory(tmp_path_factory, run):
    out = tmp_path_factory.mktemp("run")
    seen = []
    run(out, "train.steps=4", "train.log_every=1", progress=lambda *what: seen.append(what))
    return out, seen


def tiny(*more: str):
    return [parse_override(text) for text in (*TINY, *more)]


def rows(path):
    return list(csv.DictReader(path.open()))


def different(one, other):
    """Names of the tensors in which two files differ by a bit or more."""
    a, b = load_file(one), load_file(other)
    assert a.keys() == b.keys()
    return [name for name in a if not torch.equal(a[name], b[name])]


def test_a_run_leaves_model_measurements_logs_and_how_to_run_it_again(run_directory):
    out, seen = run_directory
    assert seen[-1] == ("training", 4, 4)
    validation = rows(out / "validation.csv")
    assert [row["step"] for row in validation] == ["2", "4"]
    assert 0 <= float(validation[-1]["within_10cm"]) <= 1 and float(validation[-1]["start_pa_mpjpe"]) > 0
    losses = rows(out / "log" / "metrics.csv")
    assert [row["step"] for row in losses] == ["1", "2", "3", "4"] and float(losses[0]["loss/contrastive"]) > 0
    assert list((out / "log").glob("events.out.tfevents.*"))
    info = json.loads((out / "run.json").read_text())
    assert info["pipeline"]["table"]["train"]["steps"] == 4 and info["seed"] == 1
    assert info["machine"]["device"] == ("cuda" if torch.cuda.is_available() else "cpu")
    assert {"last.ckpt", "previous.ckpt", "best.ckpt"} <= {path.name for path in out.iterdir()}


def test_tensorboard_shows_losses_and_correspondence_quality(run_directory):
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.record_writer import RecordWriter  # noqa: F401 (the format is this package's)

    content = next((run_directory[0] / "log").glob("events.*")).read_bytes()
    tags, place = set(), 0
    while place < len(content):
        size = int.from_bytes(content[place : place + 8], "little")
        event = Event.FromString(content[place + 12 : place + 12 + size])
        tags |= {(value.tag, event.step) for value in event.summary.value}
        place += size + 16
    assert {("loss/total", 3), ("validation/within_10cm", 4), ("validation/correct_side", 2)} <= tags


def test_the_model_file_fits_its_pipeline_and_says_what_it_is(run_directory):
    from nbf_run.build import build_body, build_networks
    from nbf_run.options import read_pipeline

    weights = read_weights(run_directory[0] / "model.safetensors")
    assert weights.metadata["images"] == 32 and "correct_side" in weights.metadata["quality"]
    assert "cache" not in weights.metadata["table"]["train"]
    pipeline = read_pipeline("small", tiny(), needs=("body", "regressor", "bank"))
    regressor, bank = build_networks(pipeline, build_body(pipeline), weights)
    output = regressor(torch.rand(1, 3, 64, 64))
    assert output.features.shape[1] == bank.features.shape[-1] == 16
    with pytest.raises(AssetError, match="holds no critic tensors"):
        load_into(regressor, weights, "critic")


def test_the_same_seed_gives_the_same_model_whatever_the_number_of_workers(run_directory, run, tmp_path):
    again = run(tmp_path, "train.steps=4", "train.workers=2")
    assert different(again, run_directory[0] / "model.safetensors") == []


def test_resuming_elsewhere_goes_on_from_the_last_checkpoint(run_directory, run, tmp_path):
    model = run(tmp_path, "train.steps=6", resume=run_directory[0])
    assert read_weights(model).metadata["steps"] == 6
    assert [row["step"] for row in rows(tmp_path / "validation.csv")] == ["6"]


def test_a_finished_run_is_resumed_by_writing_its_model_again(run_directory, run, tmp_path):
    model = run(tmp_path, resume=run_directory[0])
    assert different(model, run_directory[0] / "model.safetensors") == []
    assert "correct_side" in read_weights(model).metadata["quality"]


def test_a_new_run_does_not_end_an_old_one(run_directory, run):
    with pytest.raises(ConfigError, match="holds a run already; go on with --resume"):
        run(run_directory[0])


def test_a_directory_without_a_run_is_refused(run, tmp_path):
    with pytest.raises(ConfigError, match=r"holds no last.ckpt"):
        run(tmp_path / "out", resume=tmp_path)


def test_a_run_of_another_pipeline_is_not_gone_on_with(run_directory, tmp_path):
    from nbf_run.training import train

    with pytest.raises(ConfigError, match="is a run of the pipeline 'small', not of 'demo'"):
        train("demo", tmp_path, resume=run_directory[0])


# Killing ----------------------------------------------------------------------------------------------------------

STOPPED = ["train.steps=10", "train.batch_size=4", "train.accumulate=2", "train.checkpoint_every=3",
           "train.validate_every=4", "bank.hold=2", "data.size=20"]  # fmt: skip


def start(cache, out, *settings, resume=False):
    """The command in a process of its own; a resumed one is told nothing but where."""
    command = [sys.executable, "-m", "nbf_run", "train", "small", "--resume" if resume else "--out", str(out)]
    for setting in () if resume else (*TINY, *STOPPED, *settings, f'train.cache="{cache}"'):
        command += ["--set", setting]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory, run):
    out = tmp_path_factory.mktemp("whole")
    run(out, *STOPPED)
    return out


def assert_as_if_never_stopped(out, uninterrupted):
    # The checkpoint holds networks, bank with its ring's position, and the optimiser.
    assert different(out / "last.ckpt", uninterrupted / "last.ckpt") == []
    assert different(out / "best.ckpt", uninterrupted / "best.ckpt") == []
    assert different(out / "model.safetensors", uninterrupted / "model.safetensors") == []
    told = [read_weights(folder / "model.safetensors").metadata for folder in (out, uninterrupted)]
    for metadata in told:
        metadata["table"]["train"].pop("workers")  # the one thing in which the runs were asked to differ
    assert told[0] == told[1]
    for table in ("validation.csv", "log/metrics.csv"):
        mine, theirs = rows(out / table), rows(uninterrupted / table)
        assert [{**row, "minutes": 0} for row in mine] == [{**row, "minutes": 0} for row in theirs]


def test_a_killed_run_ends_bit_for_bit_as_if_it_had_never_stopped(cache, run, uninterrupted, tmp_path):
    process = start(cache, tmp_path, "train.workers=1")
    deadline = time.monotonic() + 120
    while not (tmp_path / "best.ckpt").exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    process.communicate()
    assert process.returncode == -9
    from nbf_run.training import train

    train("small", resume=tmp_path)
    assert_as_if_never_stopped(tmp_path, uninterrupted)


@pytest.mark.slow
def test_kills_at_random_moments_change_nothing(cache, uninterrupted, tmp_path):
    luck = random.Random(time.time_ns())
    out = tmp_path / "run"
    kills = 0
    while kills < 8:
        process = start(cache, out, resume=out.exists() and any(out.iterdir()))
        try:
            process.wait(timeout=luck.uniform(2, 9))
        except subprocess.TimeoutExpired:
            process.kill()
            kills += 1
            process.communicate()
            continue
        errors = process.communicate()[1]
        assert process.returncode == 0, errors
        break
    else:
        process = start(cache, out, resume=True)
        errors = process.communicate(timeout=300)[1]
        assert process.returncode == 0, errors
    assert_as_if_never_stopped(out, uninterrupted)


def test_a_run_killed_before_its_first_checkpoint_begins_anew(run, run_directory, tmp_path):
    (tmp_path / "run.json").write_bytes((run_directory[0] / "run.json").read_bytes())
    from nbf_run.training import train

    model = train("small", resume=tmp_path)
    assert different(model, run_directory[0] / "model.safetensors") == []


def test_a_damaged_checkpoint_falls_back_to_the_one_before(uninterrupted, tmp_path, caplog):
    from nbf_run.training import train

    for name in ("previous.ckpt", "last.ckpt", "run.json"):
        (tmp_path / name).write_bytes((uninterrupted / name).read_bytes())
    content = (tmp_path / "last.ckpt").read_bytes()
    (tmp_path / "last.ckpt").write_bytes(content[: len(content) // 2])
    model = train("small", resume=tmp_path)
    assert any("last.ckpt: not a readable checkpoint" in record.message for record in caplog.records)
    assert different(model, uninterrupted / "model.safetensors") == []
    # The damaged file never takes the place of the good one: a crash right then would lose both.
    assert (tmp_path / "previous.ckpt").read_bytes() == (uninterrupted / "previous.ckpt").read_bytes()
    assert read_checkpoint(tmp_path / "last.ckpt").state["step"] == 10


def test_a_full_disk_ends_the_run_and_spares_what_was_saved(run, tmp_path, monkeypatch):
    import errno

    from nbf_run.training import checkpoint, train

    sync, saved = os.fsync, []

    def full(handle):
        if (tmp_path / "last.ckpt").exists() and not os.path.isdir(f"/proc/self/fd/{handle}"):
            saved.append((tmp_path / "last.ckpt").read_bytes())
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(handle)

    monkeypatch.setattr(checkpoint.os, "fsync", full)
    with pytest.raises(AssetError, match=r"last.ckpt: the checkpoint cannot be written: No space left on device"):
        run(tmp_path, "train.steps=6", 'train.monitor="start_mpjpe"', "train.validate_every=100")
    monkeypatch.undo()
    assert (tmp_path / "last.ckpt").read_bytes() == saved[0]
    assert not list(tmp_path.glob("*.partial"))
    assert read_weights(train("small", resume=tmp_path)).metadata["steps"] == 6


# Starting from weights --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["model.safetensors", "last.ckpt", "best.ckpt"])
def test_training_starts_from_a_model_or_a_checkpoint(run_directory, run, tmp_path, name):
    path = run_directory[0] / name
    model = run(tmp_path, "train.steps=1", "train.learning_rate=1e-12", f'train.start_from="{path}"')
    before, after = load_file(run_directory[0] / "model.safetensors"), load_file(model)
    key = "regressor.backbone.stages.0.0.weight"
    if name != "best.ckpt":
        torch.testing.assert_close(after[key], before[key])
    assert read_weights(model).metadata["table"]["train"]["start_from"] == name


def test_weights_of_another_architecture_are_refused_by_tensor(run_directory, run, tmp_path):
    path = run_directory[0] / "last.ckpt"
    message = r"last.ckpt: does not fit the regressor: .*decoder.* is \(.*\), expected \("
    with pytest.raises(AssetError, match=message):
        run(tmp_path, "regressor.width=24", f'train.start_from="{path}"')
    with pytest.raises(AssetError, match=message):
        run(tmp_path / "b", "regressor.width=24", resume=run_directory[0])


def test_what_to_start_from_must_be_there(run, tmp_path):
    with pytest.raises(AssetError, match=r"train.start_from: stage1/last.ckpt: no such file"):
        run(tmp_path, 'train.start_from="stage1/last.ckpt"')


# Bad input --------------------------------------------------------------------------------------------------------


def spoil(monkeypatch, change):
    """Have the data set of every run give sample 5 changed."""
    from nbf_data_synthetic.dataset import SyntheticPeople

    given = SyntheticPeople.__getitem__
    monkeypatch.setattr(
        SyntheticPeople, "__getitem__", lambda self, i: change(given(self, i)) if i == 5 else given(self, i)
    )


def wrong_label(sample):
    sample.kernel_map[3, 4] = 9999
    return sample


def not_a_number(sample):
    sample.params.betas[2] = float("nan")
    return sample


def no_image(sample):
    raise FileNotFoundError(2, "No such file or directory", "images/000005.jpg")


@pytest.mark.parametrize(
    ("change", "message", "workers"),
    [
        (wrong_label, r"sample 5: kernel_map: holds the label 9999, expected -2 \(occluder\) to \d+", 0),
        (not_a_number, r"sample 5: params.betas: holds nan at \[2\]", 1),
        (no_image, r"sample 5: .*No such file or directory: 'images/000005.jpg'", 1),
    ],
    ids=["label", "nan", "image"],
)
def test_a_sample_that_cannot_be_used_is_named_and_nothing_saved_is_lost(
    run, tmp_path, monkeypatch, change, message, workers
):
    spoil(monkeypatch, change)
    with pytest.raises(InputError, match=message):
        # Eight times two samples are all there are; sample 5 is none of the four that validation takes.
        run(tmp_path, "train.steps=8", "train.checkpoint_every=1", f"train.workers={workers}", "train.batch_size=2")
    assert read_checkpoint(tmp_path / "last.ckpt").state["step"] >= 1


def test_a_loss_that_is_not_finite_stops_the_run_names_the_samples_and_keeps_the_batch(run, tmp_path):
    with pytest.raises(InputError, match=r"loss is not finite .* samples .* the batch is in (\S+);") as caught:
        run(tmp_path, "train.steps=3", "regressor.loss.total=inf")
    name = str(caught.value).split("the batch is in ")[1].split(";")[0]
    batch = load_file(tmp_path / name)
    assert batch["image"].shape == (8, 3, 64, 64) and str(batch["index"].tolist()) in str(caught.value)
    assert {"camera.focal", "params.betas", "kernel_map"} <= batch.keys()


def test_a_gradient_that_is_not_finite_stops_the_run_and_names_the_tensor(run, tmp_path, monkeypatch):
    from nbf_run.training.module import Training

    def spoilt(self, optimizer):
        next(self.regressor.to_features.parameters()).grad.fill_(float("nan"))

    monkeypatch.setattr(Training, "on_before_optimizer_step", spoilt)
    with pytest.raises(InputError, match=r"step 1: gradient is not finite \(to_features"):
        run(tmp_path, "train.steps=3")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("train.precision=float16", "train.precision: float16 needs a GPU"),
        ("train.device=cuda", "train.device: cuda asked for"),
        ("train.nodes=2", "train.nodes: 2 machines need MASTER_ADDR, MASTER_PORT, NODE_RANK"),
        ("train.kernel_features=rendered", r"this needs a \[renderer\] section"),
    ],
)
@pytest.mark.skipif(torch.cuda.is_available(), reason="says what is missing without a GPU")
def test_what_the_machine_or_pipeline_lacks_is_said(run, tmp_path, setting, message):
    with pytest.raises(ConfigError, match=message):
        run(tmp_path, "train.steps=1", setting)


# Several processes ------------------------------------------------------------------------------------------------


@pytest.fixture
def run_two(cache):
    """Train with two processes by the command: where processes wait for one another, a hang must end."""

    def call(out, *settings):
        process = subprocess.Popen(
            [sys.executable, "-m", "nbf_run", "train", "small", "--out", str(out)]
            + [word for text in (*TINY, f'train.cache="{cache}"', "train.devices=2", *settings)
               for word in ("--set", text)],
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            errors = process.communicate(timeout=300)[1]
        except subprocess.TimeoutExpired:
            process.kill()  # the other process ends with it, and closes the pipe
            pytest.fail(f"two processes did not end: {process.communicate(timeout=30)[1]}")
        assert process.returncode == 0, errors
        assert "Warning" not in errors, errors

    return call


def test_two_processes_reach_the_loss_of_one_at_the_same_global_batch(run, run_two, tmp_path):
    shared = ("train.steps=6", "train.log_every=1", "train.validate_every=3")
    run(tmp_path / "one", *shared, "train.batch_size=8")
    run_two(tmp_path / "two", *shared, "train.batch_size=4")
    one, two = (rows(tmp_path / name / "log" / "metrics.csv") for name in ("one", "two"))
    for name in ("contrastive", "keypoints_3d", "rotations", "parts", "total"):
        a, b = (torch.tensor([float(row[f"loss/{name}"]) for row in table]) for table in (one, two))
        torch.testing.assert_close(b[0], a[0], rtol=5e-3, atol=1e-3, msg=f"first {name}: {a[0]} and {b[0]}")
        # Sums are rounded in another order, and each step's difference grows in the next.
        said = f"{name}: {a.tolist()} and {b.tolist()}"
        torch.testing.assert_close(b[:3], a[:3], rtol=1e-2, atol=1e-3, msg=said)
        torch.testing.assert_close(b, a, rtol=4e-2, atol=1e-3, msg=said)
    assert len(rows(tmp_path / "two" / "validation.csv")) == 2
    bank = [load_file(tmp_path / name / "last.ckpt") for name in ("one", "two")]
    assert torch.equal(bank[0]["bank.position"], bank[1]["bank.position"])
    assert read_weights(tmp_path / "two" / "model.safetensors").metadata["images"] == 48


def test_a_run_of_two_processes_goes_on_with_one(run, run_two, tmp_path):
    run_two(tmp_path / "two", "train.steps=2", "train.batch_size=4")
    model = run(tmp_path / "one", "train.steps=4", "train.batch_size=8", "train.devices=1", resume=tmp_path / "two")
    assert read_weights(model).metadata["images"] == 32


# Switches ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [
        ["bank.weight_contrastive=0"],
        ["bank.weight_figure_ground=0.5", "train.background_beside=0.5"],
        *[[f"bank.orientations={bins}"] for bins in (1, 2, 3, 4, 8)],
        ["train.kernel_features=rendered", "renderer.use=gaussian"],
        ["train.kernel_features=mesh"],
        ["train.clutter_centers=4"],
        ["bank.init=random"],
        ["train.optimizer=adam", "train.schedule=constant", "train.clip=0", "regressor.frozen_norm=true"],
        ["train.precision=bfloat16"],
    ],
    ids=lambda settings: " ".join(settings),
)
def test_a_switch_of_the_experiments_trains(run, tmp_path, settings):
    model = run(tmp_path, "train.steps=2", "train.batch_size=4", *settings)
    assert read_weights(model).metadata["steps"] == 2


def without_maps(sample):
    return replace(sample, kernel_map=None, part_map=None)


def test_maps_that_a_data_set_lacks_are_drawn(run, tmp_path, monkeypatch):
    from nbf_data_synthetic.dataset import SyntheticPeople

    given = SyntheticPeople.__getitem__
    monkeypatch.setattr(SyntheticPeople, "__getitem__", lambda self, i: without_maps(given(self, i)))
    with pytest.raises(InputError, match=r"bring no kernel maps, and there is no \[renderer\] to draw them"):
        run(tmp_path / "a", "train.steps=1")
    run(tmp_path / "b", "train.steps=2", "renderer.use=gaussian")
    assert float(rows(tmp_path / "b" / "validation.csv")[-1]["body_pixels"]) > 50


def test_a_drawn_map_agrees_with_the_exact_one():
    from nbf_core.types import collate
    from nbf_run.build import build_body, build_dataset, build_renderer
    from nbf_run.options import read_pipeline
    from nbf_run.training.features import RenderedBody

    pipeline = read_pipeline("small", [*tiny(), ("renderer.use", "gaussian"), ("data.augment", False)])
    body = build_body(pipeline)
    data = build_dataset(pipeline, body)
    batch = collate([data[i] for i in range(6)])
    rendered = RenderedBody(build_renderer(pipeline), body, batch, 32)
    drawn = rendered.labelled(without_maps(batch)).kernel_map
    hidden = batch.kernel_map == -2
    assert (rendered.labelled(replace(without_maps(batch), occluded=hidden)).kernel_map[hidden] == -2).all()
    exact, both = batch.kernel_map >= 0, (batch.kernel_map >= 0) & (drawn >= 0)
    assert both.sum() / (exact | (drawn >= 0)).sum() > 0.7  # limbs are a pixel or two wide
    rest = body.spec.kernel_rest
    apart = (rest[drawn.clamp_min(0)] - rest[batch.kernel_map.clamp_min(0)]).norm(dim=-1)[both]
    assert apart.median() < 0.06 and (apart < 0.15).float().mean() > 0.9


def test_an_epoch_has_the_length_that_is_asked_for(run, tmp_path):
    model = run(tmp_path, "train.epochs=2", "train.epoch_samples=24", "train.log_every=1")
    assert read_weights(model).metadata["steps"] == 6
    assert [row["epoch"] for row in rows(tmp_path / "log" / "metrics.csv")][2::3] == ["1", "2"]


@pytest.mark.parametrize("stage", ["3dnbf-stage1", "3dnbf-stage2"])
def test_the_published_pipelines_train_as_far_as_components_exist(stage, cache, tmp_path, run_directory):
    """Tiny, on the free body and synthetic people in place of SMPL and the licensed data sets."""
    from nbf_run.training import train

    parts = {"h36m": 0.5, "mpi-inf-3dhp": 0.2, "lspet": 0.021, "mpii": 0.046, "coco": 0.233}
    if stage == "3dnbf-stage1":
        data = [("data.use", "synthetic"), ("data.size", 16)]
    else:
        part = {"use": "synthetic", "size": 16, "split": "train"}
        data = [("data.shared", {}), ("data.parts", {n: {**part, "seed": i, "ratio": r}
                for i, (n, r) in enumerate(parts.items())})]  # fmt: skip
    sizes = {"image_size": 64, "map_size": 32}
    data += [(f"data.{'' if stage == '3dnbf-stage1' else 'shared.'}{key}", value) for key, value in sizes.items()]
    small = tiny()[4:8] + [("regressor.backbone", "plain"), ("regressor.decoder", "shuffle")]
    small += [("train.batch_size", 2), ("train.steps", 2), ("train.workers", 0), ("train.validation_samples", 2)]
    overrides = [("body.use", "anny"), *small, *data, ("regressor.channels", 16), ("regressor.width", 32)]
    with pytest.raises((PluginError, AssetError), match=r"no body model named|no SMPL file"):
        train(stage, tmp_path / "licensed")
    if stage == "3dnbf-stage2":
        with pytest.raises(AssetError, match=r"train.start_from: 3dnbf-stage1/last.ckpt: no such file"):
            train(stage, tmp_path / "start", overrides)
        overrides.append(("train.start_from", str(stage_one(tmp_path, overrides))))
    model = train(stage, tmp_path / "out", overrides)
    assert read_weights(model).metadata["steps"] == 2


def stage_one(folder, overrides):
    """A checkpoint to start stage 2 from: one step of the same networks."""
    from nbf_run.training import train

    own = [item for item in overrides if not item[0].startswith("data.")]
    data = [("data.use", "synthetic"), ("data.size", 16), ("data.image_size", 64), ("data.map_size", 32)]
    train("3dnbf-stage1", folder / "stage1", [*own, *data, ("train.steps", 1)])
    return folder / "stage1" / "last.ckpt"
