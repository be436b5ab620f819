"""``--set renderer.use=pytorch3d``: changing single values of a pipeline."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

from nbf_core.errors import ConfigError

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib


def parse_override(text: str) -> tuple[str, Any]:
    """``"a.b=3"`` to ``("a.b", 3)``: the value is read as TOML, and as a bare string where it is none."""
    key, separator, value = text.partition("=")
    if not separator or not key.strip():
        raise ConfigError(f"--set {text}: expected KEY=VALUE, for example renderer.use=gaussian")
    try:
        parsed = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value.strip()
    return key.strip(), parsed


def apply_overrides(table: Mapping[str, Any], overrides: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """A copy of ``table`` with dotted keys set; numbers index lists. Unknown paths are found at validation.

    Choosing another component (``x.use``) drops the options that belonged to the former one.
    """
    result = copy.deepcopy(dict(table))
    for key, value in overrides:
        _set(result, key.split("."), value, key)
    return result


def _set(node: Any, path: list[str], value: Any, key: str) -> None:
    *parents, last = path
    for part in parents:
        node = _child(node, part, key)
    if isinstance(node, list):
        node[_position(node, last, key)] = value
    elif isinstance(node, dict):
        if last == "use" and node.get("use") not in (None, value):
            node.clear()
        node[last] = value
    else:
        raise ConfigError(f"{key}: {parents[-1]!r} is a value, not a table")


def _child(node: Any, part: str, key: str) -> Any:
    if isinstance(node, list):
        return node[_position(node, part, key)]
    if isinstance(node, dict):
        return node.setdefault(part, {})
    raise ConfigError(f"{key}: nothing below {part!r}")


def _position(node: list, part: str, key: str) -> int:
    if not part.isdigit() or int(part) >= len(node):
        raise ConfigError(f"{key}: {part!r} is no position in a list of {len(node)}")
    return int(part)
