"""Times the sparse renderer beside the dense reference: forward and backward, one thread, fresh process each.

    python tools/benchmarks/renderers.py [--people 1 16] [--channels 3] [--threads 1] [--device cpu]

The scene is an ellipsoid of a person's size with 858 kernels of precision 4000 per square metre, 40 m away,
in 80 x 80 pixels. Memory is what the process grows by beyond the inputs (on a GPU, torch's peak).
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time

import torch

from nbf_core.types import Camera, Kernels
from nbf_renderers import GaussianConfig, GaussianRenderer, render_dense

KERNELS, PIXELS, DEPTH, FOCAL, PRECISION = 858, 80, 40.0, 1250.0, 4000.0
RENDERERS = ("gaussian", "gaussian, published threshold", "dense reference")


def scene(people: int, channels: int, device: str) -> tuple[Kernels, Camera, torch.Tensor]:
    """Kernels on an ellipsoid, one camera a person, shared attributes."""
    draw = torch.Generator().manual_seed(0)
    points = torch.randn(people, KERNELS, 3, generator=draw)
    points = points / points.norm(dim=-1, keepdim=True) * torch.tensor([0.25, 0.8, 0.15])
    kernels = Kernels(points + torch.tensor([0.0, 0.0, DEPTH]), torch.full((people, KERNELS), PRECISION))
    camera = Camera.from_field((PIXELS, PIXELS), FOCAL, people)
    return kernels.to(device), camera.to(device), torch.rand(KERNELS, channels, generator=draw).to(device)


def step(name: str, kernels: Kernels, camera: Camera, attributes: torch.Tensor) -> None:
    """One iteration of a fit: draw, sum, differentiate by the means."""
    means = kernels.means.detach().requires_grad_()
    if name == "dense reference":
        precision = kernels.precision[..., None, None] * torch.eye(3, device=means.device)
        image, silhouette = render_dense(means, precision, camera.rays(), attributes.expand(len(means), -1, -1))
    else:
        config = GaussianConfig(threshold=0.0) if "published" in name else GaussianConfig()
        output = GaussianRenderer(config).render(Kernels(means, kernels.precision), camera, attributes)
        image, silhouette = output.attributes, output.silhouette
    (image.sum() + silhouette.sum()).backward()


def measure(name: str, people: int, channels: int, threads: int, device: str, repeats: int) -> dict[str, float]:
    """Best and median milliseconds a step, and megabytes."""
    torch.set_num_threads(threads)
    inputs = scene(people, channels, device)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        step(name, *inputs)
        if device != "cpu":
            torch.cuda.synchronize()
        times.append(1000 * (time.perf_counter() - start))
    times = sorted(times[1:])
    memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    if device != "cpu":
        memory = torch.cuda.max_memory_allocated() / 2**20
    return {"best_ms": times[0], "median_ms": times[len(times) // 2], "megabytes": memory}


def main() -> None:
    """Parse arguments and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--people", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--channels", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--one", help=argparse.SUPPRESS)  # how the script calls itself for one measurement
    options = parser.parse_args()
    if options.one:
        repeats = 3 if options.one.startswith("dense") else 30
        arguments = (options.people[0], options.channels, options.threads, options.device, repeats)
        print(json.dumps(measure(options.one, *arguments)))
        return
    print(f"{'renderer':32}{'people':>8}{'best ms':>10}{'median ms':>11}{'ms a person':>13}{'MB':>8}")
    for people in options.people:
        for name in RENDERERS:
            if name.startswith("dense") and people > 1:
                continue  # gigabytes
            command = [sys.executable, __file__, "--one", name, "--people", str(people)]
            command += ["--channels", str(options.channels), "--threads", str(options.threads)]
            command += ["--device", options.device]
            found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            best, median = found["best_ms"], found["median_ms"]
            print(f"{name:32}{people:8}{best:10.1f}{median:11.1f}{best / people:13.2f}{found['megabytes']:8.0f}")


if __name__ == "__main__":
    main()
