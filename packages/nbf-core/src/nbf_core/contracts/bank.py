"""The contract of a neural feature bank."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from jaxtyping import Bool, Float, Int
from torch import Tensor


@runtime_checkable
class FeatureBank(Protocol):
    """Holds unit features per kernel and orientation bin, and background features: a ``torch.nn.Module``.

    All state is in the ``state_dict``, ring position included. Where torch.distributed runs several processes,
    ``update`` and ``loss`` are collective: each process calls them with its own images, even with none. Every
    process then holds the bank that one process would after the joined batch, and the mean over processes of the
    loss and of its gradients is that of the joined batch.
    """

    features: Float[Tensor, "k o c"]

    def update(
        self,
        features: Float[Tensor, "b i c"],
        kernels: Int[Tensor, "b i"],
        orientation: Int[Tensor, "b i"],
        visible: Bool[Tensor, "b i"],
        background: Float[Tensor, "b n c"],
    ) -> None:
        """Move the bank towards the visible features of a batch, and store the background features.

        Feature ``i`` of a person belongs to kernel ``kernels[i]`` in bin ``orientation[i]``.
        """
        ...

    def loss(
        self,
        features: Float[Tensor, "b i c"],
        kernels: Int[Tensor, "b i"],
        orientation: Int[Tensor, "b i"],
        visible: Bool[Tensor, "b i"],
        background: Float[Tensor, "b n c"],
    ) -> dict[str, Float[Tensor, ""]]:
        """The contrastive terms by name; gradients flow to ``features`` and ``background``, not to the bank."""
        ...

    def clutter(self, centers: int = 1) -> Float[Tensor, "m c"]:
        """Unit features that stand for whatever is no body."""
        ...
