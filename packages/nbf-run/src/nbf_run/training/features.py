"""What the bank sees of a batch: features of body pixels or of rendered kernels, and of the background."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from nbf_core.contracts import BodyModel, Renderer
from nbf_core.geometry.orientation import kernel_orientation_labels
from nbf_core.sampling import background_weights, draw_keys, draw_pixels
from nbf_core.types import BodyOutput, BodySpec, Fragments, Kernels, RenderOutput, Sample
from nbf_core.types.sample import OCCLUDER, UNKNOWN

_BODY, _BACKGROUND = 1, 2  # what the random draws of an image are for
BESIDE = 3
"""Pixels of the feature map from the body within which background lies beside it."""

_SOLID = 0.5
"""Silhouette from which a pixel is labelled as body where the data set brings no labels."""


@dataclass(frozen=True)
class Chosen:
    """Unit features with their kernel, orientation bin and whether they are seen, and background features."""

    features: Float[Tensor, "b i c"]
    kernels: Int[Tensor, "b i"]
    orientation: Int[Tensor, "b i"]
    visible: Bool[Tensor, "b i"]
    background: Float[Tensor, "b n c"]

    def detached(self) -> tuple[Tensor, ...]:
        """All of it cut from the graph, in the order that a bank takes."""
        return tuple(value.detach() for value in self.given())

    def given(self) -> tuple[Tensor, ...]:
        """All of it in the order that a bank takes."""
        return self.features, self.kernels, self.orientation, self.visible, self.background


@dataclass(frozen=True)
class Draws:
    """Which random numbers a batch uses: a function of the run's seed, the batch's number and each sample's index."""

    seed: int
    step: int

    def keys(self, sample: Sample, stream: int) -> Int[Tensor, "b"]:
        """A key per image."""
        return draw_keys(self.seed, self.step, sample.index, stream)


class RenderedBody:
    """The true body of a batch drawn by the pipeline's renderer at the size of the feature map."""

    def __init__(self, renderer: Renderer, body: BodyModel, sample: Sample, side: int) -> None:
        spec = body.spec
        posed = body(sample.params, vertices=False)
        self._kernels = Kernels(
            means=posed.kernels,
            precision=posed.kernels.new_full(posed.kernels.shape[:2], spec.kernel_precision),
            faces=spec.kernel_faces.to(posed.kernels.device).expand(len(posed.kernels), -1, -1),
        )
        self.renderer, self._camera = renderer, sample.camera.resized((side, side))

    def _drawn(self, max_kernels: int | None = None) -> RenderOutput:
        attributes = torch.ones_like(self._kernels.means[..., :1])
        return self.renderer.render(self._kernels, self._camera, attributes, max_kernels)

    def labelled(self, sample: Sample) -> Sample:
        """The sample with kernel maps for true bodies that bring none: the heaviest kernel of each solid pixel."""
        lacking = unlabelled(sample)
        if not lacking.any():
            return sample
        output = self._drawn()
        fragments = output.fragments
        kernels = torch.full_like(output.silhouette, -1, dtype=torch.long)
        solid = output.silhouette.flatten()[fragments.pixel] > _SOLID
        heaviest = fragments.kernel.gather(1, fragments.weight.argmax(1, keepdim=True))[:, 0]
        kernels.view(-1)[fragments.pixel[solid]] = heaviest[solid]
        if sample.occluded is not None and sample.occluded.shape == kernels.shape:
            kernels = torch.where(sample.occluded, OCCLUDER, kernels)
        given = torch.full_like(kernels, UNKNOWN) if sample.kernel_map is None else sample.kernel_map.to(kernels)
        return replace(sample, kernel_map=torch.where(lacking[:, None, None], kernels, given))

    def seen(self, sample: Sample) -> Fragments:
        """The fragments in front of which no occluder is. As published a pixel keeps one kernel: the nearest."""
        fragments = self._drawn(max_kernels=1).fragments
        if sample.kernel_map is None:
            return fragments
        return fragments[sample.kernel_map.flatten()[fragments.pixel] != OCCLUDER]


def unlabelled(sample: Sample) -> Bool[Tensor, "b"]:
    """The people of a batch who have a true body and no kernel map."""
    count, device = len(sample.index), sample.index.device
    without = torch.ones(count, dtype=torch.bool, device=device)
    if sample.kernel_map is not None:
        without = (sample.kernel_map == UNKNOWN).flatten(1).all(1)
    if sample.params is None:
        return torch.zeros_like(without)
    return without if sample.with_params is None else without & sample.with_params


def sampled_pixels(
    features: Float[Tensor, "b c h w"],
    sample: Sample,
    bins: Int[Tensor, "b k"],
    spec: BodySpec,
    draws: Draws,
    count: int,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Features of ``count`` random body pixels of each image, with kernel, bin, and whether the pixel is usable.

    Parts are drawn by the root of their area: by area alone forearms and feet would hardly be seen.
    """
    kernels = sample.kernel_map.flatten(1).long()
    on_body = (kernels >= 0).float()
    parts = spec.vertex_parts[spec.kernel_vertices].to(kernels.device)[kernels.clamp_min(0)]
    area = torch.zeros(len(kernels), len(spec.joint_names), device=kernels.device).scatter_add_(1, parts, on_body)
    weight = on_body * area.gather(1, parts).clamp_min(1).rsqrt()
    pixel = draw_pixels(weight, count, draws.keys(sample, _BODY), replacement=True)
    kernel = kernels.gather(1, pixel).clamp_min(0)
    visible = (on_body.sum(1) > 0)[:, None].expand_as(kernel)
    return unit_features(features, pixel), kernel, bins.gather(1, kernel), visible


def rendered_kernels(
    features: Float[Tensor, "b c h w"], sample: Sample, bins: Int[Tensor, "b k"], drawn: RenderedBody
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Each kernel's mean feature over the pixels it is drawn in; a kernel that is in none is not visible."""
    maps = F.normalize(features.float(), dim=1).movedim(1, -1)
    values, visible = drawn.renderer.sample(drawn.seen(sample), maps, bins.shape[1])
    kernel = torch.arange(bins.shape[1], device=bins.device).expand_as(bins)
    return F.normalize(values, dim=-1), kernel, bins, visible


def mesh_kernels(
    features: Float[Tensor, "b c h w"], sample: Sample, bins: Int[Tensor, "b k"]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Each kernel's mean feature over the pixels whose surface is nearest to it: a mesh instead of a volume."""
    maps = F.normalize(features.float(), dim=1).flatten(2).mT
    people, count = bins.shape
    label = sample.kernel_map.flatten(1).long()
    seen = label >= 0
    row = (label + count * torch.arange(people, device=label.device)[:, None])[seen]
    values = maps.new_zeros(people * count, maps.shape[-1]).index_add(0, row, maps[seen])
    visible = torch.bincount(row, minlength=people * count).view(people, count) > 0
    kernel = torch.arange(count, device=bins.device).expand_as(bins)
    return F.normalize(values.view(people, count, -1), dim=-1), kernel, bins, visible


def background_pixels(
    features: Float[Tensor, "b c h w"],
    sample: Sample,
    count: int,
    draws: Draws,
    occupied: Int[Tensor, "b k"] | None = None,
    beside: float = 0.0,
) -> Float[Tensor, "b n c"]:
    """Features of random pixels off the body or on an occluder, and not among those that are ``occupied``.

    A share ``beside`` of them, on average, lies within ``BESIDE`` pixels of the visible body.
    """
    free = (sample.kernel_map < 0).float()
    if beside:
        body = (sample.kernel_map >= 0).float()[:, None]
        edge = free * F.max_pool2d(body, 2 * BESIDE + 1, stride=1, padding=BESIDE)[:, 0]
        free = (1 - beside) * _evenly(free) + beside * _evenly(edge)
    weight = free.flatten(1) if occupied is None else background_weights(free, occupied)
    return unit_features(features, draw_pixels(weight + 1e-6, count, draws.keys(sample, _BACKGROUND)))


def _evenly(mask: Float[Tensor, "b h w"]) -> Float[Tensor, "b h w"]:
    """A weight of one in all (times the map's pixels), spread over the pixels of each mask."""
    return mask / mask.mean((1, 2), keepdim=True).clamp_min(1e-6)


def kernel_pixels(sample: Sample, kernels: Float[Tensor, "b k 3"], side: int) -> Int[Tensor, "b k"]:
    """The pixel of the feature map that each kernel projects to, hidden ones too; 0 for one outside (as published)."""
    place = sample.camera.resized((side, side)).project(kernels).floor()
    inside = ((place >= 0) & (place < side)).all(-1) & (kernels[..., 2] > 0)
    return torch.where(inside, (place[..., 1] * side + place[..., 0]), 0).long()


def nothing(features: Float[Tensor, "b c h w"]) -> Chosen:
    """What the bank gets of a batch without labels: no feature, so that every process still takes part."""
    people, channels = features.shape[:2]
    none = torch.zeros(people, 1, dtype=torch.long, device=features.device)
    empty = features.new_zeros(people, 1, channels, dtype=torch.float32)
    return Chosen(empty, none, none, none.bool(), empty[:, :0])


def orientation_bins(body: BodyModel, posed: BodyOutput, bins: int) -> Int[Tensor, "b k"]:
    """The true orientation bin of every kernel."""
    keypoints = body.keypoints(posed, "openpose-25")
    return kernel_orientation_labels(keypoints, body.spec.kernel_limbs.to(keypoints.device), bins)


def unit_features(features: Float[Tensor, "b c h w"], pixel: Int[Tensor, "b i"]) -> Float[Tensor, "b i c"]:
    """Unit features of some pixels; normalising the whole map would cost more than the loss."""
    chosen = features.flatten(2).gather(2, pixel[:, None].expand(-1, features.shape[1], -1))
    return F.normalize(chosen.mT.float(), dim=-1)
