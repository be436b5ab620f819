"""The fitted body drawn: its silhouette, and where clutter explains a pixel of it better."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from nbf_core.contracts import BodyModel, Renderer
from nbf_core.geometry.camera import central_ray_rotation
from nbf_core.geometry.orientation import kernel_orientation_labels
from nbf_core.types import BodyParams, Kernels, Observation
from nbf_fitters.correspondence.tables import Tables

SLOTS = 3
"""Of the kernels that a pixel sees, how many heaviest ones may explain it."""


class Drawn(NamedTuple):
    """``body`` and ``clutter``: how well each explains the pixel, as cosines, 0 outside the silhouette."""

    silhouette: Float[Tensor, "b h w"]
    hidden: Bool[Tensor, "b h w"]
    body: Float[Tensor, "b h w"]
    clutter: Float[Tensor, "b h w"]


@torch.no_grad()
def draw(body: BodyModel, renderer: Renderer, params: BodyParams, observation: Observation, tables: Tables) -> Drawn:
    """A pixel is hidden where the silhouette is over one half and the nearest clutter centre is more like the pixel
    than any of the kernels seen there, each in the orientation bin of its limb."""
    output = body(params, vertices=False)
    spec = body.spec
    points = body.keypoints(output, "openpose-25") @ central_ray_rotation(observation.camera)
    labels = kernel_orientation_labels(points, spec.kernel_limbs.to(points.device), tables.features.shape[1])
    people = len(output.kernels)
    kernels = Kernels(
        means=output.kernels,
        precision=output.kernels.new_full(output.kernels.shape[:2], spec.kernel_precision),
        faces=tables.faces.expand(people, -1, -1),
    )
    drawn = renderer.render(kernels, observation.camera, output.kernels.new_ones(people, spec.kernels, 1))
    fragments, silhouette = drawn.fragments, drawn.silhouette
    body_map, clutter_map = torch.zeros_like(silhouette), torch.zeros_like(silhouette)
    inside = (silhouette.reshape(-1)[fragments.pixel] > 0.5).nonzero()[:, 0]
    if not len(inside):
        return Drawn(silhouette, body_map > 1, body_map, clutter_map)
    slots = min(SLOTS, fragments.weight.shape[1])
    heaviest = fragments.weight[inside].topk(slots, dim=-1).indices
    kernel = fragments.kernel[inside].gather(-1, heaviest)
    empty, kernel = kernel < 0, kernel.clamp_min(0)
    person, pixel = fragments.person[inside], fragments.pixel[inside]
    feature = observation.features.flatten(2)[person, :, pixel % observation.features[0, 0].numel()].float()
    own = tables.features[kernel, labels[person[:, None], kernel]]
    score = torch.einsum("nmc,nc->nm", own, feature).masked_fill(empty, -torch.inf).amax(-1)
    body_map.view(-1)[pixel] = score.to(body_map)
    clutter_map.view(-1)[pixel] = (feature @ tables.clutter.mT).amax(-1).to(clutter_map)
    return Drawn(silhouette, clutter_map > body_map, body_map, clutter_map)
