"""What the plugin offers can be loaded, and listing it imports no torch."""

import subprocess
import sys

from nbf_fitters import plugin


def test_entries_load():
    names = {}
    for hook in (plugin.nbf_fitters, plugin.nbf_priors):
        for entry in hook():
            names[entry.name] = entry.load()
            entry.load_config()()
    assert sorted(names) == ["gaussian-pose", "joint-angle", "shape", "staged"]


def test_plugin_and_config_import_no_torch():
    code = "import nbf_fitters.plugin, nbf_fitters.config, sys; assert not {'torch', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
