"""Another renderer takes the place of the default, and nothing else changes."""

import dataclasses

import pytest

from nbf_core.plugins import get_plugin_manager
from nbf_run import build
from nbf_run.options import FIT_NEEDS, read_pipeline
from nbf_testing import plugin_fake_renderer

SWAP = ("renderer.use", "fake")


@pytest.fixture
def second_renderer():
    """The fake renderer as one more installed plugin."""
    get_plugin_manager.cache_clear()
    get_plugin_manager().register(plugin_fake_renderer, "nbf-testing")
    yield
    get_plugin_manager.cache_clear()


def test_the_configuration_changes_in_the_renderer_only(second_renderer):
    before, after = (read_pipeline("demo", changes) for changes in ([], [SWAP]))
    assert (before.section("renderer").use, after.section("renderer").use) == ("gaussian", "fake")
    for name in before.sections.keys() - {"renderer"}:
        assert before.sections[name] == after.sections[name]
    assert before.options == after.options
    assert before.seed == after.seed


def test_the_components_are_of_the_same_classes_but_for_the_renderer(second_renderer):
    made = []
    for changes in ([], [SWAP]):
        pipeline = read_pipeline("demo", changes, needs=FIT_NEEDS)
        body, renderer = build.build_body(pipeline), build.build_renderer(pipeline)
        regressor, bank = build.build_networks(pipeline, body)
        fitter = build.build_fitter(pipeline, body, renderer, bank)
        made.append([type(part) for part in (body, regressor, bank, fitter, renderer)])
    assert made[0][:-1] == made[1][:-1]
    assert made[0][-1] is not made[1][-1]


def test_the_fit_goes_through_the_renderer_that_was_asked_for(second_renderer, photos, untrained):
    from nbf_run import load

    short = [
        ("regressor.weights", str(untrained)),
        ("fitter.starts", ["estimate"]),
        ("fitter.stages.0.steps", 2),
        ("fitter.stages.1.steps", 2),
        ("fit.max_people", 1),
    ]
    results = [load("demo", [*short, *swap]).fit(photos / "walk_front.jpg") for swap in ([], [SWAP])]
    default, swapped = (result[0].people[0] for result in results)
    # What comes before the renderer is the same to the last bit; what it draws is not.
    for name in (field.name for field in dataclasses.fields(default.start.params)):
        assert (getattr(default.start.params, name) == getattr(swapped.start.params, name)).all()
    assert (default.keypoints == swapped.keypoints).all()
    assert default.silhouette.shape == swapped.silhouette.shape
    assert (default.silhouette != swapped.silhouette).any()
