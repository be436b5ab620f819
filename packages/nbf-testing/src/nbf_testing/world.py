"""The licensed world in miniature: from originals to the published tables, with a body and data sets that are made up.

``python -m nbf_testing.world FOLDER`` writes a body in SMPL's files and the originals of all data sets into ``FOLDER``,
and runs every ``nbf-run`` command that a researcher with the real files would: conversion, checks, the published
training of two steps a stage, all benchmarks. Minutes; what comes out has learned nothing.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from nbf_core.plugins import get_plugin_manager
from nbf_testing.miniatures import DATA_SETS, write_tree

MADE = "data/preprocessed_datasets"
FITS = {"h36m": "fits", "mpi-inf-3dhp": "MPI-INF-3DHP_SMPL_NeuralAnnot.json"}
"""Where the originals of these have SMPL fits beside them."""

PUBLISHED_NAMES = {"h36m": "spin_h36m_train_mosh", "mpi-inf-3dhp": "spin_mpi_inf_3dhp_train_new_correct"}
"""What the published training calls the files of these."""

BENCHMARKS = ("table1-methods", "table2-fitters", "table3-ablations", "evaluation")
ABLATIONS = {
    "without_contrastive": {"bank.weight_contrastive": 0},
    **{f"orientation_{bins}": {"bank.orientations": bins} for bins in (1, 4, 8)},
}
"""The models that table 3 needs, by file, and how their training differs."""

_SIZE = {"image_size": 64, "map_size": 32}
_TRAINING = {
    "train.steps": 2, "train.batch_size": 2, "train.workers": 0, "train.threads": 1, "train.validation_samples": 2,
    "regressor.backbone": "plain", "regressor.decoder": "shuffle", "regressor.channels": 16, "regressor.width": 32,
    **{f"regressor.{key}": value for key, value in _SIZE.items()},
}  # fmt: skip
_SETS = {
    "table1-methods": ("3dpw", "3dpw-occ", "3doh50k"),
    "evaluation": ("3dpw", "3dpw-occ", "3doh50k", "h36m", "mpi-inf-3dhp"),
}
_QUICK_KEYPOINTS = '{"fitter.use"="smplify", "fitter.stages"=[{parameters=["body_pose"], steps=1}]}'
_BENCH = {
    "bench.samples": 1, "bench.devices": "[]", "bench.resamples": 10, "bench.pictures": 1,
    "bench.protocols.grid.stride": 100, "bench.protocols.adversarial.stride": 100,
    "fitter.starts": '["estimate"]', "fitter.stages.0.steps": 1, "fitter.stages.1.steps": 1,
    "bench.methods.keypoints only.set": _QUICK_KEYPOINTS,
    **{f"bench.methods.3DNBF as published.set.fitter.stages.{n}.steps": 1 for n in (0, 1)},
}  # fmt: skip


def write_originals(folder: Path) -> None:
    """The data sets as they are distributed, people having the body of ``folder/data/body_models``."""
    entry = get_plugin_manager().get("body_models", "smpl")
    body = entry.load()(entry.load_config()(path=folder / "data" / "body_models"))
    write_tree(folder, body=body)


def conversions() -> Iterator[list[str]]:
    """Arguments of ``nbf-run`` that make all HumanData files of the originals, then check them."""
    for name, folder in DATA_SETS.items():
        fits = _set({"fits": FITS[name]}) if name in FITS else []
        source = f"data/datasets/{folder}"
        yield ["data", "convert", name, source, MADE, *fits]
        if name in PUBLISHED_NAMES:
            yield ["data", "convert", name, source, f"{MADE}/{PUBLISHED_NAMES[name]}.npz", *fits]
    yield ["data", "check", "data", "--pictures"]


def trainings(ablations: bool = True) -> Iterator[list[str]]:
    """Arguments that train both published stages, and the models of table 3."""
    one = {**_TRAINING, **{f"data.{key}": value for key, value in _SIZE.items()}}
    yield ["train", "3dnbf-stage1", "--out", "3dnbf-stage1", *_set(one)]
    two = {**_TRAINING, **{f"data.shared.{key}": value for key, value in _SIZE.items()}}
    yield ["train", "3dnbf-stage2", "--out", "3dnbf-stage2", *_set(two)]
    for name, changes in ABLATIONS.items() if ablations else ():
        yield ["train", "3dnbf-stage1", "--out", name, *_set({**one, **changes})]


def place_models(folder: Path) -> None:
    """Copy what was trained to where benchmarks look for it."""
    there = folder / "data" / "checkpoints"
    there.mkdir(parents=True, exist_ok=True)
    for run, name in {"3dnbf-stage2": "3dnbf_resnet50", **{name: name for name in ABLATIONS}}.items():
        model = folder / run / "model.safetensors"
        if model.is_file():
            (there / f"{name}.safetensors").write_bytes(model.read_bytes())


def benchmarks(names: Sequence[str] = BENCHMARKS) -> Iterator[list[str]]:
    """Arguments that measure the published tables, with results in folders of the benchmarks' names."""
    for name in names:
        sizes = {
            f"bench.sets.{one}.set.data.{key}": value
            for one in _SETS.get(name, _SETS["table1-methods"])
            for key, value in _SIZE.items()
        }
        yield ["bench", name, "--out", name, *_set({**_BENCH, **sizes})]


def commands(folder: Path) -> Iterator[list[str]]:
    """All of it in order; what is no ``nbf-run`` command is done in between."""
    yield ["model", "export", "anny", "data/body_models", "--layout", "smpl"]
    write_originals(folder)
    yield from conversions()
    yield from trainings()
    place_models(folder)
    yield from benchmarks()


def _set(values: dict[str, object]) -> list[str]:
    return [text for key, value in values.items() for text in ("--set", f"{key}={value}")]


@contextmanager
def _inside(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def main(arguments: Sequence[str]) -> int:
    """Run everything in the folder named; the exit status of the first command that fails."""
    if len(arguments) != 1:
        print("usage: python -m nbf_testing.world FOLDER", file=sys.stderr)
        return 2
    folder = Path(arguments[0]).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    with _inside(folder):
        for command in commands(folder):
            print("\nnbf-run", *(f"'{word}'" if " " in word else word for word in command), flush=True)
            done = subprocess.run([sys.executable, "-m", "nbf_run", *command])
            if done.returncode:
                return done.returncode
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
