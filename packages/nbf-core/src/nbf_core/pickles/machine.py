"""What a pickle describes while it is being read: a stack, a memo and notes of what it wants made. Calls nothing.

Lists, tuples, text and numbers become themselves; dictionaries and sets become lists of what goes into them, so that
nothing is hashed; whatever a pickle would have called becomes a note, :class:`Made`, with its arguments.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

MOST_VALUES = 10_000_000
"""How many values a pickle may hold: an empty set costs two hundred bytes of memory and one of the file."""


class PickleError(ValueError):
    """A pickle is damaged or asks for what is not allowed; the message says what, with no file name."""


@dataclass(frozen=True)
class Named:
    """An allowed name; ``meaning`` is a value of ``names.KNOWN``."""

    meaning: str


@dataclass(eq=False)
class Made:
    """What the pickle wants made: by which name, from which arguments, with which state given afterwards."""

    meaning: str
    arguments: tuple
    state: Any = None


class Pairs(list):
    """The items of a dictionary, keys and values as pairs."""


class Members(list):
    """The members of a set."""


class Mark:
    pass


MARK = Mark()


class Machine:
    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.values = 0

    def take(self, count: int) -> bytes:
        end = self.at + count
        if count < 0 or end > len(self.data):
            raise PickleError("cut short")
        piece = self.data[self.at : end]
        self.at = end
        return piece

    def number(self, form: str) -> Any:
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def line(self) -> bytes:
        end = self.data.find(b"\n", self.at)
        if end < 0:
            raise PickleError("cut short")
        piece = self.data[self.at : end]
        self.at = end + 1
        return piece

    def push(self, value: Any) -> None:
        self.values += 1
        if self.values > MOST_VALUES:
            raise PickleError(f"more than {MOST_VALUES} values")
        self.stack.append(value)

    def pop(self, kind: type | None = None) -> Any:
        if not self.stack or self.stack[-1] is MARK:
            raise PickleError("damaged: a value is missing")
        value = self.stack.pop()
        if kind is not None and type(value) is not kind:
            raise PickleError(f"damaged: {type(value).__name__} where {kind.__name__} was expected")
        return value

    def peek(self, kind: type) -> Any:
        value = self.pop(kind)
        self.stack.append(value)
        return value

    def to_mark(self) -> list[Any]:
        for start in range(len(self.stack) - 1, -1, -1):
            if self.stack[start] is MARK:
                above = self.stack[start + 1 :]
                del self.stack[start:]
                return above
        raise PickleError("damaged: a mark is missing")

    def recall(self, place: int) -> None:
        if place not in self.memo:
            raise PickleError("damaged: recalls what was never kept")
        self.push(self.memo[place])

    def keep(self, place: int) -> None:
        value = self.pop()
        self.stack.append(value)
        self.memo[place] = value
