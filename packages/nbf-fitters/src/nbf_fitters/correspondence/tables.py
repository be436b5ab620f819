"""What a fit by correspondences needs to know of a bank and a body, made once for both."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from nbf_core.conventions import LIMB_JOINTS
from nbf_core.types import BodySpec, Skinning
from nbf_core.types.tree import TensorRecord

SURFACE = 16
"""How many points of the surface around each kernel are kept."""


@dataclass(frozen=True)
class SkinnedPoints(TensorRecord):
    """Points that are posed by skinning: rest position (m), its shape directions, weights over joints."""

    rest: Float[Tensor, "*n 3"]
    directions: Float[Tensor, "*n 3 s"]
    weights: Float[Tensor, "*n j"]

    @classmethod
    def mixed(cls, table: Float[Tensor, "k d"], index: Int[Tensor, "n m"], share: Float[Tensor, "n m"], shapes: int):
        """Points between others: rows of ``table`` (:func:`packed`), each person's ``index`` mixed by ``share``."""
        rows = F.embedding_bag(index, table, per_sample_weights=share.to(table), mode="sum")
        return cls(rows[:, :3], rows[:, 3 : 3 + 3 * shapes].unflatten(-1, (3, shapes)), rows[:, 3 + 3 * shapes :])


def packed(points: SkinnedPoints) -> Float[Tensor, "k d"]:
    """All numbers of each point in one row."""
    return torch.cat([points.rest, points.directions.flatten(1), points.weights], dim=1)


def kernel_points(skinning: Skinning) -> SkinnedPoints:
    """The kernels."""
    return SkinnedPoints(skinning.kernels, skinning.kernel_directions, skinning.kernel_weights)


def base_points(skinning: Skinning) -> SkinnedPoints:
    """Joints and markers, of which all keypoint sets are made. A joint moves with itself: it is its own pivot."""
    eye = torch.eye(len(skinning.parents)).to(skinning.joints)
    return SkinnedPoints(
        torch.cat([skinning.joints, skinning.markers]),
        torch.cat([skinning.joint_directions, skinning.marker_directions]),
        torch.cat([eye, skinning.marker_weights]),
    )


def neighbours(spec: BodySpec, count: int) -> Int[Tensor, "k n"]:
    """Each kernel and those nearest to it at rest, its own first, none further than three edges away.

    Over the edges: the palm's nearest kernels are not the thigh's where a body rests with its arms down.
    A kernel that has fewer is filled up with its own number.
    """
    size = spec.kernels
    eye = torch.eye(size, dtype=torch.bool, device=spec.kernel_adjacency.device)
    near = (spec.kernel_adjacency | eye).float()
    reach = near @ near @ near > 0
    distance = torch.cdist(spec.kernel_rest.double(), spec.kernel_rest.double())
    distance = distance.masked_fill(~reach, torch.inf).masked_fill(eye, -1.0)
    value, index = distance.topk(min(count, size), largest=False)
    own = torch.arange(size, device=index.device)[:, None]
    return torch.where(value.isfinite(), index, own)


def surface_near(spec: BodySpec, vertices: Float[Tensor, "v 3"] | None) -> Float[Tensor, "k m 6"]:
    """Points of the surface at rest around each kernel and their normals; none where the body has no vertices.

    Only vertices that belong to the kernel or to its neighbours over the surface.
    """
    if vertices is None or len(vertices) != len(spec.vertex_kernels):
        return torch.zeros(spec.kernels, 0, 6)
    vertices, device = vertices.double(), vertices.device
    a, b, c = vertices[spec.faces.to(device)].unbind(1)
    across = torch.linalg.cross(b - a, c - a)
    normals = torch.zeros_like(vertices)
    for corner in spec.faces.to(device).unbind(1):
        normals.index_add_(0, corner, across)
    normals = F.normalize(normals, dim=-1)
    near = spec.kernel_adjacency.to(device) | torch.eye(spec.kernels, dtype=torch.bool, device=device)
    distance = torch.cdist(spec.kernel_rest.to(vertices), vertices)
    distance = distance.masked_fill(~near[:, spec.vertex_kernels.to(device)], torch.inf)
    value, index = distance.topk(min(SURFACE, len(vertices)), largest=False)
    index = torch.where(value.isfinite(), index, index[:, :1])
    return torch.cat([vertices, normals], dim=1)[index]


def middles(skinning: Skinning) -> Float[Tensor, "j 3"]:
    """The middle, at rest, of the kernels that move with each joint or with those below it."""
    share = skinning.kernel_weights.clone()
    for joint in range(len(skinning.parents) - 1, 0, -1):
        share[:, skinning.parents[joint]] += share[:, joint]
    return share.mT @ skinning.kernels / share.sum(0)[:, None].clamp_min(1e-9)


def coarse_classes(spec: BodySpec, orientations: int, count: int) -> Int[Tensor, "n"]:
    """About ``count`` classes (kernel times orientations + orientation) spread over the body, by farthest points."""
    rest = spec.kernel_rest
    kernels = max(1, min(spec.kernels, -(-count // orientations)))
    chosen = [0]
    distance = (rest - rest[0]).norm(dim=-1)
    for _ in range(kernels - 1):
        chosen.append(int(distance.argmax()))
        distance = torch.minimum(distance, (rest - rest[chosen[-1]]).norm(dim=-1))
    kernel = torch.tensor(chosen, device=rest.device)[:, None]
    return (kernel * orientations + torch.arange(orientations, device=rest.device)).flatten()


@dataclass(frozen=True)
class Tables(TensorRecord):
    """Bank and body together.

    ``features`` [k, o, c] are unit vectors. ``vectors`` and ``values`` are the eigenvectors and eigenvalues of the
    centred Gram matrices of each class's ``n`` neighbours: with them a pixel's place between the kernels is a
    few multiplications whatever the noise. ``kernels`` are the packed kernel points, ``base`` joints and markers,
    ``surface`` is that of :func:`surface_near`, ``below`` that of :func:`middles`.
    """

    features: Float[Tensor, "k o c"]
    clutter: Float[Tensor, "m c"]
    coarse: Int[Tensor, "q"]
    neighbours: Int[Tensor, "k n"]
    vectors: Float[Tensor, "k o n n"]
    values: Float[Tensor, "k o n"]
    kernels: Float[Tensor, "k d"]
    limbs: Int[Tensor, "k"]
    faces: Int[Tensor, "f 3"]
    base: SkinnedPoints
    parents: tuple[int, ...]
    joints: Float[Tensor, "j 3"]
    joint_directions: Float[Tensor, "j 3 s"]
    surface: Float[Tensor, "k v 6"]
    below: Float[Tensor, "j 3"]

    @property
    def shapes(self) -> int:
        """How many shape coefficients there are."""
        return self.joint_directions.shape[-1]

    @classmethod
    def of(
        cls,
        bank: Float[Tensor, "k o c"],
        clutter: Float[Tensor, "m c"],
        spec: BodySpec,
        skinning: Skinning,
        near: int,
        coarse: int,
        vertices: Float[Tensor, "v 3"] | None = None,
    ) -> Tables:
        """From the bank's features; everything else follows. In float32, on the bank's device."""
        bank = F.normalize(bank.detach().float(), dim=-1)
        device = bank.device
        index = neighbours(spec, near).to(device)
        # The mean of the neighbours moves nothing: weights sum to one.
        around = bank[index].transpose(1, 2)  # k o n c
        around = (around - around.mean(-2, keepdim=True)).double()
        values, vectors = torch.linalg.eigh(around @ around.mT)
        how = skinning.to(device, torch.float32)
        return cls(
            features=bank,
            clutter=F.normalize(clutter.detach().to(bank), dim=-1),
            coarse=coarse_classes(spec, bank.shape[1], coarse).to(device),
            neighbours=index,
            vectors=vectors.float(),
            values=values.float().clamp_min(0),
            kernels=packed(kernel_points(how)),
            limbs=spec.kernel_limbs.to(device),
            faces=spec.kernel_faces.to(device),
            base=base_points(how),
            parents=how.parents,
            joints=how.joints,
            joint_directions=how.joint_directions,
            surface=surface_near(spec, vertices).to(bank),
            below=middles(how),
        )


def limb_joints() -> Int[Tensor, "l 2"]:
    """The two OpenPose-25 keypoints of each limb."""
    return torch.tensor(LIMB_JOINTS)
