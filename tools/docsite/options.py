"""Tables of options, from the pydantic models that pipelines are checked against."""

from __future__ import annotations

import inspect
import json
import re
import typing
from collections.abc import Iterator
from pathlib import PurePath
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from docsite.roles import plain_markdown
from nbf_core.config import Config

_BOUNDS = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤"}


def described(model: type[BaseModel], section: str) -> str:
    """What a model's docstring says, and a table of its keys; tables within it follow under their own headings."""
    parts = [_explained(model), _table(model)]
    for inner, keys in nested(model).items():
        heading = ", ".join(f"`{section}.{key}`" if section else f"`{key}`" for key in keys)
        parts += [f"### {heading}", _explained(inner), _table(inner)]
    return "\n\n".join(part for part in parts if part)


def nested(model: type[BaseModel]) -> dict[type[BaseModel], list[str]]:
    """Every model below a model, with the keys that lead to it; ``[]`` stands for each of several tables."""
    found: dict[type[BaseModel], list[str]] = {}

    def walk(model: type[BaseModel], prefix: str) -> None:
        for key, field in model.model_fields.items():
            for inner, many in _models(field.annotation):
                new = inner not in found
                found.setdefault(inner, []).append(f"{prefix}{key}{many}")
                if new:
                    walk(inner, f"{prefix}{key}{many}.")

    walk(model, "")
    return found


def _models(annotation: Any, many: str = "") -> Iterator[tuple[type[BaseModel], str]]:
    if inspect.isclass(annotation) and not typing.get_args(annotation):
        if issubclass(annotation, BaseModel):
            yield annotation, many
        return
    origin = typing.get_origin(annotation)
    inside = {dict: ".NAME", tuple: "[]", list: "[]"}.get(origin, many)
    for inner in typing.get_args(annotation):
        yield from _models(inner, inside)


def _explained(model: type[BaseModel]) -> str:
    """The docstrings of a model and of what it extends, the most general last."""
    texts: list[str] = []
    for one in model.__mro__:
        if one in (Config, BaseModel) or not issubclass(one, Config):
            continue
        text = plain_markdown(inspect.cleandoc(one.__dict__.get("__doc__") or ""))
        if text and not any(text in other for other in texts):
            texts.append(text)
    return "\n\n".join(texts)


def _table(model: type[BaseModel]) -> str:
    if not model.model_fields:
        return "It has no options."
    fields = model.model_fields.items()
    rows = [[f"`{key}`", _default(field), _kind(field), field.description or ""] for key, field in fields]
    columns = 4 if any(row[3] for row in rows) else 3
    head = ["key", "default", "type", "what it does"][:columns]
    return table(head, [row[:columns] for row in rows])


def table(head: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(
        "| " + " | ".join(re.sub(r"[ \t\n]+", " ", cell).replace("|", "\\|") for cell in row) + " |" for row in lines
    )


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "*required*"
    value = field.get_default(call_default_factory=True)
    if value is None:
        return ""
    if isinstance(value, BaseModel) or (isinstance(value, tuple) and value and isinstance(value[0], BaseModel)):
        return "*below*"
    text = toml(value)
    return f"`{text}`" if len(text) < 60 else f"`{text[:56]} ...`"


def toml(value: Any) -> str:
    """A value as it is written in a pipeline."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {toml(inner)}" for key, inner in value.items()) + " }" if value else "{}"
    if isinstance(value, list | tuple | set | frozenset):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(str(value) if isinstance(value, PurePath) else value, ensure_ascii=False, default=str)


def _kind(field: FieldInfo) -> str:
    """The type in a word or two, with the bounds of numbers."""
    bounds = [
        f"{_BOUNDS[name]}\u00a0{getattr(one, name)}" for one in field.metadata for name in _BOUNDS if hasattr(one, name)
    ]
    return ", ".join([_name(field.annotation), *bounds])


def _name(annotation: Any) -> str:
    origin, inside = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Literal:
        return " or ".join(f"`{toml(choice)}`" for choice in inside)
    if origin is dict:
        return f"table of {_plural(inside[1])}"
    if origin in (tuple, list, set, frozenset):
        several = len(inside) > 1 and inside[-1] is not Ellipsis
        return f"{len(inside)} {_plural(inside[0])}" if several else f"list of {_plural(inside[0])}"
    if origin is typing.Annotated:
        return _name(inside[0])
    if inside:
        return " or ".join(_name(one) for one in inside if one is not type(None))
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        return "table"
    names = {float: "number", int: "whole number", str: "text", bool: "true or false", Any: "anything"}
    name = names.get(annotation) or getattr(annotation, "__name__", str(annotation))
    return {"Path": "path"}.get(name, re.sub(r"\W", " ", name))


def _plural(annotation: Any) -> str:
    name = _name(annotation)
    plurals = {"number": "numbers", "whole number": "whole numbers", "text": "texts", "table": "tables"}
    return plurals.get(name, name)
