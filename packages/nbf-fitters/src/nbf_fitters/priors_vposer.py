"""VPoser, version 1, as a prior (SMPL-X, Pavlakos et al., 2019), from weights that the user brings."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path

import roma
import torch
import torch.nn.functional as F
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from nbf_core.errors import AssetError, ShapeError
from nbf_core.types import BodyParams
from nbf_fitters.config import VPoserConfig

PREFIX = "bodyprior_"
SLOPE = 0.2
"""Of the leaky rectifiers below zero."""

ENCODER = ("enc_fc1", "enc_fc2", "enc_mu")
DECODER = ("dec_fc1", "dec_fc2", "dec_out")
NORMS = ("enc_bn1", "enc_bn2")


class VPoserPrior:
    """Squared norm of the mean code that VPoser's encoder gives the pose: 0 for the mean of the poses it was taught.

    The encoder takes the axis-angles of SMPL's first 21 body joints (hands are free) through two layers with batch
    normalisation before each; the decoder gives rotation matrices by two columns each. Widths are those of the tensors:
    512 units and 32 numbers a code in the published weights. Raises AssetError naming file and tensor.
    """

    def __init__(self, config: VPoserConfig):
        self.config, path = config, Path(config.path)
        names = [f"{layer}.{kind}" for layer in ENCODER for kind in ("weight", "bias")]
        names += [f"{n}.{kind}" for n in NORMS for kind in ("weight", "bias", "running_mean", "running_var")]
        if config.reconstruction > 0:
            names += [f"{layer}.{kind}" for layer in DECODER for kind in ("weight", "bias")]
        self.tensors = _chosen(_read(path), names, path)
        _check(self.tensors, path)
        self.joints = len(self.tensors["enc_bn1.weight"]) // 3

    def code(self, pose: Float[Tensor, "b j 3"]) -> Float[Tensor, "b n"]:
        """The encoder's mean."""
        value = self._norm(pose[..., : self.joints, :].flatten(-2), "enc_bn1")
        value = self._norm(F.leaky_relu(self._linear(value, "enc_fc1"), SLOPE), "enc_bn2")
        return self._linear(F.leaky_relu(self._linear(value, "enc_fc2"), SLOPE), "enc_mu")

    def decode(self, code: Float[Tensor, "b n"]) -> Float[Tensor, "b j 3 3"]:
        """The pose that a code stands for, as rotation matrices; the decoder must have been asked for."""
        value = F.leaky_relu(self._linear(code, "dec_fc1"), SLOPE)
        value = self._linear(F.leaky_relu(self._linear(value, "dec_fc2"), SLOPE), "dec_out")
        return roma.special_gramschmidt(value.unflatten(-1, (self.joints, 3, 2)))

    def __call__(self, params: BodyParams) -> Float[Tensor, "b"]:
        pose = params.body_pose
        if pose.shape[-2] < self.joints:
            raise ShapeError(f"body_pose: the vposer prior needs {self.joints} joints, got {tuple(pose.shape)}")
        self.tensors = {name: tensor.to(pose) for name, tensor in self.tensors.items()}
        code = self.code(pose)
        cost = code.square().sum(-1)
        if self.config.reconstruction > 0:
            gap = self.decode(code) - roma.rotvec_to_rotmat(pose[..., : self.joints, :])
            cost = cost + self.config.reconstruction * 0.5 * gap.square().sum((-3, -2, -1))
        return cost

    def _linear(self, value: Tensor, layer: str) -> Tensor:
        return F.linear(value, self.tensors[f"{layer}.weight"], self.tensors[f"{layer}.bias"])

    def _norm(self, value: Tensor, layer: str) -> Tensor:
        names = ("running_mean", "running_var", "weight", "bias")
        return F.batch_norm(value, *(self.tensors[f"{layer}.{name}"] for name in names), training=False)


def _read(path: Path) -> Mapping[str, object]:
    """The tensors in a file; nothing in it is executed."""
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        stored = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise AssetError(f"{path}: holds more than tensors, and is refused") from error
    except (OSError, EOFError, ValueError, RuntimeError, KeyError, zipfile.BadZipFile, SafetensorError) as error:
        raise AssetError(f"{path}: cannot read the VPoser weights ({' '.join(str(error).split())[:120]})") from error
    if isinstance(stored, Mapping) and isinstance(stored.get("state_dict"), Mapping):
        stored = stored["state_dict"]
    if not isinstance(stored, Mapping):
        raise AssetError(f"{path}: holds no tensors by name")
    return stored


def _chosen(stored: Mapping[str, object], names: list[str], path: Path) -> dict[str, Tensor]:
    """The tensors wanted, whatever stands before their names."""
    by_name = {str(key).rpartition(PREFIX)[2]: value for key, value in stored.items() if PREFIX in str(key)}
    missing = [name for name in names if not isinstance(by_name.get(name), Tensor)]
    if missing:
        raise AssetError(f"{path}: no VPoser v1: {PREFIX}{missing[0]} is missing ({len(missing)} of {len(names)} are)")
    chosen = {name: by_name[name].float() for name in names}
    for name, tensor in chosen.items():
        if not tensor.isfinite().all():
            raise AssetError(f"{path}: {PREFIX}{name} is not finite")
    return chosen


def _check(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Every tensor has the shape that the others ask for."""
    size = {"pose": len(tensors["enc_bn1.weight"]), "hidden": len(tensors["enc_bn2.weight"])}
    size["code"] = len(tensors["enc_mu.bias"])
    size["joints"] = 2 * size["pose"]
    shapes = {"enc_fc1": ("hidden", "pose"), "enc_fc2": ("hidden", "hidden"), "enc_mu": ("code", "hidden")}
    shapes |= {"dec_fc1": ("hidden", "code"), "dec_fc2": ("hidden", "hidden"), "dec_out": ("joints", "hidden")}
    expected = {"enc_bn1.weight": (size["pose"],), "enc_bn2.weight": (size["hidden"],)}
    for layer, (rows, columns) in shapes.items():
        expected[f"{layer}.weight"] = (size[rows], size[columns])
        expected[f"{layer}.bias"] = (size[rows],)
    for norm, width in (("enc_bn1", "pose"), ("enc_bn2", "hidden")):
        for kind in ("bias", "running_mean", "running_var"):
            expected[f"{norm}.{kind}"] = (size[width],)
    for name, tensor in tensors.items():
        if tuple(tensor.shape) != expected[name]:
            raise AssetError(f"{path}: {PREFIX}{name}: expected shape {expected[name]}, got {tuple(tensor.shape)}")
    if size["pose"] % 3 or not size["pose"]:
        raise AssetError(f"{path}: {PREFIX}enc_bn1 takes {size['pose']} numbers, which are no axis-angles")
