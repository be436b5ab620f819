"""Model files in the published layouts with made-up bodies in them: tubes around the joints, with all blend shapes."""

from __future__ import annotations

import pickle
import sys
import types
from pathlib import Path

import numpy as np
import scipy.sparse

from nbf_body_models.names import EXTRA, JOINT_NAMES, VERTEX_NAMES
from nbf_core.conventions import H36M_17, SMPL_24

SMPL_PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21)
# Left ones and those in the middle, in metres: x to the left, y up, z forward.
_PLACES = {
    "pelvis": (0, 0, 0), "left_hip": (0.07, -0.09, 0), "spine1": (0, 0.11, 0), "left_knee": (0.1, -0.47, 0),
    "spine2": (0, 0.24, 0), "left_ankle": (0.09, -0.87, -0.03), "spine3": (0, 0.3, 0), "left_foot": (0.11, -0.92, 0.1),
    "neck": (0, 0.51, 0), "left_collar": (0.08, 0.42, 0), "head": (0, 0.6, 0.04), "left_shoulder": (0.19, 0.44, 0),
    "left_elbow": (0.45, 0.44, 0), "left_wrist": (0.7, 0.44, 0), "left_hand": (0.78, 0.44, 0),
    "jaw": (0, 0.58, 0.06), "left_eye": (0.03, 0.66, 0.1),
}  # fmt: skip
_AROUND, _ALONG = 12, 3


def joints_of(kind: str) -> tuple[np.ndarray, tuple[int, ...]]:
    """Places [J, 3] and parents of the joints."""
    names, places, parents = JOINT_NAMES[kind], [], []
    for name in names:
        plain = name.replace("right_", "left_")
        if plain in _PLACES:
            place = np.array(_PLACES[plain], float)
            known = name in SMPL_24
            parent = SMPL_PARENTS[SMPL_24.index(name)] if known else names.index("head")
        else:  # a finger
            finger, number = plain.removeprefix("left_")[:-1], int(plain[-1])
            spread = ("thumb", "index", "middle", "ring", "pinky").index(finger)
            place = np.array([0.76 + 0.03 * number, 0.44, 0.04 - 0.02 * spread])
            parent = (
                names.index(name[:-1] + str(number - 1))
                if number > 1
                else names.index(name[: -len(finger) - 1] + "wrist")
            )
        places.append(place * ([-1, 1, 1] if name.startswith("right_") else [1, 1, 1]))
        parents.append(parent)
    return np.array(places), tuple(parents)


def make_arrays(kind: str = "smpl", vertices: int | None = None, shapes: int = 10, seed: int = 0) -> dict:
    """The arrays of a model file: a mirror-symmetric connected skin, random blend shapes."""
    rng = np.random.default_rng(seed)
    places, parents = joints_of(kind)
    points, faces, weights, rings = [], [], [], []
    for joint, place in enumerate(places):
        children = [c for c, parent in enumerate(parents) if parent == joint]
        children.sort(key=lambda c: abs(places[c][0] - place[0]), reverse=True)
        end = places[children[-1]] if children else place + 0.06 * np.sign(place - places[parents[joint]]) * [1, 1, 0]
        radius = 0.008 if JOINT_NAMES[kind][joint][-1].isdigit() else 0.06
        start = len(points)
        for ring in range(_ALONG):
            t = ring / _ALONG
            rings.append((joint, len(points)))
            for step in range(_AROUND):
                angle = 2 * np.pi * step / _AROUND
                side = np.sign(place[0])
                around = (0.4 * side * np.cos(angle), np.sin(angle), np.cos(angle))
                if not side:  # its own mirror image
                    around = (np.sin(angle), 0, np.cos(angle))
                points.append(place + t * (end - place) + radius * np.array(around))
                row = np.zeros(len(places))
                row[joint] = 0.6 + 0.4 * t
                row[max(parents[joint], 0)] += 0.4 - 0.4 * t
                weights.append(row)
                a, b = len(points) - 1, start + ring * _AROUND + (step + 1) % _AROUND
                below = _AROUND if ring else None
                if below:
                    faces += [(a, b, a - below), (b, b - below, a - below)]
        if joint:  # a seam to the parent's first ring keeps the skin in one piece
            other = next(first for owner, first in rings if owner == parents[joint])
            faces += [(start, start + 1, other), (start + 1, other + 1, other)]
    while vertices is not None and len(points) < vertices:  # more, inside of triangles
        a, b, c = faces[rng.integers(len(faces))]
        points.append((np.array(points[a]) + points[b] + points[c]) / 3)
        weights.append((weights[a] + weights[b] + weights[c]) / 3)
        faces += [(a, b, len(points) - 1)]
    template, count = np.array(points), len(points)
    regressor = np.zeros((len(places), count))
    for joint in range(len(places)):
        first = next(at for owner, at in rings if owner == joint)
        regressor[joint, first : first + _AROUND] = 1 / _AROUND
    directions = rng.normal(0, 0.002, (count, 3, shapes))
    directions[..., 0] = 0.03 * template
    arrays = {
        "v_template": template,
        "shapedirs": directions,
        "posedirs": 0.002 * rng.standard_normal((count, 3, 9 * (len(places) - 1)), np.float32),
        "J_regressor": regressor,
        "weights": np.array(weights),
        "kintree_table": np.array([(2**32 - 1, *parents[1:]), range(len(places))], np.uint32),
        "f": np.array(faces, np.uint32),
    }
    if vertices is None:
        named = sorted(set(VERTEX_NAMES.values()))
        arrays["marker_names"] = np.array(named)
        arrays["marker_vertices"] = rng.choice(count, len(named), replace=False)
    if kind != "smpl":
        for side in "lr":
            arrays[f"hands_components{side}"] = np.eye(45)
            arrays[f"hands_mean{side}"] = rng.normal(0, 0.2, 45)
    if kind == "smplx":
        arrays |= {
            "lmk_faces_idx": np.arange(51), "lmk_bary_coords": np.full((51, 3), 1 / 3),
            "dynamic_lmk_faces_idx": np.zeros((79, 17), int), "dynamic_lmk_bary_coords": np.full((79, 17, 3), 1 / 3),
        }  # fmt: skip
    return arrays


def make_regressors(template: np.ndarray, seed: int = 1) -> dict[str, np.ndarray]:
    """The extra and the Human3.6M regressor: each joint from thirty vertices of one place, weights of one sum."""
    rng = np.random.default_rng(seed)
    found = {}
    for name, joints in (("extra", len(EXTRA)), ("h36m", len(H36M_17))):
        found[name] = np.zeros((joints, len(template)))
        for row in found[name]:
            near = np.linalg.norm(template - template[rng.integers(len(template))], axis=1).argsort()[:30]
            row[near] = rng.dirichlet(np.ones(30))
    return found


def write_tree(
    folder: Path, kind: str = "smpl", arrays: dict | None = None, gender: str = "neutral", suffix=".pkl"
) -> Path:
    """One model file where the published tree has it."""
    arrays = make_arrays(kind) if arrays is None else arrays
    path = folder / kind / f"{kind.upper()}_{gender.upper()}{suffix}"
    path.parent.mkdir(parents=True, exist_ok=True)
    if suffix == ".npz":
        np.savez(path, **arrays)
    else:
        path.write_bytes(pickle.dumps({**arrays, "J_regressor": scipy.sparse.csc_matrix(arrays["J_regressor"])}, 2))
    return path


def as_chumpy(arrays: dict, protocol: int = 2) -> bytes:
    """A pickle as the original ones are: chumpy's classes where they have them, and something computed besides."""
    ch, reordering, ops = (types.ModuleType(f"chumpy.{name}") for name in ("ch", "reordering", "ch_ops"))

    def make(module: types.ModuleType, name: str) -> type:
        cls = type(name, (), {"__module__": module.__name__, "__qualname__": name})
        setattr(module, name, cls)
        return cls

    def filled(cls: type, **state: object) -> object:
        made = cls()
        made.__dict__.update(state, _dirty_vars=set(), _itr=None)
        return made

    stored, select, add = make(ch, "Ch"), make(reordering, "Select"), make(ops, "add")
    table = arrays["shapedirs"]
    wide = np.concatenate([table, np.ones((*table.shape[:2], 3))], 2)
    places = np.arange(wide.size).reshape(wide.shape)[..., : table.shape[2]]
    modules = {
        "chumpy": types.ModuleType("chumpy"),
        "chumpy.ch": ch,
        "chumpy.reordering": reordering,
        "chumpy.ch_ops": ops,
    }
    sys.modules.update(modules)
    try:
        given = {
            **arrays,
            "shapedirs": filled(select, a=filled(stored, x=wide), idxs=places.ravel(), preferred_shape=table.shape),
            "weights": filled(stored, x=arrays["weights"]),
            "J_regressor": scipy.sparse.csc_matrix(arrays["J_regressor"]),
            "J": filled(add, a=1, b=filled(stored, x=np.zeros(3))),
            "bs_style": "lbs",
        }
        return pickle.dumps(given, protocol)
    finally:
        for name in modules:
            del sys.modules[name]
