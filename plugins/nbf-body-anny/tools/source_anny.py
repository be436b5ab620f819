"""Draws adult bodies from the `anny` package and brings them to SMPL's axes, joints and T-pose.

Only what anny's own default topology holds is read (Apache-2.0 code, CC0 data); its `smpl` and `smplx`
topologies, which fetch a non-commercial archive, are never touched.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import torch

from nbf_core.conventions import SMPL_24, mirror_permutation

PARENTS = np.array([-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21])
JOINT_MIRROR = np.array(mirror_permutation(SMPL_24))

# Bone name (without side) to SMPL joint; a pair means left and right.
_GROUPS = [
    (r"root|pelvis|spine05", (0, 0)),
    (r"upperleg\d+", (1, 2)),
    (r"spine04", (3, 3)),
    (r"lowerleg\d+", (4, 5)),
    (r"spine0[23]", (6, 6)),
    (r"foot", (7, 8)),
    (r"spine01", (9, 9)),
    (r"toe\d-\d", (10, 11)),
    (r"neck\d+", (12, 12)),
    (r"clavicle|shoulder\d+", (13, 14)),
    (r"head|eye", (15, 15)),
    (r"upperarm\d+", (16, 17)),
    (r"lowerarm\d+", (18, 19)),
    (r"wrist|metacarpal\d", (20, 21)),
    (r"finger\d-\d", (22, 23)),
]
# The bones whose heads, averaged, are the joint.
_JOINT_BONES = [
    ["root"], ["upperleg01.L"], ["upperleg01.R"], ["spine04"], ["lowerleg01.L"], ["lowerleg01.R"],
    ["spine03"], ["foot.L"], ["foot.R"], ["spine01"],
    [f"toe{i}-1.L" for i in range(1, 6)], [f"toe{i}-1.R" for i in range(1, 6)],
    ["neck01"], ["clavicle.L"], ["clavicle.R"], ["head"], ["upperarm01.L"], ["upperarm01.R"],
    ["lowerarm01.L"], ["lowerarm01.R"], ["wrist.L"], ["wrist.R"],
    [f"finger{i}-1.L" for i in range(1, 6)], [f"finger{i}-1.R" for i in range(1, 6)],
]  # fmt: skip
# Faces never seen from outside with the mouth shut.
_INNER = ("tongue", "mouth_cavity", "eye_cavity.L", "eye_cavity.R", "eye_back.L", "eye_back.R")


@dataclass(frozen=True)
class Samples:
    """Rest (A-pose) bodies on SMPL's axes.

    vertices [n, V, 3], joints [n, 24, 3], weights [V, 24], faces [F, 3], mirror [V], anny's own COCO keypoint
    weights [k, V] with their names, its phenotypes [n, p], and which of its vertices were kept.
    """

    vertices: np.ndarray
    joints: np.ndarray
    weights: np.ndarray
    faces: np.ndarray
    mirror: np.ndarray
    keypoint_weights: np.ndarray
    keypoint_names: list[str]
    phenotypes: np.ndarray
    kept: np.ndarray


def to_smpl_axes(points: np.ndarray) -> np.ndarray:
    """z up, facing -y (anny) to y up, facing +z (SMPL); x, the person's left, stays."""
    return np.stack([points[..., 0], points[..., 2], -points[..., 1]], -1)


def bone_groups(labels: list[str]) -> np.ndarray:
    """SMPL joint of every bone, [bones]."""
    groups = []
    for label in labels:
        stem, _, side = label.partition(".")
        pair = next(pair for pattern, pair in _GROUPS if re.fullmatch(pattern, stem))
        groups.append(pair[1] if side == "R" else pair[0])
    return np.array(groups)


def phenotype_samples(labels: list[str], count: int, seed: int) -> torch.Tensor:
    """Adult phenotype values [count, len(labels)]: age .67 to 1, height about N(.46, .07), others uniform."""
    rng = np.random.default_rng(seed)
    draw = {
        "gender": rng.uniform(0, 1, count),
        "age": rng.uniform(0.67, 1.0, count),
        "muscle": rng.uniform(0, 1, count),
        "weight": rng.uniform(0, 1, count),
        "height": rng.normal(0.46, 0.07, count).clip(0.2, 0.75),
        "proportions": rng.uniform(0, 1, count),
    }
    return torch.tensor(np.stack([draw[label] for label in labels], 1))


def load_model():
    """The anny model that everything here is drawn from."""
    import anny

    return anny.Anny(skinning_method="lbs", pose_parameterization="world-orient")


def outer_vertices(model, mirror: np.ndarray) -> np.ndarray:
    """Mask [V] of the vertices that can be seen, the same on both sides."""
    from anny.face_segmentation import get_face_segmentation_mask

    faces = model.faces.numpy()
    inner = get_face_segmentation_mask(model, list(_INNER)).numpy()
    seen = np.zeros(len(mirror), bool)
    seen[faces[~inner].ravel()] = True
    return seen | seen[mirror]


def sample_bodies(model, count: int, seed: int) -> Samples:
    """Draw `count` adults; vertices that cannot be seen are dropped, all is made exactly mirror-symmetric."""
    import anny
    from scipy.spatial import cKDTree

    phenotypes = phenotype_samples(model.phenotype_labels, count, seed)
    zeros = torch.zeros(1, len(model.local_change_labels), dtype=torch.float64)
    actions = torch.zeros(1, len(model.facial_action_labels), dtype=torch.float64)
    vertices, heads = [], []
    for chunk in phenotypes.split(50):
        coefficients = model._get_phenotype_blendshape_coefficients(chunk, zeros, actions)
        vertices.append(model.get_rest_vertices(coefficients).numpy())
        heads.append(model.get_rest_model(coefficients)["rest_bone_heads"].numpy())
    vertices, heads = to_smpl_axes(np.concatenate(vertices)), to_smpl_axes(np.concatenate(heads))
    mean = vertices.mean(0)
    distance, mirror = cKDTree(mean).query(mean * [-1, 1, 1])
    if distance.max() > 1e-3 or not (mirror[mirror] == np.arange(len(mirror))).all():
        raise SystemExit("anny's mesh is not mirror-symmetric: the reduction below needs it")

    keep = outer_vertices(model, mirror)
    index = np.cumsum(keep) - 1
    faces = model.faces.numpy()
    faces = index[faces[keep[faces].all(1)]]
    mirror = index[mirror[keep]]
    vertices = vertices[:, keep]
    groups = bone_groups(model.bone_labels)
    weights = np.zeros((keep.sum(), 24))
    np.add.at(weights.T, groups, model.dense_vertex_bone_weights.numpy()[keep].T)
    joints = np.stack(
        [heads[:, [model.bone_labels.index(bone) for bone in bones]].mean(1) for bones in _JOINT_BONES], 1
    )
    flip = np.array([-1.0, 1.0, 1.0])
    vertices = (vertices + vertices[:, mirror] * flip) / 2
    joints = (joints + joints[:, JOINT_MIRROR] * flip) / 2
    weights = (weights + weights[mirror][:, JOINT_MIRROR]) / 2
    regressor = anny.KeypointsRegressor.coco(model)
    keypoints = regressor.regression_weights.numpy()[:, keep]
    return Samples(
        vertices, joints, weights, faces, mirror, keypoints, list(regressor.labels), phenotypes.numpy(), keep
    )


def _between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Smallest rotation [n, 3, 3] that turns direction a [n, 3] into direction b [n, 3] or [3]."""
    a = a / np.linalg.norm(a, axis=-1, keepdims=True)
    b = np.broadcast_to(b / np.linalg.norm(b, axis=-1, keepdims=True), a.shape)
    v, c = np.cross(a, b), (a * b).sum(-1)
    k = np.zeros((len(a), 3, 3))
    k[:, 0, 1], k[:, 0, 2], k[:, 1, 2] = -v[:, 2], v[:, 1], -v[:, 0]
    k -= k.transpose(0, 2, 1)
    return np.eye(3) + k + k @ k / (1 + c)[:, None, None]


def t_pose_rotations(joints: np.ndarray) -> np.ndarray:
    """World rotations [n, 24, 3, 3] that take the A-pose joints [n, 24, 3] to SMPL's T-pose.

    Upper arm, forearm and hand point along x with the palm down; thighs and calves stand nearly upright;
    trunk, head and feet keep their orientation.
    """
    rotations = np.tile(np.eye(3), (len(joints), 24, 1, 1))

    def direction(a: int, b: int) -> np.ndarray:
        return joints[:, b] - joints[:, a]

    for side, sign in ((0, 1.0), (1, -1.0)):
        hip, knee, ankle = 1 + side, 4 + side, 7 + side
        shoulder, elbow, wrist, hand = 16 + side, 18 + side, 20 + side, 22 + side
        rotations[:, hip] = _between(direction(hip, knee), np.array([sign * 0.035, -1.0, 0.0]))
        rotations[:, knee] = _between(direction(knee, ankle), np.array([sign * 0.02, -1.0, -0.05]))
        along = np.array([sign, 0.0, 0.0])
        upper = _between(direction(shoulder, elbow), along)
        turned = np.einsum("nij,nj->ni", upper, direction(elbow, wrist))
        lower = _between(turned, along) @ upper
        turned = np.einsum("nij,nj->ni", lower, direction(wrist, hand))
        straight = _between(turned, along) @ lower
        rotations[:, shoulder], rotations[:, elbow] = upper, lower
        rotations[:, wrist] = rotations[:, hand] = straight
    return rotations


def pose(vertices, joints, weights, rotations) -> tuple[np.ndarray, np.ndarray]:
    """Skin rest bodies [n, V, 3], [n, 24, 3] by world rotations [n, 24, 3, 3]; returns vertices, joints."""
    posed = joints.copy()
    for child in range(1, 24):
        parent = PARENTS[child]
        bone = joints[:, child] - joints[:, parent]
        posed[:, child] = posed[:, parent] + np.einsum("nij,nj->ni", rotations[:, parent], bone)
    shift = posed - np.einsum("njab,njb->nja", rotations, joints)
    out = np.empty_like(vertices)
    for n in range(len(vertices)):
        blend = np.einsum("vj,jab->vab", weights, rotations[n])
        out[n] = np.einsum("vab,vb->va", blend, vertices[n]) + weights @ shift[n]
    return out, posed
