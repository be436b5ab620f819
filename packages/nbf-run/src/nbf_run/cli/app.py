"""The commands. Everything heavy is imported by the command that needs it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from nbf_run import __version__
from nbf_run.cli import inspect
from nbf_run.cli.data import data_app
from nbf_run.cli.export import export
from nbf_run.cli.model import model_app
from nbf_run.cli.new_plugin import new_plugin
from nbf_run.cli.swap import swap

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
app.add_typer(data_app, name="data")

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
    images: Annotated[list[Path], typer.Argument(metavar="IMAGES...", help="Photos, folders of photos, or one video.")],
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
        typer.Option(
            "--film", help="The images are consecutive frames of one film (a video is): fit each person's together."
        ),
    ] = False,
    resume: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            "--resume", metavar="DIR", help="Go on with an interrupted run in this folder, in place of --out."
        ),
    ] = None,
    settings: SetOption = None,
    json: JsonOption = False,
) -> int:
    """Fit everybody in photos, or in a video.

    Writes overlays, occlusion masks, side views, meshes, numbers and a page that shows them.
    """
    from nbf_run.cli.work import fit_command

    extra = [] if focal is None else [("fit.focal", focal)]
    extra += [("fit.trace", TRACE_EVERY)] if trace else []
    return fit_command(pipeline, images, resume or out, settings, json, extra, film, resume is not None)


@app.command()
def view(
    run: Annotated[Path, typer.Argument(metavar="DIR", help="What fit or demo left: its folder, or one result.json.")],
    pictures: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--pictures", metavar="DIR", help="Write pictures of every person here."),
    ] = None,
    video: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--video", metavar="FILE", help="Write a film's frames with their bodies as this video."),
    ] = None,
    meshes: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--meshes", metavar="DIR", help="Write files of the fitted bodies here, as nbf-run export does."),
    ] = None,
    layers: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--layers", metavar="A,B", help="What pictures and video show; for all: --layers help."),
    ] = None,
    kinds: Annotated[
        str, typer.Option("--kinds", metavar="A,B", help="Kinds of files for --meshes; all: nbf-run export --help.")
    ] = "glb",
    rate: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option("--rate", min=0.1, max=240, help="Frames a second of video and animations, if not the film's."),
    ] = None,
    address: Annotated[
        str,
        typer.Option(
            "--address", metavar="HOST:PORT", help="Where the page is served; 0.0.0.0:8080 shows it to the network."
        ),
    ] = "127.0.0.1:8080",
    json: JsonOption = False,
) -> int:
    """Look at results: a page that turns bodies in 3D, or files.

    Without --pictures, --video or --meshes a local page is served (needs viser: nbf-run[viewer]) until interrupted.
    """
    from nbf_run.cli.view import view_command

    outputs = {"pictures": pictures, "video": video, "meshes": meshes}
    return view_command(run, outputs, layers, kinds, rate, address, json)


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
def bench(
    pipeline: Annotated[
        Optional[str],  # noqa: UP045
        typer.Argument(metavar="PIPELINE", help="A built-in pipeline's name or a TOML file; with --resume its own."),
    ] = None,
    out: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--out", metavar="DIR", help="Folder to write to; with --resume that folder unless given."),
    ] = None,
    resume: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--resume", metavar="DIR", help="Go on with an earlier run: what is finished is not done again."),
    ] = None,
    settings: SetOption = None,
    json: JsonOption = False,
) -> int:
    """Measure methods on sets of people under occluders.

    The free benchmark is "bench"; "all" runs every published table on the data that is there and says what is missing.
    Ctrl-C at any moment: --resume goes on.
    """
    from nbf_run.cli.bench import bench_command

    return bench_command(pipeline, out, resume, settings, json)


@app.command()
def report(
    runs: Annotated[list[Path], typer.Argument(metavar="DIR...", help="Folders of benchmarks.")],
    out: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--out", metavar="DIR", help="Folder to write the comparison to."),
    ] = None,
    json: JsonOption = False,
) -> int:
    """Compare benchmarks with the first one, person by person.

    With a single folder: write its report anew out of what is finished, also where the run was ended early.
    """
    from nbf_run.cli.bench import report_command

    return report_command(runs, out, json)


@app.command()
def crossview(pipeline: PipelineArgument, out: OutOption, settings: SetOption = None, json: JsonOption = False) -> int:
    """Fit one picture of a calibrated rig, score its body in the others."""
    from nbf_run.cli.crossview import crossview_command

    return crossview_command(pipeline, out, settings, json)


app.command()(export)
app.command()(swap)
app.command("new-plugin")(new_plugin)


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
