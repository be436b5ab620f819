"""The package's outside: its names, its options, what importing it costs, what it refuses."""

import os
import subprocess
import sys

import pytest
import torch
from pydantic import ValidationError

import nbf_render_numba
from nbf_core.contracts import ScoringRenderer
from nbf_core.errors import NbfError
from nbf_core.plugins import PluginManager
from nbf_core.types import Kernels
from nbf_render_numba import NumbaConfig, NumbaRenderer, plugin
from nbf_render_numba._memory import blank_map
from nbf_renderers import GaussianConfig
from nbf_testing.scenes import kernel_scene


def test_public_names_exist():
    assert nbf_render_numba.__all__ == ["NumbaConfig", "NumbaRenderer"]
    for name in nbf_render_numba.__all__:
        assert getattr(nbf_render_numba, name).__doc__
    with pytest.raises(AttributeError, match="nothing"):
        _ = nbf_render_numba.nothing


def test_plugin_yields_the_renderer():
    manager = PluginManager()
    manager.register(plugin, "nbf-render-numba")
    assert not manager.failures
    entry = manager.entries("renderers")["numba"]
    renderer = entry.load()(entry.load_config()(max_kernels=4))
    assert renderer.config.max_kernels == 4
    assert isinstance(renderer, ScoringRenderer)


def test_plugin_and_configuration_import_neither_torch_nor_numba():
    code = "import sys, nbf_render_numba.plugin, nbf_render_numba.config; "
    code += "sys.exit(bool({'torch', 'numba', 'numpy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_options_are_those_of_the_plain_renderer_and_threads():
    assert set(NumbaConfig.model_fields) == {*GaussianConfig.model_fields, "threads"}
    with pytest.raises(ValidationError):
        NumbaConfig(threads=0)


@pytest.mark.parametrize("name", ["means", "precision", "focal", "center", "attributes"])
def test_tensors_elsewhere_are_refused_by_name(name):
    kernels, camera, attributes = kernel_scene()
    elsewhere = {"means": kernels.means, "precision": kernels.precision, "focal": camera.focal}
    elsewhere |= {"center": camera.center, "attributes": attributes}
    elsewhere[name] = elsewhere[name].to("meta")
    moved = type(camera)(elsewhere["focal"], elsewhere["center"], camera.size)
    with pytest.raises(NbfError, match=f"{name} is on meta, .*'gaussian'"):
        NumbaRenderer().render(Kernels(elsewhere["means"], elsewhere["precision"]), moved, elsewhere["attributes"])


def test_half_precision_is_refused():
    with pytest.raises(NbfError, match="means: expected float32 or float64, got torch.float16"):
        NumbaRenderer().render(*kernel_scene(dtype=torch.float16))


def test_large_maps_are_zero_without_being_cleared():
    image, clear = blank_map(1 << 15, 300, torch.float32)
    assert not clear and image.shape == (1 << 15, 300) and not image.any()
    image[5] = 1.0
    assert image.sum() == 300
    assert blank_map(10, 3, torch.float64)[1]


def test_works_where_nothing_can_be_stored(tmp_path):
    # Neither beside the source nor in the user's folder: files lie where numba would make folders.
    script = tmp_path / "script.py"
    script.write_text(
        """
import sys
from numba import njit
from nbf_render_numba._compile import entry
try:
    njit(cache=True)(lambda x: x)
    sys.exit(5)
except RuntimeError:
    pass
sys.exit(entry(lambda x: 2 * x)(21) != 42)
"""
    )
    (tmp_path / "__pycache__").write_text("")
    home = str(tmp_path / "__pycache__" / "home")
    environment = {**os.environ, "HOME": home, "XDG_CACHE_HOME": home, "LOCALAPPDATA": home, "IPYTHONDIR": home}
    environment.pop("NUMBA_CACHE_DIR", None)
    assert subprocess.run([sys.executable, script], check=False, env=environment).returncode == 0
