"""The joints of a model file that a body poses: all of them, or SMPL's 24 with every hand and face as one piece."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nbf_body_models.config import SmplConfig
from nbf_body_models.files import ModelFile
from nbf_body_models.names import HAND_ROOTS, JOINT_NAMES, TITLES, body_joint
from nbf_core.conventions import SMPL_24
from nbf_core.errors import AssetError, ConfigError

_SHAPES, _EXPRESSIONS = 300, 100  # of a full SMPL-X file; the small one has 10 of each


@dataclass(frozen=True)
class Joints:
    """``J`` joints: rest positions [J, 3] and shape directions [J, 3, S] (metres), skinning ``weights`` [V, J].

    ``rest_pose`` [J, 3] is added to the rotations. The first ``bending`` joints after the root bend the skin by pose
    blend shapes. ``smpl`` gives the joint for each of SMPL's 24.
    """

    names: tuple[str, ...]
    parents: tuple[int, ...]
    positions: np.ndarray
    directions: np.ndarray
    rest_pose: np.ndarray
    weights: np.ndarray
    bending: int
    smpl: dict[str, int]


def shape_directions(model: ModelFile, config: SmplConfig) -> np.ndarray:
    """The directions [V, 3, S] of the configured shape coefficients, then of the expressions."""
    expressions = getattr(config, "expressions", 0)
    held = model.directions.shape[-1]
    shapes = held
    if model.kind == "smplx":
        shapes = _SHAPES if held >= _SHAPES + _EXPRESSIONS else held // 2
    if config.shapes > shapes:
        raise ConfigError(f"{model.path}: shapedirs has {shapes} shapes, {config.shapes} are configured")
    if expressions > held - shapes:
        raise ConfigError(f"{model.path}: shapedirs has {held - shapes} expressions, {expressions} are configured")
    chosen = [*range(config.shapes), *range(shapes, shapes + expressions)]
    return model.directions[..., chosen]


def posed_joints(model: ModelFile, config: SmplConfig, directions: np.ndarray) -> Joints:
    """The joints that the configuration poses."""
    names = JOINT_NAMES[model.kind]
    fingers = model.kind != "smpl"
    full = Joints(
        names=names,
        parents=model.parents,
        positions=model.regressor @ model.template,
        directions=np.einsum("jv,vxs->jxs", model.regressor, directions, optimize=True),
        rest_pose=_rest_pose(model, config),
        weights=model.weights,
        bending=len(names) - 1,
        smpl={name: names.index(HAND_ROOTS.get(name, name) if fingers else name) for name in SMPL_24},
    )
    return _without_fingers(full) if fingers and config.joints == "body" else full


def _without_fingers(full: Joints) -> Joints:
    """Fingers, jaw and eyes merged into hands and head. The same body, as long as none of them is turned."""
    kept = list(full.smpl.values())
    moved_by = [body_joint(name) for name in full.names]
    merged = [full.weights[:, [by == name for by in moved_by]].sum(1) for name in SMPL_24]
    wrists = [SMPL_24.index("left_wrist"), SMPL_24.index("right_wrist")]
    return Joints(
        names=SMPL_24,
        parents=(*full.parents[:22], *wrists),
        positions=full.positions[kept],
        directions=full.directions[kept],
        rest_pose=full.rest_pose[kept],
        weights=np.stack(merged, 1),
        bending=21,
        smpl={name: row for row, name in enumerate(SMPL_24)},
    )


def _rest_pose(model: ModelFile, config: SmplConfig) -> np.ndarray:
    """Rotations [J, 3] that are added to those given: relaxed fingers where hands are not flat."""
    pose = np.zeros((len(model.parents), 3))
    if getattr(config, "flat_hands", True):
        return pose
    for at, key in ((-30, "hands_meanl"), (-15, "hands_meanr")):
        mean = model.others.get(key)
        if mean is None or mean.size != 45:
            raise AssetError(f"{model.path}: {key}: {TITLES[model.kind]} keeps the 45 numbers of a relaxed hand there")
        pose[at : at + 15 or None] = mean.reshape(15, 3)
    return pose
