"""Pipelines: what is right resolves, what is wrong says where and what was probably meant."""

import sys
import types

import pytest

from nbf_core.config import Config, apply_overrides, load_pipeline, parse_override
from nbf_core.errors import ConfigError, PluginError
from nbf_core.plugins import CONTRACT, ComponentEntry, PipelineEntry, PluginManager, hookimpl


class Stage(Config):
    parameters: list[str]
    steps: int = 10


class FitterConfig(Config):
    rate: float = 0.1
    stages: list[Stage] = [Stage(parameters=["all"]), Stage(parameters=["arms"], steps=5)]


class RendererConfig(Config):
    size: tuple[int, int] = (80, 80)


class OtherConfig(Config):
    sharpness: float = 1.0


class PriorConfig(Config):
    weight: float = 1.0


class BenchOptions(Config):
    sizes: list[int] = [40]


@pytest.fixture
def manager(monkeypatch, tmp_path):
    """Two renderers, a fitter, a prior and a built-in pipeline."""
    module = types.ModuleType("nbf_config_example")
    for config in (FitterConfig, RendererConfig, OtherConfig, PriorConfig):
        setattr(module, config.__name__, config)
    module.__file__ = str(tmp_path / "package" / "__init__.py")
    monkeypatch.setitem(sys.modules, module.__name__, module)

    def component(name, config):
        return ComponentEntry(
            name=name, target="missing:Never", config=f"{module.__name__}:{config}", summary="for this test"
        )

    module.NBF_CONTRACT = CONTRACT
    module.nbf_renderers = hookimpl(
        lambda: [component("gaussian", "RendererConfig"), component("other", "OtherConfig")]
    )
    module.nbf_fitters = hookimpl(lambda: [component("staged", "FitterConfig")])
    module.nbf_priors = hookimpl(lambda: [component("shape", "PriorConfig")])
    built_in = PipelineEntry(name="base", target=f"{module.__name__}:base.toml", summary="for this test")
    module.nbf_pipelines = hookimpl(lambda: [built_in])
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "base.toml").write_text(BASE)
    result = PluginManager()
    result.register(module, "example")
    assert result.failures == []
    return result


BASE = """
schema = 1
seed = 7
[renderer]
use = "gaussian"
size = [64, 64]
[fitter]
use = "staged"
[[fitter.stages]]
parameters = ["orientation"]
steps = 40
[priors.shape]
weight = 2.0
"""


def load(manager, tmp_path, text, *overrides):
    file = tmp_path / "mine.toml"
    file.write_text(text)
    return load_pipeline(file, [parse_override(text) for text in overrides], {"bench": BenchOptions}, manager)


def test_a_built_in_pipeline_is_read_by_name_and_validated(manager):
    pipeline = load_pipeline("base", options={"bench": BenchOptions}, manager=manager)
    assert pipeline.seed == 7
    assert pipeline.section("renderer").use == "gaussian"
    assert pipeline.section("renderer").config.size == (64, 64)
    assert pipeline.section("fitter").config.stages[0].steps == 40
    assert pipeline.section("priors.shape").config.weight == 2.0
    assert pipeline.options["bench"].sizes == [40]


def test_extends_keeps_what_is_not_changed(manager, tmp_path):
    pipeline = load(manager, tmp_path, 'extends = "base"\n[renderer]\nsize = [32, 32]\n')
    assert pipeline.section("renderer").config.size == (32, 32)
    assert pipeline.section("fitter").config.stages[0].steps == 40
    assert pipeline.seed == 7


def test_extends_with_another_component_drops_the_former_ones_options(manager, tmp_path):
    pipeline = load(manager, tmp_path, 'extends = "base"\n[renderer]\nuse = "other"\n')
    assert pipeline.section("renderer").config == OtherConfig()


def test_extends_finds_the_file_beside_first(manager, tmp_path):
    (tmp_path / "base").write_text(BASE.replace("seed = 7", "seed = 8"))
    assert load(manager, tmp_path, 'extends = "base"\n').seed == 8


def test_extending_oneself_is_an_error_that_shows_the_circle(manager, tmp_path):
    (tmp_path / "a.toml").write_text('extends = "b.toml"\n')
    (tmp_path / "b.toml").write_text('extends = "a.toml"\n')
    with pytest.raises(ConfigError, match="extends itself: .*a.toml -> .*b.toml"):
        load_pipeline(tmp_path / "a.toml", manager=manager)


def test_set_changes_the_renderer_and_nothing_else(manager, tmp_path):
    before = load(manager, tmp_path, BASE)
    after = load(manager, tmp_path, BASE, "renderer.use=other")
    assert after.section("renderer").config == OtherConfig()
    assert {name: s for name, s in before.sections.items() if name != "renderer"} == {
        name: s for name, s in after.sections.items() if name != "renderer"
    }


def test_set_reaches_into_lists(manager, tmp_path):
    pipeline = load(manager, tmp_path, BASE, "fitter.stages.0.steps=3", "seed=9", "priors.shape.weight=0.5")
    assert pipeline.section("fitter").config.stages[0].steps == 3
    assert pipeline.seed == 9
    assert pipeline.section("priors.shape").config.weight == 0.5


def test_set_reaches_into_lists_that_the_pipeline_leaves_at_their_default(manager, tmp_path):
    pipeline = load(
        manager,
        tmp_path,
        "schema = 1\n[fitter]\nuse = 'staged'\n",
        "fitter.stages.1.steps=3",
        "bench.sizes.0=9",
    )
    stages = pipeline.section("fitter").config.stages
    assert [(stage.parameters, stage.steps) for stage in stages] == [(["all"], 10), (["arms"], 3)]
    assert pipeline.options["bench"].sizes == [9]
    assert "stages" not in load_pipeline("base", [("renderer.use", "other")], manager=manager).table["renderer"]


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("fitter.stages.7.steps", "'7' is no position in a list of 2"),
        ("fitter.stage.0.steps", "fitter.stage: unknown"),
    ],
)
def test_set_beyond_a_default_list_is_an_error(manager, tmp_path, key, message):
    with pytest.raises(ConfigError, match=message):
        load(manager, tmp_path, "schema = 1\n[fitter]\nuse = 'staged'\n", f"{key}=3")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[renderer]\nuse = 'gaussian'\n", "schema: expected 1, got None"),
        ("schema = 2\n", "schema: expected 1, got 2"),
        ("schema = 1\n[rendere]\nuse = 'gaussian'\n", "rendere: unknown key; did you mean 'renderer'?"),
        ("schema = 1\n[zzz]\n", "zzz: unknown key; known: "),
        ("schema = 1\n[renderer]\nsize = [1, 1]\n", "renderer.use: this key is missing"),
        ("schema = 1\nrenderer = 'gaussian'\n", "renderer: expected a table"),
        (
            "schema = 1\n[renderer]\nuse = 'gaussian'\nsise = 3\n",
            "renderer.sise: unknown key; did you mean 'size'?",
        ),
        ("schema = 1\n[renderer]\nuse = 'gaussian'\nsize = ['a', 1]\n", "renderer.size.0: "),
        (
            "schema = 1\n[fitter]\nuse = 'staged'\n[[fitter.stages]]\nparameters = []\nstep = 1\n",
            "fitter.stages.0.step: unknown key; did you mean 'steps'?",
        ),
        (
            "schema = 1\n[fitter]\nuse = 'staged'\n[[fitter.stages]]\nsteps = 1\n",
            "fitter.stages.0.parameters: this key is missing",
        ),
        ("schema = 1\n[bench]\nsize = [1]\n", "bench.size: unknown key; did you mean 'sizes'?"),
        ("schema = 1\n[priors.shape]\nwait = 1\n", "priors.shape.wait: unknown key"),
        ("schema = 1\n[priors]\nshape = 3\n", "priors.shape: expected a table, got 3"),
        ("schema = 1\nseed = -1\n", "seed: expected a whole number from 0, got -1"),
        ("schema = 1\nseed = true\n", "seed: expected a whole number from 0, got True"),
        ("schema = \n", "not valid TOML"),
    ],
)
def test_a_mistake_gives_one_line_that_names_file_and_key(manager, tmp_path, text, message):
    with pytest.raises(ConfigError) as caught:
        load(manager, tmp_path, text)
    assert message in str(caught.value)
    assert "mine.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_component_names_file_section_and_choices(manager, tmp_path):
    with pytest.raises(PluginError) as caught:
        load(manager, tmp_path, "schema = 1\n[renderer]\nuse = 'gausian'\n")
    assert "mine.toml: renderer.use: no renderer named 'gausian'; did you mean 'gaussian'?" in str(caught.value)


def test_all_missing_components_are_named_at_once(manager, tmp_path):
    with pytest.raises(PluginError) as caught:
        load(manager, tmp_path, "schema = 1\n[renderer]\nuse = 'gausian'\n[body]\nuse = 'nobody'\n")
    text = str(caught.value)
    assert "renderer.use: no renderer named 'gausian'" in text and "body.use: no body model named 'nobody'" in text
    assert text.count("mine.toml") == 1 and "\n" not in text


def test_a_missing_file_an_unknown_name_and_a_missing_section(manager, tmp_path):
    with pytest.raises(ConfigError, match="gone.toml: no such file"):
        load_pipeline(tmp_path / "gone.toml", manager=manager)
    with pytest.raises(PluginError, match="no pipeline named 'basse'; did you mean 'base'"):
        load_pipeline("basse", manager=manager)
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="bytes.toml: cannot be read"):
        load_pipeline(tmp_path / "bytes.toml", manager=manager)
    with pytest.raises(ConfigError, match=r"needs a \[body\] section"):
        load_pipeline("base", manager=manager).section("body")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a.b=3", ("a.b", 3)),
        ("a=0.5", ("a", 0.5)),
        ("a=true", ("a", True)),
        ("a=[1, 2]", ("a", [1, 2])),
        ("a=gaussian", ("a", "gaussian")),
        ('a="3"', ("a", "3")),
        (" a = x=y ", ("a", "x=y")),
        ("a=", ("a", "")),
    ],
)
def test_an_override_is_read_as_toml_or_as_a_string(text, expected):
    assert parse_override(text) == expected


@pytest.mark.parametrize("text", ["a", "=1", " =1"])
def test_an_override_without_key_or_value_is_refused(text):
    with pytest.raises(ConfigError, match="expected KEY=VALUE"):
        parse_override(text)


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("stages.2.steps", "stages.2.steps: '2' is no position in a list of 1"),
        ("stages.x", "'x' is no position"),
        ("seed.x", "'seed' is a value, not a table"),
        ("seed.x.y", "seed.x.y: nothing below 'x'"),
    ],
)
def test_an_override_that_leads_nowhere_names_its_key(key, message):
    with pytest.raises(ConfigError) as caught:
        apply_overrides({"stages": [{"steps": 1}], "seed": 1}, [(key, 5)])
    assert message in str(caught.value)


def test_overrides_leave_the_table_given_alone():
    table = {"fitter": {"stages": [{"steps": 1}]}}
    assert apply_overrides(table, [("fitter.stages.0.steps", 2)]) == {"fitter": {"stages": [{"steps": 2}]}}
    assert table == {"fitter": {"stages": [{"steps": 1}]}}
