"""Stand-ins that fulfil a contract in the plainest way."""

from __future__ import annotations

import torch
from torch import Tensor

from nbf_core.errors import ShapeError
from nbf_core.types import Camera, Fragments, Kernels, RenderOutput
from nbf_testing.config import FakeRendererConfig


class FakeRenderer:
    """Draws each kernel into the one pixel it projects to; the nearest kernel of a pixel wins.

    The weight is the kernel's density where the pixel's ray crosses the kernel's depth plane, so that there
    are gradients in everything. A second renderer for tests of swapping, honest but full of holes.
    """

    def __init__(self, config: FakeRendererConfig | None = None) -> None:
        self.config = config or FakeRendererConfig()

    def render(
        self, kernels: Kernels, camera: Camera, attributes: Tensor, max_kernels: int | None = None
    ) -> RenderOutput:
        """See :class:`nbf_core.contracts.Renderer`; a pixel keeps one kernel whatever ``max_kernels`` is."""
        check_inputs(kernels, camera, attributes, max_kernels)
        batch, count, _ = kernels.means.shape
        height, width = camera.size
        with torch.no_grad():
            fragments = _nearest(kernels, camera)
        person, kernel = fragments.person, fragments.kernel[:, 0]
        mean, precision = kernels.means[person, kernel], kernels.precision[person, kernel]
        inside = fragments.pixel % (height * width)
        centre = torch.stack([inside % width, inside // width], -1) + 0.5
        ray = (centre - camera.center[person]) / camera.focal[person]
        offset = mean - mean[:, 2:] * torch.cat([ray, torch.ones_like(ray[:, :1])], -1)
        if precision.dim() == 1:
            precision = torch.diag_embed(precision[:, None].expand(-1, 3))
        weight = torch.exp(-torch.einsum("ni,nij,nj->n", offset, precision, offset))
        rows = attributes[kernel] if attributes.dim() == 2 else attributes[person, kernel]
        image = rows.new_zeros(batch * height * width, rows.shape[-1])
        image = image.index_copy(0, fragments.pixel, weight[:, None] * rows)
        silhouette = weight.new_zeros(batch * height * width).index_copy(0, fragments.pixel, weight)
        return RenderOutput(
            attributes=image.view(batch, height, width, rows.shape[-1]),
            silhouette=silhouette.view(batch, height, width),
            fragments=Fragments(
                pixel=fragments.pixel,
                kernel=fragments.kernel,
                weight=weight[:, None],
                depth=mean.norm(dim=-1)[:, None],
                truncated=fragments.truncated,
                lost=fragments.lost,
                grid=fragments.grid,
            ),
        )

    def sample(self, fragments: Fragments, features: Tensor, kernels: int) -> tuple[Tensor, Tensor]:
        """See :func:`sample_slots`."""
        return sample_slots(fragments, features, kernels)


def sample_slots(fragments: Fragments, features: Tensor, kernels: int) -> tuple[Tensor, Tensor]:
    """``sum w f / (sum w + 1e-8)`` for each kernel, and whether it is the first of some pixel's list.

    See :class:`nbf_core.contracts.Renderer`; raises ShapeError where ``features`` is not of the fragments' grid, or
    ``kernels`` fewer than those name.
    """
    batch, height, width = fragments.grid
    if features.dim() != 4 or tuple(features.shape[:-1]) != fragments.grid:
        raise ShapeError(f"features: expected shape [{batch}, {height}, {width}, c], got {list(features.shape)}")
    if fragments.kernel.numel() and int(fragments.kernel.max()) >= kernels:
        raise ShapeError(f"kernels: the fragments name more than {kernels}")
    row, slot = (fragments.kernel >= 0).nonzero(as_tuple=True)
    index = fragments.person[row] * kernels + fragments.kernel[row, slot]
    weight = fragments.weight[row, slot].to(features.dtype)
    rows = features.flatten(0, 2)[fragments.pixel[row]] * weight[:, None]
    sums = rows.new_zeros(batch * kernels, rows.shape[1]).index_add(0, index, rows)
    total = weight.new_zeros(batch * kernels).index_add(0, index, weight)
    visible = torch.zeros(batch * kernels, dtype=torch.bool, device=index.device)
    visible[index[slot == 0]] = True
    mean = sums / (total + 1e-8)[:, None]
    return mean.view(batch, kernels, -1), visible.view(batch, kernels)


def _nearest(kernels: Kernels, camera: Camera) -> Fragments:
    """The nearest kernel of each pixel that one projects into; weights are left at zero."""
    batch, count, _ = kernels.means.shape
    height, width = camera.size
    place = camera.project(kernels.means).floor()
    limit = place.new_tensor([width, height])
    drawn = (kernels.means[..., 2] > 0) & (place >= 0).all(-1) & (place < limit).all(-1)
    person, kernel = drawn.nonzero(as_tuple=True)
    column, row = place[person, kernel].long().unbind(-1)
    pixel = (person * height + row) * width + column
    depth = kernels.means[person, kernel].norm(dim=-1)
    order = torch.argsort(depth, stable=True)
    order = order[torch.argsort(pixel[order], stable=True)]
    pixel, counts = torch.unique_consecutive(pixel[order], return_counts=True)
    first = order[torch.cumsum(counts, 0) - counts]
    return Fragments(
        pixel=pixel,
        kernel=kernel[first][:, None],
        weight=torch.zeros_like(depth[first])[:, None],
        depth=depth[first][:, None],
        truncated=counts - 1,
        lost=(counts - 1).to(depth),  # no kernel weighs more than 1
        grid=(batch, height, width),
    )


def check_inputs(kernels: Kernels, camera: Camera, attributes: Tensor, max_kernels: int | None = None) -> None:
    """Raise ShapeError, naming the tensor, where something does not fit the kernels' means."""
    if max_kernels is not None and max_kernels < 1:
        raise ShapeError(f"max_kernels: expected at least 1, got {max_kernels}")
    if kernels.means.dim() != 3 or kernels.means.shape[2] != 3:
        raise ShapeError(f"kernels.means: expected shape [b, k, 3], got {list(kernels.means.shape)}")
    batch, count, _ = kernels.means.shape
    if tuple(kernels.precision.shape) not in ((batch, count), (batch, count, 3, 3)):
        raise ShapeError(
            f"kernels.precision: expected [{batch}, {count}] or [{batch}, {count}, 3, 3], "
            f"got {list(kernels.precision.shape)}"
        )
    for name in ("focal", "center"):
        shape = tuple(getattr(camera, name).shape)
        if shape != (batch, 2):
            raise ShapeError(f"camera.{name}: expected shape [{batch}, 2], got {list(shape)}")
    if tuple(attributes.shape[:-1]) not in ((batch, count), (count,)):
        raise ShapeError(f"attributes: expected [{batch}, {count}, c] or [{count}, c], got {list(attributes.shape)}")
