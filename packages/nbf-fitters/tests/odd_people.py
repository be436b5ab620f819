"""People with whom something is wrong, one of each kind."""

from __future__ import annotations

import math

MAPS = ("silhouette", "object_score", "clutter_score")
PARAMETERS = ("global_orient", "body_pose", "betas", "transl")


def finite(result) -> bool:
    """Whether all that a fit returns are numbers."""
    tensors = [result.loss, result.start_loss, *result.trace.values(), *(getattr(result, name) for name in MAPS)]
    if result.confidence is not None:
        tensors.append(result.confidence)
    for params in (result.params, result.start, *result.history.values()):
        tensors += [getattr(params, name) for name in PARAMETERS]
    return all(tensor.isfinite().all() for tensor in tensors)


def nothing_odd(i, observation, start, bank):
    """Nothing is wrong with this one."""


def nan_features(i, observation, start, bank):
    observation.features[i] = math.nan


def no_keypoint(i, observation, start, bank):
    observation.keypoints[i, :, 2] = 0


def nan_keypoints(i, observation, start, bank):
    observation.keypoints[i, ::2, 0] = math.nan


def far_keypoints(i, observation, start, bank):
    observation.keypoints[i, :, :2] = 1e9


def all_hidden(i, observation, start, bank):
    observation.features[i] = bank.clutter()[0][:, None, None]
    observation.keypoints[i, :, 2] = 0


def no_features(i, observation, start, bank):
    observation.features[i] = 0


def half_outside(i, observation, start, bank):
    keypoints, width = observation.keypoints[i], observation.camera.size[1]
    keypoints[:, 0] += width / 2
    keypoints[:, 2] *= keypoints[:, 0] < width
    start.transl[i, 0] += 0.6


def far_away(i, observation, start, bank):
    start.transl[i] = 1e6


def behind(i, observation, start, bank):
    start.transl[i] = -3


def inside_the_camera(i, observation, start, bank):
    start.transl[i] = 0


def nan_start(i, observation, start, bank):
    start.body_pose[i] = math.nan


def endless_start(i, observation, start, bank):
    start.transl[i] = math.inf


def many_turns(i, observation, start, bank):
    start.body_pose[i] = 1e4
    start.global_orient[i] = -1e4


def giant(i, observation, start, bank):
    start.betas[i] = 1e3


def flat_camera(i, observation, start, bank):
    observation.camera.focal[i] = 1e-9


UNUSABLE = (nan_features, nan_start, endless_start)
ODD = (
    *(nothing_odd, no_keypoint, nan_keypoints, far_keypoints, all_hidden, no_features, half_outside, far_away),
    *(behind, inside_the_camera, many_turns, giant, flat_camera, *UNUSABLE, nothing_odd),
)


def spoiled(observation, start, bank):
    """As many people as there are oddities, one for each; those at both ends are as they should be."""
    observation, start = observation.clone(), start.clone()
    for i, spoil in enumerate(ODD):
        spoil(i, observation, start, bank)
    return observation, start
