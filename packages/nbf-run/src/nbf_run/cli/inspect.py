"""Looking without running: plugins and pipelines. Imports no torch."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from nbf_core.config import Pipeline, parse_override
from nbf_core.errors import PluginError
from nbf_core.plugins import KINDS, ComponentEntry, get_plugin_manager
from nbf_core.plugins.manager import Entry

_ALL = (*KINDS, "pipelines", "weights")


def list_plugins(as_json: bool) -> int:
    """Print everything installed by kind, then failures."""
    manager = get_plugin_manager()
    kinds = {
        kind: {
            name: {"summary": entry.summary, "plugin": manager.provider(kind, name), "target": entry.target}
            for name, entry in manager.entries(kind).items()
        }
        for kind in _ALL
    }
    failures = [{"plugin": failure.plugin, "reason": failure.reason} for failure in manager.failures]
    if as_json:
        print(json.dumps({"components": kinds, "failures": failures}, indent=2))
        return 0
    width = max((len(name) for names in kinds.values() for name in names), default=0)
    for kind, names in kinds.items():
        print(kind.replace("_", " "))
        for name, entry in names.items():
            print(f"  {name:<{width}}  {entry['summary']}  ({entry['plugin']})")
        if not names:
            print("  none")
    if failures:
        print("broken")
        for failure in failures:
            print(f"  {failure['plugin']}: {failure['reason']}")
    return 0


def show_plugin(name: str, as_json: bool) -> int:
    """Print the components of that name with their options. Raises PluginError where there is none."""
    manager = get_plugin_manager()
    wanted_kind, _, bare = name.rpartition("/")
    kinds = [wanted_kind] if wanted_kind else [kind for kind in _ALL if bare in manager.entries(kind)]
    if wanted_kind and wanted_kind not in _ALL:
        raise PluginError(f"no kind {wanted_kind!r}; known: {', '.join(_ALL)}")
    if not kinds:
        everything = sorted({entry for kind in _ALL for entry in manager.entries(kind)})
        raise PluginError(f"nothing named {bare!r} is installed; there is: {', '.join(everything)}")
    shown = [_described(kind, bare, manager.get(kind, bare), manager.provider(kind, bare)) for kind in kinds]
    if as_json:
        print(json.dumps(shown, indent=2, default=str))
        return 0
    for entry in shown:
        print(f"{entry['name']} ({entry['kind'].replace('_', ' ')}, from {entry['plugin']})")
        print(f"  {entry['summary']}")
        print(f"  {entry['target']}")
        for option in entry["options"]:
            help_text = f"  {option['help']}" if option["help"] else ""
            print(f"  {option['key']} = {option['default']}{help_text}")
    return 0


def check_config(source: str, settings: Iterable[str] | None, as_json: bool) -> int:
    """Validate; print what the pipeline is made of. Raises ConfigError or PluginError."""
    pipeline = _read(source, settings)
    parts = {name: section.use for name, section in pipeline.sections.items()}
    if as_json:
        print(json.dumps({"pipeline": pipeline.name, "valid": True, "components": parts}, indent=2))
    else:
        print(f"{source}: valid; " + ", ".join(f"{name} {use}" for name, use in parts.items()))
    return 0


def show_config(source: str, settings: Iterable[str] | None, as_json: bool) -> int:
    """Print the resolved pipeline with all defaults. Raises ConfigError or PluginError."""
    pipeline = _read(source, settings)
    table = resolved_table(pipeline)
    print(json.dumps(table, indent=2) if as_json else "\n".join(toml_lines(table)))
    return 0


def resolved_table(pipeline: Pipeline) -> dict[str, Any]:
    """The pipeline as a plain table with every default written out; options that are None are left out."""
    table: dict[str, Any] = {"schema": 1, "name": pipeline.name, "seed": pipeline.seed}
    for name, section in pipeline.sections.items():
        values = section.config.model_dump(mode="json", exclude_none=True)
        if name.startswith("priors."):
            bare = name.removeprefix("priors.")
            named = {} if section.use == bare else {"use": section.use}
            table.setdefault("priors", {})[bare] = {**named, **values}
        else:
            table[name] = {"use": section.use, **values}
    for name, model in pipeline.options.items():
        table[name] = model.model_dump(mode="json", exclude_none=True)
    return table


def toml_lines(table: dict[str, Any], prefix: str = "") -> list[str]:
    """A plain table as TOML: values first, then tables and lists of tables."""
    plain = {key: value for key, value in table.items() if not isinstance(value, dict) and not _tables(value)}
    lines = [f"{_key(key)} = {_value(value)}" for key, value in plain.items()]
    for key, value in table.items():
        path = f"{prefix}{_key(key)}"
        if isinstance(value, dict):
            lines += ["", f"[{path}]", *toml_lines(value, f"{path}.")]
        elif _tables(value):
            for item in value:
                lines += ["", f"[[{path}]]", *toml_lines(item, f"{path}.")]
    return lines


def _tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)


def _key(key: str) -> str:
    return key if key.replace("-", "").replace("_", "").isalnum() and key.isascii() else json.dumps(key)


def _value(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_key(key)} = {_value(item)}" for key, item in value.items()) + " }"
    # JSON's strings, numbers and booleans are TOML's.
    return json.dumps(value, ensure_ascii=False)


def _described(kind: str, name: str, entry: Entry, plugin: str) -> dict[str, Any]:
    options = []
    if isinstance(entry, ComponentEntry):
        for key, option in entry.load_config().model_fields.items():
            default = "required" if option.is_required() else option.get_default(call_default_factory=True)
            options.append({"key": key, "default": str(default), "help": option.description or ""})
    return {
        "name": name,
        "kind": kind,
        "plugin": plugin,
        "summary": entry.summary,
        "target": entry.target,
        "options": options,
    }


def _read(source: str, settings: Iterable[str] | None) -> Pipeline:
    from nbf_run.options import read_pipeline

    return read_pipeline(source, [parse_override(text) for text in settings or ()])
