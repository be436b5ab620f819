from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))

PIPELINE = """
schema = 1
name = "stand-ins"
[body]
use = "box"
[renderer]
use = "nothing"
[bank]
use = "empty"
[regressor]
use = "upright"
weights = "{weights}"
[fitter]
use = "nudge"
[detector]
use = "bright"
[data]
use = "grey"
[demo]
samples = [0, 2]
"""


@pytest.fixture(scope="session", autouse=True)
def stand_ins():
    """The stand-ins, known to the process's plugin manager."""
    import stand_ins

    from nbf_core.plugins import get_plugin_manager

    get_plugin_manager().register(stand_ins, "stand-ins")
    return stand_ins


@pytest.fixture
def pipeline(tmp_path: Path) -> Path:
    """A pipeline file of stand-ins with its weights."""
    import torch

    from nbf_core.weights import save_weights

    weights = tmp_path / "weights.safetensors"
    tensors = {"regressor.scale": torch.tensor(0.8), "bank.features": torch.zeros(8, 1, 4)}
    save_weights(weights, tensors, {"quality": {"correct_side": 0.9}})
    path = tmp_path / "stand-ins.toml"
    path.write_text(PIPELINE.format(weights=weights.as_posix()))
    return path


@pytest.fixture(autouse=True)
def small_pictures(monkeypatch: pytest.MonkeyPatch):
    """Small figures: what is tested does not depend on their size."""
    from nbf_run.report import figures

    monkeypatch.setattr(figures, "SIDE", 160)
    monkeypatch.setattr(figures, "PHOTO_SIDE", 200)


@pytest.fixture
def bright() -> np.ndarray:
    """A photo in which the stand-in detector sees a person."""
    return np.random.default_rng(0).integers(60, 200, (120, 90, 3), dtype=np.uint8)


@pytest.fixture
def photo(tmp_path: Path, bright: np.ndarray) -> Path:
    """That photo as a file."""
    path = tmp_path / "photo one.png"
    Image.fromarray(bright).save(path)
    return path
