"""The configurations of what :mod:`nbf_fitters.build` makes. Imports no torch."""

from __future__ import annotations

from nbf_fitters.config import SmplifyConfig, StagedConfig
from nbf_fitters.correspondence.config import CorrespondenceConfig
from nbf_fitters.gate.config import GateConfig
from nbf_fitters.lift.config import LiftConfig


class AroundConfig(LiftConfig, GateConfig):
    """What stands around a fitter: a lift before it, a gate behind it."""

    __doc__ = f"{LiftConfig.__doc__}\n    {GateConfig.__doc__}"


class BuiltStagedConfig(StagedConfig, AroundConfig):
    """The staged fitter, and what stands around it."""

    __doc__ = f"{StagedConfig.__doc__}\n    {AroundConfig.__doc__}"


class BuiltSmplifyConfig(SmplifyConfig, AroundConfig):
    """SMPLify, and what stands around it."""

    __doc__ = f"{SmplifyConfig.__doc__}\n    {AroundConfig.__doc__}"


class BuiltCorrespondenceConfig(CorrespondenceConfig, AroundConfig):
    """The fitter by correspondences, and what stands around it."""

    __doc__ = f"{CorrespondenceConfig.__doc__}\n    {AroundConfig.__doc__}"
