"""Which pipelines there are with one component exchanged, and which of them can run here."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from nbf_core.config import Pipeline
from nbf_core.config.pipeline import SECTION_KINDS
from nbf_core.contracts import ExportsModel
from nbf_core.errors import AssetError
from nbf_core.plugins import get_plugin_manager
from nbf_run.fitting import Job, LoadedPipeline
from nbf_run.model_files import export_body
from nbf_run.options import FIT_NEEDS, read_pipeline
from nbf_run.results import FittedImage, FittedPerson

_QUICK = 5.0
"""Seconds: a fit that takes no longer is timed a second time, when everything is compiled."""


@dataclass(frozen=True)
class Variant:
    """A pipeline with the component ``name`` in ``section``; ``changes`` are none for the pipeline's own.

    ``note`` says what else a reader should know.
    """

    section: str
    name: str
    changes: tuple[tuple[str, Any], ...]
    note: str = ""

    @property
    def own(self) -> bool:
        """Whether nothing is exchanged."""
        return not self.changes

    @property
    def title(self) -> str:
        """What the variant is called in a benchmark."""
        return f"{self.section} {self.name}"


@dataclass
class Tried:
    """A variant that ran: its components, the fitted person, the picture of it, and the seconds that the fit took."""

    variant: Variant
    loaded: LoadedPipeline
    image: FittedImage
    seconds: float
    drawn: dict[str, Any] = field(default_factory=dict)

    @property
    def person(self) -> FittedPerson:
        """The person that was fitted."""
        return self.image.people[0]


@dataclass(frozen=True)
class Lacking:
    """A variant that cannot run here, and why."""

    section: str
    name: str
    reason: str


class Trials:
    """Tries variants of one pipeline on one person of one photo."""

    def __init__(self, source: str | Path, overrides: list[tuple[str, Any]], photo: Path, out: Path) -> None:
        self.source, self.overrides, self.out = source, overrides, out
        self.base: Pipeline = read_pipeline(source, overrides, needs=FIT_NEEDS)
        self.options = self.base.options["swap"]
        loaded = LoadedPipeline(self.base)
        job = loaded.find(str(photo), photo)
        self.job = Job(job.name, job.image, job.camera, job.people[:1], job.crops[:1], job.boxes[:1], 0.0)
        self.own = self._fit(Variant("pipeline", self.base.name, ()), loaded)

    def variants(self, section: str) -> Iterator[Variant]:
        """The pipeline's own component first, then every other one that is installed."""
        used = self.base.section(section).use
        others = get_plugin_manager().entries(SECTION_KINDS[section]).keys() - {used}
        yield Variant(section, used, ())
        yield from (Variant(section, name, ((f"{section}.use", name),)) for name in sorted(others))

    def run(self, variant: Variant) -> Tried | Lacking:
        """Fit the person with a variant, in place of files that are missing with a stand-in."""
        if variant.own:
            return Tried(variant, self.own.loaded, self.own.image, self.own.seconds)
        tried = self._try(variant)
        if isinstance(tried, Tried) or variant.section != "body" or not self._can_stand_in(variant.name):
            return tried
        folder = self.out / "bodies"
        folder.mkdir(parents=True, exist_ok=True)
        own = self.base.section("body").use
        files = export_body(own, variant.name, folder)
        changes = [*variant.changes, ("body.path", str(folder))]
        changes += [("body.kernels", str(path)) for path in files if path.name == "kernels.npz"]
        note = f"{own} in {variant.name}'s files"
        second = self._try(Variant("body", variant.name, tuple(changes), note))
        return second if isinstance(second, Tried) else tried

    def _can_stand_in(self, name: str) -> bool:
        fields = get_plugin_manager().get("body_models", name).load_config().model_fields
        own = self.own.loaded.body
        known = isinstance(own, ExportsModel) and name in own.layouts
        return self.options.stand_ins and known and {"path", "kernels"} <= fields.keys()

    def _try(self, variant: Variant) -> Tried | Lacking:
        """Whatever a component raises, here or in the middle of a fit, is why it cannot run."""
        try:
            pipeline = read_pipeline(self.source, [*self.overrides, *variant.changes], needs=FIT_NEEDS)
            return self._fit(variant, LoadedPipeline(pipeline))
        except Exception as error:
            return Lacking(variant.section, variant.name, _reason(error, (str(self.source), variant.name)))

    def _fit(self, variant: Variant, loaded: LoadedPipeline) -> Tried:
        seconds = np.inf
        for _ in range(2):
            began = time.perf_counter()
            found = loaded.fit_crops(self.job.crops, [self.job.camera])[0]
            seconds = min(seconds, time.perf_counter() - began)
            if seconds > _QUICK:
                break
        person = found.person(self.job, 0)
        if not np.isfinite(person.fitted.vertices).all():
            raise AssetError("the fitted body is not made of numbers")
        return Tried(variant, loaded, loaded.result(self.job, (person,), seconds), seconds)


def _reason(error: Exception, known: tuple[str, ...]) -> str:
    """An error in one line, without the names that a reader knows already."""
    text = " ".join(str(error).split())
    for name in known:
        text = text.removeprefix(f"{name}: ")
    return text or type(error).__name__
