"""What the plugin manager builds: each fitter, behind a gate where its configuration asks for one."""

from __future__ import annotations

from collections.abc import Mapping

from nbf_core.contracts import BodyModel, FeatureBank, Fitter, Prior, Renderer
from nbf_fitters.correspondence.fitter import CorrespondenceFitter
from nbf_fitters.gate.config import GateConfig
from nbf_fitters.gate.fitter import gated
from nbf_fitters.gate.rule import read_rule
from nbf_fitters.staged import StagedFitter

_Priors = Mapping[str, Prior] | None


def _build(
    name: str,
    kind: type,
    config: GateConfig,
    body: BodyModel,
    renderer: Renderer,
    bank: FeatureBank,
    priors: _Priors,
    trust: float,
) -> Fitter:
    fitter = kind(config, body=body, renderer=renderer, bank=bank, priors=priors, trust=trust)
    if config.gate == "off":
        return fitter
    return gated(fitter, read_rule(config.gate, name, trust), body, renderer, bank, trust)


def staged(
    config, body: BodyModel, renderer: Renderer, bank: FeatureBank, priors: _Priors = None, trust: float = 1.0
) -> Fitter:
    """:class:`~nbf_fitters.staged.StagedFitter`; AssetError where there is no rule for its gate."""
    return _build("staged", StagedFitter, config, body, renderer, bank, priors, trust)


def smplify(
    config, body: BodyModel, renderer: Renderer, bank: FeatureBank, priors: _Priors = None, trust: float = 1.0
) -> Fitter:
    """The same with the rules for SMPLify."""
    return _build("smplify", StagedFitter, config, body, renderer, bank, priors, trust)


def correspondence(
    config, body: BodyModel, renderer: Renderer, bank: FeatureBank, priors: _Priors = None, trust: float = 1.0
) -> Fitter:
    """:class:`~nbf_fitters.correspondence.fitter.CorrespondenceFitter`, likewise."""
    return _build("correspondence", CorrespondenceFitter, config, body, renderer, bank, priors, trust)
