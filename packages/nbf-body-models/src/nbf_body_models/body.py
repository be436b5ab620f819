"""SMPL, SMPL-H and SMPL-X: linear blend skinning with shape and pose blend shapes (Loper et al. 2015)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import roma
import torch
from jaxtyping import Float
from torch import Tensor, nn

from nbf_body_models.config import GENDERS, SmplConfig, SmplhConfig, SmplxConfig
from nbf_body_models.convert import converted
from nbf_body_models.kernels import KernelChoice
from nbf_body_models.mean import read_mean_person
from nbf_body_models.tables import make_tables
from nbf_core.contracts import ConvertedFile
from nbf_core.conventions import mirror_permutation
from nbf_core.errors import ConfigError, NbfError, ShapeError
from nbf_core.geometry.skinning import Skeleton, skin
from nbf_core.types import BodyOutput, BodyParams, BodySpec, Skinning


class SmplBody(nn.Module):
    """SMPL behind nbf's body contract, from the model file of its gender (``model_file``).

    Axes of the rest pose (a T-pose): x to the person's left, y up, z forward; metres. Rotations turn about the joints
    where the file puts them (the pelvis is near the origin, not in it); shape coefficients are the file's. The cheap
    path poses the kernels and the few points that keypoint sets need, and nothing else. Raises AssetError naming the
    file and what is wrong with it, PluginError where the package smplx is needed and missing.
    """

    kind = "smpl"
    config_class: type[SmplConfig] = SmplConfig

    def __init__(self, config: SmplConfig | None = None, choice: KernelChoice | None = None):
        super().__init__()
        self.config = config or self.config_class()
        tables = make_tables(self.config, self.kind, choice)
        self.joint_names, self.parents = tables.joints.names, tables.joints.parents
        self.model_file, self._bending, self._choice = tables.path, tables.bending, tables.choice
        self._sets = tuple(tables.keypoints)
        self._skeleton = Skeleton(self.parents)
        self._genders: dict[str, SmplBody] = {}

        def constant(name: str, values: Any, dtype: torch.dtype = torch.float32) -> None:
            self.register_buffer(name, torch.as_tensor(np.array(values), dtype=dtype), persistent=False)

        constant("_joints", tables.joints.positions)
        constant("_joint_directions", tables.joints.directions)
        constant("_rest_pose", tables.joints.rest_pose)
        constant("_straight", np.eye(3))
        self._relaxed = bool(tables.joints.rest_pose.any())
        for prefix, points in (("_vertex", tables.vertices), ("_point", tables.points)):
            constant(f"{prefix}_template", points.template)
            constant(f"{prefix}_basis", points.basis)
            constant(f"{prefix}_weights", points.weights)
        for name in ("faces", "vertex_parts", "vertex_kernels", "kernel_limbs", "kernel_mirror"):
            constant(f"_{name}", getattr(tables, name), torch.long)
        constant("_kernel_vertices", tables.choice.vertices, torch.long)
        constant("_kernel_adjacency", tables.kernel_adjacency, torch.bool)
        for name, weights in tables.keypoints.items():
            constant(f"_keypoints_{name}", weights)

    @property
    def spec(self) -> BodySpec:
        """What never changes about this body, on the module's device and in its dtype."""
        return BodySpec(
            name=self.kind,
            joint_names=self.joint_names,
            parents=self.parents,
            mirror_joints=mirror_permutation(self.joint_names),
            shapes=self._joint_directions.shape[-1],
            faces=self._faces,
            vertex_parts=self._vertex_parts,
            vertex_kernels=self._vertex_kernels,
            kernel_vertices=self._kernel_vertices,
            kernel_limbs=self._kernel_limbs,
            kernel_mirror=self._kernel_mirror,
            kernel_adjacency=self._kernel_adjacency,
            kernel_rest=self._point_template[: len(self._kernel_vertices)],
            kernel_precision=self.config.kernel_precision,
            keypoint_weights={name: getattr(self, f"_keypoints_{name}") for name in self._sets},
        )

    def forward(self, params: BodyParams, vertices: bool = True) -> BodyOutput:
        """Pose the body (metres). Without ``vertices`` only joints, markers and kernels are computed.

        Differentiable in every parameter, at zero rotations too; any leading batch, shared by all parameters.
        Raises :class:`ShapeError` naming the parameter whose shape does not fit.
        """
        self._check(params)
        rotvec = torch.cat([params.global_orient[..., None, :], params.body_pose], -2)
        rotations = roma.rotvec_to_rotmat(rotvec + self._rest_pose if self._relaxed else rotvec)
        offsets = params.betas @ self._joint_directions.flatten(0, 1).mT
        joints = self._joints + offsets.unflatten(-1, (-1, 3))
        world, posed = self._skeleton(rotations, joints)
        posed = posed + params.transl[..., None, :]
        shift = posed - (world @ joints[..., None])[..., 0]
        coefficients = params.betas
        if self._bending:
            bent = rotations[..., 1 : 1 + self._bending, :, :] - self._straight
            coefficients = torch.cat([coefficients, bent.flatten(-3)], -1)

        def points(template: Tensor, basis: Tensor, weights: Tensor) -> Tensor:
            rest = torch.addmm(template.flatten(), coefficients.reshape(-1, len(basis)), basis)
            return skin(rest.view(*coefficients.shape[:-1], len(template), 3), weights, world, shift)

        few, count = points(self._point_template, self._point_basis, self._point_weights), len(self._kernel_vertices)
        everything = points(self._vertex_template, self._vertex_basis, self._vertex_weights) if vertices else None
        return BodyOutput(posed, markers=few[..., count:, :], kernels=few[..., :count, :], vertices=everything)

    def keypoints(self, output: BodyOutput, name: str) -> Float[Tensor, "*b n 3"]:
        """The keypoint set ``name`` of a posed body, in metres.

        Raises :class:`NbfError` naming the sets there are, for one that is unknown or needs a regressor that is
        missing.
        """
        if name not in self._sets:
            hint = "; that one needs J_regressor_h36m.npy beside the model" if name.startswith("h36m") else ""
            raise NbfError(f"body {self.kind!r} knows no keypoint set {name!r}; it has {', '.join(self._sets)}{hint}")
        return getattr(self, f"_keypoints_{name}") @ torch.cat([output.joints, output.markers], -2)

    def skinning(self) -> Skinning:
        """How this body is posed by skinning alone, pose blend shapes left out."""
        count, shapes = len(self._kernel_vertices), self._joint_directions.shape[-1]
        directions = self._point_basis[:shapes].unflatten(-1, (-1, 3)).permute(1, 2, 0)
        return Skinning(
            parents=self.parents,
            joints=self._joints,
            joint_directions=self._joint_directions,
            kernels=self._point_template[:count],
            kernel_directions=directions[:count],
            kernel_weights=self._point_weights[:count],
            markers=self._point_template[count:],
            marker_directions=directions[count:],
            marker_weights=self._point_weights[count:],
        )

    def gendered(self, gender: str) -> SmplBody:
        """This body with another gender's model file and the same kernels, on the same device and in the same dtype.

        Raises ConfigError for an unknown gender, AssetError where its file is missing or damaged.
        """
        if gender not in GENDERS:
            raise ConfigError(f"no gender {gender!r}: {', '.join(GENDERS)}")
        if gender == self.config.gender:
            return self
        if gender not in self._genders:
            if self.config.path.is_file():
                raise ConfigError(f"{self.config.path}: is one file; bodies of several genders need their folder")
            config = self.config_class(**{**self.config.model_dump(), "gender": gender})
            self._genders[gender] = type(self)(config, choice=self._choice)
        return self._genders[gender].to(self._joints)

    def mean_params(self, path: Path | None = None) -> BodyParams:
        """The mean person that regressors start from, in this body's parameters, at the origin.

        Read from ``path``, or ``smpl_mean_params.npz`` in the configured folder. Raises AssetError naming the file.
        """
        folder = self.config.path.parent if self.config.path.is_file() else self.config.path
        mean = read_mean_person(path or folder / "smpl_mean_params.npz")
        params = BodyParams.neutral(joints=len(self._joints) - 1, shapes=self._joint_directions.shape[-1])
        shared, shapes = (24 if "left_hand" in self.joint_names else 22), self.config.shapes
        params.global_orient[:] = mean.pose[0]
        params.body_pose[: shared - 1] = mean.pose[1:shared]
        params.betas[: min(10, shapes)] = mean.shape[:shapes]
        return params.to(self._joints)

    @classmethod
    def from_model_file(cls, path: Path) -> ConvertedFile | None:
        """See ``nbf_core.contracts.TakesModelFiles``: a published pickle or npz of this kind of body."""
        return converted(path, cls.kind)

    def _check(self, params: BodyParams) -> None:
        expected = {
            "global_orient": (3,),
            "body_pose": (len(self._joints) - 1, 3),
            "betas": (self._joint_directions.shape[-1],),
            "transl": (3,),
        }
        batch = params.global_orient.shape[:-1]
        for name, shape in expected.items():
            got = tuple(getattr(params, name).shape)
            if got != (*batch, *shape):
                raise ShapeError(f"body parameter {name}: expected {(*batch, *shape)}, got {got}")


class SmplhBody(SmplBody):
    """SMPL-H (Romero et al. 2017): SMPL's mesh with fingers; see :class:`SmplhConfig` for what is posed."""

    kind = "smplh"
    config_class = SmplhConfig


class SmplxBody(SmplBody):
    """SMPL-X (Pavlakos et al. 2019): fingers, jaw, eyes and expressions; see :class:`SmplxConfig`."""

    kind = "smplx"
    config_class = SmplxConfig
