"""Which converters there are. A new one is a module with ``convert(source, options, rows, step)`` and a line here."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from nbf_core.config import Config
from nbf_core.errors import ConfigError
from nbf_datasets.converters import config


@dataclass(frozen=True)
class Converter:
    """A converter: its module, its options, and the files that it writes into a folder, with the options of each."""

    name: str
    module: str
    options: type[Config]
    summary: str
    files: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def load(self) -> Callable[..., None]:
        """The function ``convert`` of its module."""
        return importlib.import_module(f"nbf_datasets.converters.{self.module}").convert


_ALL = (
    Converter(
        "3dpw", "pw3d", config.Pw3dOptions, "3DPW: all frames, every 30th, and 3DPW-OCC",
        {
            "pw3d_train.npz": {"split": "train"},
            "pw3d_test.npz": {"split": "test"},
            "pw3d_test_skip30.npz": {"split": "test", "every": 30},
            "pw3d_occ_test.npz": {"split": "occ", "every": 30},
        },
    ),
    Converter(
        "3doh50k", "oh50k", config.Oh50kOptions, "3DOH50K: people behind objects",
        {"3doh50k_train.npz": {"split": "train"}, "3doh50k_test.npz": {"split": "test"}},
    ),
    Converter(
        "h36m", "h36m", config.H36mOptions, "Human3.6M: frames, CDF poses, SMPL fits",
        {
            "h36m_train.npz": {"split": "train"},
            "h36m_valid_protocol1.npz": {"split": "valid", "protocol": 1},
            "h36m_valid_protocol2.npz": {"split": "valid", "protocol": 2},
        },
    ),
    Converter(
        "mpi-inf-3dhp", "mpi_inf_3dhp", config.MpiInf3dhpOptions, "MPI-INF-3DHP: training and test set",
        {"mpi_inf_3dhp_train.npz": {"split": "train"}, "mpi_inf_3dhp_test.npz": {"split": "test"}},
    ),
    Converter(
        "mpii", "mpii", config.MpiiOptions, "MPII human pose, with EFT's fits",
        {"mpii_train.npz": {}, "eft_mpii.npz": {"fits": "eft_fit/MPII_ver01.json"}},
    ),
    Converter(
        "lsp", "lsp", config.LspOptions, "Leeds Sports Pose",
        {"lsp_train.npz": {"split": "train"}, "lsp_test.npz": {"split": "test"}},
    ),
    Converter(
        "lspet", "lspet", config.LspetOptions, "Leeds Sports Pose Extended, with EFT's fits",
        {"lspet_train.npz": {}, "eft_lspet.npz": {"fits": "eft_fit/LSPet_ver01.json"}},
    ),
    Converter(
        "coco", "coco", config.CocoOptions, "COCO people, with EFT's fits",
        {
            "coco_2014_train.npz": {"split": "train2014"},
            "eft_coco_all.npz": {"split": "train2014", "fits": "eft_fit/COCO2014-All-ver01.json"},
        },
    ),
    Converter(
        "folder", "folder", config.FolderOptions, "a folder of images: whole images, or boxes from a detector",
        {"images.npz": {}},
    ),
    Converter("spin", "spin", config.SpinOptions, "labels in SPIN's form (imgname, center, scale, part, S, pose)"),
)  # fmt: skip

CONVERTERS: Mapping[str, Converter] = {one.name: one for one in _ALL}
"""All converters by name."""


def find(name: str) -> Converter:
    """The converter of that name. Raises ConfigError listing the names."""
    if name not in CONVERTERS:
        near = get_close_matches(name, CONVERTERS, 1)
        hint = f"; did you mean {near[0]}?" if near else ";"
        raise ConfigError(f"no converter named {name!r}{hint} known: {', '.join(CONVERTERS)}")
    return CONVERTERS[name]
