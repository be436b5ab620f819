"""What holds without PyTorch3D: the listing, the options, what importing costs, and the error."""

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

import nbf_render_pytorch3d
from nbf_core.errors import PluginError
from nbf_core.plugins import PluginManager
from nbf_render_pytorch3d import PyTorch3DConfig, plugin
from nbf_render_pytorch3d._requirements import REQUIREMENTS


def test_public_names_exist():
    assert nbf_render_pytorch3d.__all__ == ["PyTorch3DConfig", "PyTorch3DRenderer"]
    for name in nbf_render_pytorch3d.__all__:
        assert getattr(nbf_render_pytorch3d, name).__doc__
    with pytest.raises(AttributeError, match="nothing"):
        _ = nbf_render_pytorch3d.nothing


def test_plugin_lists_the_renderer():
    manager = PluginManager()
    manager.register(plugin, "nbf-render-pytorch3d")
    assert not manager.failures
    entry = manager.entries("renderers")["pytorch3d"]
    assert entry.load_config()(form="soft").form == "soft"
    assert entry.load().__name__ == "PyTorch3DRenderer"
    assert any("easypytorch3d" in name for name in entry.requires)


def test_plugin_and_configuration_import_no_torch():
    code = "import sys, nbf_render_pytorch3d.plugin, nbf_render_pytorch3d.config; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_environment_holds_what_the_error_names():
    tomllib = pytest.importorskip("tomllib", reason="reads environment.toml, which Python 3.10 cannot")
    file = Path(__file__).parents[1] / "environment.toml"
    assert tuple(tomllib.loads(file.read_text())["requirements"]) == REQUIREMENTS


def test_without_pytorch3d_one_line_says_how_to_get_it(monkeypatch):
    for name in [name for name in sys.modules if name.startswith("pytorch3d.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pytorch3d", None)
    with pytest.raises(PluginError, match="python3 tools/dev.py env nbf-render-pytorch3d") as caught:
        nbf_render_pytorch3d.PyTorch3DRenderer()
    assert "\n" not in str(caught.value) and "torch==2.12.1 easypytorch3d" in str(caught.value)


def test_the_blur_reaches_as_far_as_the_threshold_says():
    assert PyTorch3DConfig().blur_radius == 0
    config = PyTorch3DConfig(form="soft", sigma=0.5, threshold=0.01)
    assert config.blur_radius == pytest.approx(0.5 * 4.59512)


@pytest.mark.parametrize(
    ("option", "value"),
    [("form", "medium"), ("sigma", 0), ("gamma", -1), ("threshold", 0.5), ("faces_per_pixel", 0), ("max_kernels", 0)],
)
def test_wrong_options_are_refused(option, value):
    with pytest.raises(ValidationError):
        PyTorch3DConfig(**{option: value})
