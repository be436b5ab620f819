"""What a component may offer beyond its contract: to take over what the published implementation trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from torch import Tensor


@dataclass(frozen=True)
class Converted:
    """A component's part of a published checkpoint.

    ``tensors`` is the component's ``state_dict``, ``options`` the keys of its configuration that these tensors fit,
    ``used`` the names in the checkpoint that it accounts for, taken over or knowingly left out. ``problems`` says,
    a line each, what is missing or has another shape; where there are any, ``tensors`` is empty.
    """

    tensors: Mapping[str, Tensor]
    options: Mapping[str, Any]
    used: frozenset[str]
    problems: tuple[str, ...] = ()


@runtime_checkable
class TakesPublished(Protocol):
    """A class of components that can be filled from a checkpoint of the published implementation."""

    @classmethod
    def from_published(cls, tensors: Mapping[str, Tensor]) -> Converted:
        """This component's part of a checkpoint, given all of its tensors by their published names."""
        ...
