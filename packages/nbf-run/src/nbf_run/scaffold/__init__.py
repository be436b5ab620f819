"""Writing a new plugin package: ``nbf-run new-plugin``. Imports no torch."""

from nbf_run.scaffold.kinds import PLUGIN_KINDS, PluginKind
from nbf_run.scaffold.writing import NewPlugin, write_plugin

__all__ = ["PLUGIN_KINDS", "NewPlugin", "PluginKind", "write_plugin"]
