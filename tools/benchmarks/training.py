"""What the loader costs: training steps on batches as they are made, against the same steps on batches kept in memory.

    python tools/benchmarks/training.py [--pipeline small] [--steps 40] [--rounds 3] [--workers 1] [--set KEY=VALUE]

Both take turns in one run, block by block, so that whatever else the machine does meets both alike. Prints pictures
a second of each and their ratio; the loader does not starve the model where the ratio is .85 or more.
"""

from __future__ import annotations

import argparse
import itertools
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import lightning as L
import torch

from nbf_core.config import parse_override
from nbf_run.build import build_body, build_dataset, build_networks, build_renderer
from nbf_run.training.config import TrainOptions
from nbf_run.training.data import Limits, Stream, TrainingData, loader
from nbf_run.training.module import Plan, Training
from nbf_run.training.order import Batches, Order
from nbf_run.training.resume import read_run
from nbf_run.training.trainer import make_trainer, silenced

KEPT = 4  # batches kept in memory and repeated
SETTLING = 8  # steps of a block that do not count: workers fill their queue while kept batches are repeated


class Alternating:
    """Blocks of ``block`` batches: from the loader, then kept ones, in turn; ``times`` gets what each block took."""

    def __init__(self, live: Iterator, kept: list, block: int, rounds: int) -> None:
        self.live, self.kept, self.block, self.rounds = live, kept, block, rounds

    def __len__(self) -> int:
        return 2 * self.block * self.rounds

    def __iter__(self) -> Iterator:
        repeated = itertools.cycle(self.kept)
        for _ in range(self.rounds):
            yield from itertools.islice(self.live, self.block)
            yield from itertools.islice(repeated, self.block)


class Clock(L.Callback):
    """Seconds that each block took after its first ``SETTLING`` steps."""

    def __init__(self, block: int) -> None:
        self.block, self.begun, self.seconds = block, 0.0, []

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx) -> None:
        place = batch_idx % self.block + 1
        if place in (SETTLING, self.block):
            if module.device.type == "cuda":
                torch.cuda.synchronize()
            now = time.perf_counter()
            if place == self.block:
                self.seconds.append(now - self.begun)
            self.begun = now


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pipeline", default="small")
    parser.add_argument("--steps", type=int, default=40, help="steps of a block")
    parser.add_argument("--rounds", type=int, default=3, help="blocks of each kind that count, after one that does not")
    parser.add_argument("--workers", type=int, help="of the loader; the pipeline's own unless given")
    parser.add_argument("--set", action="append", default=[], dest="settings", metavar="KEY=VALUE")
    parser.add_argument("--cache", type=Path, help="folder of prepared pictures; a temporary one unless given")
    arguments = parser.parse_args()
    if arguments.steps <= SETTLING:
        parser.error(f"--steps: more than {SETTLING} are needed")
    with tempfile.TemporaryDirectory() as folder:
        measured = measure(arguments, Path(folder))
    print(json.dumps(measured, indent=2))


def measure(arguments: argparse.Namespace, folder: Path) -> dict:
    """Pictures a second with the loader and with kept batches, block by block, and the ratio of their medians."""
    settings = [parse_override(text) for text in ("train.steps=1000000", *arguments.settings)]
    pipeline, _ = read_run(arguments.pipeline, settings, folder, None)
    options: TrainOptions = pipeline.options["train"]
    workers = options.workers if arguments.workers is None else arguments.workers
    if options.threads:
        torch.set_num_threads(options.threads)
    silenced()
    body = build_body(pipeline)
    regressor, bank = build_networks(pipeline, body)
    stream = Stream(build_dataset(pipeline, body), Limits.of(regressor, body.spec), pipeline.seed)
    TrainingData(stream, arguments.cache or folder / "cache", 2).prepare_data()
    rounds = arguments.rounds + 1
    batches = Batches(Order(len(stream.data), pipeline.seed), 0, arguments.steps * rounds + KEPT, options.batch_size)
    live = iter(loader(stream, batches, workers))
    kept = list(itertools.islice(live, KEPT))
    renderer = build_renderer(pipeline) if "renderer" in pipeline.sections else None
    module = Training(options, Plan(folder, pipeline.seed, 1_000_000), body, regressor, bank, renderer)
    trainer, clock = make_trainer(options, folder), Clock(arguments.steps)
    trainer.callbacks.append(clock)
    trainer.fit(module, Alternating(live, kept, arguments.steps, rounds))
    # The first round warms up.
    rates = [options.batch_size * (arguments.steps - SETTLING) / seconds for seconds in clock.seconds[2:]]
    with_loader, without = sorted(rates[::2]), sorted(rates[1::2])
    ratio = with_loader[len(with_loader) // 2] / without[len(without) // 2]
    return {
        "pipeline": arguments.pipeline, "workers": workers, "threads": torch.get_num_threads(),
        "batch_size": options.batch_size, "steps_a_block": arguments.steps,
        "pictures_a_second": {"loader": [round(v, 1) for v in rates[::2]], "kept": [round(v, 1) for v in rates[1::2]]},
        "ratio": round(ratio, 3),
    }  # fmt: skip


if __name__ == "__main__":
    main()
