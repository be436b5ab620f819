"""Threads: the same bits on any number of them, several callers at once, life after a fork."""

import os
import subprocess
import sys
import threading

import pytest
import torch

from nbf_core.types import Kernels, Similarities
from nbf_render_numba import NumbaConfig, NumbaRenderer
from nbf_render_numba._pool import run_tasks
from nbf_testing.scenes import kernel_scene


def everything(threads, seed=0):
    """Pictures, scores, samples and gradients of a scene that is worth several threads."""
    kernels, camera, table = kernel_scene(batch=3, count=300, size=(40, 30), seed=seed)
    renderer = NumbaRenderer(NumbaConfig(threads=threads))
    means, table = kernels.means.clone().requires_grad_(), table.clone().requires_grad_()
    output = renderer.render(Kernels(means, kernels.precision), camera, table)
    features = output.attributes.detach()
    bank = torch.rand(300, 3, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    scored = renderer.score(Kernels(means, kernels.precision), camera, table, Similarities.of(features, bank))
    mean, _ = renderer.sample(output.fragments, features, 300)
    loss = output.attributes.square().sum() + scored.score.sum() + mean.square().sum()
    return [output.attributes, output.silhouette, scored.score, mean, *torch.autograd.grad(loss, (means, table))]


def test_any_number_of_threads_gives_the_same_bits():
    first = everything(1)
    for threads in (1, 2, 2, 5):
        for value, expected in zip(everything(threads), first, strict=True):
            assert torch.equal(value, expected)


def test_several_callers_at_once():
    expected = [everything(1, seed) for seed in range(4)]
    found = [None] * 4

    def call(seed):
        for _ in range(3):
            found[seed] = everything(2, seed)

    callers = [threading.Thread(target=call, args=(seed,)) for seed in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    for some, all_ in zip(found, expected, strict=True):
        assert some is not None and all(torch.equal(a, b) for a, b in zip(some, all_, strict=True))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_works_in_a_forked_child():
    # In a process of its own: forking one that has threads is what is tested, and warned of.
    code = """
import os, sys, warnings
warnings.simplefilter("ignore")
sys.path.insert(0, sys.argv[1])
import torch
torch.set_num_threads(1)
from test_threads import everything
before = everything(2)
child = os.fork()
if child == 0:
    same = all(torch.equal(a, b) for a, b in zip(everything(2), before))
    os._exit(0 if same else 3)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    folder = os.path.dirname(__file__)
    done = subprocess.run([sys.executable, "-c", code, folder], check=False, timeout=120)
    assert done.returncode == 0


def test_an_error_in_a_helper_reaches_the_caller():
    helping, both = threading.Event(), threading.Barrier(2, timeout=20)

    def kernel(counter):
        both.wait()  # so that the helper does not come too late to be needed
        if threading.current_thread() is not threading.main_thread():
            helping.set()
            raise ValueError("from the helper")

    with pytest.raises(ValueError, match="from the helper"):
        run_tasks(kernel, 2, 2)
    assert helping.is_set()
    run_tasks(lambda counter: None, 2, 2)  # and the pool still works


def test_a_helper_that_comes_too_late_is_not_waited_for():
    begun, release = threading.Event(), threading.Event()

    def blocking(counter):
        if threading.current_thread() is not threading.main_thread():
            begun.set()
            release.wait(20)

    # one caller keeps the only helper busy
    busy = threading.Thread(target=run_tasks, args=(blocking, 2, 2))
    try:
        busy.start()
        done = []
        run_tasks(lambda counter: done.append(1), 1, 1)
        assert done == [1]
    finally:
        release.set()
        busy.join()
