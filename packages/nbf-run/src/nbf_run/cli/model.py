"""``nbf-run model``: weights from elsewhere. Importing this imports no torch."""

from __future__ import annotations

import json as jsons
import sys
from pathlib import Path
from typing import Annotated

import typer

model_app = typer.Typer(help="Weights from elsewhere.", rich_markup_mode=None, no_args_is_help=True)

_SHOWN = 20  # of each sort of problem; --json lists all


@model_app.callback()
def _root() -> None:
    # With a single command Typer would drop its name.
    pass


@model_app.command()
def convert(
    published: Annotated[Path, typer.Argument(metavar="PUBLISHED.PTH", help="A checkpoint of the published 3DNBF.")],
    out: Annotated[Path, typer.Argument(metavar="OUT.SAFETENSORS", help="The model file to write.")],
    regressor: Annotated[str, typer.Option("--regressor", help="The regressor that takes it over.")] = "pare-coke",
    bank: Annotated[str, typer.Option("--bank", help="The feature bank that takes it over.")] = "nearest-memory",
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> int:
    """Turn a published checkpoint into a model file for regressor.weights.

    Only tensors are read: nothing in the checkpoint is executed. One that does not fit is refused with the list of
    what is missing, odd or of another shape. Prints the pipeline sections that go with the weights.
    """
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
