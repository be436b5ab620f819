"""Model files: where they lie, what must be in them, and that it fits together. Nothing in a file is run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nbf_body_models.names import JOINT_NAMES, TITLES
from nbf_core.errors import AssetError
from nbf_core.pickles import Unread, read_npy, read_npz, read_pickle

_REQUIRED = ("v_template", "shapedirs", "posedirs", "J_regressor", "weights", "kintree_table", "f")
_WHERE = {
    "smpl": "https://smpl.is.tue.mpg.de and https://smplify.is.tue.mpg.de",
    "smplh": "https://mano.is.tue.mpg.de",
    "smplx": "https://smpl-x.is.tue.mpg.de",
}
_ORIGINAL = {"neutral": "basicModel_neutral_*", "male": "basic[mM]odel_m_*", "female": "basic[mM]odel_f_*"}


@dataclass(frozen=True)
class ModelFile:
    """What is in a model file, checked: ``V`` vertices, ``J`` joints, ``n`` shape directions; metres.

    ``template`` [V, 3], ``directions`` [V, 3, n], ``pose_directions`` [V, 3, 9 (J - 1)], ``regressor`` [J, V],
    ``weights`` [V, J], ``parents`` (J), ``faces`` [F, 3]. ``others`` holds all other arrays of the file by name,
    ``left_out`` names what else is in it.
    """

    path: Path
    kind: str
    template: np.ndarray
    directions: np.ndarray
    pose_directions: np.ndarray
    regressor: np.ndarray
    weights: np.ndarray
    parents: tuple[int, ...]
    faces: np.ndarray
    others: Mapping[str, np.ndarray]
    left_out: tuple[str, ...] = ()


def find_model(path: Path, kind: str, gender: str) -> Path:
    """The model file of a kind and gender in a folder laid out as published; a file is taken as it is.

    A converted ``.npz`` is preferred to the ``.pkl`` beside it. Raises AssetError saying where it was looked for.
    """
    if path.is_file():
        return path
    stem = f"{kind.upper()}_{gender.upper()}"
    places = [folder / f"{stem}{suffix}" for folder in (path / kind, path) for suffix in (".npz", ".pkl")]
    if kind == "smplh":
        places += [folder / gender / "model.npz" for folder in (path / kind, path)]
    for place in places:
        if place.is_file():
            return place
    raise AssetError(_missing(path, kind, gender, places))


def _missing(path: Path, kind: str, gender: str, places: list[Path]) -> str:
    text = f"no {TITLES[kind]} file for gender {gender}: looked for {', '.join(str(place) for place in places)}"
    if kind == "smpl":
        unnamed = sorted(found for folder in (path / kind, path) for found in folder.glob(_ORIGINAL[gender]))
        if unnamed:
            return f"{text}; {unnamed[0]} has still its original name: rename it"
    return f"{text}; ask for it at {_WHERE[kind]}"


def read_arrays(path: Path) -> dict[str, Any]:
    """Everything in a model file by its keys, ``.npz`` or pickle. Raises AssetError."""
    if path.suffix == ".npz":
        return read_npz(path)
    found = read_pickle(path)
    if not isinstance(found, dict):
        raise AssetError(f"{path}: no model: expected a dictionary of arrays, found {type(found).__name__}")
    return {str(key): value for key, value in found.items()}


def read_model(path: Path, kind: str | None = None) -> ModelFile:
    """Read a model file and check that it is a body of this kind, or of any. Raises AssetError naming file and key."""
    found = read_arrays(path)
    missing = [key for key in _REQUIRED if key not in found]
    if missing:
        raise AssetError(f"{path}: no body model: it lacks {', '.join(missing)}")
    arrays = {key: _numbers(path, key, found.pop(key)) for key in _REQUIRED}
    template, faces = arrays["v_template"], arrays["f"]
    _expect(path, "v_template", template, (None, 3))
    vertices = len(template)
    parents = _parents(path, arrays["kintree_table"])
    joints = len(parents)
    actual = next((name for name, names in JOINT_NAMES.items() if len(names) == joints), None)
    if actual is None or (kind is not None and actual != kind):
        is_one = f"{TITLES[actual]}'s" if actual else "of no body that is known"
        wanted = TITLES[kind] if kind else "SMPL, SMPL-H or SMPL-X"
        raise AssetError(f"{path}: kintree_table has {joints} joints, which are {is_one}; expected {wanted}")
    _expect(path, "shapedirs", arrays["shapedirs"], (vertices, 3, None))
    _expect(path, "posedirs", arrays["posedirs"], (vertices, 3, 9 * (joints - 1)))
    _expect(path, "J_regressor", arrays["J_regressor"], (joints, vertices))
    _expect(path, "weights", arrays["weights"], (vertices, joints))
    _expect(path, "f", faces, (None, 3))
    if not len(faces) or faces.min() < 0 or faces.max() >= vertices or (faces != np.round(faces)).any():
        raise AssetError(f"{path}: f: faces must name vertices 0 to {vertices - 1}")
    sums = arrays["weights"].sum(1)
    if np.abs(sums - 1).max() > 1e-2:
        raise AssetError(f"{path}: weights: the weights of a vertex add up to {sums[np.abs(sums - 1).argmax()]:.3f}")
    return ModelFile(
        path=path,
        kind=actual,
        template=template,
        directions=arrays["shapedirs"],
        pose_directions=arrays["posedirs"],
        regressor=arrays["J_regressor"],
        weights=arrays["weights"],
        parents=parents,
        faces=faces.astype(np.int64),
        others={key: value for key, value in found.items() if _is_plain(value)},
        left_out=tuple(key for key, value in found.items() if not _is_plain(value)),
    )


def read_regressor(path: Path, joints: int) -> np.ndarray:
    """Weights [joints, V] of vertices for joints. Raises AssetError naming the file."""
    found = _numbers(path, "array", read_npy(path))
    _expect(path, "array", found, (joints, None))
    return found


def _numbers(path: Path, key: str, value: Any) -> np.ndarray:
    if isinstance(value, Unread):
        raise AssetError(f"{path}: {key}: a {value.kind}, which stores no numbers")
    if not isinstance(value, np.ndarray) or not np.issubdtype(value.dtype, np.number):
        raise AssetError(f"{path}: {key}: expected an array of numbers, found {type(value).__name__}")
    if np.issubdtype(value.dtype, np.complexfloating) or not np.isfinite(value).all():
        raise AssetError(f"{path}: {key}: holds numbers that are not finite")
    return value


def _expect(path: Path, key: str, value: np.ndarray, shape: tuple[int | None, ...]) -> None:
    if value.ndim != len(shape) or any(
        wanted is not None and got != wanted for got, wanted in zip(value.shape, shape, strict=True)
    ):
        wanted = ", ".join("any" if size is None else str(size) for size in shape)
        raise AssetError(f"{path}: {key} has shape {value.shape}, expected ({wanted})")
    if 0 in value.shape:
        raise AssetError(f"{path}: {key} is empty")


def _parents(path: Path, table: np.ndarray) -> tuple[int, ...]:
    if table.ndim != 2 or len(table) < 1 or not 1 <= table.shape[1] <= 1000:
        raise AssetError(f"{path}: kintree_table has shape {table.shape}, expected (2, joints)")
    # The root's parent is -1, or the largest number of its type.
    parents = (-1, *(int(parent) for parent in table[0, 1:]))
    if any(not 0 <= parent < joint for joint, parent in enumerate(parents) if joint):
        raise AssetError(f"{path}: kintree_table: a joint must come after its parent")
    return parents


def _is_plain(value: Any) -> bool:
    return isinstance(value, np.ndarray) and not value.dtype.hasobject
