"""Another renderer takes the place of the default, and nothing else changes; and everything else, side by side."""

import dataclasses
import json

import pytest

from nbf_core.plugins import ComponentEntry, get_plugin_manager, hookimpl
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


class Breaks:
    """A renderer that can be built and cannot draw."""

    def __init__(self, config):
        pass

    def render(self, *arguments):
        raise RuntimeError("no picture\ntoday")

    def sample(self, *arguments):
        raise RuntimeError("no picture\ntoday")


class Stranger:
    """Somebody else's plugin, whose one renderer breaks and whose other one needs what nobody has."""

    NBF_CONTRACT = 1

    @hookimpl
    def nbf_renderers(self):
        config = "nbf_core.config:Config"
        yield ComponentEntry(name="breaks", target="nbf_swap_strangers:Breaks", config=config, summary="")
        yield ComponentEntry(name="absent", target="nowhere:Renderer", config=config, summary="", requires=("nowhere",))


@pytest.fixture
def strangers(second_renderer, monkeypatch):
    """Their plugin, and the fake renderer's."""
    import sys
    import types

    module = types.ModuleType("nbf_swap_strangers")
    module.Breaks = Breaks
    monkeypatch.setitem(sys.modules, "nbf_swap_strangers", module)
    get_plugin_manager().register(Stranger(), "strangers")


def test_everything_installed_is_tried_in_its_place(strangers, tmp_path, capsys):
    from nbf_run.cli.main import run

    quick = {
        "fitter.starts": '["estimate"]', "fitter.stages.0.steps": 2,
        "fitter.stages.1.steps": 2, "fit.trust": 1.0, "bench.samples": 1, "swap.sections": '["renderer","body"]',
        "bench.protocols": "{clean={}}",
    }  # fmt: skip
    settings = [part for key, value in quick.items() for part in ("--set", f"{key}={value}")]
    out = tmp_path / "swap"
    assert run(["swap", "--out", str(out), *settings]) == 0
    said = capsys.readouterr().out
    report = json.loads((out / "report.json").read_text())
    rows = {section["section"]: {row["name"]: row for row in section["rows"]} for section in report["sections"]}
    assert {"numba", "gaussian", "fake"} <= rows["renderer"].keys()
    numba, gaussian, fake = (rows["renderer"][name] for name in ("numba", "gaussian", "fake"))
    assert numba["own"] and numba["photo"]["apart_mm"] == 0 and numba["bench"]["apart_mm"] == 0
    # The same mathematics draws the same; one pixel a kernel does not.
    assert gaussian["drawn"]["overlap"] > 99.5 > fake["drawn"]["overlap"]
    assert gaussian["bench"]["apart_mm"] < 20
    assert all(row["bench"]["seconds"] > 0 and row["drawn"]["ms"] > 0 for row in rows["renderer"].values())
    missing = {one["name"]: one["reason"] for one in report["missing"]}
    assert "no picture today" in missing["breaks"] and "pip install nowhere" in missing["absent"]
    assert "renderer breaks cannot run here: no picture today" in said
    # SMPL's own files are not there: the free body stands in, in files of its layout.
    smpl = rows["body"]["smpl"]
    assert "anny in smpl's files" in smpl["note"]
    assert smpl["photo"]["apart_mm"] < 5 and smpl["bench"]["mpjpe"] > 0
    assert (out / "index.html").is_file() and (out / "renderer-fake.jpg").is_file()
