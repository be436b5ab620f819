"""What a picture says of a body in numbers that a simulation can give too: keypoints, and moments of matched pixels.

Everything is in units of the crop: [-1, 1] from its left to its right, and from its top to its bottom.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from nbf_core.conventions import OPENPOSE_25, mirror_permutation
from nbf_core.types import BodySpec, Camera, Observation
from nbf_core.types.tree import TensorRecord
from nbf_fitters.correspondence.matching import best

SPLIT = {"area": 1, "at": 2, "rest": 3, "toward": 3, "across": 6, "spread": 3, "solid": 6}
"""Numbers a part: root of its area, mean place in the crop, mean rest position and normal, how the two places vary
together (x, then y), how each varies by itself."""

MOMENTS = sum(SPLIT.values())

REACH = 0.2
"""Metres at rest that count as one: about half a limb."""

LEAST = 0.1
"""Pixels less likely than that to show the body are not matched."""

KEYPOINTS = 25
"""Keypoints that are read, openpose-25."""

ACROSS, SOLID = 10, 5
"""What the numbers that tell how places vary are multiplied by."""

_FLIP = (1, -1, 1, -1, 1, 1, -1, 1, 1, 1, -1, -1, -1, 1, 1, 1, -1, 1, 1, -1, -1, 1, 1, 1)
_POINTS = list(mirror_permutation(OPENPOSE_25))


@dataclass(frozen=True)
class Surface(TensorRecord):
    """The kernels of a body at rest: the ``part`` (joint) each belongs to, its position relative to that joint in units
    of ``REACH``, outward unit ``normal``, and ``area`` (m^2)."""

    part: Int[Tensor, "k"]
    place: Float[Tensor, "k 3"]
    normal: Float[Tensor, "k 3"]
    area: Float[Tensor, "k"]

    @classmethod
    def of(cls, spec: BodySpec, joints: Float[Tensor, "j 3"]) -> Surface:
        """From the surface over the kernels; ``joints`` are those of the rest pose and mean shape."""
        rest, faces = spec.kernel_rest.double(), spec.kernel_faces
        a, b, c = rest[faces].unbind(1)
        across = torch.linalg.cross(b - a, c - a) / 2
        normal, area = torch.zeros_like(rest), rest.new_zeros(len(rest))
        for corner in faces.unbind(1):
            normal.index_add_(0, corner, across)
            area.index_add_(0, corner, across.norm(dim=-1) / 3)
        part = spec.vertex_parts[spec.kernel_vertices].long()
        place = (rest - joints.double()[part]) / REACH
        return cls(part, place.float(), F.normalize(normal, dim=-1).float(), area.float())


def moments(
    surface: Surface,
    parts: int,
    people: int,
    person: Int[Tensor, "n"],
    kernel: Int[Tensor, "n"],
    place: Float[Tensor, "n 2"],
    weight: Float[Tensor, "n"],
) -> Float[Tensor, "b p m"]:
    """Of each part of ``b`` people what its matched points say, ``MOMENTS`` numbers; zeros where none was matched.

    A point lies at ``place`` in the crop, shows ``kernel`` and covers an area of ``weight`` (the crop's is 4). The mean
    normal tells from which side the part is seen; how place in the crop and at rest vary together is its affine view.
    """
    around, normal = surface.place[kernel], surface.normal[kernel]
    x, y = place[:, :1], place[:, 1:]
    columns = [torch.ones_like(x), place, around, normal, x * around, y * around, _squares(place), _squares(around)]
    rows = torch.cat(columns, 1) * weight[:, None]
    index = person * parts + surface.part[kernel]
    summed = rows.new_zeros(people * parts, rows.shape[1]).index_add_(0, index, rows)
    area = summed[:, :1]
    mean = summed[:, 1:] / area.clamp_min(1e-6)
    at, rest, toward, x_rest, y_rest, spread, solid = mean.split([2, 3, 3, 3, 3, 3, 6], 1)
    x, y = at.split(1, 1)
    across = torch.cat([x_rest - x * rest, y_rest - y * rest], 1)
    spread, solid = spread - _squares(at), solid - _squares(rest)
    # The spread of a limb is a few hundredths: brought to about one.
    numbers = [area.sqrt() * 4, at, rest, toward, across * ACROSS, spread * 30, solid * SOLID]
    seen = torch.sigmoid((area / 1e-3 - 2) * 2) * (area > 0)  # a pixel of a map of 64 covers 1e-3
    return (torch.cat(numbers, 1) * seen).view(people, parts, MOMENTS)


def _squares(points: Float[Tensor, "n d"]) -> Float[Tensor, "n m"]:
    """All products of two coordinates, each once."""
    first, second = torch.triu_indices(points.shape[1], points.shape[1], device=points.device)
    return points[:, first] * points[:, second]


def read_keypoints(keypoints: Float[Tensor, "b n 3"], limit: float = 0.2) -> Float[Tensor, "b n 3"]:
    """Places and confidence, all zero where that does not exceed ``limit``."""
    sure = (keypoints[..., 2:] > limit).to(keypoints)
    return torch.cat([keypoints[..., :2].clamp(-2, 2) * sure, sure], -1)


def view_of(camera: Camera) -> Float[Tensor, "b 1"]:
    """How long the lens is: the logarithm of the focal length over half the picture's side, about 0."""
    return torch.log(camera.focal[:, :1] / (camera.size[1] / 2)) - 2


def in_crop(points: Float[Tensor, "b n 2"], size: tuple[int, int]) -> Float[Tensor, "b n 2"]:
    """Map pixels to the units of the crop."""
    half = points.new_tensor([size[1] / 2, size[0] / 2])
    return points / half - 1


def mirrored(
    moments: Float[Tensor, "b p m"], keypoints: Float[Tensor, "b n 3"], parts: Sequence[int]
) -> tuple[Float[Tensor, "b p m"], Float[Tensor, "b n 3"]]:
    """The evidence of the mirror image, of a body that is its own at rest; ``parts`` are the mirror images of parts."""
    return moments[:, list(parts)] * moments.new_tensor(_FLIP), keypoints[:, _POINTS] * keypoints.new_tensor([-1, 1, 1])


@torch.no_grad()
def matched(
    observation: Observation,
    bank: Float[Tensor, "k o c"],
    clutter: Float[Tensor, "m c"],
) -> tuple[Int[Tensor, "n"], Int[Tensor, "n"], Float[Tensor, "n 2"], Float[Tensor, "n"]]:
    """The pixels that look more like body than like clutter: person, best kernel, place, weight.

    The weight is the area of a pixel, times the chance that it shows the body where the observation has a silhouette.
    """
    people, _, height, width = observation.features.shape
    pixels = observation.features.float().flatten(2).mT
    rows = F.normalize(bank.detach().float(), dim=-1).flatten(0, 1)
    against = (pixels @ F.normalize(clutter.detach().float(), dim=-1).mT).amax(-1)
    shown = pixels.new_full((people, height * width), 4 / (height * width))
    if observation.silhouette is not None:
        shown = shown * observation.silhouette.flatten(1)
    person, pixel = (shown > LEAST * 4 / (height * width)).nonzero(as_tuple=True)
    # bfloat16 is enough to tell kernels apart.
    found = best(pixels[person, pixel].bfloat16() @ rows.bfloat16().mT)
    body = found.similarity > against[person, pixel]
    person, pixel, label = person[body], pixel[body], found.label[body]
    x, y = (pixel % width + 0.5) / width, (pixel // width + 0.5) / height
    place = torch.stack([x, y], -1) * 2 - 1
    return person, label // bank.shape[1], place.float(), shown[person, pixel]
