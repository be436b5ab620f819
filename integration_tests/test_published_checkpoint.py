"""A published checkpoint, converted by the command and named in a pipeline, gives the published network's outputs."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from nbf_core.plugins import get_plugin_manager
from nbf_core.types import BodySpec
from nbf_testing.golden import cases

TESTS = Path(__file__).resolve().parents[1] / "packages" / "nbf-regressors" / "tests"
KERNELS = 858


@pytest.fixture(scope="module")
def golden_weights():
    """The rule by which the golden networks were filled."""
    sys.path.insert(0, str(TESTS))
    try:
        import golden_weights

        yield golden_weights
    finally:
        sys.path.remove(str(TESTS))


@pytest.fixture(scope="module")
def spec() -> BodySpec:
    """A body with as many kernels as the published one; the free body's joints are SMPL's."""
    entry = get_plugin_manager().get("body_models", "anny")
    spec = entry.load()(entry.load_config()()).spec
    index = torch.arange(KERNELS) % spec.kernels
    return replace(
        spec, kernel_vertices=spec.kernel_vertices[index], kernel_limbs=spec.kernel_limbs[index],
        kernel_mirror=torch.arange(KERNELS), kernel_adjacency=spec.kernel_adjacency[index][:, index],
        kernel_rest=spec.kernel_rest[index], vertex_kernels=torch.zeros_like(spec.vertex_kernels),
    )  # fmt: skip


# One for each backbone: checkpoints are large, and the regressors' own tests meet every case.
CASES = {case.params["arch"]: case for case in cases("network", TESTS / "golden")}


@pytest.mark.parametrize("case", CASES.values(), ids=str)
def test_golden_network_through_the_command_and_a_pipeline(case, golden_weights, spec, tmp_path, nbf_run):
    from nbf_run import build
    from nbf_run.options import read_pipeline

    params = case.params
    tensors = golden_weights.checkpoint(params["arch"], params["rule"], params.get("gain", 1.0))
    published, out = tmp_path / "published.pth", tmp_path / "out.safetensors"
    torch.save({"meta": {"epoch": 1}, "state_dict": tensors}, published)
    done = nbf_run("model", "convert", published, out, "--json")
    assert done.returncode == 0, done.stderr
    published.unlink()
    overrides = [
        (f"{section}.{key}", value)
        for section, options in json.loads(done.stdout)["pipeline"].items()
        for key, value in options.items()
    ]
    # The golden network saw a smaller picture than the published one.
    overrides += [("regressor.image_size", params["res"]), ("regressor.map_size", params["res"] // 4)]
    pipeline = read_pipeline("demo", overrides)

    class Body:
        """Nothing but a specification."""

    body = Body()
    body.spec = spec
    regressor, bank = build.build_networks(pipeline, body, build.pipeline_weights(pipeline))
    out.unlink()
    images = case.tensor("img") * regressor.backbone.std + regressor.backbone.mean
    with torch.inference_mode():
        output = regressor(images)
    case.check("pred_pose", output.rotations)
    case.check("pred_shape", output.betas)
    case.check("pred_cam", output.weak_camera)
    for name, value in (("coke_features", output.features), ("pred_segm_mask", output.parts.roll(1, dims=1))):
        case.check(name, value[tuple(slice(n) for n in case.outputs[name].shape)])
    memory = tensors["feature_bank.memory"]
    bins = bank.features.shape[1]
    assert torch.equal(bank.features[7, 1], memory[KERNELS + 7]) and bins == 3
    assert torch.equal(bank.background, memory[KERNELS * bins :])
