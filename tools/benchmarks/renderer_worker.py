"""One renderer in a process of its own, stepped on command by tools/benchmarks/renderers.py.

Reads jobs as lines of JSON, answers each with one line. A job names a scene file, a renderer and what to do with it:

    features    draw the features, differentiate by the kernels' means, the gradient of the picture being given
    score       the similarity path: scores and their gradient from inner products
    compare     the same scores the plain way: draw features and orientation, normalise, compare, differentiate
"""

from __future__ import annotations

import ctypes
import gc
import json
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from nbf_core.plugins import get_plugin_manager
from nbf_core.types import Camera, Kernels, Similarities

BINS = 3


class Worker:
    """The step that the last job prepared, and what the process weighed before it."""

    def prepare(self, job: dict[str, Any]) -> dict[str, Any]:
        """Load the scene, build the renderer, and make two steps that are not counted."""
        torch.set_num_threads(job["threads"])
        self.device = job["device"]
        with np.load(job["scene"], allow_pickle=False) as file:
            scene = {name: torch.from_numpy(file[name]).to(self.device) for name in file.files}
        people = job["people"]
        kernels = Kernels(
            scene["means"].expand(people, -1, -1).contiguous(),
            scene["precision"].expand(people, -1).contiguous(),
            scene["faces"].expand(people, -1, -1) if "faces" in scene else None,
        )
        renderer = renderer_of(job)

        def step(size: int, focal: float) -> FeatureStep | ScoreStep:
            camera = Camera.from_field((size, size), focal, people).to(self.device)
            return STEPS[job["task"]](renderer, kernels, camera, scene, job["channels"])

        step(8, job["focal"] * 8 / job["size"])()  # so that libraries in use are not taken for the renderer's memory
        self.step = step(job["size"], job["focal"])
        self.before = fresh_peak()
        first = self.timed()
        self.timed()
        return {"first_ms": first, "pairs": self.step.pairs()}

    def timed(self) -> float:
        """Milliseconds of one step."""
        if self.device != "cpu":
            torch.cuda.synchronize()
        start = time.perf_counter()
        self.step()
        if self.device != "cpu":
            torch.cuda.synchronize()
        return 1000 * (time.perf_counter() - start)

    def run(self, steps: int) -> dict[str, Any]:
        """Times of some steps, and the megabytes by which steps made the process grow (on a GPU, torch's peak)."""
        times = [self.timed() for _ in range(steps)]
        if self.device != "cpu":
            return {"ms": times, "megabytes": torch.cuda.max_memory_allocated() / 2**20}
        return {"ms": times, "megabytes": memory("VmHWM") - self.before}


def memory(what: str) -> float:
    """Megabytes of this process: VmRSS now, VmHWM at most so far (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(what)) / 1024


def fresh_peak() -> float:
    """Give back what is free, forget the peak so far, and say what is in use."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    return memory("VmRSS")


def main() -> None:
    """Answer jobs until the input ends."""
    worker = Worker()
    for line in sys.stdin:
        job = json.loads(line)
        answer = worker.prepare(job) if "scene" in job else worker.run(job["steps"])
        print(json.dumps(answer), flush=True)


def renderer_of(job: dict[str, Any]) -> Any:
    """The renderer that a plugin provides under the name, or the dense reference."""
    if job["renderer"] in BARE:
        return BARE[job["renderer"]]()
    entry = get_plugin_manager().get("renderers", job["renderer"])
    return entry.load()(entry.load_config()(**job["options"]))


class Dense:
    """The formulas as they are written, behind as much of the contract as is timed here."""

    def render(self, kernels: Kernels, camera: Camera, attributes: Tensor):
        """Attribute map and silhouette as attributes of a record."""
        from nbf_renderers import render_dense

        precision = kernels.precision[..., None, None] * torch.eye(3, device=kernels.means.device)
        table = attributes.expand(len(kernels.means), -1, -1)
        image, silhouette = render_dense(kernels.means, precision, camera.rays(), table)
        return SimpleNamespace(attributes=image, silhouette=silhouette, fragments=None)


class BarePytorch3d:
    """PyTorch3D's rasteriser and interpolation alone, gradients its own, of square pictures: nothing of ours."""

    def render(self, kernels: Kernels, camera: Camera, attributes: Tensor):
        """Attribute map and mask of the nearest faces as attributes of a record."""
        from pytorch3d.ops import interpolate_face_attributes
        from pytorch3d.renderer.mesh.rasterize_meshes import rasterize_meshes
        from pytorch3d.structures import Meshes

        half = camera.size[0] / 2
        screen = (half - camera.project(kernels.means)) / half
        mesh = Meshes(torch.cat([screen, kernels.means[..., 2:]], -1), kernels.faces)
        found, _, share, _ = rasterize_meshes(mesh, camera.size, faces_per_pixel=1, perspective_correct=True)
        rows = attributes.expand(len(kernels.means), -1, -1)
        rows = torch.cat([row[face] for row, face in zip(rows, kernels.faces, strict=True)])
        image = interpolate_face_attributes(found, share, rows)[..., 0, :]
        return SimpleNamespace(attributes=image, silhouette=(found[..., 0] >= 0).float(), fragments=None)


BARE = {"dense reference": Dense, "PyTorch3D bare": BarePytorch3d}


class FeatureStep:
    """Draw features and silhouette; the loss is a given gradient, so that only the renderer is timed."""

    def __init__(self, renderer, kernels: Kernels, camera: Camera, scene: dict[str, Tensor], channels: int):
        self.renderer, self.kernels, self.camera = renderer, kernels, camera
        self.table = scene["features"][:, :channels].contiguous()
        grid = (len(kernels.means), *camera.size)
        draw = torch.Generator().manual_seed(1)
        gradient = torch.randn(*grid, channels + 1, generator=draw).to(self.table)
        self.gradients = [gradient[..., :-1].contiguous(), gradient[..., -1].contiguous()]

    def draw(self, means: Tensor):
        """Picture, silhouette, fragments."""
        output = self.renderer.render(
            Kernels(means, self.kernels.precision, self.kernels.faces), self.camera, self.table
        )
        return output.attributes, output.silhouette, output.fragments

    def pairs(self) -> int | None:
        """How many pixel-kernel pairs there are."""
        with torch.no_grad():
            fragments = self.draw(self.kernels.means)[2]
        return None if fragments is None else int((fragments.kernel >= 0).sum() + fragments.truncated.sum())

    def __call__(self) -> None:
        means = self.kernels.means.detach().requires_grad_()
        outputs = self.draw(means)[:2]
        # a hard rasteriser's silhouette has no gradient
        found = [pair for pair in zip(outputs, self.gradients, strict=True) if pair[0].requires_grad]
        torch.autograd.backward([output for output, _ in found], [gradient for _, gradient in found])


class ScoreStep:
    """Scores from inner products made once."""

    def __init__(self, renderer, kernels: Kernels, camera: Camera, scene: dict[str, Tensor], channels: int):
        self.renderer, self.kernels, self.camera = renderer, kernels, camera
        people, count, _ = kernels.means.shape
        draw = torch.Generator().manual_seed(1)
        image = torch.randn(*(people, *camera.size), channels // BINS, generator=draw)
        self.image = normalize(image, dim=-1).to(kernels.means.device)
        self.bank = normalize(scene["features"][:, :channels].unflatten(-1, (BINS, -1)), dim=-1)
        self.orientation = scene["orientation"].expand(people, -1, -1)
        self.gradient = torch.randn(people, *camera.size, generator=draw).to(self.image)
        self.prepare()

    def pairs(self) -> None:
        """Not counted."""

    def prepare(self) -> None:
        """What a fit does once."""
        self.similarities = Similarities.of(self.image, self.bank)

    def score(self, kernels: Kernels, orientation: Tensor) -> Tensor:
        """Of each pixel."""
        return self.renderer.score(kernels, self.camera, orientation, self.similarities).score

    def __call__(self) -> None:
        means = self.kernels.means.detach().requires_grad_()
        orientation = self.orientation.detach().requires_grad_()
        self.score(Kernels(means, self.kernels.precision), orientation).backward(self.gradient)


class CompareStep(ScoreStep):
    """The same by drawing every channel."""

    def prepare(self) -> None:
        self.table = self.bank.flatten(1)

    def score(self, kernels: Kernels, orientation: Tensor) -> Tensor:
        table = torch.cat([self.table.expand(len(orientation), -1, -1), orientation], -1)
        drawn = self.renderer.render(kernels, self.camera, table).attributes
        features, weights = drawn.split([self.table.shape[-1], BINS], -1)
        features = normalize(features.unflatten(-1, (BINS, -1)), dim=-1)
        return (weights.softmax(-1) * (features @ self.image[..., None])[..., 0]).sum(-1)


STEPS = {"features": FeatureStep, "score": ScoreStep, "compare": CompareStep}


if __name__ == "__main__":
    main()
