"""The contract of a regressor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from nbf_core.contracts.body import BodyModel
from nbf_core.types.regression import RegressorOutput
from nbf_core.types.sample import Sample


@runtime_checkable
class Regressor(Protocol):
    """Images to a first estimate and to the feature map: a ``torch.nn.Module``."""

    channels: int  # of the feature map
    image_size: int  # side of the square images it takes
    map_size: int  # side of the square maps it gives

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> RegressorOutput:
        """``images`` are RGB in [0, 1]; the regressor applies its own normalisation."""
        ...

    def __call__(self, images: Float[Tensor, "b 3 h w"]) -> RegressorOutput: ...

    def loss(self, output: RegressorOutput, sample: Sample, body: BodyModel) -> dict[str, Float[Tensor, ""]]:
        """The weighted supervised terms by name, on a collated batch; labels the sample lacks are left out.

        In a batch of people of whom not the same is known each counts with what is (:func:`nbf_core.types.collate`,
        ``partial``): ``params`` where ``with_params`` is true, keypoints by their confidence, maps but for ``UNKNOWN``.
        Under torch.distributed every process calls this once a batch, and it may be collective: weighted means are
        those of the joined batch.
        """
        ...


@runtime_checkable
class Deployable(Protocol):
    """A regressor that is stored in another form for inference than for training; it loads both forms."""

    def deployed(self) -> Mapping[str, Tensor]:
        """Its ``state_dict`` in the form for inference: the same function, fit to be stored in float16."""
        ...
