"""A pipeline with its components built: photos or samples in, fitted bodies out."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from nbf_core.config import Pipeline
from nbf_core.contracts import Detector, SequenceFitter
from nbf_core.errors import ConfigError, InputError, NbfError
from nbf_core.types import BodyParams, Camera, Person, Sample
from nbf_core.types.tree import stack
from nbf_run import build
from nbf_run.crop import crop_boxes, photo_camera, square_box
from nbf_run.estimate import Crops, look, observe, part_map, start_params
from nbf_run.found import Found, array
from nbf_run.images import find_images, read_image
from nbf_run.options import FIT_NEEDS, FitOptions, read_pipeline
from nbf_run.results import FittedImage, FittedPerson, Posed
from nbf_run.trust import trust

_REGRESSED = "h36m-17"
"""Joints that results are compared at, beside the body's own."""

Photo = str | Path | np.ndarray
OnError = Callable[[str, InputError], None]
OnPhoto = Callable[[str], None]


def load(source: str | Path, overrides: Iterable[tuple[str, Any]] = ()) -> LoadedPipeline:
    """Read the built-in pipeline or TOML file ``source`` and build what fitting needs.

    ``overrides`` are dotted keys and values: ``[("renderer.use", "gaussian")]``. Raises ConfigError,
    PluginError or AssetError in one line.
    """
    return LoadedPipeline(read_pipeline(source, overrides, needs=FIT_NEEDS))


@dataclass(frozen=True)
class Job:
    """A picture with its people, ready to be fitted; ``crops`` and ``boxes`` have one row each."""

    name: str
    image: np.ndarray
    camera: Camera
    people: Sequence[Person]
    crops: Crops
    boxes: Float[np.ndarray, "b 4"]
    seconds: float
    synthetic: bool = False


class LoadedPipeline:
    """Fits the people in photos. Holds the built components.

    ``body``, ``regressor``, ``bank``, ``fitter``.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline
        self.options: FitOptions = pipeline.options["fit"]
        if self.options.device == "cuda" and not torch.cuda.is_available():
            raise ConfigError(f"{pipeline.name}: fit.device: cuda is asked for, and torch finds no such device")
        torch.manual_seed(pipeline.seed)
        self.device = torch.device(self.options.device)
        self.weights = build.pipeline_weights(pipeline)
        self.body = build.build_body(pipeline).to(self.device)
        self.regressor, self.bank = build.build_estimator(pipeline, self.body, self.weights)
        self.regressor.to(self.device)
        self.bank.to(self.device)
        measured = trust(self.weights.metadata.get("quality"))
        self.trust = measured if self.options.trust is None else self.options.trust
        renderer = build.build_renderer(pipeline)
        tracing = _with_history(pipeline, self.options.trace)
        self.fitter = build.build_fitter(tracing, self.body, renderer, self.bank, self.trust)
        self.faces = self.body.spec.faces.cpu().numpy()
        self.vertex_parts = self.body.spec.vertex_parts.cpu().numpy()

    @cached_property
    def detector(self) -> Detector:
        """The pipeline's detector, built when first asked for."""
        return build.build_detector(self.pipeline)

    def fit(self, photos: Photo | Iterable[Photo], on_error: OnError | None = None) -> list[FittedImage]:
        """Fit everybody in photos: paths (folders too) or arrays uint8 [h, w, 3].

        Raises InputError for a photo that cannot be read or shows nobody; with ``on_error`` such a photo is
        handed there with its reason, left out of the result, and the others go on.
        """
        return list(self.fit_photos(photos, on_error))

    def fit_photos(
        self,
        photos: Photo | Iterable[Photo],
        on_error: OnError | None = None,
        on_photo: OnPhoto | None = None,
    ) -> Iterator[FittedImage]:
        """As :meth:`fit`, one result after the other.

        ``on_photo`` hears of each photo when it has been looked at.
        """
        if isinstance(photos, (str, Path, np.ndarray)):
            photos = [photos]
        waiting: list[Job] = []
        for number, photo in enumerate(_expand(photos)):
            name = f"image-{number + 1}" if isinstance(photo, np.ndarray) else str(photo)
            try:
                waiting.append(self.find(name, photo))
            except InputError as error:
                if on_error is None:
                    raise
                on_error(name, error)
            if on_photo is not None:
                on_photo(name)
            if sum(len(job.people) for job in waiting) >= self.options.batch:
                yield from self._fit_together(waiting, on_error)
                waiting = []
        yield from self._fit_together(waiting, on_error)

    def fit_samples(self, samples: Sequence[Sample], names: Sequence[str]) -> list[FittedImage]:
        """Fit samples of a data set, each one person in a crop of its own, with the keypoints they bring."""
        jobs = []
        for sample, name in zip(samples, names, strict=True):
            if sample.detected is None:
                raise InputError(f"{name}: the sample has no detected keypoints")
            image = sample.image.permute(1, 2, 0).contiguous().numpy()
            whole = np.array([0.0, 0.0, image.shape[1], image.shape[0]])
            person = Person(_keypoint_box(sample.detected.numpy(), whole), sample.detected.numpy(), 1.0)
            crops = crop_boxes(image, sample.camera, [person], whole[None], self.regressor.image_size)
            jobs.append(Job(name, image, sample.camera, [person], crops, whole[None], 0.0, synthetic=True))
        return list(self._fit_jobs(jobs))

    def find(self, name: str, photo: Photo) -> Job:
        """The people in a photo, cropped. Raises InputError where it cannot be read or shows nobody."""
        began = time.perf_counter()
        image = photo if isinstance(photo, np.ndarray) else read_image(photo)
        people = self.detector.detect(image)[: self.options.max_people]
        if not people:
            raise InputError(f"{name}: no person found")
        camera = photo_camera(image.shape[:2], self.options.focal)
        boxes = np.stack([square_box(person.box, self.options.box_scale) for person in people])
        crops = crop_boxes(image, camera, people, boxes, self.regressor.image_size)
        return Job(name, image, camera, people, crops, boxes, time.perf_counter() - began)

    def fit_crops(
        self, crops: Crops, cameras: Sequence[Camera], film: bool = False, before: BodyParams | None = None
    ) -> list[Found]:
        """Fit the people in crops; ``cameras`` are those of their photos.

        With ``film`` they are one person in consecutive frames, fitted together where the fitter can; ``before`` is
        what the fit of the one or two frames right before these gave.
        """
        looked = [look(self.regressor, part.to(self.device)) for part in _parts(crops, self.options.batch)]
        output, crops = stack(looked, torch.cat), crops.to(self.device)
        start, observation = start_params(output, crops.camera), observe(output, crops)
        if film and isinstance(self.fitter, SequenceFitter):
            result = self.fitter.fit_sequence(observation, start, before if before is None else before.to(self.device))
        else:
            result = self.fitter.fit(observation, start)
        posed = [self._pose(params, cameras, crops.keypoint_set) for params in (result.start, result.params)]
        with torch.inference_mode():
            history = {step: array(self.body(params).vertices) for step, params in result.history.items()}
        parts = part_map(output)
        return [Found(result, i, posed[0][i], posed[1][i], history, parts[i]) for i in range(len(cameras))]

    def _fit_together(self, jobs: Sequence[Job], on_error: OnError | None) -> Iterator[FittedImage]:
        """Fit the people of several pictures at once; where that breaks, picture by picture."""
        try:
            fitted = list(self._fit_jobs(jobs))
        except NbfError:
            raise
        except Exception as error:  # a component's own fault: the pictures that do not meet it must come through
            if on_error is None or os.environ.get("NBF_DEBUG") == "1":
                raise
            if len(jobs) == 1:
                fault = f"{type(error).__name__}: {' '.join(str(error).split())}"
                on_error(jobs[0].name, InputError(f"{jobs[0].name}: cannot be fitted: {fault}"))
                return
            for job in jobs:
                yield from self._fit_together([job], on_error)
            return
        yield from fitted

    def _fit_jobs(self, jobs: Sequence[Job]) -> Iterator[FittedImage]:
        if not jobs:
            return
        began = time.perf_counter()
        cameras = [job.camera for job in jobs for _ in job.people]
        found = self.fit_crops(stack([job.crops for job in jobs], torch.cat), cameras)
        share = (time.perf_counter() - began) / len(cameras)
        first = 0
        for job in jobs:
            some = found[first : first + len(job.people)]
            first += len(some)
            people = tuple(one.person(job, i) for i, one in enumerate(some))
            yield self.result(job, people, job.seconds + share * len(people))

    def result(
        self, job: Job, people: tuple[FittedPerson, ...], seconds: float, frame: int | None = None
    ) -> FittedImage:
        """The record of a picture."""
        return FittedImage(
            job.name, job.image, job.camera, people, self.faces, seconds, job.synthetic, self.vertex_parts, frame
        )

    def _pose(self, params: BodyParams, cameras: Sequence[Camera], keypoint_set: str) -> list[Posed]:
        """Each person of a batch posed, with keypoints in the photo that shows them."""
        with torch.inference_mode():
            body = self.body(params)
            keypoints = self.body.keypoints(body, keypoint_set).cpu()
            known = _REGRESSED in self.body.spec.keypoint_weights
            regressed = self.body.keypoints(body, _REGRESSED) if known else None
        params = params.detach().to("cpu")
        return [
            Posed(
                params=params[i],
                vertices=array(body.vertices[i]),
                joints=array(body.joints[i]),
                keypoints=array(camera.project(keypoints[i])),
                h36m=None if regressed is None else array(regressed[i]),
            )
            for i, camera in enumerate(cameras)
        ]


def _expand(photos: Iterable[Photo]) -> Iterator[Photo]:
    for photo in photos:
        if isinstance(photo, np.ndarray):
            yield photo
        else:
            yield from find_images([photo])


def _keypoint_box(keypoints: Float[np.ndarray, "n 3"], whole: Float[np.ndarray, "4"]) -> Float[np.ndarray, "4"]:
    sure = keypoints[keypoints[:, 2] > 0, :2]
    return np.concatenate([sure.min(0), sure.max(0)]) if len(sure) > 1 else whole


def _parts(crops: Crops, size: int) -> list[Crops]:
    """Crops in batches that the regressor can take at once."""
    return [crops[first : first + size] for first in range(0, len(crops.images), size)]


def _with_history(pipeline: Pipeline, every: int) -> Pipeline:
    """The same with a fitter that keeps parameters at every so many steps, where it can (``history_every``)."""
    section = pipeline.sections.get("fitter")
    if not every or section is None or "history_every" not in type(section.config).model_fields:
        return pipeline
    config = section.config.model_copy(update={"history_every": every})
    return replace(pipeline, sections={**pipeline.sections, "fitter": replace(section, config=config)})
