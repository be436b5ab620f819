"""A process of a benchmark: reads items from its parent, does them, says so, and ends when the parent is gone."""

from __future__ import annotations

import json
import os
import sys
import threading
import warnings
from pathlib import Path
from queue import Queue
from typing import Any, TextIO


def serve() -> None:
    """Do what the parent asks for on stdin, line by line, until it closes that.

    The first line is the call: ``source``, ``table``, ``store``, ``device`` and ``threads``. Each further one is an
    item; each answer is a line with ``ok``, or ``kind`` and ``text`` of the error that ends this process.
    """
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever libraries print must not be taken for an answer
    warnings.simplefilter("ignore")
    call = json.loads(sys.stdin.readline())
    lines: Queue[str] = Queue()
    threading.Thread(target=_listen, args=(lines,), daemon=True).start()
    from nbf_run.bench.schedule import said

    try:
        _work(call, lines, answers)
    except Exception as error:
        _say(answers, said(error))
        os._exit(1)


def _work(call: dict[str, Any], lines: Queue[str], answers: TextIO) -> None:
    import torch

    from nbf_run.bench.measuring import run_item
    from nbf_run.bench.plan import Item, make_plan
    from nbf_run.bench.store import Store
    from nbf_run.bench.workshop import Workshop

    torch.set_num_threads(call["threads"])
    workshop = Workshop(call["source"], device=call["device"], table=call["table"])
    plan, store = make_plan(workshop), Store(Path(call["store"]))
    _say(answers, {"ok": True})
    while True:
        run_item(workshop, plan, Item(*json.loads(lines.get())), store)
        _say(answers, {"ok": True})


def _listen(lines: Queue[str]) -> None:
    """Pass lines on. When the parent closes the pipe or dies, this process is no longer wanted, whatever it does."""
    for line in sys.stdin:
        lines.put(line)
    os._exit(0)


def _say(answers: TextIO, what: dict[str, Any]) -> None:
    answers.write(json.dumps(what) + "\n")
    answers.flush()
