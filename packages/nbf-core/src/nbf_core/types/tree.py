"""Mapping a function over the tensors of a record, so that every record moves, indexes and detaches alike."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

Record = TypeVar("Record", bound="TensorRecord")


class TensorRecord:
    """Base of frozen dataclasses whose tensor fields share their leading batch dimensions.

    Fields that are no tensors and no records are kept as they are.
    """

    def map(self: Record, function: Callable[[Tensor], Tensor]) -> Record:
        """The same record with ``function`` applied to every tensor, nested records included."""
        changes = {}
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            if isinstance(value, Tensor):
                changes[field.name] = function(value)
            elif isinstance(value, TensorRecord):
                changes[field.name] = value.map(function)
        return dataclasses.replace(self, **changes)  # type: ignore[type-var]

    def to(self: Record, *args, **kwargs) -> Record:
        """Move or cast like :meth:`torch.Tensor.to`; a dtype changes floating tensors only."""
        dtype = kwargs.pop("dtype", None)
        rest = []
        for argument in args:
            if isinstance(argument, torch.dtype):
                dtype = argument
            else:
                rest.append(argument)

        def move(tensor: Tensor) -> Tensor:
            if rest or kwargs:
                tensor = tensor.to(*rest, **kwargs)
            return tensor.to(dtype) if dtype is not None and tensor.is_floating_point() else tensor

        return self.map(move)

    def detach(self: Record) -> Record:
        """The same values, cut from the graph."""
        return self.map(Tensor.detach)

    def clone(self: Record) -> Record:
        """A copy of every tensor."""
        return self.map(Tensor.clone)

    def __getitem__(self: Record, index) -> Record:
        """Index the leading batch dimension of every tensor."""
        return self.map(lambda tensor: tensor[index])


def stack(records: list[Record], combine: Callable[[list[Tensor]], Tensor] = torch.stack) -> Record:
    """Join records of one type along a new leading dimension (or with ``combine``, e.g. ``torch.cat``).

    A field that is None in any record is None in the result; other fields are taken from the first.
    """
    first = records[0]
    changes = {}
    for field in dataclasses.fields(first):  # type: ignore[arg-type]
        values = [getattr(record, field.name) for record in records]
        if any(value is None for value in values):
            changes[field.name] = None
        elif isinstance(values[0], Tensor):
            changes[field.name] = combine(values)
        elif isinstance(values[0], TensorRecord):
            changes[field.name] = stack(values, combine)
    return dataclasses.replace(first, **changes)  # type: ignore[type-var]
