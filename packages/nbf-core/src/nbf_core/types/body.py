"""Body parameters, what a body model says of itself, and what it returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from nbf_core.types.tree import TensorRecord


@dataclass(frozen=True)
class BodyParams(TensorRecord):
    """SMPL-style parameters; rotations are axis-angle in radians, any leading batch ``*b``.

    ``transl`` (metres) is added after the rotation about the root joint, so in camera coordinates it
    carries the body in front of the camera.
    """

    global_orient: Float[Tensor, "*b 3"]
    body_pose: Float[Tensor, "*b joints 3"]
    betas: Float[Tensor, "*b shapes"]
    transl: Float[Tensor, "*b 3"]

    @classmethod
    def neutral(cls, *batch: int, joints: int = 23, shapes: int = 10, **kwargs) -> BodyParams:
        """The rest pose and mean shape at the origin; ``kwargs`` go to :func:`torch.zeros`."""
        return cls(
            global_orient=torch.zeros(*batch, 3, **kwargs),
            body_pose=torch.zeros(*batch, joints, 3, **kwargs),
            betas=torch.zeros(*batch, shapes, **kwargs),
            transl=torch.zeros(*batch, 3, **kwargs),
        )


@dataclass(frozen=True)
class BodySpec(TensorRecord):
    """What never changes about a body model: ``J`` joints, ``V`` vertices, ``K`` kernels, ``M`` markers.

    ``kernel_limbs`` gives each kernel's limb, an index into ``nbf_core.conventions.LIMBS``; its direction
    decides the kernel's orientation bin. ``vertex_parts`` gives each vertex's joint (0 to J - 1).
    ``vertex_kernels`` gives the kernel nearest to each vertex over the surface.
    ``keypoint_weights[name]`` maps the joints and markers, joined in that order, to a keypoint set.
    ``kernel_precision`` is the isotropic inverse variance (1/m^2) that suits the kernels' spacing.
    """

    name: str
    joint_names: tuple[str, ...]
    parents: tuple[int, ...]
    mirror_joints: tuple[int, ...]
    shapes: int
    faces: Int[Tensor, "F 3"]
    vertex_parts: Int[Tensor, "V"]
    vertex_kernels: Int[Tensor, "V"]
    kernel_vertices: Int[Tensor, "K"]
    kernel_limbs: Int[Tensor, "K"]
    kernel_mirror: Int[Tensor, "K"]
    kernel_adjacency: Bool[Tensor, "K K"]
    kernel_rest: Float[Tensor, "K 3"]
    kernel_precision: float
    keypoint_weights: Mapping[str, Float[Tensor, "N JM"]]

    @property
    def kernels(self) -> int:
        """How many kernels the body carries."""
        return len(self.kernel_vertices)

    @property
    def kernel_faces(self) -> Int[Tensor, "f 3"]:
        """The surface as triangles over the kernels: every vertex drawn together with its nearest kernel."""
        corners = self.vertex_kernels[self.faces]
        a, b, c = corners.unbind(-1)
        corners = corners[(a != b) & (b != c) & (c != a)]
        # The same triangle may be left of several faces: turned so that its smallest corner comes first.
        turn = (corners.argmin(1, keepdim=True) + torch.arange(3, device=corners.device)) % 3
        return torch.unique(corners.gather(1, turn), dim=0)


@dataclass(frozen=True)
class BodyOutput(TensorRecord):
    """A posed body in metres; ``vertices`` is None on the cheap path."""

    joints: Float[Tensor, "*b J 3"]
    markers: Float[Tensor, "*b M 3"]
    kernels: Float[Tensor, "*b K 3"]
    vertices: Float[Tensor, "*b V 3"] | None = None


@dataclass(frozen=True)
class Skinning(TensorRecord):
    """Linear blend skinning of a body's ``J`` joints, ``K`` kernels and ``M`` markers, at rest, in metres.

    With world rotations ``G_j`` (the product of the relative ones from the root down) and shape ``beta``, all rest
    positions being ``x + directions beta``:

        T_0 = J_0 + transl,   T_j = T_p + G_p (J_j - J_p)   for the parent p,
        x   = sum_j w_j (G_j (x_rest - J_j) + T_j)

    This is exact for a body without pose blend shapes; one that has them leaves them out. Weights sum to 1.
    Keypoint sets are ``BodySpec.keypoint_weights`` times joints and markers.
    """

    parents: tuple[int, ...]
    joints: Float[Tensor, "J 3"]
    joint_directions: Float[Tensor, "J 3 S"]
    kernels: Float[Tensor, "K 3"]
    kernel_directions: Float[Tensor, "K 3 S"]
    kernel_weights: Float[Tensor, "K J"]
    markers: Float[Tensor, "M 3"]
    marker_directions: Float[Tensor, "M 3 S"]
    marker_weights: Float[Tensor, "M J"]
