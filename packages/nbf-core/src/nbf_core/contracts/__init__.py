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
    protocol  = Protocol(config, seed=0)

``trust`` in [0, 1] says how far the bank's features may be believed, from their measured correspondence quality.
Components take any device and float32 or float64, keep no global state, and meet one another only through
these protocols.
"""

from nbf_core.contracts.bank import FeatureBank
from nbf_core.contracts.body import BodyModel, GenderedBodyModel, SkinnedBodyModel
from nbf_core.contracts.conversion import Conversion, ConverterInfo, ConvertsFiles, PeopleTable, WritesPeople
from nbf_core.contracts.data import Dataset, Detector, FilmDataset, Metric
from nbf_core.contracts.files import FileProblem, FileReport, ReadsFiles
from nbf_core.contracts.fitter import Fitter, Prior, SequenceFitter
from nbf_core.contracts.protocol import Chosen, Occluder, OcclusionCase, OcclusionProtocol, WritesOccluders
from nbf_core.contracts.published import Converted, ConvertedFile, ExportsModel, TakesModelFiles, TakesPublished
from nbf_core.contracts.regressor import Deployable, Regressor
from nbf_core.contracts.renderer import Renderer, ScoringRenderer

__all__ = [
    "BodyModel",
    "Chosen",
    "Conversion",
    "Converted",
    "ConvertedFile",
    "ConverterInfo",
    "ConvertsFiles",
    "Dataset",
    "Deployable",
    "Detector",
    "ExportsModel",
    "FeatureBank",
    "FileProblem",
    "FileReport",
    "FilmDataset",
    "Fitter",
    "GenderedBodyModel",
    "Metric",
    "Occluder",
    "OcclusionCase",
    "OcclusionProtocol",
    "PeopleTable",
    "Prior",
    "ReadsFiles",
    "Regressor",
    "Renderer",
    "ScoringRenderer",
    "SequenceFitter",
    "SkinnedBodyModel",
    "TakesModelFiles",
    "TakesPublished",
    "WritesOccluders",
    "WritesPeople",
]
