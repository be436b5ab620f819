"""Which point of the body each pixel shows, by features alone."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from nbf_core.types.tree import TensorRecord
from nbf_fitters.correspondence._compile import AVAILABLE
from nbf_fitters.correspondence._near import nearest_alike
from nbf_fitters.correspondence.tables import SkinnedPoints, Tables

RIDGE = 20.0
"""Inverse variance of the weights of neighbouring kernels before a pixel is seen."""

NEAR_DISCOUNT = 0.1
"""How much similarity a kernel loses at the edge of the neighbourhood in which a pixel is matched again."""


@dataclass(frozen=True)
class Pixels(TensorRecord):
    """The pixels of several people that look like body, person by person.

    ``person`` ascends, ``place`` are pixel centres (x, y) in map pixels, ``features`` unit vectors, ``clutter`` the
    similarity to the nearest clutter centre.
    """

    person: Int[Tensor, "n"]
    place: Float[Tensor, "n 2"]
    features: Float[Tensor, "n c"]
    clutter: Float[Tensor, "n"]


@dataclass(frozen=True)
class Matches(TensorRecord):
    """For each pixel the class (kernel times orientations + orientation) it shows, and how similar it is to it."""

    label: Int[Tensor, "n"]
    similarity: Float[Tensor, "n"]


def _candidates(features: Float[Tensor, "c h w"], probe: Float[Tensor, "q c"], classes: int) -> Int[Tensor, "n"]:
    """Pixels beside one of every fourth pixel that a coarse class explains better than clutter does."""
    height, width = features.shape[1:]
    sparse = features[:, ::2, ::2]
    scores = probe @ sparse.flatten(1).float()
    here = scores[:classes].amax(0) > scores[classes:].amax(0)
    grid = torch.zeros(height, width, device=features.device)
    grid[::2, ::2] = here.view(sparse.shape[1:]).float()
    wide = F.max_pool2d(grid[None, None], 3, stride=1, padding=1)[0, 0]
    return wide.flatten().nonzero()[:, 0]


@torch.no_grad()
def body_pixels(features: Float[Tensor, "b c h w"], tables: Tables) -> Pixels:
    """Pixels that may show the body, after a coarse test of every fourth."""
    people, channels, _, width = features.shape
    probe = torch.cat([tables.features.flatten(0, 1)[tables.coarse], tables.clutter])
    found = [_candidates(features[i], probe, len(tables.coarse)) for i in range(people)]
    seen = [features[i].flatten(1)[:, index].mT for i, index in enumerate(found)]
    seen = torch.cat(seen).float() if seen else features.new_zeros(0, channels, dtype=torch.float32)
    seen = F.normalize(seen, dim=-1)
    counts = torch.tensor([len(index) for index in found], dtype=torch.long, device=features.device)
    index = torch.cat(found) if found else counts
    return Pixels(
        person=torch.arange(people, device=features.device).repeat_interleave(counts),
        place=torch.stack([index % width, index // width], dim=-1) + 0.5,
        features=seen,
        clutter=(seen @ tables.clutter.mT).amax(-1),
    )


def similarities(pixels: Pixels, tables: Tables, dtype: torch.dtype) -> Float[Tensor, "n ko"]:
    """Of every pixel with every class: one matrix product."""
    return pixels.features.to(dtype) @ tables.features.flatten(0, 1).to(dtype).mT


def best(scores: Float[Tensor, "n ko"]) -> Matches:
    """The most similar class of each pixel."""
    label = _largest(scores)
    return Matches(label, scores.gather(-1, label[:, None])[:, 0].float())


def _largest(scores: Float[Tensor, "n ko"]) -> Int[Tensor, "n"]:
    """Where each row is largest. torch takes several times as long as numpy on a CPU, which knows no bfloat16: bits of
    numbers from zero on, read as integers, are in the numbers' order."""
    if scores.device.type != "cpu" or not scores.numel():
        return scores.argmax(-1)
    if scores.dtype != torch.bfloat16:
        return torch.from_numpy(scores.numpy().argmax(-1))
    label = torch.from_numpy(scores.view(torch.int16).numpy().argmax(-1))
    below = (scores.gather(-1, label[:, None])[:, 0] < 0).nonzero()[:, 0]
    label[below] = scores[below].argmax(-1)
    return label


def nearby(
    scores: Float[Tensor, "n ko"],
    pixels: Pixels,
    projected: Float[Tensor, "b k 2"],
    radius: float,
) -> tuple[Matches, Bool[Tensor, "n"]]:
    """The most similar class among the kernels that the current pose puts near the pixel, and whether there is one.

    Similarity is discounted by the square of the distance over ``radius`` (map pixels).
    """
    labels, values = [], []
    counts = torch.bincount(pixels.person, minlength=len(projected)).tolist()
    compiled = AVAILABLE and scores.device.type == "cpu"
    for mine, place, points in zip(scores.split(counts), pixels.place.split(counts), projected, strict=True):
        label, value = (_nearby_compiled if compiled else nearby_one)(mine.float(), place, points, radius)
        labels.append(label)
        values.append(value)
    value = torch.cat(values)
    return Matches(torch.cat(labels).clamp_min(0), value), value.isfinite()


def nearby_one(
    scores: Float[Tensor, "n ko"], place: Float[Tensor, "n 2"], projected: Float[Tensor, "k 2"], radius: float
) -> tuple[Int[Tensor, "n"], Float[Tensor, "n"]]:
    """The same for one person, in torch."""
    distance = (place[:, None] - projected).square().sum(-1) / radius**2
    value = scores.unflatten(-1, (len(projected), -1)) - NEAR_DISCOUNT * distance[..., None]
    value = value.masked_fill(distance[..., None] > 1, -torch.inf)
    value, label = value.flatten(1).max(-1)
    return label, value


def _nearby_compiled(scores: Tensor, place: Tensor, projected: Tensor, radius: float) -> tuple[Tensor, Tensor]:
    label, value = torch.zeros(len(place), dtype=torch.long), torch.zeros(len(place))
    arrays = [tensor.contiguous().numpy() for tensor in (scores, place.float(), projected.float())]
    nearest_alike(*arrays, float(radius), NEAR_DISCOUNT, label.numpy(), value.numpy())
    return label, value


def refine(pixels: Pixels, matches: Matches, tables: Tables, noise: Float[Tensor, "n"]) -> SkinnedPoints:
    """The point of the body each pixel shows, between the kernels around the matched one.

    Weights over the neighbours that make their features the pixel's, starting from the matched kernel: the linear
    minimum mean square estimate where weights vary independently and features have noise of squared
    length ``noise``. The points are those mixtures of the kernels.
    """
    orientations = tables.features.shape[1]
    kernel, orientation = matches.label // orientations, matches.label % orientations
    index = tables.neighbours[kernel]
    around = tables.features[index, orientation[:, None]]  # n m c
    own = around[:, 0]
    # Noise made the unit vector's share along its class shorter.
    along = (pixels.features * own).sum(-1, keepdim=True).clamp_min(0.1)
    inner = torch.einsum("nmc,nc->nm", around, pixels.features / along - own)
    inner = inner - inner.mean(-1, keepdim=True)
    vectors, values = tables.vectors[kernel, orientation], tables.values[kernel, orientation]
    ridge = RIDGE * noise[:, None] / pixels.features.shape[-1] + 1e-4
    share = torch.einsum("nij,nj->ni", vectors, torch.einsum("nij,ni->nj", vectors, inner) / (values + ridge))
    share = share - share.mean(-1, keepdim=True)
    share[:, 0] += 1
    points = SkinnedPoints.mixed(tables.kernels, index, share, tables.shapes)
    return replace(points, rest=onto_surface(points.rest, tables.surface[kernel]))


def onto_surface(rest: Float[Tensor, "n 3"], around: Float[Tensor, "n m 6"]) -> Float[Tensor, "n 3"]:
    """Points moved onto the plane that touches the surface nearest to them.

    A mixture of kernels lies below the surface that they are on: by a centimetre in a forearm, which looks like a
    thinner and hence differently turned limb.
    """
    if not around.shape[1]:
        return rest
    nearest = (around[..., :3] - rest[:, None]).square().sum(-1).argmin(-1)
    place, normal = around[torch.arange(len(rest), device=rest.device), nearest].split(3, dim=-1)
    return rest + normal * ((place - rest) * normal).sum(-1, keepdim=True)


def noise_level(similarity: Float[Tensor, "n"], person: Int[Tensor, "n"], people: int) -> Float[Tensor, "b"]:
    """Squared length of each person's feature noise, from how similar pixels are to what they match."""
    count = torch.bincount(person, minlength=people).clamp_min(1)
    mean = torch.zeros(people, device=person.device).index_add_(0, person, similarity.clamp(0.05, 1)) / count
    return (mean.clamp_min(0.05).pow(-2) - 1).clamp(1e-3, 10)
