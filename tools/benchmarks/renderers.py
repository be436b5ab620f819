"""Times renderers beside one another: forward and backward, each in a process of its own, in alternating rounds.

    python tools/benchmarks/renderers.py                      every comparison that this machine allows
    python tools/benchmarks/renderers.py workload similarity  some of them: workload, similarity, scaling, gpu
    python tools/benchmarks/renderers.py --pytorch3d .venv-nbf-render-pytorch3d/bin/python --out numbers.json

The workload is that of a fit: the free body in a natural pose with 858 kernels of precision 4000 per square metre
fills 60 % of the height of 80 x 80 pixels, at 40 m with f = 1250 px; 3 x 128 channels. The picture's gradient is given,
so that no loss is timed. All processes run in turn, a few steps each, for some rounds; a ratio is the median over
the rounds of the ratio of their medians. Memory is what a process grows by over its inputs.
"""

from __future__ import annotations

import argparse
import json
import signal
import statistics
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from nbf_body_anny.body import AnnyBody
from nbf_core.types import BodyParams

KERNELS, PIXELS, FOCAL, DEPTH, PRECISION, CHANNELS = 858, 80, 1250.0, 40.0, 4000.0, 3 * 128
HEIGHT_SHARE = 0.6
WORKER = Path(__file__).with_name("renderer_worker.py")


@dataclass
class Contender:
    """One row of a table: a renderer, what it does, and what was measured."""

    name: str
    renderer: str
    task: str = "features"
    people: int = 1
    size: int = PIXELS
    channels: int = CHANNELS
    options: dict = field(default_factory=dict)
    python: str = sys.executable
    steps: int = 20
    medians: list[float] = field(default_factory=list)
    best: float = float("inf")
    found: dict = field(default_factory=dict)

    def start(self, scene: Path, threads: int, device: str) -> None:
        """Start the process; it answers when it is warm."""
        self.process = subprocess.Popen(
            [self.python, str(WORKER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        names = ("renderer", "task", "people", "size", "channels", "options")
        job = {name: getattr(self, name) for name in names}
        focal = FOCAL * self.size / PIXELS
        self.found |= self._ask({**job, "scene": str(scene), "focal": focal, "threads": threads, "device": device})

    def round(self) -> None:
        """A few steps, after some that bring the process back into the caches."""
        self._ask({"steps": max(1, self.steps // 4)})
        answer = self._ask({"steps": self.steps})
        self.medians.append(statistics.median(answer["ms"]))
        self.best = min(self.best, *answer["ms"])
        self.found["megabytes"] = answer["megabytes"]

    def stop(self) -> None:
        """End the process."""
        self.process.send_signal(signal.SIGCONT)
        self.process.stdin.close()
        self.process.wait()

    def _ask(self, job: dict) -> dict:
        # Between its turns a process is halted: worker threads of some OpenMP libraries spin on after their work.
        try:
            self.process.send_signal(signal.SIGCONT)
            print(json.dumps(job), file=self.process.stdin, flush=True)
            answer = json.loads(self.process.stdout.readline())
            self.process.send_signal(signal.SIGSTOP)
            return answer
        except (BrokenPipeError, json.JSONDecodeError):
            reason = self.process.stderr.read().strip().splitlines()[-1:]
            raise SystemExit(f"{self.name}: {' '.join(reason) or 'the process died'}") from None

    @property
    def median(self) -> float:
        """Milliseconds a step, over all rounds."""
        return statistics.median(self.medians)

    def ratio_to(self, other: Contender) -> float:
        """How many times faster than the other, a person."""
        share = other.people / self.people
        return statistics.median(b / a for a, b in zip(self.medians, other.medians, strict=True)) / share


def person(count: int, faces: bool) -> dict[str, np.ndarray]:
    """A posed body with ``count`` kernels filling 60 % of the picture, and features to draw."""
    body = AnnyBody()
    params = BodyParams.neutral(1)
    params.body_pose[0, [15, 16], 2] = torch.tensor([-1.1, 1.0])  # arms down
    params.body_pose[0, [17, 18], 1] = torch.tensor([-0.5, 0.4])
    params.body_pose[0, [0, 1], 0] = torch.tensor([-0.3, 0.2])
    params.global_orient[0, 0] = torch.pi  # upright: y points down in camera coordinates
    points = body(params).vertices[0].detach()
    draw = torch.Generator().manual_seed(0)
    spec = body.spec
    scene = {}
    if faces:
        kept = torch.randperm(spec.kernels, generator=draw)[:count].sort().values
        rest = spec.kernel_rest
        nearest = torch.cdist(rest, rest[kept]).argmin(1)
        scene["faces"] = replace(spec, vertex_kernels=nearest[spec.vertex_kernels]).kernel_faces
        means = points[spec.kernel_vertices[kept]]
    else:
        means = on_surface(points, spec.faces, count, draw)
    extent = points.amax(0) - points.amin(0)
    scale = HEIGHT_SHARE * PIXELS * DEPTH / FOCAL / extent[1]
    middle = (points.amax(0) + points.amin(0)) / 2
    scene["means"] = (means - middle) * scale + torch.tensor([0.0, 0.0, DEPTH])
    scene["precision"] = torch.full((count,), PRECISION)
    scene["features"] = torch.randn(count, CHANNELS, generator=draw)
    scene["orientation"] = torch.rand(count, 3, generator=draw)
    return {name: value.numpy() for name, value in scene.items()}


def on_surface(points: torch.Tensor, faces: torch.Tensor, count: int, draw: torch.Generator) -> torch.Tensor:
    """``count`` points spread over a mesh at random."""
    corners = points[faces]
    area = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]).norm(dim=1)
    chosen = torch.multinomial(area, count, replacement=True, generator=draw)
    share = torch.distributions.Exponential(1.0).sample((count, 3))
    return (corners[chosen] * (share / share.sum(1, keepdim=True))[..., None]).sum(1)


class Bench:
    """Runs groups of contenders on scenes and prints what comes out."""

    def __init__(self, options: argparse.Namespace, folder: Path):
        self.options, self.folder = options, folder
        self.numbers: list[dict] = []

    def scene(self, count: int, faces: bool = False) -> Path:
        """The file of a scene, made on first use."""
        path = self.folder / f"{count}{'-faces' if faces else ''}.npz"
        if not path.exists():
            torch.manual_seed(0)
            np.savez(path, **person(count, faces))
        return path

    def run(self, title: str, scene: Path, contenders: list[Contender]) -> None:
        """Measure side by side; ratios are those to the first."""
        print(f"\n{title}")
        print(f"{'':40}{'ms a person':>12}{'best':>9}{'ratio':>9}{'MB':>8}{'first s':>9}{'pairs':>9}")
        for contender in contenders:
            contender.start(scene, self.options.threads, self.options.device)
        for _ in range(self.options.rounds):
            for contender in contenders:
                contender.round()
        for contender in contenders:
            contender.stop()
            self._row(title, contender, contenders[0])

    def _row(self, title: str, one: Contender, first: Contender) -> None:
        ratio = one.ratio_to(first)
        pairs = one.found["pairs"]
        print(
            f"{one.name:40}{one.median / one.people:12.3f}{one.best / one.people:9.3f}{ratio:9.2f}"
            f"{one.found['megabytes']:8.0f}{one.found['first_ms'] / 1000:9.2f}{pairs if pairs is not None else '':>9}",
            flush=True,
        )
        row = {name: value for name, value in asdict(one).items() if name not in ("python", "medians", "found")}
        self.numbers.append({"table": title, **row, **one.found, "median_ms": one.median, "times_faster": ratio})

    def workload(self) -> None:
        """The published workload: every renderer against ``gaussian``."""
        others = [name for name in self.options.renderers if name != "gaussian"]
        for people in (1, 16):
            rows = [Contender("gaussian", "gaussian", people=people)]
            rows += [Contender(name, name, people=people) for name in others]
            if people == 1:
                rows.append(Contender("dense reference", "dense reference", steps=1))
                if python := self.options.pytorch3d:
                    rows.append(Contender("PyTorch3D bare", "PyTorch3D bare", steps=1, python=python))
                    for form in ("hard", "soft"):
                        options = {"form": form}
                        rows.append(
                            Contender(f"pytorch3d, {form}", "pytorch3d", options=options, steps=1, python=python)
                        )
            title = (
                f"{KERNELS} kernels, {PIXELS} x {PIXELS}, 3 x 128 channels, {people} people; times faster than gaussian"
            )
            self.run(title, self.scene(KERNELS, faces=True), rows)

    def similarity(self) -> None:
        """The similarity path against drawing every channel."""
        for people in (1, 16):
            for name in self.options.renderers:
                tasks = {"draw and compare": "compare", "draw alone": "features", "similarity path": "score"}
                rows = [Contender(f"{name}, {words}", name, task=task, people=people) for words, task in tasks.items()]
                title = f"scores at 3 x 128 channels, {people} people; times faster than drawing and comparing"
                self.run(title, self.scene(KERNELS), rows)

    def scaling(self) -> None:
        """Cost over the number of pixel-kernel pairs."""
        for name in self.options.renderers:
            for count, size in [(k, 80) for k in (200, 600, 2000, 6000, 20000)] + [(858, p) for p in (40, 160, 320)]:
                row = Contender(f"{name}, {count} kernels, {size} px", name, channels=3, size=size)
                self.run(f"scaling: {count} kernels, {size} px", self.scene(count), [row])

    def gpu(self) -> None:
        """People a second on a GPU."""
        if self.options.device == "cpu":
            print("\nno GPU here (or --device cpu): nothing measured on one")
            return
        for people in (1, 16, 256):
            rows = [Contender(name, name, people=people) for name in self.options.renderers]
            self.run(f"on the GPU, {people} people; times faster than the first", self.scene(KERNELS, faces=True), rows)
            for row in rows:
                # every channel of the picture is written, its gradient read, and both are visited for zeroing
                gigabytes = 3 * people * PIXELS**2 * CHANNELS * 4 / 1e9
                seconds = row.median / 1000
                print(
                    f"{row.name:40}{people / seconds:12.0f} people a second, {gigabytes / seconds:.0f} GB/s of the map"
                )


def main() -> None:
    """Parse arguments, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("tables", nargs="*", default=["workload", "similarity", "scaling", "gpu"])
    parser.add_argument("--renderers", nargs="+", default=["gaussian", "numba"], help="names that plugins provide")
    parser.add_argument("--threads", type=int, default=2, help="of torch; a compiled renderer takes all cores")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--pytorch3d", help="a python that has nbf-render-pytorch3d and PyTorch3D")
    parser.add_argument("--out", type=Path, help="write all numbers there as JSON")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(options, Path(folder))
        for name in options.tables:
            getattr(bench, name)()
    if options.out:
        options.out.write_text(json.dumps(bench.numbers, indent=1))


if __name__ == "__main__":
    main()
