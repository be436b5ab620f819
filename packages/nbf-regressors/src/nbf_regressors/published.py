"""The tensors of a checkpoint of the published implementation of 3DNBF, under our names.

The one place that knows both naming schemes. Derived from the list of tensor names and shapes of such checkpoints
alone. ``RULES`` turn each of our names into the published one, step by step; a few tensors are laid out otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from nbf_core.contracts import Converted
from nbf_regressors.config import PareCokeConfig
from nbf_regressors.network import PareCokeNetwork

JOINTS, SHAPES = 24, 10  # of SMPL, the body that all published checkpoints are for

_BLOCKS = [
    *((rf"\.body\.{n}\.0\.", f".conv{n + 1}.") for n in range(3)),
    *((rf"\.body\.{n}\.1\.", f".bn{n + 1}.") for n in range(3)),
    (r"\.shortcut\.", ".downsample."),
]
_RESNET = [
    (r"^backbone\.stages\.0\.0\.", "backbone.conv1."),
    (r"^backbone\.stages\.0\.1\.", "backbone.bn1."),
    (r"^backbone\.stages\.1\.1\.", "backbone.layer1."),
    (r"^backbone\.stages\.([234])\.", r"backbone.layer\1."),
    (r"^decoder\.top\.", "head.upsample_layers.upsample0.doubleconv."),
    *((rf"^decoder\.merges\.{n}\.", f"head.upsample_layers.upsample{n + 1}.doubleconv.doubleconv.") for n in range(3)),
    # Two convolutions, each with normalisation and activation, in one flat sequence.
    *((rf"\.doubleconv\.{n}\.{m}\.", f".doubleconv.{3 * n + m}.") for n in (1, 0) for m in range(2)),
]
_HRNET = [
    *((rf"^backbone\.stages\.{n}\.{i}0\.", f"backbone.conv{n + 1}.") for n, i in ((0, ""), (1, "0."))),
    *((rf"^backbone\.stages\.{n}\.{i}1\.", f"backbone.bn{n + 1}.") for n, i in ((0, ""), (1, "0."))),
    (r"^backbone\.stages\.1\.1\.", "backbone.layer1."),
    # The newest branch of a transition is a sequence of one.
    *((rf"\.stages\.{n}\.transitions\.{n - 1}\.", f".transition{n - 1}.{n - 1}.0.") for n in (2, 3, 4)),
    *((rf"\.stages\.{n}\.transitions\.", f".transition{n - 1}.") for n in (2, 3, 4)),
    (r"\.stages\.([234])\.units\.", r".stage\1."),
    (r"\.fuse\.", ".fuse_layers."),
    # An upsampling, a convolution, its normalisation and an activation for each octave.
    *(
        (rf"^decoder\.climbs\.{c}\.{k}\.{m}\.", f"backbone.upsample_stage_{c + 2}.{4 * k + m + 1}.")
        for c in range(3)
        for k in range(c + 1)
        for m in range(2)
    ),
    (r"^decoder\.pose\.", "head.upsample_layers.out_layer_pare."),
]
_HEAD = [
    (r"^to_features\.", "head.upsample_layers.out_layer."),
    (r"^to_parts\.", "head.keypoint_final_layer."),
    (r"^head\.reduce\.", "head.smpl_final_layer."),
    (r"^head\.shape\.", "head.shape_mlp."),
    (r"^head\.camera\.", "head.cam_mlp."),
    (r"^head\.rotations$", "head.pose_mlp.weight"),
]
RULES = {"resnet50": [*_BLOCKS, *_RESNET, *_HEAD], "hrnet-w32": [*_BLOCKS, *_HRNET, *_HEAD]}

IGNORED = re.compile(
    r"backbone\.(dummy_token|final_layer\.(weight|bias))"  # no output depends on these
    r"|head\.init_(pose|shape|cam)"  # nor on these, as published models are configured
    r"|head\.temperature"  # is 1, which is checked
    r"|body_model_(train|test)\..*"  # the body model is a component of its own
)
"""Names that are known and not taken over."""

_BACKBONE_SIGNS = {"resnet50": "backbone.layer4.", "hrnet-w32": "backbone.stage4."}
_DECODERS = {"resnet50": "unet", "hrnet-w32": "join"}


def published_options(backbone: str) -> dict[str, Any]:
    """The configuration of the published network with this backbone."""
    sizes = {"image_size": 320, "map_size": 80, "channels": 128, "width": 256}
    return {"backbone": backbone, "decoder": _DECODERS[backbone], "head": "pare", **sizes}


def published_name(name: str, backbone: str) -> str:
    """The published name of one of our tensors."""
    for pattern, replacement in RULES[backbone]:
        name = re.sub(pattern, replacement, name)
    return name


def to_published(name: str, value: Tensor) -> Tensor:
    """One of our tensors as the published checkpoints lay it out."""
    if name == "head.rotations":  # [J, 6, c] -> [1, 6, c, J, 1, 1]
        return value.permute(1, 2, 0)[None, ..., None, None]
    return value.roll(1, 0) if name.startswith("to_parts.") else value  # there the background comes first


def from_published(name: str, value: Tensor) -> Tensor:
    """The inverse of :func:`to_published`."""
    if name == "head.rotations":
        return value[0, ..., 0, 0].permute(2, 0, 1)
    return value.roll(-1, 0) if name.startswith("to_parts.") else value


def skeleton(backbone: str) -> dict[str, Tensor]:
    """Our tensors of the published network with this backbone, without values (device meta)."""
    with torch.device("meta"):
        return PareCokeNetwork(PareCokeConfig(**published_options(backbone)), JOINTS, SHAPES).state_dict()


def convert(tensors: Mapping[str, Tensor]) -> Converted:
    """The regressor in a published checkpoint; see ``nbf_core.contracts.Converted``."""
    found = [name for name, sign in _BACKBONE_SIGNS.items() if any(key.startswith(sign) for key in tensors)]
    if len(found) != 1:
        signs = " or ".join(f"{sign}* ({name})" for name, sign in _BACKBONE_SIGNS.items())
        count = "no" if not found else "both kinds of"
        return Converted({}, {}, frozenset(), (f"{count} backbone known here: expected tensors {signs}",))
    backbone = found[0]
    used = {name for name in tensors if IGNORED.fullmatch(name)}
    own, problems = {}, []
    for name, expected in skeleton(backbone).items():
        published, shape = published_name(name, backbone), tuple(to_published(name, expected).shape)
        value = tensors.get(published)
        used.add(published)
        if value is None:
            problems.append(f"missing: {published} {shape}")
        elif tuple(value.shape) != shape:
            problems.append(f"shape: {published} is {tuple(value.shape)}, expected {shape}")
        elif not value.isfinite().all():
            problems.append(f"values: {published} holds NaN or infinity")
        else:
            own[name] = from_published(name, value).to(expected.dtype)
    temperature = tensors.get("head.temperature", torch.ones(()))
    if not bool((temperature == 1).all()):
        problems.append(f"values: head.temperature is {temperature.tolist()}, expected 1.0")
    return Converted({} if problems else own, published_options(backbone), frozenset(used), tuple(problems))
