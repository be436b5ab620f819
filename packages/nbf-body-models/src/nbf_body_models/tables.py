"""From a model file to the constants of a body: what is posed, which vertices are kernels, where keypoints are."""

from __future__ import annotations

import functools
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nbf_body_models.config import SmplConfig
from nbf_body_models.files import ModelFile, find_model, read_model, read_regressor
from nbf_body_models.kernels import KernelChoice, adjacency, cells, mirrored, read_choice, spread_choice
from nbf_body_models.names import EXTRA, LIMB_OF_JOINT, body_joint
from nbf_body_models.points import collect, named_vertices
from nbf_body_models.skeleton import Joints, posed_joints, shape_directions
from nbf_body_models.surface import Surface
from nbf_core.conventions import H36M_17, SMPL_24
from nbf_core.errors import AssetError

PUBLISHED_KERNELS = Path("sample_params", "uniform", "sample_data_8-2021-04-05.npz")
"""The published choice of kernels, beside the folder ``body_models``."""

SMPL_VERTICES = 6890
"""Of the mesh that the published choice is of: SMPL's and SMPL-H's."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Points:
    """``N`` skinned points: ``template`` [N, 3], ``basis`` [S + 9 P, 3 N], ``weights`` [N, J] (metres).

    The basis moves the template by the ``S`` shape coefficients and by the rotation matrices of the first ``P`` joints
    after the root, less the identity.
    """

    template: np.ndarray
    basis: np.ndarray
    weights: np.ndarray

    def taken(self, chosen: np.ndarray) -> Points:
        """Some of the points, by their numbers."""
        cube = self.basis.reshape(len(self.basis), -1, 3)[:, chosen]
        return Points(self.template[chosen], cube.reshape(len(cube), -1), self.weights[chosen])

    def mixed(self, rows: np.ndarray, weights: np.ndarray) -> Points:
        """Points that are mixtures ``rows`` [M, N] of these, skinned by ``weights`` [M, J]."""
        cube = self.basis.reshape(len(self.basis), -1, 3)
        template, basis = np.zeros((len(rows), 3)), np.zeros((len(self.basis), len(rows), 3))
        for place, row in enumerate(rows):  # each a mixture of few
            used = np.flatnonzero(row)
            template[place] = row[used] @ self.template[used]
            basis[:, place] = np.einsum("v,bvx->bx", row[used], cube[:, used])
        return Points(template, basis.reshape(len(self.basis), -1), weights)

    def joined(self, other: Points) -> Points:
        """These points, then the others."""
        return Points(
            np.concatenate([self.template, other.template]),
            np.concatenate([self.basis, other.basis], 1),
            np.concatenate([self.weights, other.weights]),
        )


@dataclass(frozen=True)
class Tables:
    """All constants of a body; shapes as in ``nbf_core.types.BodySpec``. ``points`` are kernels, then markers."""

    path: Path
    joints: Joints
    bending: int
    vertices: Points
    points: Points
    faces: np.ndarray
    vertex_parts: np.ndarray
    vertex_kernels: np.ndarray
    choice: KernelChoice
    kernel_limbs: np.ndarray
    kernel_mirror: np.ndarray
    kernel_adjacency: np.ndarray
    keypoints: Mapping[str, np.ndarray]


def make_tables(config: SmplConfig, kind: str, choice: KernelChoice | None = None) -> Tables:
    """Read the files that the configuration means and work everything out, or take the ``choice`` of kernels as given.

    Raises AssetError or ConfigError naming the file, PluginError where the package smplx is needed and missing.
    """
    model = read_model(find_model(config.path, kind, config.gender), kind)
    directions = shape_directions(model, config)
    joints = posed_joints(model, config, directions)
    # A body without pose blend shapes is not made to add up zeros.
    bending = joints.bending if np.any(model.pose_directions[..., : 9 * joints.bending]) else 0
    blends = np.concatenate([directions, model.pose_directions[..., : 9 * bending]], 2, dtype=np.float32)
    vertices = Points(model.template, blends.transpose(2, 0, 1).reshape(blends.shape[2], -1), joints.weights)
    extra, h36m = _regressors(config, kind, len(model.template))
    markers, keypoints = collect(named_vertices(model), joints.smpl, joints.weights, extra, h36m)
    surface = _surface(model)
    choice = choice or _choose(config, kind, model, surface)
    nearest, parts = cells(surface, choice.vertices), joints.weights.argmax(1)
    limbs = np.array([LIMB_OF_JOINT[SMPL_24.index(body_joint(name))] for name in joints.names])
    return Tables(
        path=model.path,
        joints=joints,
        bending=bending,
        vertices=vertices,
        points=vertices.taken(choice.vertices).joined(vertices.mixed(markers.vertex_weights, markers.skinning)),
        faces=model.faces,
        vertex_parts=parts,
        vertex_kernels=nearest,
        choice=choice,
        kernel_limbs=limbs[parts[choice.vertices]],
        kernel_mirror=mirrored(surface, choice.vertices),
        kernel_adjacency=adjacency(surface, choice, nearest),
        keypoints=keypoints,
    )


def _surface(model: ModelFile) -> Surface:
    return Surface.of(model.template, model.faces, model.others.get("vert_sym_idxs"))


def _choose(config: SmplConfig, kind: str, model: ModelFile, surface: Surface) -> KernelChoice:
    """The configured kernels, the published ones of SMPL's mesh where their file lies in the published tree, or evenly
    spread ones: on the neutral body, so that all genders carry the same.
    """
    if config.kernels is not None:
        return read_choice(config.kernels, len(model.template))
    folder = config.path if config.path.is_dir() else config.path.parent
    places = [above / PUBLISHED_KERNELS for above in (folder.parent, folder.parent.parent)]
    published = next((place for place in places if place.is_file()), None)
    if published is not None and len(model.template) == SMPL_VERTICES:
        return read_choice(published, len(model.template))
    if config.gender != "neutral" and config.path.is_dir():
        try:
            neutral = read_model(find_model(config.path, kind, "neutral"), kind)
        except AssetError:
            neutral = model
        if len(neutral.template) == len(model.template):
            surface = _surface(neutral)
    choice = spread_choice(surface, config.kernel_count)
    _say_once(
        f"body {kind}: {len(choice.vertices)} kernels, spread evenly: there is no {places[0]}. Weights fit the kernels "
        "that they were trained with: for the published ones name that file as body.kernels"
    )
    return choice


@functools.cache
def _say_once(text: str) -> None:
    _log.warning(text)


def _regressors(config: SmplConfig, kind: str, vertices: int) -> tuple[np.ndarray | None, np.ndarray | None]:
    """The extra and the Human3.6M regressor, where there are any: those configured, else those of the folder."""
    folder = config.path if config.path.is_dir() else config.path.parent
    found = []
    for given, name, joints in (
        (config.regressor_extra, "J_regressor_extra.npy", len(EXTRA)),
        (config.regressor_h36m, "J_regressor_h36m.npy", len(H36M_17)),
    ):
        places = [given] if given is not None else [folder / name, folder.parent / name]
        place = next((place for place in places if given is not None or place.is_file()), None)
        regressor = None if place is None else read_regressor(place, joints)
        if regressor is not None and regressor.shape[1] != vertices:
            if given is not None or kind != "smplx":
                raise AssetError(f"{place}: is for {regressor.shape[1]} vertices, this body has {vertices}")
            regressor = None  # the folder's are for SMPL's mesh, which is SMPL-H's too, but not SMPL-X's
        found.append(regressor)
    return found[0], found[1]
