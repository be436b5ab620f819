"""What the plugin offers can be loaded, and listing it imports no torch."""

import subprocess
import sys

from nbf_fitters import plugin


def test_entries_load():
    names = {}
    for hook in (plugin.nbf_fitters, plugin.nbf_priors):
        for entry in hook():
            names[entry.name] = entry.load()
            entry.load_config()(**({"path": "a.npz"} if entry.name in ("mixture-pose", "vposer") else {}))
    priors = {
        "gaussian-pose",
        "joint",
        "joint-angle",
        "joint-limits",
        "mixture-pose",
        "shape",
        "smooth-joints",
        "vposer",
    }
    assert {"staged", "smplify", *priors} <= names.keys()


def test_plugin_and_config_import_no_torch():
    code = "import nbf_fitters.plugin, nbf_fitters.config, sys; assert not {'torch', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
