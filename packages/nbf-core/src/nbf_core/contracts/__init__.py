"""What each kind of component must be able to do: protocols over the records of ``nbf_core.types``.

A component is built by calling its class with its configuration first and what it is handed by name::

    body      = Body(config)
    renderer  = Renderer(config)
    bank      = Bank(config, spec=body.spec, channels=128)
    regressor = Regressor(config, spec=body.spec)
    prior     = Prior(config)
    fitter    = Fitter(config, body=body, renderer=renderer, bank=bank, priors={"name": prior}, trust=1.0)
    dataset   = Dataset(config, body=body)
    detector  = Detector(config)
    metric    = Metric(config)

``trust`` in [0, 1] says how far the bank's features may be believed, from their measured correspondence quality.
Components take any device and float32 or float64, keep no global state, and meet one another only through
these protocols.
"""

from nbf_core.contracts.bank import FeatureBank
from nbf_core.contracts.body import BodyModel, SkinnedBodyModel
from nbf_core.contracts.data import Dataset, Detector, Metric
from nbf_core.contracts.fitter import Fitter, Prior, SequenceFitter
from nbf_core.contracts.published import Converted, TakesPublished
from nbf_core.contracts.regressor import Regressor
from nbf_core.contracts.renderer import Renderer, ScoringRenderer

__all__ = [
    "BodyModel",
    "Converted",
    "Dataset",
    "Detector",
    "FeatureBank",
    "Fitter",
    "Metric",
    "Prior",
    "Regressor",
    "Renderer",
    "ScoringRenderer",
    "SequenceFitter",
    "SkinnedBodyModel",
    "TakesPublished",
]
