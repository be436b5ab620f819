"""The package's outside: its names, its options, what importing it costs."""

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

import nbf_renderers
from nbf_core.plugins import PluginManager
from nbf_renderers import plugin
from nbf_renderers.config import GaussianConfig


def test_public_names_exist():
    assert nbf_renderers.__all__ == [
        "GaussianConfig",
        "GaussianRenderer",
        "check_attributes",
        "check_camera",
        "check_features",
        "check_kernels",
        "check_similarities",
        "clear_pixels",
        "nearest_mask",
        "render_dense",
        "render_rays",
        "sample_pixels",
        "slot_limit",
    ]
    for name in nbf_renderers.__all__:
        assert getattr(nbf_renderers, name).__doc__
    with pytest.raises(AttributeError, match="nothing"):
        _ = nbf_renderers.nothing


def test_plugin_yields_the_renderer():
    manager = PluginManager()
    manager.register(plugin, "nbf-renderers")
    assert not manager.failures
    entry = manager.entries("renderers")["gaussian"]
    renderer = entry.load()(entry.load_config()(max_kernels=4))
    assert renderer.config.max_kernels == 4


def test_plugin_and_configuration_import_no_torch():
    code = "import sys, nbf_renderers.plugin, nbf_renderers.config; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_cutoff_of_the_published_and_of_our_threshold():
    assert GaussianConfig(threshold=0.0).cutoff == pytest.approx(23.0259, abs=1e-4)
    assert GaussianConfig().cutoff == pytest.approx(9.2103, abs=1e-4)


@pytest.mark.parametrize(
    ("option", "value"), [("max_kernels", 0), ("threshold", 1.0), ("absorptivity", -1), ("thr", 0)]
)
def test_wrong_options_are_refused(option, value):
    with pytest.raises(ValidationError):
        GaussianConfig(**{option: value})


def test_the_readme_example_draws_what_the_readme_shows(capsys):
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    code, shown = (readme.split(f"```{kind}\n", 1)[1].split("```", 1)[0] for kind in ("python", "text"))
    names = {}
    exec(compile(code, "README.md", "exec"), names)
    drawn = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert [line for line in drawn if line] == shown.splitlines()
    assert names["points"].grad.abs().sum() > 0
