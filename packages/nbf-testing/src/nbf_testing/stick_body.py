"""A small body that keeps the whole contract: SMPL's skeleton with tubes for limbs. Suites hand it to components."""

from __future__ import annotations

import math

import roma
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from nbf_core.conventions import KEYPOINT_SETS, LIMBS, SMPL_24, mirror_permutation
from nbf_core.errors import NbfError, ShapeError
from nbf_core.geometry.skinning import Skeleton, skin
from nbf_core.types import BodyOutput, BodyParams, BodySpec, Skinning

PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21)
AROUND, RINGS = 4, 3

# Metres; x to the person's left, y up, z forward. The right side is mirrored.
_REST = {
    "pelvis": (0, 0, 0), "left_hip": (0.1, -0.08, 0), "spine1": (0, 0.1, 0), "left_knee": (0.1, -0.48, 0),
    "spine2": (0, 0.25, 0), "left_ankle": (0.1, -0.9, 0), "spine3": (0, 0.3, 0), "left_foot": (0.1, -0.95, 0.12),
    "neck": (0, 0.52, 0), "left_collar": (0.08, 0.42, 0), "head": (0, 0.62, 0.03), "left_shoulder": (0.18, 0.45, 0),
    "left_elbow": (0.45, 0.45, 0), "left_wrist": (0.7, 0.45, 0), "left_hand": (0.8, 0.45, 0),
}  # fmt: skip
# Points fixed to joints, as (joint, offset).
_MARKERS = {
    "nose": ("head", (0, 0.05, 0.12)), "jaw": ("head", (0, 0, 0.08)), "head_top": ("head", (0, 0.15, 0)),
    "left_eye": ("head", (0.03, 0.09, 0.1)), "left_ear": ("head", (0.08, 0.06, 0)),
    "left_big_toe": ("left_foot", (0.02, 0, 0.05)), "left_small_toe": ("left_foot", (0.06, 0, 0.03)),
    "left_heel": ("left_ankle", (0, -0.05, -0.05)),
    "right_eye": ("head", (-0.03, 0.09, 0.1)), "right_ear": ("head", (-0.08, 0.06, 0)),
    "right_big_toe": ("right_foot", (-0.02, 0, 0.05)), "right_small_toe": ("right_foot", (-0.06, 0, 0.03)),
    "right_heel": ("right_ankle", (0, -0.05, -0.05)),
}  # fmt: skip
_SAME = {"mid_hip": "pelvis", "spine": "spine2"}
_LIMB_OF = {"elbow": "upper_arm", "wrist": "lower_arm", "hand": "lower_arm", "knee": "thigh", "ankle": "calf",
            "foot": "calf"}  # fmt: skip


class StickBody(nn.Module):
    """Twenty-four joints, a tube of 12 vertices a bone, 8 of them kernels; no pose blend shapes.

    The first shape coefficient scales the body by 5 percent, the second makes it 3 percent broader.
    """

    def __init__(self, shapes: int = 10):
        super().__init__()
        self.shapes = shapes
        self._spec: tuple[tuple[torch.device, torch.dtype], BodySpec] | None = None
        self._skeleton = Skeleton(PARENTS)
        joints = torch.tensor([_place(name) for name in SMPL_24], dtype=torch.float64)
        owner, vertices, faces = _tubes(joints)
        markers = torch.stack(
            [joints[SMPL_24.index(joint)] + torch.tensor(offset) for joint, offset in _MARKERS.values()]
        )
        marked = torch.tensor([SMPL_24.index(joint) for joint, _ in _MARKERS.values()])
        ring = torch.arange(len(vertices)) // AROUND % RINGS
        self._constant("_joints", joints)
        self._constant("_vertices", vertices)
        self._constant("_markers", markers)
        self._constant("_owner", owner)
        self._constant("_marked", marked)
        self._constant("_faces", faces)
        self._constant("_kernels", (ring != 1).nonzero()[:, 0])
        distance = torch.cdist(vertices, vertices[self._kernels])
        self._constant("_nearest", distance.argmin(1))
        rest = vertices[self._kernels]
        flipped = rest * torch.tensor([-1.0, 1.0, 1.0], dtype=torch.float64)
        self._constant("_mirror", torch.cdist(flipped, rest).argmin(1))
        near = torch.cdist(rest, rest) < 0.12
        self._constant("_adjacency", (near | near[self._mirror][:, self._mirror]).fill_diagonal_(False))
        limbs = [_limb(SMPL_24[1 + vertex // (AROUND * RINGS)]) for vertex in self._kernels.tolist()]
        self._constant("_limbs", torch.tensor(limbs))
        for name, points in KEYPOINT_SETS.items():
            self._constant(f"_keypoints_{name}", _picking(points))

    def _constant(self, name: str, value: Tensor) -> None:
        self.register_buffer(name, value.float() if value.is_floating_point() else value, persistent=False)

    @property
    def spec(self) -> BodySpec:
        """What never changes about this body, on the module's device and in its dtype."""
        home = (self._vertices.device, self._vertices.dtype)
        if self._spec is None or self._spec[0] != home:  # suites ask a thousand times
            self._spec = (home, self._make_spec())
        return self._spec[1]

    def _make_spec(self) -> BodySpec:
        return BodySpec(
            name="stick",
            joint_names=SMPL_24,
            parents=PARENTS,
            mirror_joints=mirror_permutation(SMPL_24),
            shapes=self.shapes,
            faces=self._faces,
            vertex_parts=self._owner,
            vertex_kernels=self._nearest,
            kernel_vertices=self._kernels,
            kernel_limbs=self._limbs,
            kernel_mirror=self._mirror,
            kernel_adjacency=self._adjacency,
            kernel_rest=self._vertices[self._kernels],
            kernel_precision=600.0,
            keypoint_weights={name: getattr(self, f"_keypoints_{name}") for name in KEYPOINT_SETS},
        )

    def forward(self, params: BodyParams, vertices: bool = True) -> BodyOutput:
        """See :class:`nbf_core.contracts.BodyModel`. Raises ShapeError naming the parameter that does not fit."""
        self._check(params)
        rotations = roma.rotvec_to_rotmat(torch.cat([params.global_orient[..., None, :], params.body_pose], -2))
        joints = self._shaped(self._joints, params.betas)
        world, posed = self._skeleton(rotations, joints)
        posed = posed + params.transl[..., None, :]
        shift = posed - (world @ joints[..., None])[..., 0]

        def points(rest: Tensor, owner: Tensor) -> Tensor:
            weights = F.one_hot(owner, len(PARENTS)).to(rest)
            return skin(self._shaped(rest, params.betas), weights, world, shift)

        everything = points(self._vertices, self._owner) if vertices else None
        chosen = self._kernels
        kernels = points(self._vertices[chosen], self._owner[chosen])
        return BodyOutput(posed, points(self._markers, self._marked), kernels, everything)

    def keypoints(self, output: BodyOutput, name: str) -> Float[Tensor, "*b n 3"]:
        """The keypoint set ``name`` of a posed body, in metres. Raises NbfError for a name it does not know."""
        if name not in KEYPOINT_SETS:
            raise NbfError(f"body 'stick' knows no keypoint set {name!r}; it has {', '.join(KEYPOINT_SETS)}")
        return getattr(self, f"_keypoints_{name}") @ torch.cat([output.joints, output.markers], -2)

    def skinning(self) -> Skinning:
        """How it is posed: every point moves with one joint."""
        rest = self._vertices[self._kernels]
        one_hot = torch.eye(len(PARENTS)).to(rest)
        return Skinning(
            parents=PARENTS,
            joints=self._joints,
            joint_directions=self._directions(self._joints),
            kernels=rest,
            kernel_directions=self._directions(rest),
            kernel_weights=one_hot[self._owner[self._kernels]],
            markers=self._markers,
            marker_directions=self._directions(self._markers),
            marker_weights=one_hot[self._marked],
        )

    def _directions(self, rest: Tensor) -> Tensor:
        """How points move with each shape coefficient, [n, 3, shapes]."""
        directions = rest.new_zeros(*rest.shape, self.shapes)
        directions[..., 0] = 0.05 * rest
        if self.shapes > 1:
            directions[..., 0, 1] = 0.03 * rest[..., 0]
        return directions

    def _shaped(self, rest: Tensor, betas: Tensor) -> Tensor:
        return rest + torch.einsum("nds,...s->...nd", self._directions(rest), betas)

    def _check(self, params: BodyParams) -> None:
        joints = len(PARENTS) - 1
        expected = {"global_orient": (3,), "body_pose": (joints, 3), "betas": (self.shapes,), "transl": (3,)}
        batch = params.global_orient.shape[:-1]
        for name, shape in expected.items():
            got = tuple(getattr(params, name).shape)
            if got != (*batch, *shape):
                raise ShapeError(f"body parameter {name}: expected {(*batch, *shape)}, got {got}")


def _place(name: str) -> tuple[float, float, float]:
    x, y, z = _REST[name.replace("right_", "left_")]
    return (-x, y, z) if name.startswith("right_") else (x, y, z)


def _limb(joint: str) -> int:
    """The limb of the bone that ends at a joint."""
    side, _, part = joint.rpartition("_")
    return LIMBS.index(f"{side}_{_LIMB_OF[part]}") if side and part in _LIMB_OF else 0


def _tubes(joints: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Of all bones, one after another: the owning joint and place of each vertex, and triangles seen from outside."""
    angle = (torch.arange(AROUND) + 0.5) * 2 * math.pi / AROUND
    quads = [(ring * AROUND + i, ring * AROUND + (i + 1) % AROUND) for ring in range(RINGS - 1) for i in range(AROUND)]
    one = [triangle for a, b in quads for triangle in ((a, b, b + AROUND), (a, b + AROUND, a + AROUND))]
    last = (RINGS - 1) * AROUND
    one += [(0, 2, 1), (0, 3, 2), (last, last + 1, last + 2), (last, last + 2, last + 3)]
    vertices, faces, owner = [], [], []
    for joint in range(1, len(PARENTS)):
        start, end = joints[PARENTS[joint]], joints[joint]
        axis = F.normalize(end - start, dim=0)
        # The same construction of mirrored bones gives mirrored tubes: angles lie evenly about both axes.
        side = F.normalize(torch.linalg.cross(axis, axis.new_tensor([0.0, 0.0, 1.0])), dim=0)
        other = torch.linalg.cross(axis, side)
        radius = 0.09 if _limb(SMPL_24[joint]) == 0 else 0.05
        circle = radius * (angle.cos()[:, None] * side + angle.sin()[:, None] * other)
        faces += [[len(vertices) + corner for corner in triangle] for triangle in one]
        for ring in range(RINGS):
            vertices += list(start + (ring + 0.5) / RINGS * (end - start) + circle)
        owner += [PARENTS[joint]] * AROUND * RINGS
    return torch.tensor(owner), torch.stack(vertices), torch.tensor(faces)


def _picking(names: tuple[str, ...]) -> Tensor:
    """Weights of joints and markers that give each named point."""
    known = [*SMPL_24, *_MARKERS]
    return F.one_hot(torch.tensor([known.index(_SAME.get(name, name)) for name in names]), len(known)).double()
