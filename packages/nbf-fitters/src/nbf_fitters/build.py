"""What the plugin manager builds: each fitter, with the lift before it and the gate behind it that are asked for."""

from __future__ import annotations

from collections.abc import Mapping

from nbf_core.contracts import BodyModel, FeatureBank, Fitter, Prior, Renderer
from nbf_fitters.build_config import AroundConfig
from nbf_fitters.correspondence.fitter import CorrespondenceFitter
from nbf_fitters.gate.fitter import gated
from nbf_fitters.gate.rule import read_rule
from nbf_fitters.lift.fitter import lifted
from nbf_fitters.lift.lifter import read_lifter
from nbf_fitters.staged import StagedFitter

_Priors = Mapping[str, Prior] | None


def _build(
    name: str,
    kind: type,
    config: AroundConfig,
    body: BodyModel,
    renderer: Renderer,
    bank: FeatureBank,
    priors: _Priors,
    trust: float,
) -> Fitter:
    fitter = kind(config, body=body, renderer=renderer, bank=bank, priors=priors, trust=trust)
    if config.gate != "off":
        fitter = gated(fitter, read_rule(config.gate, name, trust), body, renderer, bank, trust)
    if config.lift != "off":
        # SMPLify is the fit by keypoints alone; so is everything where features deserve nothing.
        features = name != "smplify" and trust > 0
        fitter = lifted(fitter, read_lifter(config.lift, body, bank if features else None))
    return fitter


def staged(
    config, body: BodyModel, renderer: Renderer, bank: FeatureBank, priors: _Priors = None, trust: float = 1.0
) -> Fitter:
    """:class:`~nbf_fitters.staged.StagedFitter`; AssetError where its gate has no rule or its lift no weights."""
    return _build("staged", StagedFitter, config, body, renderer, bank, priors, trust)


def smplify(
    config, body: BodyModel, renderer: Renderer, bank: FeatureBank, priors: _Priors = None, trust: float = 1.0
) -> Fitter:
    """The same with the rules for SMPLify, and a lift by keypoints alone."""
    return _build("smplify", StagedFitter, config, body, renderer, bank, priors, trust)


def correspondence(
    config, body: BodyModel, renderer: Renderer, bank: FeatureBank, priors: _Priors = None, trust: float = 1.0
) -> Fitter:
    """:class:`~nbf_fitters.correspondence.fitter.CorrespondenceFitter`, likewise."""
    return _build("correspondence", CorrespondenceFitter, config, body, renderer, bank, priors, trust)
