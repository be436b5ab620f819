"""Who does which item: this process, or one process for each device."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from queue import Empty, Queue
from typing import Any

import torch

from nbf_core.errors import AssetError, ConfigError, InputError, NbfError, PluginError, ShapeError
from nbf_run.bench.measuring import run_item
from nbf_run.bench.plan import Item, Plan
from nbf_run.bench.store import Store
from nbf_run.bench.workshop import Workshop

_CODE = "from nbf_run.bench.worker import serve; serve()"
_ERRORS = {kind.__name__: kind for kind in (AssetError, ConfigError, InputError, PluginError, ShapeError)}

Done = Callable[[Item], None]
"""Hears of each item that is finished."""


def run_here(workshop: Workshop, plan: Plan, items: Sequence[Item], store: Store, done: Done) -> None:
    """Do the items in this process, one after the other."""
    for item in items:
        run_item(workshop, plan, item, store)
        done(item)


def run_on(devices: Sequence[str], call: Mapping[str, Any], items: Sequence[Item], done: Done) -> None:
    """Do the items in a process for each device; whoever is free takes the next.

    ``call`` is what a worker needs to make the same plan (:func:`nbf_run.bench.worker.serve`). A worker's error is
    raised here; a worker that dies without a word is an InputError. All of them end with this process, however it ends.
    """
    waiting: Queue[Item] = Queue()
    for item in items:
        waiting.put(item)
    heard: Queue[tuple[str, Any]] = Queue()
    workers = [_start(device, call, _threads(devices, device)) for device in devices]
    threads = [threading.Thread(target=_feed, args=(worker, waiting, heard), daemon=True) for worker in workers]
    try:
        for thread in threads:
            thread.start()
        working = len(threads)
        while working:
            kind, value = heard.get()
            if kind == "done":
                done(value)
            elif kind == "end":
                working -= 1
            else:
                raise _ERRORS.get(kind, InputError)(value)
    finally:
        for worker in workers:
            if worker.poll() is None:
                worker.kill()
            worker.wait()
            for stream in (worker.stdin, worker.stdout):
                with suppress(OSError):  # what was not flushed to a dead process
                    stream.close()


def _feed(worker: subprocess.Popen, waiting: Queue, heard: Queue) -> None:
    """Hand items to a worker one by one, and pass on what it says."""
    try:
        if not _heard(worker, heard):  # the first line: it is ready
            return
        while True:
            try:
                item = waiting.get_nowait()
            except Empty:
                break
            worker.stdin.write(json.dumps([item.cell, item.first, item.end]) + "\n")
            worker.stdin.flush()
            if not _heard(worker, heard):
                return
            heard.put(("done", item))
        heard.put(("end", None))
    except OSError:
        heard.put(_silence(worker))


def _heard(worker: subprocess.Popen, heard: Queue) -> bool:
    line = worker.stdout.readline()
    said = json.loads(line) if line else None
    if said is not None and said.get("ok"):
        return True
    heard.put(_silence(worker) if said is None else (said["kind"], said["text"]))
    return False


def _silence(worker: subprocess.Popen) -> tuple[str, str]:
    code = worker.wait()
    return "InputError", f"a process of the benchmark ended with code {code}; what is finished is kept: --resume"


def _start(device: str, call: Mapping[str, Any], threads: int) -> subprocess.Popen:
    number = str(threads)
    environment = os.environ | {"OMP_NUM_THREADS": number, "MKL_NUM_THREADS": number, "NUMBA_NUM_THREADS": number}
    worker = subprocess.Popen(
        [sys.executable, "-c", _CODE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
        text=True,
        start_new_session=True,  # Ctrl-C is for the parent, which ends its workers itself
    )
    worker.stdin.write(json.dumps({**call, "device": device, "threads": threads}) + "\n")
    worker.stdin.flush()
    return worker


def _threads(devices: Sequence[str], device: str) -> int:
    """Threads of a worker: those on the CPU share what this process may use, the others need but one or two."""
    count = torch.get_num_threads()
    same = sum(name == "cpu" for name in devices)
    return max(1, count // same) if device == "cpu" else max(1, min(2, count))


def said(error: Exception) -> dict[str, str]:
    """A worker's error as its parent reads it."""
    if isinstance(error, NbfError):
        return {"kind": type(error).__name__, "text": str(error)}
    return {"kind": "InputError", "text": f"{type(error).__name__}: {' '.join(str(error).split())}"}
