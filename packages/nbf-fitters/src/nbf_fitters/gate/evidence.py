"""What speaks for a body in a picture, rotation by rotation: pixels it explains, keypoints it meets."""

from __future__ import annotations

from dataclasses import replace

import roma
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from nbf_core.contracts import BodyModel, FeatureBank, Renderer
from nbf_core.types import BodyParams, Observation
from nbf_fitters.config import INSET, LikelihoodConfig
from nbf_fitters.gate.ways import arms, joint_ways, person_ways
from nbf_fitters.likelihood import FeatureLikelihood
from nbf_fitters.scene import Scene, Viewer
from nbf_fitters.terms import REFERENCE_SIZE

TURN = 0.5
"""Radians by which a joint is turned to see what moves with it."""

MOVED = 0.01
"""Metres by which that moves what counts as the joint's."""

FARTHEST = 20.0
"""Pixels of a map of 80 at which a keypoint that is missed counts no worse."""

FACTS = (
    "one", "residual_start", "residual_fit", "residual_gain", "keypoints", "seen_start", "seen_fit", "seen_gain",
    "margin_start", "margin_fit", "margin_gain", "body", "turn", "moved", "way", "aligned", "confidence",
)  # fmt: skip
"""The columns of :meth:`Witness.facts`."""


class Witness:
    """Compares starts and fits of a ``body`` with what a picture shows; ``trust`` scales what features say.

    What belongs to a joint is found by turning it: the kernels and keypoints that move, those of its children
    included, so that an elbow is witnessed by the hand.
    """

    def __init__(self, body: BodyModel, renderer: Renderer, bank: FeatureBank, trust: float = 1.0):
        self.body, self.renderer, self.bank, self.trust = body, renderer, bank, trust
        self._moved: dict[str, tuple[Tensor, Tensor]] = {}

    def moved(self, keypoint_set: str) -> tuple[Bool[Tensor, "J k"], Bool[Tensor, "J n"]]:
        """Which kernels and keypoints move when each joint turns; all with the root."""
        if keypoint_set not in self._moved:
            spec = self.body.spec
            joints = len(spec.joint_names)
            still = BodyParams.neutral(3 * joints, joints=joints - 1, shapes=spec.shapes).to(spec.kernel_rest)
            pose = still.body_pose.view(joints, 3, joints - 1, 3).clone()
            for joint in range(1, joints):
                pose[joint, :, joint - 1] = TURN * torch.eye(3).to(pose)
            with torch.no_grad():
                turned = self.body(replace(still, body_pose=pose.flatten(0, 1)), vertices=False)
                places = turned.kernels, self.body.keypoints(turned, keypoint_set)
            kernels, points = (self._own(place.unflatten(0, (joints, 3))) for place in places)
            self._moved[keypoint_set] = kernels, points
        return self._moved[keypoint_set]

    @staticmethod
    def _own(places: Float[Tensor, "J 3 n 3"]) -> Bool[Tensor, "J n"]:
        own = (places - places[:1]).norm(dim=-1).amax(1) > MOVED
        own[0] = True
        return own

    @torch.no_grad()
    def facts(
        self, observation: Observation, start: BodyParams, fitted: BodyParams, confidence: Tensor | None = None
    ) -> Float[Tensor, "b J f"]:
        """What is known of each joint's start and fit, in the order of ``FACTS``; the root's row is the whole person's.

        ``residual``: by how many pixels (of a map of 80, in steps of the logarithm) keypoints are missed, ``keypoints``
        how many count. ``seen``: the share of drawn pixels that the body explains better than clutter, ``margin`` by
        how much on average (cosine), ``body`` how many there are (logarithm). All of features is multiplied by
        trust. ``turn``: radians between start and fit, of the person the mean of all joints'. ``moved``: by how many
        pixels its kernels moved in the picture (logarithm). ``way``: how far that carries what hangs on the joint, of
        the person how far joints are from where they were, ``aligned`` the same after alignment of person to person
        (logarithms, of centimetres). ``confidence``: the fitter's own, where it has one.
        """
        kernels, points = self.moved(observation.keypoint_set)
        viewer = Viewer(self.body, self.renderer, observation.camera, self.bank.features.shape[1], True, INSET)
        scenes = [viewer.scene(params) for params in (start, fitted)]
        likelihood = self._likelihood(observation) if self.trust > 0 else None
        rows = [self._side(observation, scene, likelihood, kernels, points) for scene in scenes]
        (near0, count, seen0, margin0, _), (near1, _, seen1, margin1, body) = rows
        one, turn = torch.ones_like(near0), turns(start, fitted)
        turn[:, 0] = turn.mean(-1)
        before, after = (observation.camera.project(scene.output.kernels) for scene in scenes)
        pixel = REFERENCE_SIZE / max(observation.camera.size)
        apart = (pixel * (after - before).norm(dim=-1)).nan_to_num(nan=FARTHEST).clamp_max(FARTHEST)
        moved = torch.log1p(apart @ kernels.to(apart).mT / kernels.sum(-1).clamp_min(1))
        sure = torch.zeros_like(one) if confidence is None else confidence.to(one)
        way, aligned = self._ways(start, fitted)
        columns = (
            *(one, near0, near1, near0 - near1, count, seen0, seen1, seen1 - seen0),
            *(margin0, margin1, margin1 - margin0, body, turn, moved, way, aligned, sure),
        )
        return torch.nan_to_num(torch.stack(columns, dim=-1), nan=0.0, posinf=0.0, neginf=0.0)

    def _ways(self, start: BodyParams, fitted: BodyParams) -> tuple[Float[Tensor, "b J"], Float[Tensor, "b J"]]:
        way = joint_ways(start, fitted, arms(self.body, fitted))
        aligned = torch.zeros_like(way)
        way[:, 0], aligned[:, 0] = person_ways(self.body, start, fitted)
        return torch.log1p(way / 10), torch.log1p(aligned / 10)

    def _likelihood(self, observation: Observation) -> FeatureLikelihood:
        clutter = self.bank.clutter(1).detach()
        return FeatureLikelihood(LikelihoodConfig(), observation.features, self.bank.features.detach(), clutter)

    def _side(
        self,
        observation: Observation,
        scene: Scene,
        likelihood: FeatureLikelihood | None,
        kernels: Bool[Tensor, "J k"],
        points: Bool[Tensor, "J n"],
    ) -> list[Tensor]:
        """Residual, number of keypoints, share seen, margin and size of one body, each [b, J]."""
        missed, count = self._keypoints(observation, scene.points(observation.keypoint_set), points)
        zero = torch.zeros_like(missed)
        if likelihood is None:
            return [missed, count, zero, zero, zero]
        fragments = scene.drawn.fragments
        body, clutter = likelihood.scores(fragments, scene.orientation)
        weight = fragments.weight.sum(-1).clamp_max(1)
        people, number = len(missed), kernels.shape[1]
        slot = fragments.person * number + fragments.kernel[:, 0].clamp_min(0)

        def per_joint(value: Tensor) -> Tensor:
            total = weight.new_zeros(people * number).index_add(0, slot, weight * value)
            return total.view(people, number) @ kernels.to(weight).mT

        size = per_joint(torch.ones_like(weight))
        share = per_joint((body > clutter).to(weight)) / size.clamp_min(1e-6)
        margin = per_joint((body - clutter).clamp(-1, 1)) / size.clamp_min(1e-6)
        size = torch.log1p(size * (REFERENCE_SIZE / max(observation.camera.size)) ** 2) / 5
        return [missed, count, self.trust * share, self.trust * margin, self.trust * size]

    def _keypoints(
        self, observation: Observation, points: Float[Tensor, "b n 3"], own: Bool[Tensor, "J n"]
    ) -> tuple[Float[Tensor, "b J"], Float[Tensor, "b J"]]:
        joints = len(own)
        if observation.keypoints is None:
            zero = points.new_zeros(len(points), joints)
            return zero, zero
        pixel = REFERENCE_SIZE / max(observation.camera.size)
        projected = observation.camera.project(points)
        sure = observation.keypoints[..., 2]
        distance = (projected - observation.keypoints[..., :2]).norm(dim=-1) * pixel
        distance = torch.where(sure > 0, torch.nan_to_num(distance, nan=FARTHEST).clamp_max(FARTHEST), 0)
        own = own.to(points)
        count = sure @ own.mT
        missed = (sure * distance) @ own.mT / count.clamp_min(1e-6)
        return torch.log1p(missed), torch.log1p(count) / 3


def turns(first: BodyParams, second: BodyParams) -> Float[Tensor, "b J"]:
    """Angles in radians between the rotations of two bodies, the root first."""
    one, other = (
        roma.rotvec_to_unitquat(torch.cat([params.global_orient[..., None, :], params.body_pose], -2))
        for params in (first, second)
    )
    return 2 * torch.acos((one * other).sum(-1).abs().clamp_max(1.0))
