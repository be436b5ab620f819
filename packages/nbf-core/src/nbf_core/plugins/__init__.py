"""Plugins: one hook per kind of component, typed records, failures as data. Imports no torch."""

from nbf_core.plugins.hookspecs import CONTRACT, NbfSpecs, hookimpl, hookspec
from nbf_core.plugins.manager import Failure, PluginManager, get_plugin_manager
from nbf_core.plugins.records import KINDS, ComponentEntry, PipelineEntry, WeightsEntry

__all__ = [
    "CONTRACT",
    "KINDS",
    "ComponentEntry",
    "Failure",
    "NbfSpecs",
    "PipelineEntry",
    "PluginManager",
    "WeightsEntry",
    "get_plugin_manager",
    "hookimpl",
    "hookspec",
]
