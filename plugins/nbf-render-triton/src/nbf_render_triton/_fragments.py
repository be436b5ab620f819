"""The contract's record of what each pixel sees, made when it is first looked at.

How many pixels see something is known to the GPU alone; asking it is the one moment at which the host must wait.
A fit that uses pictures or scores only never asks, and so never waits.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch

from nbf_core.types import Fragments
from nbf_render_triton._volume import Drawn

_FIELDS = frozenset(field.name for field in dataclasses.fields(Fragments))


class LazyFragments(Fragments):
    """Fragments that are made on the first access to any field, and are plain Fragments from then on."""

    def __init__(self, make: Callable[[], Fragments]) -> None:
        object.__setattr__(self, "_make", make)

    def __getattr__(self, name: str):
        if name not in _FIELDS:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        self._become(self._make())
        return getattr(self, name)

    def _become(self, made: Fragments) -> None:
        self.__dict__.clear()
        self.__dict__.update(made.__dict__)
        object.__setattr__(self, "__class__", Fragments)


def fragments_of(drawn: Drawn) -> Fragments:
    """The fragments of a drawn scene; whether they carry gradients is decided now, not on the first access."""
    enabled = torch.is_grad_enabled()

    def make() -> Fragments:
        with torch.set_grad_enabled(enabled):
            return _gathered(drawn)

    return LazyFragments(make)


def _gathered(drawn: Drawn) -> Fragments:
    slots = drawn.slots
    pixel = slots.count.nonzero().squeeze(1)
    return Fragments(
        pixel=pixel,
        kernel=slots.kernel.index_select(1, pixel).T.long().contiguous(),
        weight=drawn.weight.index_select(1, pixel).T.contiguous(),
        depth=drawn.depth.index_select(1, pixel).T.contiguous(),
        truncated=slots.truncated.index_select(0, pixel).long(),
        lost=drawn.lost.index_select(0, pixel),
        grid=drawn.grid,
    )
