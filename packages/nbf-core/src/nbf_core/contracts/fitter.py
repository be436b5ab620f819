"""The contracts of a fitter and of the priors it may be handed, and what some fitters offer beyond them."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from nbf_core.types.body import BodyParams
from nbf_core.types.fitting import FitResult, Observation


@runtime_checkable
class Prior(Protocol):
    """How unlikely a body is, before seeing the image."""

    def __call__(self, params: BodyParams) -> Float[Tensor, "b"]:
        """The unweighted cost of each person; differentiable."""
        ...


@runtime_checkable
class Fitter(Protocol):
    """Turns a start into a body that explains the observation."""

    def fit(self, observation: Observation, start: BodyParams) -> FitResult:
        """Fit ``b`` people independently of one another.

        A person whose observation is unusable comes back unchanged with ``kept`` false: never an exception
        that loses the batch, never a NaN.
        """
        ...


@runtime_checkable
class SequenceFitter(Fitter, Protocol):
    """A fitter that can also fit a film of one person: an optional capability.

    Whoever has frames asks ``isinstance(fitter, SequenceFitter)`` and otherwise fits them one by one.
    """

    def fit_sequence(self, observation: Observation, start: BodyParams, before: BodyParams | None = None) -> FitResult:
        """Fit ``b`` consecutive frames of one person together: one shape, and movement that is smooth.

        ``before`` are the fitted parameters of the one or two frames right before these, where a long film comes in
        pieces: the fit goes on from them.
        Frames without evidence are filled in from their neighbours. Promises about failures as :meth:`fit`.
        """
        ...
