"""The configurations of the fitters with a gate behind them. Imports no torch."""

from __future__ import annotations

from pydantic import Field

from nbf_core.config.base import Config
from nbf_fitters.config import SmplifyConfig, StagedConfig
from nbf_fitters.correspondence.config import CorrespondenceConfig


class GateConfig(Config):
    """``gate``: "off", "shipped" for the rules that come with this package, or a file of other rules."""

    gate: str = Field("off", min_length=1)


class GatedStagedConfig(StagedConfig, GateConfig):
    """The staged fitter, and its ``gate``."""

    __doc__ = f"{StagedConfig.__doc__}\n    {GateConfig.__doc__}"


class GatedSmplifyConfig(SmplifyConfig, GateConfig):
    """SMPLify, and its ``gate``."""

    __doc__ = f"{SmplifyConfig.__doc__}\n    {GateConfig.__doc__}"


class GatedCorrespondenceConfig(CorrespondenceConfig, GateConfig):
    """The fitter by correspondences, and its ``gate``."""

    __doc__ = f"{CorrespondenceConfig.__doc__}\n    {GateConfig.__doc__}"
