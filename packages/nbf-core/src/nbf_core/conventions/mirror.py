"""Left and right exchanged."""

from __future__ import annotations

import functools
from collections.abc import Sequence


def mirror_permutation(names: Sequence[str]) -> tuple[int, ...]:
    """For each name the index of its mirror image: ``left_x`` and ``right_x`` change places."""
    return _permutation(tuple(names))


@functools.lru_cache(maxsize=64)  # body models ask each time that somebody asks them what they are
def _permutation(names: tuple[str, ...]) -> tuple[int, ...]:
    index = {name: i for i, name in enumerate(names)}

    def mirrored(name: str) -> str:
        for side, other in (("left_", "right_"), ("right_", "left_")):
            if name.startswith(side):
                return other + name[len(side) :]
        return name

    return tuple(index[mirrored(name)] for name in names)
