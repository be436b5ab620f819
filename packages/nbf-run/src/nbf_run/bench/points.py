"""From bodies to the points that metrics compare, and the metrics' values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from nbf_core.contracts import BodyModel, Metric
from nbf_core.conventions import H36M_17, JOINT_SETS, PELVIS, SMPL_24
from nbf_core.errors import ConfigError, InputError
from nbf_core.geometry.evaluation import evaluation_joints, joint_visibility
from nbf_core.plugins import get_plugin_manager
from nbf_core.types import BodyParams, Camera, Sample

OWN = "smpl-24"
"""The body's own first 24 joints, as a set of joints to compare."""

REGRESSED = "h36m-17"
"""The keypoint set that all other sets of joints are taken from."""

_JOINTS = ("joints", "film")
_FINGERS = {"left_hand": "left_middle1", "right_hand": "right_middle1"}
_LSP = JOINT_SETS["lsp-14"]
_GENDERS = ("neutral", "female", "male")  # as samples number them


@dataclass(frozen=True)
class Points:
    """What a metric may ask for by its ``takes``; None where it is not known.

    ``joints`` and ``vertices`` are metres, centred on the pelvis: joint 0 of the body, or that of ``regressed``
    where ``joints`` come from there. ``keypoints`` are the 14 LSP joints in pixels of the image. ``regressed`` are the
    17 joints of Human3.6M in metres, in the camera's coordinates. ``occlusion`` tells pixels of the label maps where
    the body is hidden. ``film`` are the joints again, where the people are consecutive frames of one film.
    """

    joints: Float[Tensor, "b n 3"] | None = None
    vertices: Float[Tensor, "b V 3"] | None = None
    keypoints: Float[Tensor, "b 14 2"] | None = None
    regressed: Float[Tensor, "b 17 3"] | None = None
    occlusion: Float[Tensor, "b p 1"] | None = None
    film: Float[Tensor, "b n 3"] | None = None

    def each(self, pick: Any) -> Points:
        """The same with ``pick`` applied to everything that is known."""
        return Points(**{key: None if value is None else pick(value) for key, value in vars(self).items()})


def own_joints(body: BodyModel) -> list[int]:
    """Where a body has SMPL's 24 joints, by their names; of hands whose fingers move, the middle finger's root.

    Raises ConfigError naming one that it lacks.
    """
    names = {name: number for number, name in enumerate(body.spec.joint_names)}
    found = [names.get(name, names.get(_FINGERS.get(name, ""))) for name in SMPL_24]
    if None in found:
        lacks = SMPL_24[found.index(None)]
        raise ConfigError(f"body {body.spec.name}: has no joint {lacks}, one of the 24 that benchmarks compare")
    return found


def body_points(body: BodyModel, params: BodyParams, camera: Camera, joints: str = OWN) -> Points:
    """Pose ``params`` and take the points; ``camera`` is the images'."""
    with torch.inference_mode():
        output = body(params)
        pelvis = output.joints[:, :1]
        own = Points(joints=output.joints[:, own_joints(body)] - pelvis, vertices=output.vertices - pelvis)
        if REGRESSED not in body.spec.keypoint_weights:
            return own
        found = _regressed_points(body.keypoints(output, REGRESSED), camera, joints)
        return replace(found, vertices=own.vertices, joints=own.joints if joints == OWN else found.joints)


def true_points(body: BodyModel, sample: Sample, joints: str = OWN) -> Points:
    """The points of a collated batch's truth: its bodies, of each person's own gender, or its annotated joints.

    Raises InputError where it has neither.
    """
    if sample.params is not None:
        own = getattr(body, "gendered", None)
        if sample.gender is None or own is None:
            return body_points(body, sample.params, sample.camera, joints)
        bodies = [own(_GENDERS[int(number)]) for number in sample.gender]
        single = [
            body_points(bodies[i], sample.params[i : i + 1], sample.camera[i : i + 1], joints)
            for i in range(len(bodies))
        ]
        return Points(**{key: _joined([vars(one)[key] for one in single]) for key in vars(single[0])})
    if sample.joints is None or joints == OWN:
        raise InputError("the sample has no true body" if joints == OWN else "the sample has no true joints")
    unknown = (sample.joints[..., 3] <= 0).flatten(0, -2).any(0)
    lacking = [H36M_17[row] for row in {PELVIS, *JOINT_SETS[joints].of_h36m} if unknown[row]]
    if lacking:
        raise InputError(f"the sample lacks true joints: {', '.join(sorted(lacking))}")
    # Annotated joints lie anywhere before the camera: where they are seen cannot be told from them.
    return replace(_regressed_points(sample.joints[..., :3], sample.camera, joints), keypoints=None)


def _regressed_points(regressed: Float[Tensor, "b 17 3"], camera: Camera, joints: str) -> Points:
    return Points(
        joints=None if joints == OWN else evaluation_joints(regressed, JOINT_SETS[joints]),
        keypoints=camera.project(regressed[:, list(_LSP.of_h36m)]),
        regressed=regressed,
    )


def _joined(parts: list[Tensor | None]) -> Tensor | None:
    return None if any(part is None for part in parts) else torch.cat(parts)


def joint_pixels(body: BodyModel, params: BodyParams, camera: Camera) -> Float[Tensor, "b 24 2"]:
    """The body's first 24 joints in pixels of the image."""
    with torch.inference_mode():
        return camera.project(body(params, vertices=False).joints[:, own_joints(body)])


def build_metrics(names: tuple[str, ...], body: BodyModel, joints: str = OWN) -> dict[str, Metric]:
    """The metrics of these names. Raises PluginError, or ConfigError where the body lacks the points."""
    metrics = {}
    for name in names:
        entry = get_plugin_manager().get("metrics", name)
        metrics[name] = entry.load()(entry.load_config()())
        asked = metrics[name].takes == "keypoints" or (metrics[name].takes in _JOINTS and joints != OWN)
        if asked and REGRESSED not in body.spec.keypoint_weights:
            raise ConfigError(f"bench.metrics: {name} needs the keypoint set {REGRESSED}, which {body.spec.name} lacks")
    return metrics


def measure(
    metrics: Mapping[str, Metric],
    predicted: Points,
    truth: Points,
    visible_joints: Float[Tensor, "b 24"] | None,
    joints: str = OWN,
    whole: Bool[Tensor, "b p"] | None = None,
) -> dict[str, dict[str, list[float]]]:
    """Values per person by metric and set of joints: ``all``, and ``visible`` where ``visible_joints`` tells them.

    ``whole`` are the pixels of the true body as it would be seen without occluder, which is where occlusion counts.
    Metrics of what is not known are left out.
    """
    values: dict[str, dict[str, list[float]]] = {}
    for name, metric in metrics.items():
        ours, theirs = (getattr(points, metric.takes, None) for points in (predicted, truth))
        if ours is None or theirs is None or ours.shape != theirs.shape:
            continue
        seen = {"all": torch.ones_like(ours[..., 0])}
        if metric.takes == "occlusion":
            seen = {"all": seen["all"] if whole is None else whole.to(ours)}
        elif visible_joints is not None and metric.takes in (*_JOINTS, "keypoints"):
            seen["visible"] = _visible(visible_joints.to(ours), "lsp-14" if metric.takes == "keypoints" else joints)
        values[name] = {which: metric(ours, theirs, mask).tolist() for which, mask in seen.items()}
    return values


def _visible(visible: Float[Tensor, "b 24"], joints: str) -> Float[Tensor, "b n"]:
    return visible if joints == OWN else joint_visibility(visible, JOINT_SETS[joints])
