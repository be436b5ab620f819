"""Converting: the calls behind ``nbf-run data convert``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nbf_core.config import Config
from nbf_core.config.pipeline import check
from nbf_core.contracts import Conversion, ConverterInfo
from nbf_core.contracts.files import Step
from nbf_core.errors import AssetError, ConfigError, InputError
from nbf_datasets.converters.registry import CONVERTERS, Converter, find
from nbf_datasets.converters.rows import Rows
from nbf_datasets.humandata.writing import write_humandata


def infos() -> Sequence[ConverterInfo]:
    """All converters, for listings."""
    return [
        ConverterInfo(
            one.name,
            one.summary,
            {name: _default(field) for name, field in one.options.model_fields.items()},
            one.files,
            one.options.__doc__ or "",
        )
        for one in CONVERTERS.values()
    ]


def convert(
    name: str,
    source: Path,
    out: Path,
    options: Mapping[str, Any] | None = None,
    replace: bool = False,
    step: Step | None = None,
) -> list[Conversion]:
    """Convert the data set in the folder ``source``; see ``nbf_core.contracts.ConvertsFiles.convert_files``."""
    converter, given = find(name), dict(options or {})
    source, out = Path(source), Path(out)
    if not source.is_dir():
        raise InputError(f"{source}: no such folder")
    if out.suffix == ".npz":
        return [_one(converter, source, out, _options(converter, given), replace, step)]
    if out.suffix:
        raise InputError(f"{out}: HumanData is written to a folder, or to a file whose name ends in .npz")
    wanted = {file: {**preset, **given} for file, preset in converter.files.items() if _agree(converter, preset, given)}
    if not wanted:
        raise ConfigError(
            f"{name}: with these options it has no usual file names: write to a file, {out / (name + '.npz')}"
        )
    checked = {file: _options(converter, values) for file, values in wanted.items()}
    return [_one(converter, source, out / file, values, replace, step) for file, values in checked.items()]


def _one(
    converter: Converter, source: Path, out: Path, options: Config, replace: bool, step: Step | None
) -> Conversion:
    if out.exists() and not replace:
        return Conversion(out, error=f"{out} is there already; --replace writes it anew")
    rows = Rows(source)
    try:
        converter.load()(source, options, rows, step or _silent)
        data = rows.humandata(source.resolve().name)
        write_humandata(data, out)
    except (AssetError, InputError) as error:
        return Conversion(out, skipped=dict(rows.skipped), problems=tuple(rows.problems), error=str(error))
    return Conversion(out, len(data), dict(rows.skipped), tuple(rows.problems))


def _agree(converter: Converter, preset: Mapping[str, Any], given: Mapping[str, Any]) -> bool:
    """Whether a usual file is one of those that ``given`` asks for. Fits from elsewhere go into the usual file."""
    if "fits" in given and "fits" not in preset and any("fits" in other for other in converter.files.values()):
        return False
    return all(given.get(key, value) == value for key, value in preset.items() if key != "fits")


def _options(converter: Converter, values: Mapping[str, Any]) -> Config:
    return check(converter.options, values, "options", converter.name)


def _default(field: Any) -> str:
    return "needed" if field.is_required() else str(field.default)


def _silent(what: str, done: int, total: int) -> None:
    pass
