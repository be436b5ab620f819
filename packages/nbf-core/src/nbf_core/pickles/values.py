"""From the tree that a pickle describes to plain values: numbers, text, lists, dictionaries and numpy arrays."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from nbf_core.pickles import arrays
from nbf_core.pickles.machine import Made, Members, Named, Pairs, PickleError
from nbf_core.pickles.names import CHUMPY, SPARSE

_DEEPEST = 100  # levels of lists within lists
_MOST_SEEN = 100_000_000  # values that somebody meets who walks through it all, shared ones each time
_PLAIN = (type(None), bool, int, float, str, bytes)


@dataclass(frozen=True)
class Unread:
    """Stands for an object that the pickle holds and that is no stored value; ``kind`` is its class."""

    kind: str


def to_value(tree: Any, size: int) -> Any:
    """The value of a tree read from a pickle of ``size`` bytes. Raises PickleError naming the key where it can."""
    return _Reader(size).value(tree, 0)[0]


class _Reader:
    """Each shared value is made once; what a small file can blow up to is limited."""

    def __init__(self, size: int) -> None:
        self.done: dict[int, tuple[Any, int]] = {}
        self.open: set[int] = set()
        # Arrays copy what is in the file, a few times where one pickle refers to another's numbers.
        self.left = 4 * size + (1 << 20)

    def value(self, node: Any, depth: int) -> tuple[Any, int]:
        """The value, and how many values somebody meets in it."""
        if isinstance(node, _PLAIN):
            return node, 1
        if id(node) in self.done:
            return self.done[id(node)]
        if id(node) in self.open:
            raise PickleError("it contains itself")
        if depth > _DEEPEST:
            raise PickleError(f"lists within lists, more than {_DEEPEST} deep")
        self.open.add(id(node))
        made, seen = self._make(node, depth + 1)
        if seen > _MOST_SEEN:
            raise PickleError(f"more than {_MOST_SEEN} values, most of them the same")
        self.open.remove(id(node))
        self.done[id(node)] = made, seen
        return made, seen

    def _make(self, node: Any, depth: int) -> tuple[Any, int]:
        if isinstance(node, Pairs):
            return self._dictionary(node, depth)
        if isinstance(node, Members):
            found, seen = self._all(node, depth)
            return frozenset(map(_key, found)), seen
        if isinstance(node, (list, tuple)):
            found, seen = self._all(node, depth)
            return (found if isinstance(node, list) else tuple(found)), seen
        if isinstance(node, Made):
            return self._made(node, depth), 1
        raise PickleError("it holds a name in place of a value")

    def _all(self, nodes: Iterable[Any], depth: int) -> tuple[list[Any], int]:
        found, total = [], 1
        for node in nodes:
            value, seen = self.value(node, depth)
            found.append(value)
            total += seen
        return found, total

    def _dictionary(self, pairs: Pairs, depth: int) -> tuple[dict[Any, Any], int]:
        found, total = {}, 1
        for key, node in pairs:
            name = _key(self.value(key, depth)[0])
            try:
                found[name], seen = self.value(node, depth)
            except PickleError as error:
                raise PickleError(f"{name}: {error}") from error
            total += seen + 1
        return found, total

    def _made(self, node: Made, depth: int) -> Any:
        meaning = node.meaning
        if meaning == "array":
            return self._array(self._part(node.state, depth))
        if meaning == "buffer":
            raw, dtype, shape, order = arrays.expect(self._part(node.arguments, depth), 4, "an array")
            return self._array((1, shape, dtype, order == "F", raw))
        if meaning == "scalar":
            dtype, raw = arrays.expect(self._part(node.arguments, depth), 2, "a number")
            return self._array((1, (1,), dtype, False, raw))[0]
        if meaning == "dtype":
            return arrays.number_type(self._part(node.arguments, depth), self._part(node.state, depth))
        if node.state is not None and meaning not in SPARSE | CHUMPY:
            raise PickleError("it gives a plain value a state")
        if meaning == "encode":
            return arrays.encoded(self._part(node.arguments, depth))
        if meaning in ("bytes", "bytearray"):
            return arrays.encoded(self._part(node.arguments, depth) or ("", "latin1"))
        if meaning in ("set", "frozenset"):
            found = self._part(node.arguments, depth)
            return frozenset(_key(member) for members in found for member in arrays.listed(members))
        if meaning in SPARSE:
            return arrays.dense(meaning, self._part(node.state, depth))
        if meaning in CHUMPY:
            return self._chumpy(meaning, node.state, depth)
        raise PickleError("it makes an object of no known class")

    def _part(self, node: Any, depth: int) -> Any:
        if isinstance(node, tuple):
            # What a note was made from may hold names, such as that of numpy's array class, which say nothing.
            return tuple(None if isinstance(part, Named) else self.value(part, depth)[0] for part in node)
        return self.value(node, depth)[0]

    def _array(self, state: Any) -> np.ndarray:
        array = arrays.array(state)
        self.left -= array.nbytes
        if self.left < 0:
            raise PickleError("the same numbers over and over: more than the file could hold")
        return array

    def _chumpy(self, meaning: str, state: Any, depth: int) -> Any:
        """What a chumpy array stores or merely reorders; what it would have to compute stays unread."""
        if not isinstance(state, Pairs):
            raise PickleError(f"a {meaning} without its contents")
        held = {key: node for key, node in state if isinstance(key, str)}

        def part(name: str) -> Any:
            if name not in held:
                raise PickleError(f"a {meaning} without {name}")
            return self.value(held[name], depth)[0]

        if meaning == "chumpy.ch.Ch":
            return part("x") if "x" in held else Unread(meaning)
        source = part("a") if "a" in held else None
        if not isinstance(source, np.ndarray) or not np.issubdtype(source.dtype, np.number):
            return Unread(meaning)
        if meaning == "chumpy.reordering.Select":
            chosen = arrays.chosen(source, part("idxs"))
            return arrays.shaped(chosen, part("preferred_shape")) if "preferred_shape" in held else chosen
        if meaning == "chumpy.reordering.Reshape":
            return arrays.shaped(source, part("newshape"))
        if meaning == "chumpy.reordering.transpose":
            return arrays.turned(source, part("axes") if "axes" in held else None)
        return Unread(meaning)


def _key(value: Any) -> Any:
    """A key as dictionaries take it. Only what cannot be made to collide."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, tuple):
        return tuple(map(_key, value))
    if value is None or isinstance(value, (str, bytes, bool)):
        return value
    if isinstance(value, (int, float)) and math.isfinite(value) and abs(value) < 1 << 60:
        return value
    raise PickleError(f"a key that is {type(value).__name__}")
