"""A fitter behind a gate: what the evidence does not support stays as it was at the start."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Bool
from torch import Tensor

from nbf_core.contracts import BodyModel, FeatureBank, Fitter, Renderer, SequenceFitter
from nbf_core.types import BodyParams, FitResult, Observation
from nbf_fitters.gate.evidence import Witness
from nbf_fitters.gate.rule import Rule
from nbf_fitters.records import pick, prepared


class GatedFitter:
    """Fits with ``fitter`` and keeps of it what ``rule`` lets through.

    Somebody's fit as a whole or not at all (``kept``); of somebody kept, joint by joint: rotations that nothing
    speaks for are the start's (``kept_joints``), and have no ``confidence``. Maps and trace are the fitter's own, of
    the fit before the gate, and so is the loss of whoever is kept; that of others is the start's. ``trust`` is what
    features deserve, as given to the fitter.
    """

    def __init__(
        self, fitter: Fitter, rule: Rule, body: BodyModel, renderer: Renderer, bank: FeatureBank, trust: float = 1.0
    ):
        self.fitter, self.rule, self.body = fitter, rule, body
        self.witness = Witness(body, renderer, bank, trust)

    def fit(self, observation: Observation, start: BodyParams) -> FitResult:
        """Fit ``b`` people. Promises and errors as those of the fitter."""
        return self.judged(observation, self.fitter.fit(observation, start))

    @torch.no_grad()
    def judged(self, observation: Observation, result: FitResult) -> FitResult:
        """The result with the start wherever the evidence does not support the fit."""
        joints = result.kept[:, None].repeat(1, len(self.body.spec.parents))
        rows = result.kept.nonzero()[:, 0]
        if not len(rows):
            return replace(result, kept_joints=joints)
        start, fitted = result.start[rows], result.params[rows]
        seen, _ = prepared(observation[rows], start)
        sure = None if result.confidence is None else result.confidence[rows]
        facts = self.witness.facts(seen, start, fitted, sure)
        joints[rows] = self.rule.believed(facts, self.body.spec.parents)
        kept = joints[:, 0]
        return replace(
            result,
            params=mixed(joints, result.params, result.start),
            kept=kept,
            kept_joints=joints,
            loss=torch.where(kept, result.loss, result.start_loss),
            confidence=None if sure is None else torch.where(joints, result.confidence, 0),
        )


class GatedSequenceFitter(GatedFitter):
    """The same about a fitter of films. Those pass unjudged: frames decided one by one would flicker."""

    def fit_sequence(self, observation: Observation, start: BodyParams, before: BodyParams | None = None) -> FitResult:
        """As the fitter does."""
        return self.fitter.fit_sequence(observation, start, before)


def gated(
    fitter: Fitter, rule: Rule, body: BodyModel, renderer: Renderer, bank: FeatureBank, trust: float = 1.0
) -> GatedFitter:
    """The fitter behind a gate, able to fit films where it is."""
    kind = GatedSequenceFitter if isinstance(fitter, SequenceFitter) else GatedFitter
    return kind(fitter, rule, body, renderer, bank, trust)


def mixed(joints: Bool[Tensor, "b J"], fitted: BodyParams, start: BodyParams) -> BodyParams:
    """The fit's rotations of these joints, the start's of others; place and shape go with the root's."""
    whole = pick(joints[:, 0], fitted, start)
    pose = torch.where(joints[:, 1:, None], fitted.body_pose, start.body_pose)
    return replace(whole, body_pose=pose)
