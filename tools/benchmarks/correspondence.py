"""How well a model's features find their kernels, on people it has seen, new people, and held-out clips.

    python tools/benchmarks/correspondence.py [--weights small] [--pipeline small-fine] [--samples 128]

Prints the correspondence quality that training watches, and the regressor's own error, one line for each set.
"""

from __future__ import annotations

import argparse

import torch

from nbf_core.types import collate
from nbf_core.weights import read_weights
from nbf_run.build import build_body, build_dataset, build_networks
from nbf_run.options import read_pipeline
from nbf_run.training.validation import validate

SETS = {
    "training pictures": {},
    "training poses, new people": {"seed": 77},
    "validation clip": {"split": "val"},
    "test clips": {"split": "test"},
    "test clips, 80 px patch": {"split": "test", "patch_size": 80},
}
SHOWN = ("within_10cm", "correct_side", "background_rejected", "start_mpjpe", "start_pa_mpjpe")
BATCH = 32


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", default="small", help="a model file or the name of installed weights")
    parser.add_argument("--pipeline", default="small-fine", help="the pipeline that made them")
    parser.add_argument("--samples", type=int, default=128, help="people a set")
    options = parser.parse_args()
    needs = ("body", "regressor", "bank", "data")
    pipeline = read_pipeline(options.pipeline, [("regressor.pretrained", False)], needs=needs)
    body = build_body(pipeline)
    regressor, bank = build_networks(pipeline, body, read_weights(options.weights))
    for name, changes in SETS.items():
        config = pipeline.section("data").config.model_copy(update={"augment": False, **changes})
        data = build_dataset(pipeline, body, config)
        samples = [data[index] for index in range(min(options.samples, len(data)))]
        batches = [collate(samples[i : i + BATCH]) for i in range(0, len(samples), BATCH)]
        with torch.inference_mode():
            measured = validate(batches, body, regressor, bank)
        print(f"{name:28s}" + "".join(f"{key} {measured[key]:8.3f}   " for key in SHOWN), flush=True)


if __name__ == "__main__":
    main()
