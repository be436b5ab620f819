"""Running one compiled function in several threads at once.

Numba's own parallel loops are not used: its default layer ends the process when two Python threads enter it
at once. Here every thread runs the same function, which draws task numbers from a shared counter until none is left.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

import numpy as np


class _Job:
    """One call of a function by a helper; the caller may take it back as long as nobody has begun."""

    def __init__(self, function: Callable, arguments: tuple[Any, ...]) -> None:
        self.work = (function, arguments)
        self.begun = threading.Lock()
        self.ended = threading.Lock()
        self.ended.acquire()
        self.error: BaseException | None = None

    def run(self) -> None:
        """What a helper does with it."""
        if not self.begun.acquire(blocking=False):
            return
        function, arguments = self.work
        try:
            function(*arguments)
        except BaseException as error:  # handed to the caller, whatever it is
            self.error = error
        finally:
            self.work = ()
            del arguments
            self.ended.release()

    def finish(self) -> None:
        """Wait for it, or take it back; raises what it raised."""
        if self.begun.acquire(blocking=False):
            self.work = ()
            return
        self.ended.acquire()
        if self.error is not None:
            raise self.error


class _Pool:
    """Daemon threads that wait for jobs; as many as were ever asked for at once."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.jobs: SimpleQueue[_Job] = SimpleQueue()
        self.size = 0

    def submit(self, job: _Job, helpers: int) -> None:
        """Queue ``job``, with at least ``helpers`` threads to serve the queue."""
        if self.size < helpers:
            with self.lock:
                while self.size < helpers:
                    self.size += 1
                    name = f"nbf-render-numba-{self.size}"
                    threading.Thread(target=_serve, args=(self.jobs,), name=name, daemon=True).start()
        self.jobs.put(job)


def _serve(jobs: SimpleQueue[_Job]) -> None:
    while True:
        job = jobs.get()
        job.run()
        del job  # keep no arrays alive while waiting


_pool = _Pool()


def _forget() -> None:
    """A forked child has none of its parent's threads, and perhaps a lock that nobody will release."""
    global _pool
    _pool = _Pool()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def run_tasks(kernel: Callable, tasks: int, threads: int, *arguments: Any) -> None:
    """Call ``kernel(counter, *arguments)`` in up to ``threads`` threads, this one among them, and wait for all.

    The results must not depend on which thread does which of the ``tasks``.
    """
    counter = np.zeros(2, np.int64)
    jobs = []
    for _ in range(min(threads, tasks) - 1):
        job = _Job(kernel, (counter, *arguments))
        _pool.submit(job, threads - 1)
        jobs.append(job)
    try:
        kernel(counter, *arguments)
    finally:
        for job in jobs:
            job.finish()
