"""From a kind and a name to a folder that is a package."""

from __future__ import annotations

import difflib
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from nbf_core.errors import ConfigError
from nbf_core.plugins import PluginManager, get_plugin_manager
from nbf_run.scaffold.kinds import PLUGIN_KINDS, PluginKind

_TEMPLATES = Path(__file__).parent / "templates"
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


@dataclass(frozen=True)
class NewPlugin:
    """What was written: ``folder``, the ``files`` in it, and the names that go with it."""

    kind: str
    name: str
    distribution: str
    package: str
    folder: Path
    files: tuple[Path, ...]


def write_plugin(
    kind: str, name: str, out: Path = Path("."), file: Path | None = None, manager: PluginManager | None = None
) -> NewPlugin:
    """Write a package with a working plugin into a new folder of ``out``.

    ``name`` is what pipelines will call the component; the distribution's name is made of it. ``file``: the trained
    weights of a plugin of weights. Raises ConfigError for an unknown kind, a name that cannot be one or is taken, a
    folder that is there already, and a missing or needless ``file``.
    """
    chosen = _kind(kind)
    name = _checked_name(chosen, name, manager or get_plugin_manager())
    _check_file(chosen, file)
    words = _words(chosen, name)
    folder = Path(out) / words["distribution"]
    if folder.exists():
        raise ConfigError(f"{folder}: is there already; remove it, or choose another name or --out")
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES), undefined=StrictUndefined, keep_trailing_newline=True, trim_blocks=True,
        lstrip_blocks=True, autoescape=False,
    )  # fmt: skip
    contents = {
        path: environment.get_template(template).render(words) for path, template in _plan(chosen, words).items()
    }
    for path, text in contents.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    if file is not None:
        target = folder / "src" / words["package"] / "data" / f"{name}.safetensors"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    files = tuple(sorted(path for path in folder.rglob("*") if path.is_file()))
    return NewPlugin(kind, name, words["distribution"], words["package"], folder, files)


def _kind(kind: str) -> PluginKind:
    if kind not in PLUGIN_KINDS:
        plain = kind.lower().replace("_", "-").removeprefix("nbf-")
        found = [each.name for each in PLUGIN_KINDS.values() if plain in (each.name, each.hook.replace("_", "-"))]
        near = found or difflib.get_close_matches(plain, PLUGIN_KINDS, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise ConfigError(f"no kind of plugin named {kind!r}; {hint}known: {', '.join(PLUGIN_KINDS)}")
    return PLUGIN_KINDS[kind]


def _checked_name(kind: PluginKind, name: str, manager: PluginManager) -> str:
    plain = name.removeprefix(kind.prefix)
    if not _NAME.fullmatch(plain):
        raise ConfigError(
            f"{name!r} is no name of a plugin: small letters, digits and single hyphens, such as 'my-{kind.name}'"
        )
    if plain in manager.entries(kind.hook):
        provider = manager.provider(kind.hook, plain)
        raise ConfigError(f"a {kind.words} named {plain!r} is installed already, from {provider}; choose another name")
    return plain


def _check_file(kind: PluginKind, file: Path | None) -> None:
    if kind.name != "weights":
        if file is not None:
            raise ConfigError(f"--file: only a plugin of weights has a file, not one of kind {kind.name!r}")
    elif file is None:
        raise ConfigError("--file: weights need their file, such as RUN/weights.safetensors of nbf-run train")
    elif not file.is_file():
        raise ConfigError(f"--file: {file}: no such file")


def _words(kind: PluginKind, name: str) -> dict:
    """What the templates speak of."""
    camel = "".join(part.capitalize() for part in name.split("-"))
    distribution = kind.prefix + name
    return {
        "kind": kind,
        "name": name,
        "distribution": distribution,
        "package": distribution.replace("-", "_"),
        "class_name": camel if camel.endswith(kind.suffix) and kind.suffix else camel + kind.suffix,
    }


def _plan(kind: PluginKind, words: dict) -> dict[str, str]:
    """The template of each file of the package."""
    source = f"src/{words['package']}"
    plan = {
        "pyproject.toml": "common/pyproject.toml.j2",
        "README.md": "common/README.md.j2",
        "example.toml": f"{kind.name}/example.toml.j2",
        f"{source}/__init__.py": "common/__init__.py.j2",
        f"{source}/plugin.py": "common/plugin.py.j2" if kind.is_component else f"{kind.name}/plugin.py.j2",
        "tests/test_plugin.py": "common/test_plugin.py.j2" if kind.is_component else f"{kind.name}/test_plugin.py.j2",
    }
    if kind.is_component:
        plan[f"{source}/config.py"] = f"{kind.name}/config.py.j2"
        plan[f"{source}/{kind.module}.py"] = f"{kind.name}/{kind.module}.py.j2"
        plan["tests/test_conformance.py"] = f"{kind.name}/test_conformance.py.j2"
    if kind.name == "pipeline":
        plan[f"{source}/pipelines/{words['name']}.toml"] = "pipeline/pipeline.toml.j2"
        del plan["example.toml"]
    return plan
