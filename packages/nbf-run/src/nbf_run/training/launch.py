"""Further processes of a run on this machine: each does the same work on its own share of the data.

Lightning's launcher runs the user's script again, which works for scripts only. This one starts the training
call itself, so that it works from the command, from a notebook and from a test alike. Processes that are started from
outside (torchrun, SLURM, or ``LOCAL_RANK`` set by hand) are left to whoever started them.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from nbf_core.errors import ConfigError, InputError
from nbf_run.training.config import TrainOptions

_CODE = "from nbf_run.training.launch import take_part; take_part()"
_VARIABLES = ("MASTER_ADDR", "MASTER_PORT", "LOCAL_RANK")
_GRACE = 20.0
"""Seconds that a process gets to notice by itself that another is gone."""


def is_launched() -> bool:
    """Whether this process is one of several that somebody else has started."""
    from lightning.fabric.plugins.environments import SLURMEnvironment

    return "LOCAL_RANK" in os.environ or SLURMEnvironment.detect()


@contextmanager
def other_processes(options: TrainOptions, call: Mapping[str, Any]) -> Iterator[None]:
    """Have ``options.devices - 1`` more processes make the same ``call`` of ``train`` while the block runs.

    With several machines each must be told ``MASTER_ADDR``, ``MASTER_PORT`` and ``NODE_RANK``. Raises ConfigError where
    they are not set.
    """
    if options.devices * options.nodes == 1 or is_launched():
        yield
        return
    if options.nodes > 1:
        missing = [name for name in ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK") if name not in os.environ]
        if missing:
            raise ConfigError(
                f"train.nodes: {options.nodes} machines need {', '.join(missing)} in the environment of each, "
                "or to be started with torchrun"
            )
    before = {name: os.environ.get(name) for name in _VARIABLES}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free_port())} | {
        name: value for name, value in before.items() if value is not None
    }
    others = [_start(rank, call) for rank in range(1, options.devices)]
    os.environ["LOCAL_RANK"] = "0"
    done = threading.Event()
    threading.Thread(target=_watch, args=(others, done), daemon=True).start()
    try:
        yield
        with suppress(subprocess.TimeoutExpired):  # all is done and saved by now: who lingers is ended below
            for process in others:
                process.wait(timeout=30)
    except RuntimeError as error:  # a lost connection, as a rule: then the cause is what the other process said
        if _failed(others):
            raise InputError("another process of the training failed (see above)") from error
        raise
    finally:
        done.set()
        for process in others:
            if process.poll() is None:
                process.kill()
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def take_part() -> None:
    """What a further process does: the call, given as JSON on its standard input."""
    given = json.loads(sys.stdin.read())
    sys.path[:] = given.pop("path")
    threading.Thread(target=_outlive, args=(given.pop("parent"),), daemon=True).start()
    logging.basicConfig(level=logging.ERROR)  # the first process says what there is to say
    from nbf_run.cli.main import _report
    from nbf_run.training.loop import train

    overrides = [(key, value) for key, value in given.pop("overrides")]
    try:
        train(overrides=overrides, **given)
    except Exception as error:  # its text belongs to the user; the exit code to the process that started this one
        raise SystemExit(_report(error)) from None


def _start(rank: int, call: Mapping[str, Any]) -> subprocess.Popen:
    environment = os.environ | {"LOCAL_RANK": str(rank)}
    process = subprocess.Popen(
        [sys.executable, "-c", _CODE], env=environment, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    process.stdin.write(json.dumps({**call, "path": sys.path, "parent": os.getpid()}, default=str))
    process.stdin.close()
    return process


def _failed(others: list[subprocess.Popen]) -> bool:
    """Whether one of them has ended with an error, or does so within seconds."""
    end = time.monotonic() + 5
    while time.monotonic() < end:
        if any(process.poll() not in (None, 0) for process in others):
            return True
        time.sleep(0.1)
    return False


def _watch(others: list[subprocess.Popen], done: threading.Event) -> None:
    """End this process if another has failed and the training does not notice: it would wait for it for ever."""
    while not done.wait(1.0):
        if any(process.poll() not in (None, 0) for process in others):
            if not done.wait(_GRACE):
                print("nbf-run: a further process of the training has failed", file=sys.stderr, flush=True)
                for process in others:
                    process.kill()
                os._exit(1)
            return


def _outlive(parent: int) -> None:
    """End this process soon after the one that started it, however that ended."""
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)


def _free_port() -> int:
    from lightning.fabric.plugins.environments.lightning import find_free_network_port

    return find_free_network_port()
