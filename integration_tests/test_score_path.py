"""A fitter gets the same costs and gradients from a renderer that scores by itself and from one that only draws."""

import pytest
import torch

from nbf_core.contracts import ScoringRenderer
from nbf_core.errors import NbfError
from nbf_core.plugins import get_plugin_manager
from nbf_core.types import BodyParams, Camera, Observation
from nbf_run import build
from nbf_run.options import FIT_NEEDS, read_pipeline


class OnlyDraws:
    """A renderer without its optional capability."""

    def __init__(self, renderer):
        self.render, self.sample = renderer.render, renderer.sample


def renderer_called(name):
    """The renderer, or a skip that says why it cannot be used here."""
    try:
        renderer = build.build_renderer(read_pipeline("demo", [("renderer.use", name)]))
    except NbfError as error:  # of another device, or without its library
        pytest.skip(str(error))
    if not isinstance(renderer, ScoringRenderer):
        pytest.skip(f"the renderer {name} does not offer the score path")
    return renderer


@pytest.mark.parametrize("form", ["soft", "simple"])
@pytest.mark.parametrize("name", sorted(get_plugin_manager().entries("renderers")))
def test_the_score_path_changes_no_cost_and_no_gradient(name, form):
    from nbf_fitters.objective import Objective

    renderer = renderer_called(name)
    pipeline = read_pipeline("demo", [("renderer.use", name), ("fitter.likelihood.form", form)], needs=FIT_NEEDS)
    body = build.build_body(pipeline)
    torch.manual_seed(0)
    _, bank = build.build_networks(pipeline, body)
    camera = Camera.from_field((40, 48), 600.0, 2)
    features = torch.randn(2, bank.features.shape[-1], 40, 48)
    observation = Observation(torch.nn.functional.normalize(features, dim=1), camera)
    config = pipeline.section("fitter").config
    found = []
    for candidate in (renderer, OnlyDraws(renderer)):
        params = BodyParams.neutral(2)
        params.global_orient[:, 0] = torch.pi
        params.transl[:, 2] = 40.0
        params.body_pose[:, :, 1] = 0.1
        params = params.map(lambda value: value.requires_grad_())
        objective = Objective(config, observation, body, candidate, bank, {})
        cost = objective._likelihood_cost(objective.viewer.scene(params), params, config.stages[0])
        found.append((cost, *torch.autograd.grad(cost.sum(), [params.body_pose, params.transl])))
    assert not isinstance(OnlyDraws(renderer), ScoringRenderer)
    for scored, drawn in zip(*found, strict=True):
        torch.testing.assert_close(scored, drawn, rtol=1e-4, atol=1e-6)
    assert found[0][1].abs().max() > 0
