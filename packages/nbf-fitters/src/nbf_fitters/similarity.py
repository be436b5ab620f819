"""How alike image and bank are: the inner products that a fit looks up, made where it looks."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from nbf_core.errors import ShapeError
from nbf_core.types import Similarities

MARGIN = 2
"""Pixels around those asked for that are filled with them: a body that moves a little finds its pixels ready."""


class SimilarityTable:
    """Cosines of every pixel's feature with every kernel's, per orientation bin; clutter's best beside them.

    Neither changes during a fit, so all are one matrix product per image. A body covers a part of the map only: on a
    CPU a pixel's row is made when the pixel is first asked for, and memory that is never touched is never taken.
    Up to ``h w k o`` numbers a person. Raises ShapeError where the channels differ.
    """

    def __init__(self, features: Float[Tensor, "b c h w"], bank: Float[Tensor, "k o c"], clutter: Float[Tensor, "m c"]):
        people, channels, height, width = features.shape
        if bank.shape[-1] != channels or clutter.shape[-1] != channels:
            raise ShapeError(
                f"channels differ: features {channels}, bank {bank.shape[-1]}, clutter {clutter.shape[-1]}"
            )
        self.grid, self.kernels, self.bins = (people, height, width), *bank.shape[:2]
        self.bank = F.normalize(bank.to(features), dim=-1)
        self._features = F.normalize(features, dim=1).flatten(2).mT.reshape(-1, channels)
        self._columns = self.bank.flatten(0, 1).mT
        self.clutter = (self._features @ F.normalize(clutter.to(features), dim=-1).mT).amax(-1)
        if self._features.device.type == "cpu":
            self._table = self._features.new_empty(len(self._features), self._columns.shape[1])
            self._ready = torch.zeros(len(self._features), dtype=torch.bool)
        else:  # a question that the processor must wait for costs more than the whole product
            self._table, self._ready = self._features @ self._columns, None
        self._gram: Tensor | None = None

    @property
    def gram(self) -> Float[Tensor, "k k o"]:
        """Inner products of the kernels' features in the same bin."""
        if self._gram is None:
            self._gram = torch.einsum("koc,loc->klo", self.bank, self.bank)
        return self._gram

    def require(self, pixel: Int[Tensor, "n"]) -> None:
        """Make the rows of these pixels, where they are missing."""
        if self._ready is None or self._ready[pixel].all():
            return
        wanted = (self._around(pixel) & ~self._ready).nonzero()[:, 0]
        rows = self._features.index_select(0, wanted) @ self._columns
        # In place: a row is written once, and what was looked up before is a copy. Where the bank carries gradients,
        # as it never does in a fit, they go through the row.
        put = self._table.index_copy if rows.requires_grad else self._table.index_copy_
        self._table = put(0, wanted, rows)
        self._ready[wanted] = True

    def pairs(self, pixel: Int[Tensor, "n"], kernel: Int[Tensor, "n m"]) -> Float[Tensor, "n m o"]:
        """The similarities of kernels and the pixels that see them; -1 stands for any kernel."""
        self.require(pixel)
        index = pixel[:, None] * self.kernels + kernel.clamp_min(0)
        table = self._table.view(-1, self.bins)
        return table.index_select(0, index.flatten()).view(*kernel.shape, self.bins)

    def everything(self) -> Similarities:
        """All rows and the Gram matrix, for renderers that look for themselves."""
        if self._ready is not None and not self._ready.all():
            torch.mm(self._features, self._columns, out=self._table)
            self._ready.fill_(True)
        return Similarities(self._table.view(*self.grid, self.kernels, self.bins), self.gram)

    def _around(self, pixel: Int[Tensor, "n"]) -> Bool[Tensor, "p"]:
        """These pixels and those within ``MARGIN`` of them."""
        mask = torch.zeros(len(self._ready))
        mask[pixel] = 1
        wide = F.max_pool2d(mask.view(self.grid)[:, None], 2 * MARGIN + 1, stride=1, padding=MARGIN)
        return wide.flatten() > 0
