"""Points on the body that are no joints: named vertices, and joints that are regressed from vertices.

A regressed joint is a weighted sum of skinned vertices. Under linear blend skinning this is also a weighted sum of
few points that each hang rigidly on one joint: for joint ``j`` the mean of the vertices, weighted by regressor times
skinning weight. So it costs a handful of points instead of hundreds of vertices, and is exact.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from nbf_body_models.files import ModelFile
from nbf_body_models.names import EXTRA, VERTEX_COUNTS, VERTEX_NAMES
from nbf_core.conventions import CONVENTIONS, OPENPOSE_25, SMPL_24, convention
from nbf_core.errors import AssetError, PluginError
from nbf_core.geometry.keypoints import matching_rows

_POOL = "smpl_54"  # the convention that all points of the body are gathered in; others are taken out of it
_SETS = {"openpose-25": "openpose_25", "coco-17": "coco", "h36m-17": "h36m", "smpl-24": "smpl"}
_LEAST = 1e-7  # share of a regressed joint below which a joint of the skeleton is left out


@dataclass(frozen=True)
class Markers:
    """``M`` points: each is a mixture of vertices ``vertex_weights`` [M, V], skinned by ``skinning`` [M, J]."""

    vertex_weights: np.ndarray
    skinning: np.ndarray


def named_vertices(model: ModelFile) -> dict[str, int]:
    """The vertices of nose, eyes, ears, toes, heels and fingertips, by their names in the common vocabulary.

    A file may bring its own (``marker_names``, ``marker_vertices``); those of the published meshes are listed in the
    package smplx. Raises PluginError where that is missing, AssetError for a mesh that nobody lists.
    """
    names, vertices = model.others.get("marker_names"), model.others.get("marker_vertices")
    count = len(model.template)
    if names is not None and vertices is not None:
        if names.shape != vertices.shape or vertices.min(initial=0) < 0 or vertices.max(initial=0) >= count:
            raise AssetError(f"{model.path}: marker_vertices: one vertex of {count} for each of marker_names")
        return {str(name): int(vertex) for name, vertex in zip(names, vertices, strict=True)}
    if count not in VERTEX_COUNTS:
        raise AssetError(
            f"{model.path}: v_template has {count} vertices; nobody lists the nose and toes of such a mesh, so "
            "the file must name them itself (marker_names, marker_vertices)"
        )
    try:
        from smplx.vertex_ids import vertex_ids
    except ImportError as error:
        raise PluginError(
            f"{model.kind}: which vertices are nose, ears and toes is listed in the package smplx (non-commercial "
            "licence, as the models): pip install 'nbf-body-models[smplx]'"
        ) from error
    return {VERTEX_NAMES[name]: vertex for name, vertex in vertex_ids[VERTEX_COUNTS[count]].items()}


def collect(
    vertices: Mapping[str, int],
    joint_rows: Mapping[str, int],
    skinning: np.ndarray,
    extra: np.ndarray | None,
    h36m: np.ndarray | None,
) -> tuple[Markers, dict[str, np.ndarray]]:
    """The markers of a body, and each keypoint set as weights [n, J + M] over its joints and markers.

    ``joint_rows`` gives the body's joint for each of SMPL's 24, ``skinning`` [V, J] the weights, ``extra`` [9, V] and
    ``h36m`` [17, V] the regressors where there are any. A set is left out where one of its points is unknown.
    """
    count, joints = skinning.shape
    mixtures, hung = [], []
    rows: dict[str, dict[int, float]] = {}
    for name, vertex in vertices.items():
        rows[name] = {joints + len(mixtures): 1.0}
        mixtures.append(np.eye(1, count, vertex)[0])
        hung.append(skinning[vertex])
    for name, row in joint_rows.items():
        rows[_common(name)] = {row: 1.0}

    def regress(regressor: np.ndarray, names: tuple[str, ...]) -> dict[str, dict[int, float]]:
        found = {}
        for name, weights in zip(names, regressor, strict=True):
            found[name] = {}
            shares = weights[:, None] * skinning
            for joint in np.flatnonzero(np.abs(shares).sum(0) > _LEAST):
                total = shares[:, joint].sum()
                if abs(total) < _LEAST:  # what cancels out in place still turns: no one point stands for it
                    raise AssetError(f"regressor of {name}: its weights on joint {joint} cancel out")
                found[name][joints + len(mixtures)] = total
                mixtures.append(shares[:, joint] / total)
                hung.append(np.eye(1, joints, joint)[0])
        return found

    if extra is not None:
        rows |= regress(extra, EXTRA)
    seventeen = {} if h36m is None else regress(h36m, convention("h36m").joints)
    markers = Markers(np.array(mixtures).reshape(-1, count), np.array(hung).reshape(-1, joints))
    return markers, _sets(rows, seventeen, joints + len(markers.skinning))


def _sets(rows: Mapping[str, Mapping[int, float]], seventeen: Mapping, columns: int) -> dict[str, np.ndarray]:
    def matrix(points: list[Mapping[int, float]]) -> np.ndarray:
        weights = np.zeros((len(points), columns))
        for row, point in enumerate(points):
            for column, value in point.items():
                weights[row, column] = value
        return weights

    pool = convention(_POOL).joints
    sets = {}
    for name, joints in CONVENTIONS.items():
        to, of = matching_rows(_POOL, name, approximate=True)
        points = {row: _point(rows, pool[source]) for row, source in zip(to, of, strict=True)}
        if name == "h36m":
            points = dict(enumerate(seventeen.values()))
        if all(points.get(row) is not None for row in range(len(joints))):
            sets[name] = matrix([points[row] for row in range(len(joints))])
    # The sets that fitters and detectors use.
    own = {name: sets[published] for name, published in _SETS.items() if published in sets}
    if "openpose-25" in own:
        own["openpose-25"] = _as_detected(own["openpose-25"])
    return sets | own


def _as_detected(openpose: np.ndarray) -> np.ndarray:
    """OpenPose's points with neck and middle hip where detectors have them: midway between shoulders and hips.

    The published table, which ``openpose_25`` and ``smpl_49`` follow, takes SMPL's joints of about these names; its
    neck lies several centimetres higher.
    """
    row, found = OPENPOSE_25.index, openpose.copy()
    for middle, side in (("neck", "shoulder"), ("mid_hip", "hip")):
        found[row(middle)] = (openpose[row(f"left_{side}")] + openpose[row(f"right_{side}")]) / 2
    return found


def _point(rows: Mapping[str, Mapping[int, float]], name: str) -> Mapping[int, float] | None:
    # Without the extra regressor the joint centres stand for what other data sets call the same joint.
    return rows.get(name, rows.get(name.removesuffix("_extra")))


def _common(joint: str) -> str:
    """One of SMPL's 24 joints in the common vocabulary."""
    return convention("smpl").joints[SMPL_24.index(joint)]
