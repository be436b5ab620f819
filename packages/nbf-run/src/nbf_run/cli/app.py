"""The commands. Everything heavy is imported by the command that needs it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from nbf_run import __version__
from nbf_run.cli import inspect
from nbf_run.cli.model import model_app

app = typer.Typer(
    name="nbf-run",
    help="Fit, train and measure 3D-aware neural body fitting: pipelines of components met by name.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
)
plugins_app = typer.Typer(help="What is installed.", rich_markup_mode=None, no_args_is_help=True)
config_app = typer.Typer(help="Pipelines and their keys.", rich_markup_mode=None, no_args_is_help=True)
app.add_typer(plugins_app, name="plugins")
app.add_typer(config_app, name="config")
app.add_typer(model_app, name="model")

# Typer reads these at run time; with `from __future__ import annotations` they must be module names, and
# `list[str] | None` needs Python 3.10's own types, which Typer knows.
PipelineArgument = Annotated[str, typer.Argument(metavar="PIPELINE", help="A built-in pipeline's name or a TOML file.")]
SetOption = Annotated[
    Optional[list[str]],  # noqa: UP045
    typer.Option("--set", metavar="KEY=VALUE", help="Change a key of the pipeline: renderer.use=gaussian."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
TRACE_EVERY = 5
"""Steps between the pictures of an animated fit."""

OutOption = Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder to write to.")]


def _version(wanted: bool) -> bool:
    if wanted:
        typer.echo(f"nbf-run {__version__}")
        raise typer.Exit()
    return wanted


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


@app.command()
def demo(
    pipeline: PipelineArgument = "demo",
    out: OutOption = Path("nbf-demo"),
    settings: SetOption = None,
    json: JsonOption = False,
) -> int:
    """Fit the shipped photos and write a page.

    A few occluded synthetic people, whose true pose is known, are fitted too.
    """
    from nbf_run.cli.work import demo_command

    return demo_command(pipeline, out, settings, json)


@app.command()
def fit(
    pipeline: PipelineArgument,
    images: Annotated[list[Path], typer.Argument(metavar="IMAGES...", help="Photos, or folders of photos.")],
    out: OutOption = Path("nbf-fit"),
    focal: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option("--focal", help="Focal length in pixels, where known; short for --set fit.focal=..."),
    ] = None,
    trace: Annotated[
        bool, typer.Option("--trace", help="Also draw each fit's course: a chart of all terms, and an animation.")
    ] = False,
    film: Annotated[
        bool,
        typer.Option("--film", help="The images are consecutive frames of one film: fit each person's together."),
    ] = False,
    settings: SetOption = None,
    json: JsonOption = False,
) -> int:
    """Fit everybody in photos.

    Writes overlays, occlusion masks, side views, meshes, numbers and a page that shows them.
    """
    from nbf_run.cli.work import fit_command

    extra = [] if focal is None else [("fit.focal", focal)]
    extra += [("fit.trace", TRACE_EVERY)] if trace else []
    return fit_command(pipeline, images, out, settings, json, extra, film)


@app.command()
def train(
    pipeline: PipelineArgument,
    out: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--out", metavar="DIR", help="Folder to write to; with --resume that folder unless given."),
    ] = None,
    resume: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--resume", metavar="DIR", help="Go on from an earlier run's folder, as if it had never stopped."),
    ] = None,
    settings: SetOption = None,
    json: JsonOption = False,
) -> int:
    """Train a pipeline's regressor and feature bank."""
    from nbf_run.cli.work import train_command

    return train_command(pipeline, out, resume, settings, json)


@app.command()
def bench(pipeline: PipelineArgument, out: OutOption, settings: SetOption = None, json: JsonOption = False) -> int:
    """Measure a pipeline on its data set: start against fit."""
    from nbf_run.cli.work import bench_command

    return bench_command(pipeline, out, settings, json)


@plugins_app.command("list")
def plugins_list(json: JsonOption = False) -> int:
    """All components, pipelines and weights that are installed, and what is broken."""
    return inspect.list_plugins(json)


@plugins_app.command("show")
def plugins_show(
    name: Annotated[str, typer.Argument(help="A component's name, or KIND/NAME.")], json: JsonOption = False
) -> int:
    """One component and its options."""
    return inspect.show_plugin(name, json)


@config_app.command("check")
def config_check(pipeline: PipelineArgument, settings: SetOption = None, json: JsonOption = False) -> int:
    """Validate a pipeline: every key, every component."""
    return inspect.check_config(pipeline, settings, json)


@config_app.command("show")
def config_show(pipeline: PipelineArgument, settings: SetOption = None, json: JsonOption = False) -> int:
    """The resolved pipeline with all defaults filled in, as TOML."""
    return inspect.show_config(pipeline, settings, json)
