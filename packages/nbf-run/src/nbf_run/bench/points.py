"""From bodies to the points that metrics compare, and the metrics' values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from nbf_core.contracts import BodyModel, Metric
from nbf_core.conventions import H36M_17, SMPL_24
from nbf_core.errors import ConfigError
from nbf_core.plugins import get_plugin_manager
from nbf_core.types import BodyParams, Camera, Sample

LSP_14 = (
    "right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle", "right_wrist",
    "right_elbow", "right_shoulder", "left_shoulder", "left_elbow", "left_wrist", "neck", "head_top",
)  # fmt: skip
"""The 14 joints of Leeds Sports Pose; the last two are the head segment that PCKh measures by."""

_LSP_OF_H36M = [H36M_17.index(name) for name in LSP_14]
_LSP_OF_BODY = [SMPL_24.index("head" if name == "head_top" else name) for name in LSP_14]


@dataclass(frozen=True)
class Points:
    """What a metric may ask for by its ``takes``.

    ``joints`` (the body's first 24) and ``vertices`` are metres, centred on the pelvis, joint 0;
    ``keypoints`` are the 14 LSP joints in pixels of the image, None where the body does not know them.
    """

    joints: Float[Tensor, "b 24 3"]
    vertices: Float[Tensor, "b V 3"]
    keypoints: Float[Tensor, "b 14 2"] | None


def body_points(body: BodyModel, params: BodyParams, camera: Camera) -> Points:
    """Pose ``params`` and take the points; ``camera`` is the images'."""
    with torch.inference_mode():
        output = body(params)
        pelvis = output.joints[:, :1]
        keypoints = None
        if "h36m-17" in body.spec.keypoint_weights:
            keypoints = camera.project(body.keypoints(output, "h36m-17")[:, _LSP_OF_H36M])
        return Points(output.joints[:, : len(SMPL_24)] - pelvis, output.vertices - pelvis, keypoints)


def build_metrics(names: tuple[str, ...], body: BodyModel) -> dict[str, Metric]:
    """The metrics of these names. Raises PluginError, or ConfigError where the body lacks the points."""
    metrics = {}
    for name in names:
        entry = get_plugin_manager().get("metrics", name)
        metrics[name] = entry.load()(entry.load_config()())
        if metrics[name].takes == "keypoints" and "h36m-17" not in body.spec.keypoint_weights:
            raise ConfigError(f"bench.metrics: {name} needs the keypoint set h36m-17, which {body.spec.name} lacks")
    return metrics


def measure(
    metrics: Mapping[str, Metric], predicted: Points, truth: Points, sample: Sample
) -> dict[str, dict[str, list[float]]]:
    """Values per person by metric and set of joints: ``all``, and ``visible`` where the sample tells them."""
    values: dict[str, dict[str, list[float]]] = {}
    for name, metric in metrics.items():
        ours, theirs = getattr(predicted, metric.takes), getattr(truth, metric.takes)
        seen = {"all": torch.ones_like(ours[..., 0])}
        if sample.visible_joints is not None and metric.takes != "vertices":
            visible = sample.visible_joints.to(ours)
            seen["visible"] = visible[:, _LSP_OF_BODY] if metric.takes == "keypoints" else visible
        values[name] = {which: metric(ours, theirs, mask).tolist() for which, mask in seen.items()}
    return values
