"""Two or three processes hold the bank, and have the loss and gradients, of one process with the joined batch."""

from __future__ import annotations

import os
import subprocess
import sys

import process_worker
import pytest
import torch


@pytest.fixture(scope="module")
def alone():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield {"bank": process_worker.run_bank(0, 1), "training": process_worker.run_training(0, 1)}
    torch.set_num_threads(threads)


@pytest.fixture(scope="module", params=[2, 3])
def together(request, tmp_path_factory):
    """What each of several processes found."""
    folder = tmp_path_factory.mktemp("processes")
    environment = {**os.environ, "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
    started = [
        subprocess.Popen(
            [sys.executable, process_worker.__file__, str(rank), str(request.param), str(folder)],
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        for rank in range(request.param)
    ]  # fmt: skip
    try:
        for process in started:
            output, _ = process.communicate(timeout=90)
            assert process.returncode == 0, output
    finally:
        for process in started:
            process.kill()
            process.wait()
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(request.param)]


def test_every_process_holds_the_bank_of_one_bit_for_bit(alone, together):
    steps = alone["bank"][:-1]
    assert int(steps[-1]["state"]["position"]) > 3, "the ring does not wrap"
    for each in together:
        for mine, expected in zip(each["bank"], steps, strict=False):
            for name, value in expected["state"].items():
                assert torch.equal(mine["state"][name], value), name


def test_the_mean_over_processes_is_the_loss_of_the_joined_batch(alone, together):
    for step, expected in enumerate(alone["bank"][:-1]):
        for name, value in expected["terms"].items():
            mean = torch.stack([each["bank"][step]["terms"][name] for each in together]).mean()
            torch.testing.assert_close(mean, value)


def test_gradients_averaged_as_ddp_does_are_those_of_the_joined_batch(alone, together):
    for step, expected in enumerate(alone["bank"][:-1]):
        for i, value in enumerate(expected["gradients"]):
            # Each feature is on one process alone, so DDP's mean divides it by their number.
            parts = [each["bank"][step]["gradients"][i] / len(together) for each in together]
            torch.testing.assert_close(torch.cat(parts), value)


def test_a_feature_that_is_not_finite_stops_all_processes_and_harms_no_bank(alone, together):
    for each in (alone, *together):
        assert each["bank"][-1]["refused"]


def test_training_takes_the_same_course(alone, together):
    """DistributedDataParallel over a network and a bank, pixels drawn per image: losses, weights, bank."""
    expected = alone["training"]
    losses = torch.stack([each["training"]["losses"] for each in together]).mean(0)
    torch.testing.assert_close(losses, expected["losses"])
    for each in together:
        for name, value in expected["state"].items():
            torch.testing.assert_close(each["training"]["state"][name], value)
