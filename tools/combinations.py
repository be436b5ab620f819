"""Combinations of packages that people install, each in an empty environment, and the whole without one plugin.

Part of ``python3 tools/dev.py isolate``; standard library only.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import our_packages  # noqa: E402 (found through the line above)
from environments import Stop, say  # noqa: E402
from installers import Installer  # noqa: E402
from isolation import Environment  # noqa: E402
from our_packages import Package  # noqa: E402

# Core, a body and a renderer met by name: what a pipeline of one's own would start from.
DRAW = """
import math, sys, torch
from nbf_core.plugins import get_plugin_manager
from nbf_core.types import BodyParams, Camera, Kernels
manager = get_plugin_manager()
assert not manager.failures, manager.failures
body, renderer = (
    entry.load()(entry.load_config()())
    for entry in (manager.get("body_models", "anny"), manager.get("renderers", sys.argv[1]))
)
params = BodyParams.neutral(1)
params.global_orient[:, 0] = math.pi  # upright for a camera whose y goes down
params.transl[:, 2] = 4.0
params.transl.requires_grad_()
means = body(params).kernels
kernels = Kernels(means, torch.full(means.shape[:2], body.spec.kernel_precision))
picture = renderer.render(kernels, Camera.from_field((64, 48), 100.0, 1), torch.rand(means.shape[1], 3))
picture.silhouette.sum().backward()
assert picture.silhouette.max() > 0.5 and params.transl.grad.abs().sum() > 0
"""
SHORT = (
    *("--set", "fit.max_people=1", "--set", 'fitter.starts=["estimate"]'),
    *("--set", "fitter.stages.0.steps=2", "--set", "fitter.stages.1.steps=2"),
)
COMMAND = "from nbf_run.cli import main; main()"
# Nobody's default needs these.
OPTIONAL = (
    *("nbf-body-models", "nbf-data-pose2sim", "nbf-data-synthetic", "nbf-datasets", "nbf-detect-blazepose"),
    *("nbf-feature-banks", "nbf-fitters", "nbf-metrics", "nbf-model-small", "nbf-body-anny", "nbf-regressors"),
    *("nbf-render-numba", "nbf-render-pytorch3d", "nbf-render-triton", "nbf-renderers", "nbf-testing"),
)


def problems(work: Path, installer: Installer) -> list[str]:
    """Try all combinations; what went wrong, a line each, also printed."""
    found = [
        *_pair(work, installer, "gaussian", "nbf-core", "nbf-renderers"),
        *_pair(work, installer, "gaussian", "nbf-run", "nbf-body-anny", "nbf-renderers"),
        *_pair(work, installer, "numba", "nbf-run", "nbf-body-anny", "nbf-render-numba"),
        *_without_one(work, installer),
    ]
    for problem in found:
        print(problem)
    return found


def _pair(work: Path, installer: Installer, renderer: str, *names: str) -> list[str]:
    """A few packages together, and no more than they bring."""
    title = " + ".join(names)
    with _Place(work, installer) as environment:
        try:
            seconds = environment.install(*names)
            found = []
            if "nbf-run" in names:
                found += _listing(environment)[1]
                done = environment.run("-c", COMMAND, "fit", "demo", "photo.jpg", "--out", "out")
                if done.returncode != 2 or "pip install nbf-" not in done.stderr:
                    found.append(f"fit without a fitter ends with {done.returncode}: {done.stderr[-500:]}")
                done = environment.run("-c", DRAW, renderer)
                if done.returncode:
                    found.append(f"drawing a body fails: {done.stderr[-1500:]}")
        except Stop as stop:
            found, seconds = [str(stop)], 0.0
    say(f"{title}: {'; '.join(found)[:300] or f'work together (installed in {seconds:.1f} s)'}")
    return [f"{title}: {problem}" for problem in found]


def _without_one(work: Path, installer: Installer) -> list[str]:
    """Everything; then everything but one plugin, for each that can be left out."""
    packages = our_packages.all_packages()
    found = []
    with _Place(work, installer) as environment:
        environment.install(*packages)
        everything, found = _listing(environment)
        photo = next(environment.folder.rglob("nbf_run/data/photos/astronaut.jpg"))
        done = environment.run("-c", COMMAND, "fit", "demo", photo, "--out", "out", *SHORT)
        if done.returncode:
            found.append(f"nbf-run fit ends with {done.returncode}: {done.stderr[-1500:]}")
        say(f"all {len(packages)} packages: {'; '.join(found)[:300] or 'work together'}")
        for name in OPTIONAL:
            gone = {name} | {other.name for other in packages.values() if name in _needed(other, packages)}
            if "nbf-run" in gone or "nbf-core" in gone:
                found.append(f"{name} cannot be left out: nbf-run needs it")
                continue
            installer.remove(environment.python, sorted(gone))
            rest, problems = _listing(environment)
            expected = {kind: [n for n, plugin in names if plugin not in gone] for kind, names in everything.items()}
            seen = {kind: [n for n, _ in names] for kind, names in rest.items()}
            if expected != seen:
                problems.append(f"the listing is {seen}, not {expected}")
            found += [f"without {name}: {problem}" for problem in problems]
            say(f"without {', '.join(sorted(gone))}: {'; '.join(problems)[:300] or 'the rest is listed'}")
            environment.install(*gone)
    return found


def _needed(package: Package, packages: dict[str, Package]) -> set[str]:
    direct = package.siblings()
    return direct.union(*(_needed(packages[name], packages) for name in direct))


def _listing(environment: Environment) -> tuple[dict[str, list[tuple[str, str]]], list[str]]:
    """Components by kind with their plugins, and what is wrong with the listing."""
    done = environment.run("-c", COMMAND, "plugins", "list", "--json")
    if done.returncode:
        return {}, [f"plugins list ends with {done.returncode}: {done.stderr[-800:]}"]
    listing = json.loads(done.stdout)
    components = {
        kind: sorted((name, entry["plugin"]) for name, entry in names.items())
        for kind, names in listing["components"].items()
    }
    return components, [f"broken: {failure}" for failure in listing["failures"]]


class _Place:
    """An environment that is removed at the end."""

    def __init__(self, work: Path, installer: Installer) -> None:
        self.folder, self.installer = work / "alone", installer

    def __enter__(self) -> Environment:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        return Environment(self.folder, self.installer.make(self.folder / "venv"), self.installer)

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
