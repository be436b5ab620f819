"""``nbf-run new-plugin``: a package that works, to be changed into one's own."""

from __future__ import annotations

import json as json_library
from pathlib import Path
from typing import Annotated, Optional

import typer


def new_plugin(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="What it is a plugin of: renderer, metric, dataset, ...")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="What pipelines will call it.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder to put the package's folder in.")] = Path(
        "."
    ),
    file: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--file", metavar="FILE", help="The trained weights, for a plugin of weights."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> int:
    """Write a plugin package that works: to be changed into your own.

    Kinds: body-model, renderer, feature-bank, regressor, fitter, prior, dataset, detector, metric, protocol, pipeline,
    weights. The package has a configuration, an implementation, tests from the conformance suite, and a README.
    """
    from nbf_run.scaffold import write_plugin

    made = write_plugin(kind, name, out, file)
    files = [path.relative_to(made.folder).as_posix() for path in made.files]
    if json:
        about = {"kind": made.kind, "name": made.name, "distribution": made.distribution, "folder": str(made.folder)}
        print(json_library.dumps({**about, "files": files}, indent=2))
        return 0
    print(f"{made.folder}: {made.kind} {made.name!r}")
    for path in files:
        print(f"  {path}")
    # In quotes: brackets mean something to zsh.
    print(f'next: pip install -e "{made.folder}[test]" && pytest "{made.folder}/tests"')
    return 0
