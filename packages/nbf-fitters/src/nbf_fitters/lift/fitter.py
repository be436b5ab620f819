"""A fitter that begins from a learned guess instead of the start it is given."""

from __future__ import annotations

from dataclasses import replace

from jaxtyping import Bool
from torch import Tensor

from nbf_core.contracts import Fitter, SequenceFitter
from nbf_core.types import BodyParams, FitResult, Observation
from nbf_fitters.lift.lifter import Lifter
from nbf_fitters.records import finite_people, pick, prepared


class LiftedFitter:
    """Fits with ``fitter`` from where ``lifter`` says that people stand; from the start whomever it cannot tell.

    The shape stays the start's. ``FitResult.start`` is the start that was given, ``start_loss`` the objective at the
    guess. Somebody whom the fitter leaves at the guess was moved all the same, and counts as ``kept``.
    """

    def __init__(self, fitter: Fitter, lifter: Lifter):
        self.fitter, self.lifter = fitter, lifter

    def fit(self, observation: Observation, start: BodyParams) -> FitResult:
        """Fit ``b`` people. Promises and errors as those of the fitter."""
        guess, lifted = self._lift(observation, start)
        return _told(self.fitter.fit(observation, guess), start, lifted)

    def _lift(self, observation: Observation, start: BodyParams) -> tuple[BodyParams, Bool[Tensor, "b"]]:
        observation, given = prepared(observation, start)
        guess, lifted = self.lifter(observation)
        lifted = lifted & finite_people(observation, given)
        guess = replace(guess, betas=given.betas)  # a picture shows more of the shape than the evidence does
        return pick(lifted, guess.to(given.transl), given), lifted


class LiftedSequenceFitter(LiftedFitter):
    """The same about a fitter of films; each frame is lifted alone."""

    def fit_sequence(self, observation: Observation, start: BodyParams, before: BodyParams | None = None) -> FitResult:
        """As the fitter does."""
        guess, lifted = self._lift(observation, start)
        return _told(self.fitter.fit_sequence(observation, guess, before), start, lifted)


def lifted(fitter: Fitter, lifter: Lifter) -> LiftedFitter:
    """The fitter behind a lift, able to fit films where it is."""
    kind = LiftedSequenceFitter if isinstance(fitter, SequenceFitter) else LiftedFitter
    return kind(fitter, lifter)


def _told(result: FitResult, start: BodyParams, moved: Bool[Tensor, "b"]) -> FitResult:
    """The result with the start that was given, and everybody kept who is elsewhere."""
    given = start.to(result.start.transl).map(lambda tensor: tensor.nan_to_num(posinf=0.0, neginf=0.0))
    return replace(result, start=given.detach(), kept=result.kept | moved)
