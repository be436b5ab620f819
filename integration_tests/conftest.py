"""What the tests between packages share: the command in a process of its own, and untrained weights."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
COMMAND = "from nbf_run.cli import main; main()"


@pytest.fixture(scope="session")
def nbf_run():
    """Run ``nbf-run`` with arguments; environment variables as keywords. Gives the completed process."""

    def call(*arguments, python=(), **variables):
        environment = os.environ | {"OMP_NUM_THREADS": "1"} | variables
        command = [sys.executable, *python, "-c", COMMAND, *map(str, arguments)]
        return subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=500
        )

    return call


@pytest.fixture(scope="module")
def tools():
    """The modules of tools/ by name."""
    sys.path.insert(0, str(ROOT / "tools"))
    yield importlib.import_module
    sys.path.remove(str(ROOT / "tools"))


@pytest.fixture(scope="session")
def photos():
    """The folder of the photos that come with nbf-run."""
    return ROOT / "packages" / "nbf-run" / "src" / "nbf_run" / "data" / "photos"


@pytest.fixture(scope="session")
def untrained(tmp_path_factory):
    """A model file for the demo's pipeline that has learned nothing: the chain must hold without skill."""
    import torch

    from nbf_core.weights import save_weights
    from nbf_run import build
    from nbf_run.options import FIT_NEEDS, read_pipeline

    pipeline = read_pipeline("demo", needs=FIT_NEEDS)
    torch.manual_seed(0)
    regressor, bank = build.build_networks(pipeline, build.build_body(pipeline))
    tensors = {f"regressor.{key}": value for key, value in regressor.state_dict().items()}
    tensors |= {f"bank.{key}": value for key, value in bank.state_dict().items()}
    path = tmp_path_factory.mktemp("model") / "untrained.safetensors"
    save_weights(path, tensors, {"seed": 0, "quality": {"correct_side": 0.8}})
    return path


@pytest.fixture(scope="session")
def quick(untrained):
    """Options that make a fit short: no skill, one start, two steps a stage."""
    return [
        *("--set", f"regressor.weights={untrained}"),
        *("--set", 'fitter.starts=["estimate"]'),
        *("--set", "fitter.stages.0.steps=2"),
        *("--set", "fitter.stages.1.steps=2"),
        *("--set", "fit.max_people=1"),
    ]
