"""Crops of people to a first estimate, and to what the fitter observes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import roma
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor
from torch.nn import functional

from nbf_core.contracts import Regressor
from nbf_core.errors import ConfigError
from nbf_core.geometry.camera import central_ray_rotation, weak_to_translation
from nbf_core.types import BodyParams, Camera, Observation, RegressorOutput, Sample
from nbf_core.types.tree import TensorRecord


@dataclass(frozen=True)
class Crops(TensorRecord):
    """Square pictures of ``b`` people, one each, and what a detector said, in pixels of the crop.

    ``camera`` has the crops' size. Cropping moves only focal length and principal point, so its coordinates
    are those of the camera that took the whole picture.
    """

    images: UInt8[Tensor, "b 3 s s"]
    camera: Camera
    keypoints: Float[Tensor, "b n 3"] | None = None
    keypoint_set: str = "openpose-25"


def sample_crops(samples: Sample) -> Crops:
    """A collated batch of data set samples as crops, with the keypoints a detector would give."""
    return Crops(samples.image, samples.camera, samples.detected)


def look(regressor: Regressor, crops: Crops) -> RegressorOutput:
    """Run the regressor without gradients on crops of its image size. Raises ConfigError for another size."""
    side = regressor.image_size
    if tuple(crops.images.shape[-2:]) != (side, side):
        got = tuple(crops.images.shape[-2:])
        raise ConfigError(f"the regressor takes images of {side} x {side} pixels, the data gives {got[0]} x {got[1]}")
    with torch.inference_mode():
        output = regressor(crops.images.to(torch.float32) / 255)
    # Tensors of inference mode cannot take part in the fitter's graph; their copies can.
    return output.clone()


def start_params(output: RegressorOutput, camera: Camera) -> BodyParams:
    """The regressor's estimate as a body in the coordinates of the crops' ``camera`` (batch ``b``).

    The predicted root rotation and shift are relative to the ray through the middle of the crop: a person
    at the photo's edge is seen as if the camera had been turned towards them.
    """
    root = central_ray_rotation(camera) @ output.rotations[:, 0]
    return BodyParams(
        global_orient=roma.rotmat_to_rotvec(root),
        body_pose=roma.rotmat_to_rotvec(output.rotations[:, 1:]),
        betas=output.betas,
        transl=weak_to_translation(output.weak_camera, camera),
    )


def observe(output: RegressorOutput, crops: Crops) -> Observation:
    """What the fitter sees: unit features, and camera and keypoints in pixels of the feature map."""
    height, width = output.features.shape[-2:]
    keypoints = crops.keypoints
    if keypoints is not None:
        scale = keypoints.new_tensor([width / crops.images.shape[-1], height / crops.images.shape[-2], 1.0])
        keypoints = keypoints * scale
    return Observation(
        features=functional.normalize(output.features, dim=1),
        camera=crops.camera.resized((height, width)),
        keypoints=keypoints,
        keypoint_set=crops.keypoint_set,
        silhouette=_body_share(output.parts, (height, width)),
    )


def part_map(output: RegressorOutput) -> Int[np.ndarray, "b h w"]:
    """Which part (joint) the network sees at each pixel of its part maps; -1 is background."""
    logits = output.parts
    best = logits.argmax(1)
    return torch.where(best == logits.shape[1] - 1, -1, best).to(torch.int16).cpu().numpy()


def _body_share(parts: Float[Tensor, "b p h w"], size: tuple[int, int]) -> Float[Tensor, "b mh mw"]:
    """The probability that a pixel of the feature map shows the body, by the part logits (background last)."""
    share = 1 - torch.softmax(parts, dim=1)[:, -1:]
    if share.shape[-2:] != size:
        share = functional.interpolate(share, size, mode="bilinear", align_corners=False)
    return share[:, 0]
