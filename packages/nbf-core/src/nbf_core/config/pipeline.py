"""Pipelines: TOML files that name components and their options.

Sections that name a component (``use``) are validated against that component's own configuration; the
other sections (``train``, ``bench``, ...) against models that their commands register here.
"""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from nbf_core.config.base import Config
from nbf_core.config.overrides import apply_overrides, tomllib
from nbf_core.errors import ConfigError, PluginError
from nbf_core.plugins.manager import PluginManager, get_plugin_manager
from nbf_core.plugins.records import ComponentEntry

SCHEMA = 1

SECTION_KINDS = {
    "body": "body_models",
    "renderer": "renderers",
    "bank": "feature_banks",
    "regressor": "regressors",
    "fitter": "fitters",
    "data": "datasets",
    "detector": "detectors",
}
"""Pipeline sections that name a component, and the kind each names."""

TOP_LEVEL = ("schema", "extends", "name", "seed")


@dataclass(frozen=True)
class Section:
    """One component of a pipeline: its record, and its validated configuration."""

    use: str
    kind: str
    config: Config


@dataclass(frozen=True)
class Pipeline:
    """A resolved and validated pipeline.

    ``table`` is the plain resolved TOML table (what a run directory stores); ``sections`` the components by
    section name; ``options`` the validated sections that name no component.
    """

    name: str
    seed: int
    table: dict[str, Any]
    sections: dict[str, Section] = field(default_factory=dict)
    options: dict[str, BaseModel] = field(default_factory=dict)

    def section(self, name: str) -> Section:
        """A component section. Raises ConfigError naming it where the pipeline has none."""
        if name not in self.sections:
            raise ConfigError(f"{self.name}: this needs a [{name}] section, and the pipeline has none")
        return self.sections[name]


def load_pipeline(
    source: str | Path,
    overrides: Iterable[tuple[str, Any]] = (),
    options: Mapping[str, type[BaseModel]] | None = None,
    manager: PluginManager | None = None,
) -> Pipeline:
    """Read the built-in pipeline or TOML file ``source``, resolve ``extends``, apply overrides, validate.

    ``options`` gives the models of sections that name no component. Raises ConfigError or PluginError with
    the file and the key in one line.
    """
    manager = manager or get_plugin_manager()
    table = override(resolve(source, manager), overrides, options or {}, manager)
    return validate(table, str(source), options or {}, manager)


def override(
    table: dict[str, Any],
    overrides: Iterable[tuple[str, Any]],
    options: Mapping[str, type[BaseModel]],
    manager: PluginManager,
) -> dict[str, Any]:
    """``apply_overrides`` that also reaches into lists a pipeline leaves at their default.

    ``fitter.stages.0.steps=10`` changes the first of the fitter's own stages where the pipeline names none.
    """
    for key, value in overrides:
        section, *path = itertools.takewhile(lambda part: not part.isdigit(), key.split("."))
        if path and len(path) + 1 < len(key.split(".")):
            table = _with_default(table, section, path, options, manager)
        table = apply_overrides(table, [(key, value)])
    return table


def resolve(source: str | Path, manager: PluginManager, seen: tuple[str, ...] = ()) -> dict[str, Any]:
    """The plain table of a pipeline with everything it extends merged in."""
    label = str(source)
    if label in seen:
        raise ConfigError(f"{label}: extends itself: {' -> '.join((*seen, label))}")
    path = _find(source, manager)
    table = _read(path)
    parent = table.pop("extends", None)
    if parent is None:
        return table
    # A neighbouring file is meant before a built-in name.
    neighbour = path.parent / str(parent)
    base = resolve(neighbour if neighbour.is_file() else parent, manager, (*seen, label))
    return _merge(base, table)


def validate(
    table: dict[str, Any], label: str, options: Mapping[str, type[BaseModel]], manager: PluginManager
) -> Pipeline:
    """Check a plain table against the components' configurations. Raises ConfigError or PluginError."""
    if table.get("schema") != SCHEMA:
        raise ConfigError(f"{label}: schema: expected {SCHEMA}, got {table.get('schema')!r}")
    known = (*TOP_LEVEL, *SECTION_KINDS, "priors", *options)
    for key in table:
        if key not in known:
            raise ConfigError(f"{label}: {key}: unknown key{_nearest(key, known)}")
    sections = _components(table, label, manager)
    checked = {
        name: check(model, _table(table.get(name, {}), name, label), name, label) for name, model in options.items()
    }
    seed = table.get("seed", 0)
    if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
        raise ConfigError(f"{label}: seed: expected a whole number from 0, got {seed!r}")
    return Pipeline(str(table.get("name", label)), seed, table, sections, checked)


def check(model: type[BaseModel], values: Mapping[str, Any], section: str, label: str) -> Any:
    """Validate one section. Raises ConfigError naming the file and the first key that is wrong."""
    try:
        return model.model_validate(dict(values))
    except (ConfigError, PluginError) as error:  # of a component inside this one
        raise type(error)(f"{label}: {section}.{error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join([section, *(str(part) for part in first["loc"])])
        if first["type"] == "extra_forbidden":
            advice = _nearest(str(first["loc"][-1]), _fields_at(model, first["loc"][:-1]))
            raise ConfigError(f"{label}: {key}: unknown key{advice}") from error
        if first["type"] == "missing":
            raise ConfigError(f"{label}: {key}: this key is missing") from error
        raise ConfigError(f"{label}: {key}: {first['msg']}, got {first.get('input')!r}") from error


def _components(table: dict[str, Any], label: str, manager: PluginManager) -> dict[str, Section]:
    """All sections that name a component. A PluginError names every component that is missing, not the first alone."""
    wanted = [(name, kind, table[name]) for name, kind in SECTION_KINDS.items() if name in table]
    for name, value in _table(table.get("priors", {}), "priors", label).items():
        key = f"priors.{name}"
        wanted.append((key, "priors", {"use": name, **_table(value, key, label)}))
    sections: dict[str, Section] = {}
    missing: list[str] = []
    for name, kind, value in wanted:
        try:
            sections[name] = _component(value, name, kind, label, manager)
        except PluginError as error:
            missing.append(str(error))
    if missing:
        raise PluginError("; ".join([missing[0], *(text.removeprefix(f"{label}: ") for text in missing[1:])]))
    return sections


def _component(value: Any, name: str, kind: str, label: str, manager: PluginManager) -> Section:
    values = dict(_table(value, name, label))
    use = values.pop("use", None)
    if not isinstance(use, str):
        raise ConfigError(f"{label}: {name}.use: this key is missing; it names the component to use")
    try:
        model = manager.get(kind, use).load_config()
    except PluginError as error:
        raise PluginError(f"{label}: {name}.use: {error}") from error
    return Section(use, kind, check(model, values, name, label))


def _with_default(
    table: dict[str, Any],
    section: str,
    path: list[str],
    options: Mapping[str, type[BaseModel]],
    manager: PluginManager,
) -> dict[str, Any]:
    """The table with the list at ``section`` and ``path`` written out, where it is left at its default."""
    given = table.get(section, {})
    model = options.get(section)
    if model is None and section in SECTION_KINDS and isinstance(given, Mapping):
        use = given.get("use")
        entry = manager.entries(SECTION_KINDS[section]).get(use) if isinstance(use, str) else None
        model = entry.load_config() if isinstance(entry, ComponentEntry) else None
    default: Any = model.model_construct().model_dump(mode="json", exclude_none=True) if model else {}
    for part in path:
        given = given.get(part) if isinstance(given, Mapping) else None
        default = default.get(part) if isinstance(default, Mapping) else None
    if given is not None or not isinstance(default, list):
        return table
    return apply_overrides(table, [(".".join([section, *path]), default)])


def _find(source: str | Path, manager: PluginManager) -> Path:
    path = Path(source)
    if path.suffix == ".toml" or path.is_file():
        if not path.is_file():
            raise ConfigError(f"{source}: no such file")
        return path
    return manager.get("pipelines", str(source)).path


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error


def _merge(base: dict[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for key, value in change.items():
        former = result.get(key)
        if isinstance(former, dict) and isinstance(value, dict):
            other = "use" in value and value["use"] != former.get("use")
            result[key] = value if other else _merge(former, value)
        else:
            result[key] = value
    return result


def _table(value: Any, name: str, label: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ConfigError(f"{label}: {name}: expected a table, got {value!r}")
    return value


def _nearest(key: str, choices: Iterable[str]) -> str:
    choices = list(choices)
    near = difflib.get_close_matches(key, choices, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(sorted(choices))}"


def _fields_at(model: type[BaseModel], location: tuple[Any, ...]) -> list[str]:
    """Names of the fields of the (nested) model that ``location`` leads to."""
    current: Any = model
    for part in location:
        if isinstance(part, str) and isinstance(current, type) and issubclass(current, BaseModel):
            entry = current.model_fields.get(part)
            current = entry.annotation if entry else None
        current = _model_in(current)
    return list(current.model_fields) if isinstance(current, type) and issubclass(current, BaseModel) else []


def _model_in(annotation: Any) -> Any:
    """The first pydantic model inside an annotation such as ``list[Stage] | None``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        found = _model_in(argument)
        if found is not None:
            return found
    return None
