"""``nbf-run export``: words around :func:`nbf_run.export`. Importing this imports no torch."""

from __future__ import annotations

import json as jsons
import sys
from pathlib import Path
from typing import Annotated, Optional

import typer


def export(
    run: Annotated[
        Path,
        typer.Argument(
            metavar="RUN",
            help="What fit or demo left (its folder, or a result.json), or bench: RUN/results/SET/CONDITION/METHOD.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder to write to.")] = Path("nbf-export"),
    kinds: Annotated[
        str,
        typer.Option(
            "--kinds",
            metavar="A,B",
            help="npz, npz-film, glb, obj, glb-film, glb-fit, keypoints, humandata; what each is: --kinds help.",
        ),
    ] = "glb",
    rate: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option("--rate", min=0.1, max=240, help="Frames a second of animations, if not the film's."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> int:
    """Write fitted bodies as files for other programs: arrays, meshes, animations, keypoints, labels."""
    from nbf_run.cli.main import DONE, FAILED, SOME_FAILED
    from nbf_run.exporting import all_kinds
    from nbf_run.exporting import export as write

    wanted = list(dict.fromkeys(kind.strip() for kind in kinds.split(",") if kind.strip()))
    if wanted == ["help"]:
        every = all_kinds()
        width = max(map(len, every))
        print("\n".join(f"{name:<{width}}  {about}" for name, about in every.items()))
        return DONE
    from nbf_run.cli.work import progress_bars
    from nbf_run.stored import open_run

    errors: dict[str, str] = {}

    def on_error(name: str, error: Exception) -> None:
        errors[name] = str(error)
        print(f"nbf-run: {error}", file=sys.stderr)

    with progress_bars() as step:
        written = write(open_run(run), out, wanted, rate, on_error, step)
    if json:
        print(jsons.dumps({"written": [str(path) for path in written], "failed": errors}, indent=2))
    else:
        print(f"{len(written)} file{'s' * (len(written) != 1)}: {out}")
    if errors or not written:
        return SOME_FAILED if written else FAILED
    return DONE
