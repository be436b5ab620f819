"""What parts of the training are worth: short trainings that differ from one another in a single switch.

    python tools/benchmarks/ablations.py --out DIR [--steps 300] [--pictures DIR] [--only NAME ...]

Trains the pipeline ``small`` with each switch, measures each model on the validation clip, clean and behind an 80 px
patch, and prints a table. A finished training is not repeated, an interrupted one goes on: call it again. About five
minutes a line on two CPU cores; the pictures are made once.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import torch
from correspondence import batches_of

from nbf_core.config import parse_override
from nbf_core.weights import read_weights
from nbf_run.build import build_body, build_networks
from nbf_run.options import read_pipeline
from nbf_run.training import train
from nbf_run.training.validation import validate

SWITCHES: dict[str, list[str]] = {
    "as it is": [],
    "as it is, seed 2": ["seed=2"],
    "as it is, seed 3": ["seed=3"],
    "no contrastive loss": ["bank.weight_contrastive=0"],
    "figure against ground": ["bank.weight_figure_ground=0.5", "train.background_beside=0.5"],
    "one orientation bin": ["bank.orientations=1"],
    "eight orientation bins": ["bank.orientations=8"],
    "features by the renderer": ["train.kernel_features=rendered", "renderer.use=numba"],
    "features by the mesh": ["train.kernel_features=mesh"],
    "no patches in training": ["data.patch_probability=0"],
    "no other people in training": ["data.others=0"],
    "backbone not pretrained": ["regressor.pretrained=false", "regressor.frozen=0"],
}
CLIPS = {"clean": {"split": "val"}, "80 px patch": {"split": "val", "patch_size": 80, "patch_probability": 1.0}}
SHOWN = {
    "within_10cm": "within 10 cm",
    "correct_side": "correct side",
    "background_rejected": "background rejected",
    "start_mpjpe": "MPJPE",
    "start_pa_mpjpe": "PA-MPJPE",
}
SAMPLES = 128


def main() -> None:
    """Train, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="where the trainings lie")
    parser.add_argument("--steps", type=int, default=300, help="of 32 pictures")
    parser.add_argument("--size", type=int, default=19968, help="training pictures to draw from")
    parser.add_argument("--pictures", type=Path, help="where they are kept (DIR/pictures)")
    parser.add_argument("--only", nargs="+", choices=SWITCHES, default=list(SWITCHES), metavar="NAME", help="lines")
    options = parser.parse_args()
    common = [
        f"train.steps={options.steps}", "train.warmup=50", "train.schedule=cosine", f"bank.hold={options.steps // 3}",
        f"data.size={options.size}", f"train.validate_every={options.steps}", "train.checkpoint_every=100",
        f'train.cache="{(options.pictures or options.out / "pictures").resolve()}"',
    ]  # fmt: skip
    print("| " + " | ".join(["", "measured", *SHOWN.values()]) + " |\n" + "|---" * (2 + len(SHOWN)) + "|")
    for name in options.only:
        for clip, measured in trained(options.out / f"{options.steps}-steps", name, common + SWITCHES[name]).items():
            numbers = [f"{measured[key]:.0f}" if key.endswith("mpjpe") else f"{measured[key]:.1%}" for key in SHOWN]
            print("| " + " | ".join([name, clip, *numbers]) + " |", flush=True)


def trained(out: Path, name: str, settings: list[str]) -> dict[str, dict[str, float]]:
    """The quality of a training on each of the ``CLIPS``; the training is done, or gone on with, where it must be."""
    folder = out / name.replace(" ", "-").replace(",", "")
    table = folder / "ablation.csv"
    if not table.exists():
        changes = [parse_override(setting) for setting in settings]
        if not (folder / "model.safetensors").exists():
            train("small", folder, changes, resume=folder if (folder / "last.ckpt").exists() else None)
        rows = [{"clip": clip, **values} for clip, values in measure(folder, changes).items()]
        with table.open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
    with table.open(newline="") as file:
        return {row.pop("clip"): {key: float(row[key]) for key in SHOWN} for row in csv.DictReader(file)}


@torch.inference_mode()
def measure(folder: Path, changes: list[tuple[str, object]]) -> dict[str, dict[str, float]]:
    """What validation measures of a finished training, on each of the ``CLIPS``."""
    pipeline = read_pipeline("small", changes, needs=("body", "regressor", "bank", "data"))
    body = build_body(pipeline)
    networks = build_networks(pipeline, body, read_weights(str(folder / "model.safetensors")))
    results = {}
    for clip, differs in CLIPS.items():
        batches = batches_of(pipeline, body, differs, SAMPLES)
        results[clip] = {key: value for key, value in validate(batches, body, *networks).items() if key in SHOWN}
    return results


if __name__ == "__main__":
    main()
