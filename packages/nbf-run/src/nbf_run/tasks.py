"""What ``nbf-run fit`` and ``nbf-run demo`` do, as calls: photos in, a run directory with a page out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch

from nbf_core.errors import ConfigError, InputError, PluginError
from nbf_core.plugins import get_plugin_manager
from nbf_core.types import Sample
from nbf_run import build
from nbf_run.film_run import fit_film_to
from nbf_run.fitting import LoadedPipeline
from nbf_run.frames import Cut, Film
from nbf_run.images import SUFFIXES, find_images
from nbf_run.journal import Journal
from nbf_run.options import FIT_NEEDS, read_pipeline
from nbf_run.report.credits import Credit, read_credits
from nbf_run.report.page import Heading
from nbf_run.report.run import RunDirectory
from nbf_run.results import FittedImage
from nbf_run.video import is_video

Step = Callable[[str, int, int], None]
"""Told of progress: what is being done, how many are done, of how many."""

Overrides = Sequence[tuple[str, Any]]
"""Dotted keys of the pipeline and their values."""

_METRICS = {"MPJPE": "mpjpe", "PA-MPJPE": "pa-mpjpe"}


def fit_to(
    out: Path,
    source: str | Path,
    photos: Iterable[str | Path],
    overrides: Overrides = (),
    step: Step | None = None,
    film: bool = False,
    resume: bool = False,
) -> dict[str, Any]:
    """Fit everybody in ``photos`` (files and folders, or one video) and write a run directory.

    With ``film``, or where a video is given, they are the frames of one film, in order: each person's frames are
    fitted together; ``fit.frames`` tells which. With ``resume`` a run that was interrupted in ``out`` goes on: what it
    finished stays. Returns the content of ``report.json``. A photo that cannot be used is an entry with its reason.
    Raises ConfigError, PluginError or AssetError, and InputError where nothing of a film can be read.
    """
    photos = [photos] if isinstance(photos, (str, Path)) else list(photos)
    pipeline = read_pipeline(source, overrides, needs=FIT_NEEDS)
    film, text = film or any(map(is_video, photos)), pipeline.options["fit"].frames
    if text is not None and not film:
        raise ConfigError("fit.frames: only a film has frames; give --film where the pictures are those of one")
    frames = Film(photos, None if text is None else Cut.parse(text)) if film else None
    run = {"task": "fit", "inputs": [str(path) for path in photos], "film": film, "pipeline": pipeline.table}
    if resume:
        Journal(out, run, resume=True)  # what cannot be resumed is said before anything is loaded
    loaded = LoadedPipeline(pipeline)
    directory = RunDirectory(out, loaded.pipeline)
    journal = Journal(out, run, resume)
    if frames:
        fit_film_to(directory, loaded, frames, journal, step or _silent)
    else:
        _fit_photos(directory, loaded, find_images(photos), step or _silent, journal)
    heading = Heading(
        "Bodies fitted to photos",
        "For every person found: the body that a network estimates at first sight, and the body after its "
        "pose has been fitted to the picture.",
    )
    return directory.finish("fit", heading, loaded.trust, loaded.weights)


def demo_to(
    out: Path, source: str | Path = "demo", overrides: Overrides = (), step: Step | None = None
) -> dict[str, Any]:
    """Fit the photos that come with the package and a few occluded synthetic people; as :func:`fit_to`."""
    step = step or _silent
    pipeline = read_pipeline(source, overrides, needs=FIT_NEEDS)
    if pipeline.options["demo"].samples:
        pipeline = read_pipeline(source, overrides, needs=(*FIT_NEEDS, "data"))
    loaded = LoadedPipeline(pipeline)
    directory = RunDirectory(out, pipeline)
    _fit_photos(directory, loaded, shipped_photos(), step)
    if pipeline.options["demo"].samples:
        step("synthetic people", 0, 1)
        for image in _fit_samples(loaded, source, overrides):
            directory.add(image)
        step("synthetic people", 1, 1)
    heading = Heading(
        "3D bodies from single pictures",
        "Real photos first, then synthetic people hidden behind a patch, whose true pose is known. Every row "
        "goes from the picture to a network’s first estimate to the fitted body.",
    )
    return directory.finish("demo", heading, loaded.trust, loaded.weights, shipped_credits())


def shipped_photos() -> list[Path]:
    """The photos inside the package."""
    folder = Path(str(files("nbf_run"))) / "data" / "photos"
    return sorted(path for path in folder.glob("*") if path.suffix.lower() in SUFFIXES)


def shipped_credits() -> list[Credit]:
    """Whom the photos are owed to."""
    path = Path(str(files("nbf_run"))) / "data" / "photos" / "CREDITS.md"
    return read_credits(path.read_text(encoding="utf-8")) if path.is_file() else []


def _fit_photos(
    directory: RunDirectory,
    loaded: LoadedPipeline,
    photos: Sequence[Path],
    step: Step,
    journal: Journal | None = None,
) -> None:
    """Fit photos and write them; those that the journal knows as done are taken up again."""
    waiting = list(photos)
    for entry in journal.entries if journal else ():
        if Path(entry["photo"]) in waiting:
            directory.restore(entry["folder"])
            waiting.remove(Path(entry["photo"]))
    looked = len(photos) - len(waiting)

    def on_photo(name: str) -> None:
        nonlocal looked
        looked += 1
        step("photos", looked, len(photos))

    step("photos", looked, len(photos))
    for image in loaded.fit_photos(waiting, directory.fail, on_photo):
        record = directory.add(image)
        if journal:
            journal.add(photo=image.name, folder=record["folder"])
    place = {str(path): number for number, path in enumerate(photos)}
    directory.records.sort(key=lambda record: place.get(record["image"], len(photos)))


def _fit_samples(loaded: LoadedPipeline, source: str | Path, overrides: Overrides) -> list[FittedImage]:
    """The demo's samples with an occluder, fitted, with errors to the truth."""
    options = loaded.pipeline.options["demo"]
    patched = read_pipeline(source, [*overrides, ("data.patch_size", options.patch_size)], needs=(*FIT_NEEDS, "data"))
    dataset = build.build_dataset(patched, build.build_body(patched))
    wrong = [index for index in options.samples if not 0 <= index < len(dataset)]
    if wrong:
        raise InputError(f"{patched.name}: demo.samples: the data set has no sample {wrong[0]}")
    samples = [dataset[index] for index in options.samples]
    images = loaded.fit_samples(samples, [f"sample {index}" for index in options.samples])
    return [with_errors(image, sample, loaded) for image, sample in zip(images, samples, strict=True)]


def with_errors(image: FittedImage, sample: Sample, loaded: LoadedPipeline) -> FittedImage:
    """The same with joint errors (mm) of start and fit against the sample's true body.

    All joints count, hidden ones too. The metrics are the installed ones; one that is missing is left out.
    """
    if sample.params is None:
        return image
    person = image.people[0]
    with torch.inference_mode():
        truth = _centred(loaded.body(sample.params.to(loaded.device)).joints.cpu())
    bodies = [_centred(torch.from_numpy(posed.joints)) for posed in (person.start, person.fitted)]
    errors = {}
    for label, name in _METRICS.items():
        try:
            entry = get_plugin_manager().get("metrics", name)
            metric = entry.load()(entry.load_config()())
        except PluginError:
            continue
        errors[label] = tuple(float(metric(body, truth, torch.ones(truth.shape[:-1]))) for body in bodies)
    return replace(image, people=(replace(person, errors=errors),))


def _centred(joints: torch.Tensor) -> torch.Tensor:
    """A batch of one body with its pelvis (joint 0) at the origin."""
    return (joints - joints[:1])[None]


def _silent(what: str, done: int, total: int) -> None:
    """Nobody wants to hear of progress."""
