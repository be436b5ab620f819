"""``nbf-run data``: what is in files of labels. Importing this imports no torch."""

from __future__ import annotations

import json as jsons
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

if TYPE_CHECKING:
    from nbf_core.contracts import FileProblem, FileReport, ReadsFiles

data_app = typer.Typer(help="Files of labels.", rich_markup_mode=None, no_args_is_help=True)

SHOWN = 20
"""Problems of one file that are printed; --json and --all give every one."""

DatasetOption = Annotated[str, typer.Option("--dataset", metavar="NAME", help="The data set that the files belong to.")]
ImagesOption = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option("--images", metavar="DIR", help="Where the images are; otherwise found as the data set does."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


@data_app.callback()
def _root() -> None:
    pass


@data_app.command()
def check(
    paths: Annotated[
        list[Path], typer.Argument(metavar="FILE|FOLDER...", help="Files, or folders with files in them.")
    ],
    images: ImagesOption = None,
    pictures: Annotated[bool, typer.Option("--pictures", help="Decode every image too: slow.")] = False,
    everything: Annotated[bool, typer.Option("--all", help=f"Print all problems, not {SHOWN} a file.")] = False,
    dataset: DatasetOption = "humandata",
    json: JsonOption = False,
) -> int:
    """Say what is wrong with files of labels, sample by sample, and which samples a training run would leave out.

    Nothing in a file is run and nothing is written. Exit code 0: all is well; 3: some samples cannot be used; 1: a
    file cannot be used at all.
    """
    from nbf_run.cli.main import DONE, FAILED, SOME_FAILED
    from nbf_run.cli.work import progress_bars

    reader = _reader(dataset)
    reports = []
    for path in _files(reader, paths):
        with progress_bars() as step:
            reports.append(reader.check_file(path, images, pictures, step))
        if not json:
            _print_check(reports[-1], everything)
    if json:
        print(jsons.dumps([_plain(report) for report in reports], indent=2))
    if not all(report.usable for report in reports):
        return FAILED
    return SOME_FAILED if any(report.problems for report in reports) else DONE


@data_app.command()
def show(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="A file of labels.")],
    out: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--out", metavar="PNG", help="Write pictures of samples with their labels to this file."),
    ] = None,
    count: Annotated[int, typer.Option("--count", min=1, max=100, help="How many samples.")] = 12,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Which samples.")] = 0,
    images: ImagesOption = None,
    dataset: DatasetOption = "humandata",
    json: JsonOption = False,
) -> int:
    """Say what a file of labels holds: samples, labels, fields; --out draws some of them."""
    from nbf_run.cli.main import DONE, FAILED

    reader = _reader(dataset)
    report = reader.check_file(path, images)
    if not report.usable:
        _complain(report)
        return FAILED
    if out is not None:
        _write_sheet(reader, report, out, count, seed, images)
    if json:
        print(jsons.dumps(_plain(report) | {"sheet": None if out is None else str(out)}, indent=2))
        return DONE
    _print_contents(report)
    if out is not None:
        print(f"pictures: {out}")
    return DONE


@data_app.command()
def convert(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A converter; nbf-run data converters lists them.")],
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="The folder that holds the data set.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A file ending in .npz, or a folder for all usual files.")],
    settings: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--set", metavar="KEY=VALUE", help="An option of the converter: split=test."),
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Write files anew that are there already.")] = False,
    dataset: DatasetOption = "humandata",
    json: JsonOption = False,
) -> int:
    """Make files of labels out of a data set as it is distributed. Images stay where they are.

    What cannot be used is left out, counted and said. Exit code 3: some of the data set's files could not be used, or
    some of several files could not be made; 1: none could.
    """
    from nbf_run.cli.convert import convert_command

    return convert_command(dataset, name, source, out, settings, replace, json)


@data_app.command()
def converters(
    name: Annotated[
        Optional[str],  # noqa: UP045
        typer.Argument(metavar="NAME", help="Show the options of this one."),
    ] = None,
    dataset: DatasetOption = "humandata",
    json: JsonOption = False,
) -> int:
    """Which data sets can be converted, with which options, into which files."""
    from nbf_run.cli.convert import converters_command

    return converters_command(dataset, name, json)


def _reader(name: str) -> type[ReadsFiles]:
    """The class of a data set that can be asked about files. Raises PluginError where it cannot."""
    from nbf_core.contracts import ReadsFiles
    from nbf_core.errors import PluginError
    from nbf_core.plugins import get_plugin_manager

    target = get_plugin_manager().get("datasets", name).load()
    if not isinstance(target, ReadsFiles):
        raise PluginError(f"the data set {name} reads no files that could be looked at")
    return target


def _files(reader: type[ReadsFiles], paths: Sequence[Path]) -> list[Path]:
    """The files named, and those in the folders named. Raises InputError for a folder without any."""
    from nbf_core.errors import InputError

    found: list[Path] = []
    for path in paths:
        inside = list(reader.find_files(path)) if path.is_dir() else [path]
        if not inside:
            raise InputError(f"{path}: no such file of labels in this folder")
        found += inside
    return list(dict.fromkeys(found))


def _print_check(report: FileReport, everything: bool) -> None:
    if not report.usable:
        _complain(report)
        return
    skipped = len(report.skipped)
    state = "all usable" if not skipped else f"{skipped} to be left out"
    print(f"{report.path}: {report.samples} samples, {state}; images in {report.images}")
    shown = report.problems if everything else report.problems[:SHOWN]
    for problem in shown:
        print(f"  {problem}")
    if len(shown) < len(report.problems):
        print(f"  {len(report.problems) - len(shown)} more (--all prints them)")


def _complain(report: FileReport) -> None:
    for problem in report.problems:
        print(f"nbf-run: {report.path}: {problem}", file=sys.stderr)


def _print_contents(report: FileReport) -> None:
    print(f"{report.path}: {report.samples} samples; images in {report.images}")
    for table in (report.labels, report.fields):
        width = max(map(len, table), default=0)
        print()
        for name, value in table.items():
            print(f"  {name:<{width}}  {value}")
    if report.problems:
        print(f"\n{len(report.skipped)} samples have something wrong with them: nbf-run data check {report.path}")


def _write_sheet(
    reader: type[ReadsFiles], report: FileReport, out: Path, count: int, seed: int, images: Path | None
) -> None:
    """Write the contact sheet, whole or not at all. Raises InputError for a name that is none of a picture."""
    from PIL import Image

    from nbf_core.errors import InputError

    if out.suffix.lower() != ".png":
        raise InputError(f"{out}: pictures are written to files whose name ends in .png")
    pixels = reader.draw_samples(report.path, images, count, seed)
    out.parent.mkdir(parents=True, exist_ok=True)
    part = out.with_name(f".{out.name}.part")
    try:
        Image.fromarray(pixels).save(part, format="PNG")
        part.replace(out)
    finally:
        part.unlink(missing_ok=True)


def _plain(report: FileReport) -> dict:
    """A report as JSON's own types."""
    return {
        "file": str(report.path),
        "usable": report.usable,
        "samples": report.samples,
        "images": None if report.images is None else str(report.images),
        "labels": dict(report.labels),
        "fields": dict(report.fields),
        "skipped": list(report.skipped),
        "problems": [_problem(problem) for problem in report.problems],
    }


def _problem(problem: FileProblem) -> dict:
    return asdict(problem)
