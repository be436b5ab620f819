"""Model files: written whole, read safely, refused with one clear line."""

import types

import pytest
import torch
from torch import nn

from nbf_core.errors import AssetError, PluginError
from nbf_core.plugins import CONTRACT, PluginManager, WeightsEntry, hookimpl
from nbf_core.weights import load_into, read_weights, save_weights


@pytest.fixture
def model():
    torch.manual_seed(0)
    return nn.Linear(3, 2)


def tensors(module, prefix="regressor"):
    return {f"{prefix}.{key}": value.detach() for key, value in module.state_dict().items()}


@pytest.fixture
def file(tmp_path, model):
    path = tmp_path / "small.safetensors"
    save_weights(path, tensors(model), {"seed": 7, "quality": {"correct_side": 0.9}})
    return path


def test_what_is_saved_comes_back_with_its_metadata(file, model):
    weights = read_weights(file)
    assert weights.metadata == {"seed": 7, "quality": {"correct_side": 0.9}}
    other = nn.Linear(3, 2)
    load_into(other, weights, "regressor")
    torch.testing.assert_close(other.weight, model.weight)
    assert [path.name for path in file.parent.iterdir()] == ["small.safetensors"]


def test_tensors_need_not_be_contiguous(tmp_path):
    path = tmp_path / "m.safetensors"
    save_weights(path, {"bank.features": torch.arange(6.0).reshape(2, 3).T}, {})
    assert read_weights(path).tensors["bank.features"].tolist() == [[0, 3], [1, 4], [2, 5]]


@pytest.mark.parametrize("length", [0, 5, 100, -4])
def test_a_file_cut_short_is_refused_by_name(file, length):
    file.write_bytes(file.read_bytes()[:length])
    with pytest.raises(AssetError, match="small.safetensors: not a readable model file") as caught:
        read_weights(file)
    assert "\n" not in str(caught.value)


def test_another_files_content_is_refused(tmp_path):
    path = tmp_path / "picture.safetensors"
    path.write_bytes(b"\x89PNG" + bytes(500))
    with pytest.raises(AssetError, match="picture.safetensors: not a readable model file"):
        read_weights(path)


def test_a_missing_file_and_an_unknown_name(tmp_path):
    with pytest.raises(AssetError, match="gone.safetensors: no such model file"):
        read_weights(tmp_path / "gone.safetensors")
    with pytest.raises(PluginError, match="no weights named 'small'.*pip install nbf-model-small"):
        read_weights("small", PluginManager())


def test_installed_weights_without_their_file_are_named():
    plugin = types.ModuleType("half_installed")
    plugin.NBF_CONTRACT = CONTRACT
    entry = WeightsEntry(name="half", target="nbf_core:gone.safetensors", summary="for this test")
    plugin.nbf_weights = hookimpl(lambda: [entry])
    manager = PluginManager()
    manager.register(plugin, "half-installed")
    with pytest.raises(AssetError, match="gone.safetensors: the installed weights 'half' lack their file"):
        read_weights("half", manager)


def test_what_does_not_fit_is_named(file):
    weights = read_weights(file)
    with pytest.raises(AssetError, match=r"weight is \(2, 3\), expected \(2, 4\)"):
        load_into(nn.Linear(4, 2), weights, "regressor")
    with pytest.raises(AssetError, match="does not fit the regressor: unknown bias"):
        load_into(nn.Linear(3, 2, bias=False), weights, "regressor")
    with pytest.raises(AssetError, match=r"missing .* and 1 more"):
        load_into(nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2)), weights, "regressor")
    with pytest.raises(AssetError, match="holds no bank tensors"):
        load_into(nn.Linear(3, 2), weights, "bank")


def test_values_are_cast_to_the_modules_dtype(file, model):
    double = nn.Linear(3, 2).double()
    load_into(double, read_weights(file), "regressor")
    assert double.weight.dtype == torch.float64
    torch.testing.assert_close(double.weight.float(), model.weight)
