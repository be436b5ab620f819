"""The contracts of a fitter and of the priors it may be handed."""

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
