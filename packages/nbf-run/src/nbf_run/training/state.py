"""A run's whole state as named tensors: networks, bank and optimiser."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from nbf_core.errors import AssetError
from nbf_core.weights import Weights, load_into
from nbf_run.training.checkpoint import Checkpoint

NETWORKS = ("regressor", "bank")


def network_tensors(regressor: nn.Module, bank: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers of both, as a model file names them."""
    parts = zip(NETWORKS, (regressor, bank), strict=True)
    return {f"{prefix}.{name}": value for prefix, part in parts for name, value in part.state_dict().items()}


def optimizer_tensors(optimizer: Optimizer, regressor: nn.Module) -> dict[str, Tensor]:
    """What the optimiser remembers of each parameter, by the parameter's name."""
    names = {parameter: name for name, parameter in regressor.named_parameters()}
    return {
        f"optimizer.{names[parameter]}.{key}": value
        for parameter, memory in optimizer.state.items()
        for key, value in memory.items()
    }


def load_networks(regressor: nn.Module, bank: nn.Module, source: Checkpoint | Weights) -> None:
    """Fill both. Raises AssetError naming the file and the tensors where they belong to another architecture."""
    weights = source if isinstance(source, Weights) else Weights(source.path, source.tensors, source.state)
    for prefix, part in zip(NETWORKS, (regressor, bank), strict=True):
        load_into(part, weights, prefix)


def load_optimizer(optimizer: Optimizer, regressor: nn.Module, checkpoint: Checkpoint) -> None:
    """Give the optimiser back what it remembered. Raises AssetError naming a tensor that does not fit."""
    memory: dict[str, dict[str, Tensor]] = {}
    for key, value in checkpoint.tensors.items():
        if key.startswith("optimizer."):
            name, _, what = key.removeprefix("optimizer.").rpartition(".")
            memory.setdefault(name, {})[what] = value
    parameters = dict(regressor.named_parameters())
    for name, values in memory.items():
        if name not in parameters:
            raise AssetError(f"{checkpoint.path}: the optimiser knows {name}, which the regressor has not")
        optimizer.state[parameters[name]] = {
            key: _like(value, parameters[name], f"{checkpoint.path}: optimizer.{name}.{key}")
            for key, value in values.items()
        }


def _like(value: Tensor, parameter: Tensor, label: str) -> Tensor:
    """The value where and as the parameter lies in memory; counters stay as they are."""
    if value.ndim == 0 and parameter.ndim != 0:
        return value.clone()
    if value.shape != parameter.shape:
        raise AssetError(f"{label} is {tuple(value.shape)}, expected {tuple(parameter.shape)}")
    return torch.empty_like(parameter, dtype=value.dtype, requires_grad=False).copy_(value)
