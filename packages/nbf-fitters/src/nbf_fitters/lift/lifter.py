"""The lift with its weights: from what a picture shows of people to bodies before the camera."""

from __future__ import annotations

import math
from dataclasses import replace

import roma
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from nbf_core.contracts import BodyModel, FeatureBank
from nbf_core.errors import AssetError, PluginError
from nbf_core.geometry.camera import central_ray_rotation, weak_to_translation
from nbf_core.types import BodyParams, Observation
from nbf_core.weights import load_into, read_weights
from nbf_fitters.lift.evidence import KEYPOINTS, Surface, in_crop, matched, mirrored, moments, read_keypoints, view_of
from nbf_fitters.lift.network import LiftNetwork

LEAST_AREA = 0.04
"""Of the crop's area of 4, what must be matched of somebody without keypoints: 40 pixels of a map of 64."""

LEAST_KEYPOINTS = 4
"""How many keypoints are evidence enough."""

OPENPOSE = "openpose-25"

WITHOUT = "fitter.lift = 'off' does without"
"""What every error about weights ends with."""

AGREE = math.pi / 2
"""Radians: a joint that the two guesses turn further apart than that is turned as the first says."""


class Lifter:
    """Guesses bodies from keypoints and, where a ``bank`` is given, from matched pixels.

    It is trained on evidence alone, half of it simulated (``tools/lifting``), so that it knows far more poses than
    pictures could be drawn. A guess is the mean of two, one from the evidence of the mirror image. Keypoints of another
    set than openpose-25 are not read.
    """

    def __init__(self, network: LiftNetwork, body: BodyModel, bank: FeatureBank | None):
        self.network, self.bank, self.spec = network.eval(), bank, body.spec
        rest = BodyParams.neutral(1, joints=len(body.spec.parents) - 1, shapes=body.spec.shapes)
        with torch.no_grad():
            joints = body(rest.to(body.spec.kernel_rest), vertices=False).joints[0]
        self.surface = Surface.of(body.spec, joints)

    @torch.no_grad()
    def __call__(self, observation: Observation) -> tuple[BodyParams, Bool[Tensor, "b"]]:
        """A guess for each of ``b`` people, and whose evidence is enough for one (others' guesses mean nothing)."""
        device = observation.features.device
        self.network.to(device)
        self.surface = self.surface.to(device)
        found, keypoints, camera = self._moments(observation), self._keypoints(observation), observation.camera
        parts = (found, keypoints, view_of(camera).float())
        usable = torch.stack([part.flatten(1).isfinite().all(1) for part in parts]).all(0)
        rotations, betas, weak = self._guess(*(torch.nan_to_num(part) for part in parts))
        area = (found[..., 0] / 4).square().sum(1)
        usable &= (keypoints[..., 2].sum(1) >= LEAST_KEYPOINTS) | (area >= LEAST_AREA)
        root = central_ray_rotation(camera).float() @ rotations[:, 0]
        guess = BodyParams(
            global_orient=roma.rotmat_to_rotvec(root),
            body_pose=roma.rotmat_to_rotvec(rotations[:, 1:]),
            betas=betas,
            transl=weak_to_translation(weak, camera.to(torch.float32)),
        )
        return guess.to(observation.features.dtype), usable

    def _guess(self, found: Tensor, keypoints: Tensor, view: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Rotations, shape and weak camera: the mean of what the evidence and its mirror image say."""
        joints = self.spec.mirror_joints
        images = zip((found, keypoints), mirrored(found, keypoints, joints), strict=True)
        both = self.network(*(torch.cat(pair) for pair in images), torch.cat([view, view]))
        (turned, turned_back), betas, weak = (value.unflatten(0, (2, -1)) for value in both)
        side = turned.new_tensor([-1.0, 1.0, 1.0])
        turned_back = side[:, None] * turned_back[:, list(joints)] * side
        agree = roma.rotmat_geodesic_distance(turned, turned_back) < AGREE
        mean = torch.where(agree[..., None, None], roma.special_procrustes(turned + turned_back), turned)
        return mean, betas.mean(0), torch.stack([weak[0], weak[1] * weak.new_tensor([1.0, -1.0, 1.0])]).mean(0)

    def _moments(self, observation: Observation) -> Float[Tensor, "b J m"]:
        people, parts = len(observation.features), len(self.spec.parents)
        if self.bank is None:
            return moments(self.surface, parts, people, *_nobody(observation.features))
        features = torch.nan_to_num(observation.features)
        seen = matched(replace(observation, features=features), self.bank.features, self.bank.clutter())
        return moments(self.surface, parts, people, *seen)

    def _keypoints(self, observation: Observation) -> Float[Tensor, "b n 3"]:
        keypoints = observation.keypoints
        if keypoints is None or observation.keypoint_set != OPENPOSE:
            return observation.features.new_zeros(len(observation.features), KEYPOINTS, 3).float()
        keypoints = keypoints.float()
        there = keypoints.isfinite().all(-1, keepdim=True)
        keypoints = torch.where(there, keypoints, 0)
        places = in_crop(keypoints[..., :2], observation.camera.size)
        return read_keypoints(torch.cat([places, keypoints[..., 2:]], -1))


def read_lifter(weights: str, body: BodyModel, bank: FeatureBank | None) -> Lifter:
    """The lifter with installed weights of that name, or of a file, for any body of as many joints and shapes.

    Raises AssetError where they are missing, no weights of a lift, or made for other joints; PluginError where no
    installed weights have that name.
    """
    try:
        read = read_weights(weights)
    except (AssetError, PluginError) as error:
        raise type(error)(f"fitter.lift: {error}; {WITHOUT}") from error
    made = read.metadata.get("lift")
    if not isinstance(made, dict):
        raise AssetError(f"fitter.lift: {read.path}: these weights are not those of a lift")
    network = LiftNetwork(body.spec.parents, body.spec.shapes, int(made["width"]), int(made["blocks"]))
    try:
        load_into(network, read, "lift")
    except AssetError as error:
        raise AssetError(f"fitter.lift: made for {made.get('body')!r}: {error}; {WITHOUT}") from error
    return Lifter(network, body, bank)


def _nobody(like: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """No matched pixel."""
    none = torch.zeros(0, dtype=torch.long, device=like.device)
    return none, none, like.new_zeros(0, 2).float(), like.new_zeros(0).float()
