"""How well a rendered body explains the feature map: the published forms and a mixture of kernels.

The image's features ``f`` and the bank's ``F`` do not change during a fit, and a rendered feature is a
weighted sum of the bank's. So all similarities are one matrix product per image, made once; an iteration
looks them up for the pairs of pixel and kernel that the renderer found, and touches no feature channel.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from nbf_core.types import Fragments, ScoreOutput, Similarities
from nbf_fitters.config import LikelihoodConfig
from nbf_fitters.similarity import SimilarityTable

SOFT_TEMPERATURE = 0.1
"""Of the soft maximum between body and clutter in the published form for unknown occlusion."""


class FeatureLikelihood:
    """The negative log likelihood (or its published stand-ins) of ``b`` feature maps, as a cost per person.

    ``features`` are the maps [b, c, h, w], ``bank`` the kernels' features [k, o, c], ``clutter`` those of the
    background [m, c]; all are normalised here. Raises ShapeError where the channels differ.

    ``seen`` is the probability [b, h, w] that a pixel shows the body, where something segmented the image. In the
    mixture the background is then as much more likely as the segmentation says, where it speaks for background: a
    feature map is smooth, pixels beside the body look like it, and by features alone it is drawn too large.
    """

    def __init__(
        self,
        config: LikelihoodConfig,
        features: Float[Tensor, "b c h w"],
        bank: Float[Tensor, "k o c"],
        clutter: Float[Tensor, "m c"],
        seen: Float[Tensor, "b h w"] | None = None,
    ):
        self.config = config
        self.table = SimilarityTable(features, bank, clutter)
        self.clutter = self.table.clutter
        if seen is not None and config.segmentation and config.form == "mixture":
            against = -torch.logit(seen.to(self.clutter).reshape(-1), eps=1e-4)
            self.clutter = self.clutter + config.temperature * against.clamp_min(0)
        self.people, self.pixels = len(features), features[0, 0].numel()
        self._constant = self.clutter.view(self.people, -1).mean(-1)

    def __call__(
        self,
        fragments: Fragments,
        silhouette: Float[Tensor, "b h w"],
        orientation: Float[Tensor, "b k o"],
    ) -> Float[Tensor, "b"]:
        """The cost of each person, from what the renderer made of the kernels and their orientation."""
        if self.config.form == "mixture":
            return self._mixture(fragments, silhouette, orientation)
        body = self._object_score(fragments, orientation)
        score = torch.zeros_like(self.clutter).index_copy(0, fragments.pixel, body)
        return self._published(score, silhouette.reshape(-1))

    @property
    def similarities(self) -> Similarities:
        """What a :class:`~nbf_core.contracts.ScoringRenderer` needs, for the published forms."""
        return self.table.everything()

    def compare(self, scored: ScoreOutput) -> Float[Tensor, "b"]:
        """The cost of each person in a published form, from the scores a renderer made by itself."""
        return self._published(scored.score.reshape(-1), scored.silhouette.reshape(-1))

    def scores(
        self, fragments: Fragments, orientation: Float[Tensor, "b k o"]
    ) -> tuple[Float[Tensor, "n"], Float[Tensor, "n"]]:
        """Body and clutter score (cosines) of each pixel in ``fragments``, as the form in use has it."""
        clutter = self.clutter[fragments.pixel]
        if self.config.form != "mixture":
            return self._object_score(fragments, orientation), clutter
        share = fragments.weight / fragments.weight.sum(-1, keepdim=True).clamp_min(1e-12)
        shift, gain = self._gain(fragments, clutter, orientation)
        return clutter + self.config.temperature * (shift + (share * gain).sum(-1).clamp_min(1e-30).log()), clutter

    def _gather(
        self, fragments: Fragments, orientation: Float[Tensor, "b k o"]
    ) -> tuple[Float[Tensor, "n m o"], Float[Tensor, "n m o"]]:
        """Similarities and orientation weights of the pairs of pixel and kernel, empty slots included."""
        kernel = fragments.kernel.clamp_min(0)
        index = (fragments.person[:, None] * orientation.shape[1] + kernel).flatten()
        orient = orientation.flatten(0, 1).index_select(0, index).view(*kernel.shape, orientation.shape[2])
        return self.table.pairs(fragments.pixel, fragments.kernel), orient

    def _mean(self, fragments: Fragments, change: Float[Tensor, "n"]) -> Float[Tensor, "b"]:
        """Mean over all pixels of a person's map of a quantity that is zero off the fragments."""
        total = change.new_zeros(self.people).index_add(0, fragments.person, change)
        return total / self.pixels

    def _gain(
        self, fragments: Fragments, clutter: Float[Tensor, "n"], orientation: Float[Tensor, "b k o"]
    ) -> tuple[Float[Tensor, "n"], Float[Tensor, "n m"]]:
        """``sum_o o_ko exp((<F_ko, f> - c) / T - shift)`` of each pair, and the shift that keeps it within range.

        The part of the mixture that depends on neither weights nor silhouette: without a graph unless the
        orientation weights want one.
        """
        similarity, orient = self._gather(fragments, orientation)
        exponent = (similarity - clutter[:, None, None]) / self.config.temperature
        exponent = exponent.masked_fill_((fragments.kernel < 0)[..., None], float("-inf"))
        # Where nobody is in the picture there are no slots to take a maximum of.
        some = exponent.numel() > 0
        shift = exponent.detach().amax((1, 2)).clamp_min_(0) if some else exponent.new_zeros(len(exponent))
        return shift, (orient * torch.exp(exponent - shift[:, None, None])).sum(-1)

    def _mixture(self, fragments, silhouette, orientation) -> Float[Tensor, "b"]:
        """``-mean[c + T log(sum_ko w_k o_ko exp((<F_ko, f> - c) / T) + 1 - silhouette + eps)]``."""
        temperature, eps = self.config.temperature, self.config.eps
        shift, gain = self._gain(fragments, self.clutter[fragments.pixel], orientation)
        rest = 1 + eps - silhouette.reshape(-1)[fragments.pixel]
        log_sum = shift + torch.log((fragments.weight * gain).sum(-1) + rest * torch.exp(-shift))
        empty = math.log1p(eps)
        return -(self._constant + temperature * (empty + self._mean(fragments, log_sum - empty)))

    def _object_score(self, fragments: Fragments, orientation: Float[Tensor, "b k o"]) -> Float[Tensor, "n"]:
        """``sum_o softmax_o(W_o) <R_o, f> / |R_o|``, with ``R`` and ``W`` rendered features and weights."""
        similarity, orient = self._gather(fragments, orientation)
        weight, kernel = fragments.weight, fragments.kernel.clamp_min(0)
        rendered = torch.einsum("nm,nmo->no", weight, similarity)
        index = (kernel[:, :, None] * self.table.kernels + kernel[:, None, :]).flatten()
        gram = (
            self.table.gram.flatten(0, 1).index_select(0, index).view(*kernel.shape, kernel.shape[1], self.table.bins)
        )
        length = torch.einsum("nl,nlmo,nm->no", weight, gram, weight)
        share = torch.softmax(torch.einsum("nm,nmo->no", weight, orient), dim=-1)
        return (share * rendered * torch.rsqrt(length.clamp_min(1e-24))).sum(-1)

    def _published(self, body: Float[Tensor, "p"], silhouette: Float[Tensor, "p"]) -> Float[Tensor, "b"]:
        if self.config.form == "simple":
            value = body * silhouette + self.clutter * (1 - silhouette)
        else:
            value = soft_maximum(body, self.clutter)
        return 1 - value.view(self.people, -1).mean(-1)


def soft_maximum(body: Float[Tensor, "n"], clutter: Float[Tensor, "n"]) -> Float[Tensor, "n"]:
    """The published soft maximum of two cosines, each mapped to [0, 1] before."""
    scores = torch.stack([(0.5 * body + 0.5).clamp(1e-8, 1), 0.5 * clutter + 0.5])
    return (torch.softmax(scores / SOFT_TEMPERATURE, dim=0) * scores).sum(0)
