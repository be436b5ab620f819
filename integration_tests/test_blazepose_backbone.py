"""The backbone ``blazepose`` is the landmark network that the detector runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import nbf_detect_blazepose
from nbf_regressors.config import PareCokeConfig
from nbf_regressors.network import PareCokeNetwork

HEATMAP_BRANCH, SUMMARY = 279, 335  # tensors of the original, by number


@pytest.mark.filterwarnings("ignore")
def test_it_computes_what_the_original_does():
    interpreter_module = pytest.importorskip("ai_edge_litert.interpreter", reason="LiteRT is not installed")
    source = Path(nbf_detect_blazepose.__file__).parent / "data" / "pose_landmark_full.tflite"
    original = interpreter_module.Interpreter(str(source), experimental_preserve_all_tensors=True)
    original.allocate_tensors()
    picture = torch.rand(1, 3, 256, 256, generator=torch.Generator().manual_seed(0))
    original.set_tensor(original.get_input_details()[0]["index"], picture.permute(0, 2, 3, 1).numpy())
    original.invoke()

    config = PareCokeConfig(backbone="blazepose", pretrained=True, image_size=256, map_size=64)
    with torch.inference_mode():
        maps = PareCokeNetwork(config, joints=24, shapes=10).eval().backbone(picture)

    heat = original.get_tensor(HEATMAP_BRANCH).transpose(0, 3, 1, 2)
    assert np.abs(maps[0][:, 24:].numpy() - heat).max() < 1e-3 * np.abs(heat).max()
    summary = original.get_tensor(SUMMARY).transpose(0, 3, 1, 2)
    assert np.abs(maps[4].numpy().reshape(summary.shape) - summary).max() < 1e-3 * np.abs(summary).max()
