"""The pieces of training: the order of samples, checkpoints, tables, lengths, and norms over processes."""

from __future__ import annotations

import csv
import errno
import os
import subprocess
import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from nbf_core.errors import AssetError, ConfigError, InputError
from nbf_core.types import Camera, Sample
from nbf_run.cli.main import run
from nbf_run.training.checkpoint import newest_checkpoint, read_checkpoint, write_checkpoint
from nbf_run.training.config import TrainOptions
from nbf_run.training.data import Limits, check_sample
from nbf_run.training.journal import Table
from nbf_run.training.launch import is_launched, other_processes
from nbf_run.training.norms import JointBatchNorm2d, join_batch_norms
from nbf_run.training.order import Batches, Order, mixed, reseed
from nbf_run.training.resume import chosen_folder, read_start
from nbf_run.training.state import load_optimizer, optimizer_tensors

# Order ------------------------------------------------------------------------------------------------------------


def test_every_pass_holds_every_sample_once_in_an_order_of_its_own():
    order = Order(10, seed=3)
    passes = [[order(10 * number + i) for i in range(10)] for number in range(3)]
    for number, places in enumerate(passes):
        assert sorted(places) == [(number, i) for i in range(10)]
    assert len({tuple(index for _, index in places) for places in passes}) == 3
    assert [Order(10, seed=3)(i) for i in range(10)] == passes[0] != [Order(10, seed=4)(i) for i in range(10)]


@given(st.integers(1, 30), st.integers(1, 5), st.integers(1, 4), st.integers(0, 40))
def test_processes_share_out_the_batches_of_one(size, batch, processes, start):
    one = list(Batches(Order(size, 0), start, 3, batch * processes))
    shares = [list(Batches(Order(size, 0), start, 3, batch, rank, processes)) for rank in range(processes)]
    assert [sum(parts, ()) for parts in zip(*shares, strict=True)] == one


@given(st.integers(1, 30), st.integers(1, 5), st.integers(0, 5))
def test_a_stream_that_begins_later_goes_on_where_the_other_would(size, batch, done):
    whole = list(Batches(Order(size, 7), 0, 6, batch))
    assert list(Batches(Order(size, 7), done * batch, 6 - done, batch)) == whole[done:]


def test_reseeding_sets_every_generator():
    import random

    import numpy as np

    def draw():
        reseed(1, 2)
        return torch.rand(3).tolist(), np.random.rand(3).tolist(), random.random()

    assert draw() == draw()
    assert len({mixed(a, b) for a in range(30) for b in range(30)}) == 900


# Checkpoints ------------------------------------------------------------------------------------------------------

TENSORS = {
    "a.weight": torch.arange(6.0).view(2, 3),
    "a.count": torch.tensor(3),
    "b": torch.ones(4, dtype=torch.bfloat16),
}


def test_a_checkpoint_comes_back_as_it_was(tmp_path):
    write_checkpoint(tmp_path / "last.ckpt", TENSORS, {"step": 4, "best": {}})
    found = newest_checkpoint(tmp_path)
    assert found.state["step"] == 4 and found.tensors.keys() == TENSORS.keys()
    assert all(torch.equal(found.tensors[name], value) for name, value in TENSORS.items())


def test_the_one_before_stays_until_the_next_is_complete(tmp_path, monkeypatch):
    last, previous = tmp_path / "last.ckpt", tmp_path / "previous.ckpt"
    for step in (1, 2):
        write_checkpoint(last, TENSORS, {"step": step}, previous)
    assert read_checkpoint(last).state["step"] == 2 and read_checkpoint(previous).state["step"] == 1

    def killed(*names):
        raise KeyboardInterrupt

    for moment in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(os, moment, killed)
            with pytest.raises(KeyboardInterrupt):
                write_checkpoint(last, TENSORS, {"step": 3}, previous)
        assert newest_checkpoint(tmp_path).state["step"] == 2
    # Between the two renames there is only the one before.
    last.rename(previous)
    assert newest_checkpoint(tmp_path).state["step"] == 2


@pytest.mark.parametrize("damage", ["cut", "changed", "empty", "pickle"])
def test_damage_is_noticed_and_the_one_before_taken(tmp_path, caplog, damage):
    last = tmp_path / "last.ckpt"
    for step in (1, 2):
        write_checkpoint(last, TENSORS, {"step": step}, tmp_path / "previous.ckpt")
    content = last.read_bytes()
    if damage == "pickle":
        torch.save({"step": 2}, last)
    else:
        last.write_bytes(
            {"cut": content[:-5], "empty": b"", "changed": content[:-1] + bytes([content[-1] ^ 1])}[damage]
        )
    assert newest_checkpoint(tmp_path).state["step"] == 1
    assert "last.ckpt" in caplog.text and "previous.ckpt" in caplog.text
    with pytest.raises(AssetError, match="last.ckpt"):
        read_checkpoint(last)


def test_no_checkpoint_is_an_error_that_names_the_folder(tmp_path):
    with pytest.raises(ConfigError, match=r"holds no last.ckpt"):
        newest_checkpoint(tmp_path)


def test_a_full_disk_leaves_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "last.ckpt"
    write_checkpoint(path, TENSORS, {"step": 1})

    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(AssetError, match=r"last.ckpt: the checkpoint cannot be written: No space left on device"):
        write_checkpoint(path, TENSORS, {"step": 2}, tmp_path / "previous.ckpt")
    assert [file.name for file in tmp_path.iterdir()] == ["last.ckpt"]
    assert read_checkpoint(path).state["step"] == 1


_LIMITED = """
import resource, signal, sys, torch
from pathlib import Path
from nbf_core.errors import AssetError
from nbf_run.training.checkpoint import write_checkpoint
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    write_checkpoint(Path(sys.argv[1]), {"a": torch.zeros(100_000)}, {"step": 2})
except AssetError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no limit of file sizes there")
def test_a_file_that_the_system_refuses_leaves_what_was_there(tmp_path):
    path = tmp_path / "last.ckpt"
    write_checkpoint(path, TENSORS, {"step": 1})
    done = subprocess.run([sys.executable, "-c", _LIMITED, path], capture_output=True, text=True, timeout=100)
    assert "last.ckpt: the checkpoint cannot be written: File too large" in done.stdout, done.stderr
    assert read_checkpoint(path).state["step"] == 1


def test_the_optimiser_gets_its_memory_back_as_it_lay(tmp_path):
    torch.manual_seed(0)
    net = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(net.parameters())
    net(torch.rand(1, 3, 5, 5)).sum().backward()
    optimizer.step()
    write_checkpoint(tmp_path / "last.ckpt", optimizer_tensors(optimizer, net), {"step": 1})
    other = torch.optim.AdamW(net.parameters())
    load_optimizer(other, net, newest_checkpoint(tmp_path))
    for parameter, memory in optimizer.state.items():
        for key, value in memory.items():
            assert torch.equal(other.state[parameter][key], value)
            assert other.state[parameter][key].stride() == value.stride()
    wrong = nn.Conv2d(3, 5, 3)
    with pytest.raises(AssetError, match=r"optimizer.\w+.exp_avg is \(4.*\), expected \(5"):
        load_optimizer(torch.optim.AdamW(wrong.parameters()), wrong, newest_checkpoint(tmp_path))


# Tables -----------------------------------------------------------------------------------------------------------


def test_a_table_forgets_what_is_made_again_and_survives_a_cut(tmp_path):
    path = tmp_path / "t.csv"
    table = Table(path, 0)
    for step in (2, 4, 6):
        table.add({"step": step, "loss": step / 3})
    path.write_text(path.read_text() + "8,")
    table = Table(path, 4)
    table.add({"step": 6, "loss": 1.0, "more": 2})
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows] == ["2", "4", "6"]
    assert rows[0]["loss"] == "0.6667" and [row["more"] for row in rows] == ["", "", "2"]
    Table(path, 0)
    assert not path.exists() or not path.read_text().count("\n") > 1


# Options ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, (10_000, 3)),
        ({"steps": 7}, (7, 3)),
        ({"epochs": 4}, (12, 3)),
        ({"epochs": 4, "steps": 5}, (5, 3)),
        ({"epochs": 20, "epoch_samples": 100_000, "accumulate": 2}, (31_240, 1562)),
        ({"epochs": 1, "epoch_samples": 5}, (1, 1)),
    ],
)
def test_the_length_of_a_run(options, expected):
    assert TrainOptions(**options).length(100, 1) == expected


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [("cosine", [0.1, 1, 0.505, 0.01]), ("constant", [0.1, 1, 1, 1]), ("trapezoid", [0.1, 1, 1, 0.01])],
)
def test_the_learning_rate_climbs_and_then_follows_its_schedule(schedule, expected):
    options = TrainOptions(warmup=10, schedule=schedule, fall=0.4)
    assert [options.rate(step, 100) for step in (0, 10, 55, 100)] == pytest.approx(expected)


def test_the_trapezoid_falls_at_the_end_of_a_run_however_long_it_becomes():
    options = TrainOptions(warmup=10, schedule="trapezoid", fall=0.4)
    assert options.rate(80, 100) == pytest.approx(0.5)
    assert options.rate(80, 200) == 1


def test_an_epoch_is_shared_by_the_processes():
    assert TrainOptions(epochs=2, batch_size=4).length(100, 5) == (10, 5)


# Bad samples ------------------------------------------------------------------------------------------------------


def sample(**changes):
    return Sample(
        **{
            "image": torch.zeros(3, 64, 64, dtype=torch.uint8), "camera": Camera.from_field((64, 64), 100.0),
            "index": torch.tensor(0), "keypoints": torch.ones(25, 3),
            "kernel_map": torch.full((32, 32), -1), "part_map": torch.full((32, 32), -2),
        } | changes
    )  # fmt: skip


@pytest.mark.wrong_shapes
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image": torch.zeros(3, 64, 64)}, r"image: expected torch.uint8 \(3, 64, 64\), got torch.float32"),
        ({"image": torch.zeros(3, 32, 64, dtype=torch.uint8)}, r"image: .*got torch.uint8 \(3, 32, 64\)"),
        ({"keypoints": torch.full((25, 3), torch.inf)}, r"keypoints: holds inf at \[0, 0\]"),
        ({"keypoints": -torch.ones(25, 3)}, "keypoints: holds the confidence -1"),
        ({"camera": Camera.from_field((64, 64), 0.0)}, "camera.focal: expected positive pixels"),
        ({"kernel_map": torch.full((32, 32), 8)}, r"kernel_map: holds the label 8, expected -2 \(occluder\) to 7"),
        ({"part_map": torch.full((32, 32), -3)}, "part_map: holds the label -3"),
        ({"part_map": torch.full((16, 16), 0)}, r"part_map: expected \(32, 32\) labels, got \(16, 16\)"),
        ({"occluded": torch.zeros(16, 16).bool()}, r"occluded: expected \(32, 32\) cells, got \(16, 16\)"),
    ],
)
def test_a_bad_sample_is_named_by_its_field(changes, message):
    limits = Limits(image_size=64, map_size=32, kernels=8, joints=24)
    check_sample(sample(), limits)
    with pytest.raises(InputError, match=message):
        check_sample(sample(**changes), limits)


# Folders, starts, processes ---------------------------------------------------------------------------------------


def test_a_run_needs_a_folder(tmp_path):
    with pytest.raises(ConfigError, match="--out DIR: a folder to write to is missing"):
        chosen_folder(None, None)
    assert chosen_folder(None, tmp_path) == tmp_path


def test_the_command_says_so_too(capsys):
    assert run(["train", "small"]) == 2
    assert "--out DIR" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["gone.ckpt", "somewhere/gone.safetensors", "gone"])
def test_what_to_start_from_is_named_with_its_key(name):
    with pytest.raises(Exception, match=f"train.start_from: .*{name}"):
        read_start(name)


def test_several_machines_must_know_each_other(monkeypatch):
    for name in ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigError, match="train.nodes: 2 machines need MASTER_ADDR, MASTER_PORT, NODE_RANK"):
        with other_processes(TrainOptions(nodes=2), {}):
            pass
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert is_launched()
    with other_processes(TrainOptions(nodes=2, devices=8), {}):  # somebody else starts them
        pass


_NORM = """
import os, sys, torch, torch.distributed as dist
from torch import nn
from nbf_run.training.norms import join_batch_norms
rank = int(sys.argv[1])
dist.init_process_group("gloo", init_method=f"file://{sys.argv[2]}", rank=rank, world_size=2)
torch.manual_seed(0)
whole = torch.randn(6, 3, 4, 4, dtype=torch.float32)
alone, joint = nn.BatchNorm2d(3), nn.Sequential(nn.BatchNorm2d(3))
join_batch_norms(joint)
target = torch.randn(6, 3, 4, 4)
whole.requires_grad_()
((alone(whole) - target) ** 3).mean().backward()
rows = slice(3 * rank, 3 * rank + 3)
mine = whole.detach()[rows].clone().requires_grad_()
((joint(mine) - target[rows]) ** 3).mean().backward()
torch.testing.assert_close(mine.grad / 2, whole.grad[rows], rtol=1e-4, atol=1e-6)
torch.testing.assert_close(joint[0].running_var, alone.running_var)
torch.testing.assert_close(joint[0].running_mean, alone.running_mean)
gradient = joint[0].weight.grad.clone()
dist.all_reduce(gradient)
torch.testing.assert_close(gradient / 2, alone.weight.grad, rtol=1e-4, atol=1e-6)
dist.destroy_process_group()
"""


def test_joint_norms_of_two_processes_are_those_of_one(tmp_path):
    command = [sys.executable, "-c", _NORM]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    both = [
        subprocess.Popen([*command, str(rank), tmp_path / "meet"], env=environment, stderr=subprocess.PIPE, text=True)
        for rank in (0, 1)
    ]
    for process in both:
        errors = process.communicate(timeout=100)[1]
        assert process.returncode == 0, errors


def test_joining_norms_keeps_names_and_types_of_tensors():
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    names = list(net.state_dict())
    join_batch_norms(net)
    assert isinstance(net[1], JointBatchNorm2d) and list(net.state_dict()) == names
    x = torch.rand(2, 3, 4, 4)
    assert torch.equal(net(x), net(x))  # alone it is torch's own
