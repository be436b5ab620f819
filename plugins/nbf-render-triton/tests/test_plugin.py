"""What holds everywhere, without triton too."""

import subprocess
import sys

import pytest

from nbf_core.errors import PluginError
from nbf_core.plugins import PluginManager
from nbf_render_triton.config import TritonConfig
from nbf_renderers.config import GaussianConfig


def installed() -> PluginManager:
    manager = PluginManager()
    manager.load_installed(["nbf-render-triton"])
    return manager


def test_it_is_listed_and_its_configuration_is_the_plain_renderers():
    manager = installed()
    assert not manager.failures
    entry = manager.get("renderers", "triton")
    assert entry.load_config() is TritonConfig
    assert TritonConfig.model_fields.keys() == GaussianConfig.model_fields.keys()
    assert TritonConfig() == TritonConfig(**GaussianConfig().model_dump())


def test_wrong_options_are_refused():
    with pytest.raises(ValueError, match="max_kernels"):
        TritonConfig(max_kernels=0)
    with pytest.raises(ValueError, match="max_kernel"):
        TritonConfig(max_kernel=3)


def test_without_triton_the_error_says_what_to_install(monkeypatch):
    for name in [name for name in sys.modules if name.startswith("nbf_render_triton.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "triton", None)
    with pytest.raises(PluginError, match="pip install triton"):
        installed().get("renderers", "triton").load()


def test_listing_imports_neither_torch_nor_triton():
    code = (
        "import sys, nbf_render_triton, nbf_render_triton.plugin, nbf_render_triton.config\n"
        "assert nbf_render_triton.TritonConfig and 'TritonRenderer' in dir(nbf_render_triton)\n"
        "print(sorted({'torch', 'triton', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
