"""Follows the operations of a pickle (protocols 0 to 5). Format: Python's documentation of ``pickletools``."""

from __future__ import annotations

import codecs
from collections.abc import Callable
from typing import Any

from nbf_core.pickles.machine import MARK, Machine, Made, Members, Named, Pairs, PickleError
from nbf_core.pickles.names import KNOWN

_LONGEST_NUMBER = 1000  # digits, or bytes, of a whole number
_NEWEST = 5  # protocol
_STOP = ord(".")


def follow(data: bytes) -> Any:
    """The tree that a pickle describes. Raises PickleError, naming what the pickle asks for where that is refused."""
    machine = Machine(data)
    try:
        while (code := machine.take(1)[0]) != _STOP:
            operation = _OPERATIONS.get(code)
            if operation is None:
                raise PickleError(f"damaged: no operation {code:#04x} at byte {machine.at - 1}")
            operation(machine)
        return machine.pop()
    except PickleError:
        raise
    except (ValueError, OverflowError) as error:  # text that is none
        raise PickleError(f"damaged near byte {machine.at}") from error


def _whole(text: bytes) -> int | bool:
    if text in (b"00", b"01"):
        return text == b"01"
    if len(text) > _LONGEST_NUMBER:
        raise PickleError("a whole number of too many digits")
    try:
        return int(text.rstrip(b"L"))
    except ValueError as error:
        raise PickleError("damaged: not a whole number") from error


def _long(m: Machine, size: int) -> None:
    if size > _LONGEST_NUMBER:
        raise PickleError("a whole number of too many bytes")
    m.push(int.from_bytes(m.take(size), "little", signed=True))


def _float(m: Machine) -> None:
    try:
        m.push(float(m.line()[:_LONGEST_NUMBER]))
    except ValueError as error:
        raise PickleError("damaged: not a number") from error


def _quoted(m: Machine) -> None:
    text = m.line()
    if len(text) < 2 or text[:1] != text[-1:] or text[:1] not in (b"'", b'"'):
        raise PickleError("damaged: text without quotes")
    m.push(codecs.escape_decode(text[1:-1])[0].decode("latin1"))


def _text(m: Machine, size: int) -> None:
    m.push(m.take(size).decode("utf-8", "surrogatepass"))


def _names(m: Machine, module: str, name: str) -> Named:
    meaning = KNOWN.get((module, name))
    if meaning is None:
        # It may be anything, a line break or an escape sequence included.
        shown = ascii(f"{module}.{name}")[1:-1]
        raise PickleError(f"it names {shown[:200]}, which is no data and could run code")
    return Named(meaning)


def _stack_global(m: Machine) -> None:
    name, module = m.pop(str), m.pop(str)
    m.push(_names(m, module, name))


def _line_global(m: Machine) -> Named:
    return _names(m, m.line().decode("latin1"), m.line().decode("latin1"))


def _made(m: Machine, what: Any, arguments: Any) -> None:
    if not isinstance(what, Named) or not isinstance(arguments, tuple):
        raise PickleError("it calls something that is no name")
    if what.meaning == "reconstructor":  # how the oldest protocols make an object of a class
        if len(arguments) != 3 or not isinstance(arguments[0], Named) or arguments[1] != Named("object"):
            raise PickleError("damaged: an object of no known class")
        what, arguments = arguments[0], ()
    m.push(Made(what.meaning, arguments))


def _reduce(m: Machine) -> None:
    arguments = m.pop(tuple)
    _made(m, m.pop(Named), arguments)


def _instance(m: Machine) -> None:
    what = _line_global(m)
    _made(m, what, tuple(m.to_mark()))


def _object(m: Machine) -> None:
    above = m.to_mark()
    if not above:
        raise PickleError("damaged: an object without a class")
    _made(m, above[0], tuple(above[1:]))


def _build(m: Machine) -> None:
    state = m.pop()
    made = m.peek(Made)
    if made.state is not None:
        raise PickleError("it gives one object two states")
    made.state = state


def _new_with_keywords(m: Machine) -> None:
    if m.pop(Pairs):
        raise PickleError("it calls with keywords")
    _reduce(m)


def _append(m: Machine) -> None:
    value = m.pop()
    m.peek(list).append(value)


def _appends(m: Machine) -> None:
    values = m.to_mark()
    m.peek(list).extend(values)


def _set_item(m: Machine) -> None:
    value, key = m.pop(), m.pop()
    m.peek(Pairs).append((key, value))


def _paired(values: list[Any]) -> list[tuple[Any, Any]]:
    if len(values) % 2:
        raise PickleError("damaged: a key without a value")
    return list(zip(values[::2], values[1::2], strict=True))


def _set_items(m: Machine) -> None:
    pairs = _paired(m.to_mark())
    m.peek(Pairs).extend(pairs)


def _add_items(m: Machine) -> None:
    values = m.to_mark()
    m.peek(Members).extend(values)


def _tuple(count: int) -> Callable[[Machine], None]:
    def operation(m: Machine) -> None:
        values = [m.pop() for _ in range(count)]
        m.push(tuple(reversed(values)))

    return operation


def _memoize(m: Machine) -> None:
    m.keep(len(m.memo))


def _protocol(m: Machine) -> None:
    if m.take(1)[0] > _NEWEST:
        raise PickleError("written by a newer Python than this reader knows")


def _refuse(what: str) -> Callable[[Machine], None]:
    def operation(m: Machine) -> None:
        raise PickleError(f"it asks for {what}")

    return operation


def _drop(m: Machine) -> None:
    if not m.stack:
        raise PickleError("damaged: a value is missing")
    m.stack.pop()


_OPERATIONS: dict[int, Callable[[Machine], Any]] = {
    # marks, the memo, bookkeeping
    ord("("): lambda m: m.push(MARK),
    ord("0"): _drop,
    ord("1"): lambda m: m.to_mark(),
    ord("2"): lambda m: m.push(m.stack[-1]) if m.stack and m.stack[-1] is not MARK else m.pop(),
    ord("g"): lambda m: m.recall(_whole(m.line())),
    ord("h"): lambda m: m.recall(m.take(1)[0]),
    ord("j"): lambda m: m.recall(m.number("<I")),
    ord("p"): lambda m: m.keep(_whole(m.line())),
    ord("q"): lambda m: m.keep(m.take(1)[0]),
    ord("r"): lambda m: m.keep(m.number("<I")),
    0x94: _memoize,
    0x80: _protocol,
    0x95: lambda m: m.number("<Q"),  # how long the next frame is: a hint for readers of streams
    # numbers and text
    ord("N"): lambda m: m.push(None),
    0x88: lambda m: m.push(True),
    0x89: lambda m: m.push(False),
    ord("I"): lambda m: m.push(_whole(m.line())),
    ord("L"): lambda m: m.push(_whole(m.line())),
    ord("J"): lambda m: m.push(m.number("<i")),
    ord("K"): lambda m: m.push(m.take(1)[0]),
    ord("M"): lambda m: m.push(m.number("<H")),
    0x8A: lambda m: _long(m, m.take(1)[0]),
    0x8B: lambda m: _long(m, m.number("<i")),
    ord("F"): _float,
    ord("G"): lambda m: m.push(m.number(">d")),
    ord("S"): _quoted,
    ord("T"): lambda m: m.push(m.take(m.number("<i")).decode("latin1")),
    ord("U"): lambda m: m.push(m.take(m.take(1)[0]).decode("latin1")),
    ord("V"): lambda m: m.push(m.line().decode("raw-unicode-escape")),
    ord("X"): lambda m: _text(m, m.number("<I")),
    0x8C: lambda m: _text(m, m.take(1)[0]),
    0x8D: lambda m: _text(m, m.number("<Q")),
    ord("B"): lambda m: m.push(m.take(m.number("<I"))),
    ord("C"): lambda m: m.push(m.take(m.take(1)[0])),
    0x8E: lambda m: m.push(m.take(m.number("<Q"))),
    0x96: lambda m: m.push(m.take(m.number("<Q"))),
    # containers
    ord("]"): lambda m: m.push([]),
    ord("l"): lambda m: m.push(m.to_mark()),
    ord("a"): _append,
    ord("e"): _appends,
    ord(")"): lambda m: m.push(()),
    ord("t"): lambda m: m.push(tuple(m.to_mark())),
    0x85: _tuple(1),
    0x86: _tuple(2),
    0x87: _tuple(3),
    ord("}"): lambda m: m.push(Pairs()),
    ord("d"): lambda m: m.push(Pairs(_paired(m.to_mark()))),
    ord("s"): _set_item,
    ord("u"): _set_items,
    0x8F: lambda m: m.push(Members()),
    0x90: _add_items,
    0x91: lambda m: m.push(Members(m.to_mark())),
    # names and what is made by them
    ord("c"): lambda m: m.push(_line_global(m)),
    0x93: _stack_global,
    ord("R"): _reduce,
    0x81: _reduce,
    0x92: _new_with_keywords,
    ord("i"): _instance,
    ord("o"): _object,
    ord("b"): _build,
    # what reaches outside the file
    ord("P"): _refuse("another file"),
    ord("Q"): _refuse("another file"),
    0x82: _refuse("an extension"),
    0x83: _refuse("an extension"),
    0x84: _refuse("an extension"),
    0x97: _refuse("a buffer outside the file"),
    0x98: _refuse("a buffer outside the file"),
}
