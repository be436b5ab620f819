"""``nbf-run model``: weights and body models from elsewhere, and for elsewhere. Importing this imports no torch."""

from __future__ import annotations

import json as jsons
import sys
from pathlib import Path
from typing import Annotated, Optional

import typer

model_app = typer.Typer(help="Weights and body models from elsewhere.", rich_markup_mode=None, no_args_is_help=True)

_SHOWN = 20  # of each sort of problem; --json lists all


@model_app.command()
def convert(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A checkpoint of the published 3DNBF, or a body model (SMPL, ...).")
    ],
    out: Annotated[
        Path,
        typer.Argument(metavar="OUT", help="To write: .safetensors from a checkpoint, .npz from a body model."),
    ],
    regressor: Annotated[str, typer.Option("--regressor", help="The regressor that takes it over.")] = "pare-coke",
    bank: Annotated[str, typer.Option("--bank", help="The feature bank that takes it over.")] = "nearest-memory",
    body: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--body", help="The body model that the file is for; found out unless given."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> int:
    """Turn a published checkpoint, or a body model, into a file without pickles.

    Only tensors and arrays are read: nothing in the file is executed. One that does not fit is refused with what is
    missing, odd or of another shape. Prints the pipeline sections that go with what was written.
    """
    if out.suffix == ".npz":
        return _convert_body(file, out, body, json)
    return _convert_checkpoint(file, out, regressor, bank, json)


@model_app.command()
def export(
    body: Annotated[str, typer.Argument(metavar="BODY", help="A body model that can be exported, such as anny.")],
    out: Annotated[Path, typer.Argument(metavar="DIR", help="The folder to write to, such as data/body_models.")],
    layout: Annotated[str, typer.Option("--layout", help="Whose files: smpl, smplh or smplx.")] = "smpl",
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> int:
    """Write a body in the files of another, laid out as published.

    Programs that read SMPL can so be tried without SMPL's licence.
    """
    from nbf_run.cli.main import DONE
    from nbf_run.model_files import export_body

    written = export_body(body, layout, out)
    if json:
        print(jsons.dumps({"files": [str(path) for path in written]}, indent=2))
    else:
        print(*(f"{path}: {path.stat().st_size / 1e6:.1f} MB" for path in written), sep="\n")
    return DONE


def _convert_body(file: Path, out: Path, body: str | None, json: bool) -> int:
    from nbf_run.cli.inspect import toml_lines
    from nbf_run.cli.main import DONE
    from nbf_run.model_files import convert_body

    made = convert_body(file, out, body)
    if json:
        written = {"model": str(made.model), "arrays": made.shapes, "left_out": made.left_out}
        print(jsons.dumps({**written, "pipeline": made.pipeline}, indent=2))
        return DONE
    print(f"{made.model}: {len(made.shapes)} arrays of a body {made.body}", *toml_lines(made.pipeline), sep="\n")
    if made.left_out:
        print(f"\nleft out, being no arrays: {', '.join(made.left_out)}", file=sys.stderr)
    return DONE


def _convert_checkpoint(published: Path, out: Path, regressor: str, bank: str, json: bool) -> int:
    from nbf_run.checkpoints import MisfitError, convert_checkpoint
    from nbf_run.cli.inspect import toml_lines
    from nbf_run.cli.main import DONE, FAILED

    try:
        made = convert_checkpoint(published, out, regressor, bank)
    except MisfitError as error:
        if json:
            print(jsons.dumps({"model": None, "problems": error.problems}, indent=2))
        print(f"nbf-run: {error}", *_shortened(error.problems), sep="\n  ", file=sys.stderr)
        return FAILED
    if json:
        written = {"model": str(made.model), "tensors": dict(made.tensors), "pipeline": made.pipeline}
        print(jsons.dumps(written, indent=2))
        return DONE
    counts = ", ".join(f"{count} tensors of the {name}" for name, count in made.tensors.items())
    print(f"{made.model}: {counts}", "in a pipeline:", *toml_lines(made.pipeline), sep="\n")
    if "bank" not in made.tensors:
        print("\nthe checkpoint held no feature bank; a fit needs one beside these weights", file=sys.stderr)
    return DONE


def _shortened(problems: tuple[str, ...]) -> list[str]:
    """The problems, of each sort no more than anybody reads."""
    lines = []
    for sort in dict.fromkeys(problem.partition(":")[0] for problem in problems):
        own = [problem for problem in problems if problem.partition(":")[0] == sort]
        more = [f"{sort}: {len(own) - _SHOWN} more (--json lists all)"] * (len(own) > _SHOWN)
        lines += own[:_SHOWN] + more
    return lines
