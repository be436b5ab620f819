"""nbf finds the plugin, and finds nothing wrong with it."""

import subprocess
import sys

from nbf_core.plugins import PluginManager
from nbf_render_discs import plugin


def test_it_is_found_by_name():
    manager = PluginManager()
    manager.register(plugin, "nbf-render-discs")
    entry = manager.entries("renderers")["discs"]
    assert manager.failures == []
    assert callable(entry.load()) and callable(entry.load_config())


def test_listing_it_imports_no_torch():
    modules = "nbf_render_discs.plugin, nbf_render_discs.config"
    code = f"import sys, {modules}; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
