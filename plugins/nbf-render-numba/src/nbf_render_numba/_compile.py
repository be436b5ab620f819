"""Compilation: entries, which Python calls, and the pieces they are made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit
from numba.core import types
from numba.extending import intrinsic

# Without numba's memory management nobody counts references as arrays are passed on. Counting is atomic, two threads
# that count the same arrays wait for each other, and it tripled the time. In return nothing compiled allocates.
_OPTIONS = {"error_model": "numpy", "_nrt": False}


def entry(function: Callable | None = None, **options: Any) -> Callable:
    """Compile what Python calls: without the interpreter lock and, where possible, stored on disk.

    It must not create arrays other than slices. A change in a :func:`piece` of another module does not make numba
    compile an entry anew: delete ``__pycache__`` after editing one.
    """
    if function is None:
        return lambda inner: entry(inner, **options)
    options = {"nogil": True, "no_cfunc_wrapper": True, **_OPTIONS, **options}
    try:
        return njit(cache=True, **options)(function)
    except RuntimeError:  # numba found no folder that it may write to
        return njit(**options)(function)


def piece(function: Callable | None = None, **options: Any) -> Callable:
    """Compile what only compiled functions call; it becomes part of them."""
    if function is None:
        return lambda inner: piece(inner, **options)
    return njit(no_cfunc_wrapper=True, no_cpython_wrapper=True, forceinline=True, **_OPTIONS, **options)(function)


@intrinsic
def _take(typingctx, counter, place):
    signature = types.int64(types.Array(types.int64, 1, "C"), types.int64)

    def generate(context, builder, signature, arguments):
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        one = context.get_constant(types.int64, 1)
        return builder.atomic_rmw("add", builder.gep(array.data, [arguments[1]]), one, "monotonic")

    return signature, generate


@piece
def take_task(counter):
    """The next task's number, handed out once however many threads ask."""
    return _take(counter, 0)


@piece
def take_seat(counter):
    """A number for the thread that asks, counted from 0: which part of shared scratch memory is its own."""
    return _take(counter, 1)
