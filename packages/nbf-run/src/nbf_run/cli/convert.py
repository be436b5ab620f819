"""``nbf-run data convert`` and ``converters``: words around a data set's class. Importing this imports no torch."""

from __future__ import annotations

import json as jsons
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nbf_core.contracts import Conversion, ConvertsFiles


def convert_command(
    dataset: str, name: str, source: Path, out: Path, settings: Sequence[str] | None, replace: bool, as_json: bool
) -> int:
    """``nbf-run data convert``."""
    from nbf_core.config import parse_override
    from nbf_run.cli.work import progress_bars

    options = dict(parse_override(text) for text in settings or ())
    target = _target(dataset)
    with progress_bars() as step:
        made = target.convert_files(name, source, out, options, replace, step)
    if as_json:
        print(jsons.dumps([asdict(one) | {"path": str(one.path)} for one in made], indent=2))
    for one in made:
        _report(one, as_json)
    return _code(made)


def converters_command(dataset: str, name: str | None, as_json: bool) -> int:
    """``nbf-run data converters``."""
    from nbf_core.errors import ConfigError
    from nbf_run.cli.main import DONE

    found = list(_target(dataset).converters())
    if name is not None:
        known = ", ".join(one.name for one in found)
        found = [one for one in found if one.name == name]
        if not found:
            raise ConfigError(f"no converter named {name!r}; known: {known}")
    if as_json:
        print(jsons.dumps([asdict(one) for one in found], indent=2))
        return DONE
    width = max(len(one.name) for one in found)
    for one in found:
        print(f"{one.name:<{width}}  {one.summary}")
        if name is not None:
            print("", *(line.strip() for line in one.about.splitlines()), "", sep="\n")
            print(*(f"  --set {key}={value}" for key, value in one.options.items()), sep="\n")
            print("into a folder it writes:")
            for file, options in one.files.items():
                print(f"  {file}", " ".join(f"{key}={value}" for key, value in options.items()))
    return DONE


def _target(dataset: str) -> type[ConvertsFiles]:
    from nbf_core.contracts import ConvertsFiles
    from nbf_core.errors import PluginError
    from nbf_core.plugins import get_plugin_manager

    target = get_plugin_manager().get("datasets", dataset).load()
    if not isinstance(target, ConvertsFiles):
        raise PluginError(f"nothing can be converted into files of the data set {dataset}")
    return target


def _report(one: Conversion, quiet: bool) -> None:
    """One line for the file, one for each reason, one for each file of the data set that could not be used."""
    if one.error:
        print(f"nbf-run: {one.path.name}: not written: {one.error}", file=sys.stderr)
    elif not quiet:
        print(f"{one.path}: {one.samples} samples")
    if not quiet and not one.error:
        for reason, count in sorted(one.skipped.items(), key=lambda entry: -entry[1]):
            print(f"  left out: {count} {reason}")
    for problem in one.problems:
        print(f"nbf-run: {one.path.name}: {problem}", file=sys.stderr)


def _code(made: Sequence[Conversion]) -> int:
    from nbf_run.cli.main import DONE, FAILED, SOME_FAILED

    if all(one.error for one in made):
        return FAILED
    return SOME_FAILED if any(one.error or one.problems for one in made) else DONE
