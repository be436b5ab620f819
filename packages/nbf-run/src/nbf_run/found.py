"""One person out of a fit of several, as the record of a picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from nbf_core.types import FitResult
from nbf_run.results import FittedPerson, Posed

if TYPE_CHECKING:
    from nbf_run.fitting import Job


@dataclass(frozen=True)
class Found:
    """One person out of a fit of several: row ``row`` of ``result``.

    ``history`` holds everybody's vertices by step, ``parts`` the person's part map (-1 background).
    """

    result: FitResult
    row: int
    start: Posed
    fitted: Posed
    history: Mapping[int, Float[np.ndarray, "b V 3"]]
    parts: Int[np.ndarray, "h w"] | None = None

    def person(self, job: Job, here: int, track: int | None = None) -> FittedPerson:
        """The same as person ``here`` of a picture."""
        person, result, row = job.people[here], self.result, self.row
        known = {
            name: array(getattr(result, name)[row])
            for name in ("confidence", "object_score", "clutter_score")
            if getattr(result, name) is not None
        }
        return FittedPerson(
            box=np.asarray(person.box, np.float64),
            square=job.boxes[here],
            score=float(person.score),
            keypoints=np.asarray(person.keypoints),
            keypoint_set=person.keypoint_set,
            start=self.start,
            fitted=self.fitted,
            start_loss=float(result.start_loss[row]),
            loss=float(result.loss[row]),
            kept=bool(result.kept[row]),
            silhouette=array(result.silhouette[row]),
            occlusion=array(result.occlusion[row]),
            trace={name: array(steps[:, row]) for name, steps in result.trace.items()},
            stages=result.stages,
            history={step: vertices[row] for step, vertices in self.history.items()},
            track=track,
            parts=self.parts,
            **known,
        )


def array(tensor: Tensor) -> np.ndarray:
    """The tensor's values, on the CPU."""
    return tensor.detach().cpu().numpy()
