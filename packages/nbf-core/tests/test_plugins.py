"""Plugins: good ones are found, broken ones are data, and errors say what to do."""

import importlib.metadata
import sys
import types

import pytest

from nbf_core.errors import PluginError
from nbf_core.plugins import (
    CONTRACT,
    KINDS,
    ComponentEntry,
    NbfSpecs,
    PipelineEntry,
    PluginManager,
    WeightsEntry,
    get_plugin_manager,
    hookimpl,
)


def entry(name="splat", **changes):
    fields = {"target": "json:JSONDecoder", "config": "json:JSONEncoder", "summary": "one pixel a kernel"}
    return ComponentEntry(name=name, **(fields | changes))


def plugin(hook="nbf_renderers", records=(), contract=CONTRACT, mark=hookimpl):
    """A plugin module with one hook that yields the records, or raises them where they are an exception."""

    def implementation():
        if isinstance(records, Exception):
            raise records
        yield from records

    module = types.ModuleType("a_plugin")
    module.NBF_CONTRACT = contract
    setattr(module, hook, mark(implementation))
    return module


def manager_of(**plugins):
    manager = PluginManager()
    for name, module in plugins.items():
        manager.register(module, name)
    return manager


def reasons(manager):
    for kind in KINDS:
        manager.entries(kind)
    return {failure.plugin: failure.reason for failure in manager.failures}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_component_is_found_through_its_hook(kind):
    manager = manager_of(mine=plugin(f"nbf_{kind}", [entry("a"), entry("b")]))
    assert list(manager.entries(kind)) == ["a", "b"]
    assert manager.provider(kind, "a") == "mine"
    assert manager.get(kind, "a").load().__name__ == "JSONDecoder"
    assert manager.get(kind, "a").load_config().__name__ == "JSONEncoder"
    assert reasons(manager) == {}


@pytest.mark.parametrize(("kind", "record"), [("pipelines", PipelineEntry), ("weights", WeightsEntry)])
def test_files_are_found_inside_their_package(kind, record):
    found = record(name="mine", target="nbf_core:errors.py", summary="a file")
    manager = manager_of(mine=plugin(f"nbf_{kind}", [found]))
    assert manager.get(kind, "mine").path.read_text().startswith('"""The errors')


def test_the_kinds_and_the_hooks_are_the_same():
    hooks = {name.removeprefix("nbf_") for name in vars(NbfSpecs) if name.startswith("nbf_")}
    assert hooks == {*KINDS, "pipelines", "weights"}


@pytest.mark.parametrize("hook", [name for name in vars(NbfSpecs) if name.startswith("nbf_")])
def test_the_example_in_every_hooks_docstring_works_as_it_stands(hook):
    source = getattr(NbfSpecs, hook).__doc__.partition("Example::")[2]
    module = types.ModuleType("example")
    exec(compile("\n".join(line[12:] for line in source.splitlines()), hook, "exec"), vars(module))
    manager = manager_of(example=module)
    assert manager.failures == []
    assert len(manager.entries(hook.removeprefix("nbf_"))) == 1


BROKEN = {
    "no contract": (
        plugin(contract=None),
        "was written for (NBF_CONTRACT is missing), this nbf speaks 1",
    ),
    "newer contract": (plugin(contract=2), "was written for contract 2"),
    "misspelt hook": (plugin("nbf_renderes"), "unknown hook 'nbf_renderes', did you mean 'nbf_renderers'?"),
    "unmarked hook": (plugin(mark=lambda function: function), "nbf_renderers is not marked with @hookimpl"),
    "raises": (
        plugin(records=RuntimeError("disk on fire")),
        "nbf_renderers raised RuntimeError: disk on fire",
    ),
    "wrong record": (plugin(records=["splat"]), "expected ComponentEntry, got 'splat'"),
}


@pytest.mark.parametrize("case", BROKEN)
@pytest.mark.wrong_shapes
def test_a_broken_plugin_is_named_with_its_reason_and_costs_nobody_else(case):
    module, reason = BROKEN[case]
    manager = manager_of(bad=module, good=plugin(records=[entry("fine")]))
    assert list(manager.entries("renderers")) == ["fine"]
    assert reason in reasons(manager)["bad"]
    assert set(reasons(manager)) == {"bad"}


def test_a_hook_with_arguments_is_a_failure():
    module = types.ModuleType("bad")
    module.NBF_CONTRACT = CONTRACT
    module.nbf_renderers = hookimpl(lambda size: [])
    manager = manager_of(bad=module)
    assert "size" in reasons(manager)["bad"] and "\n" not in reasons(manager)["bad"]


def test_a_plugin_may_import_a_package_under_its_own_name():
    module = plugin(records=[entry()])
    module.nbf_core = sys.modules["nbf_core"]
    assert reasons(manager_of(mine=module)) == {}


def test_a_hook_may_return_nothing():
    module = types.ModuleType("quiet")
    module.NBF_CONTRACT = CONTRACT
    module.nbf_renderers = hookimpl(lambda: None)
    assert reasons(manager_of(quiet=module)) == {}


def test_two_plugins_with_one_name_are_an_error_that_names_both_and_spares_the_rest():
    manager = manager_of(one=plugin(records=[entry("same"), entry("other")]), two=plugin(records=[entry("same")]))
    assert list(manager.entries("renderers")) == ["other"]
    with pytest.raises(PluginError, match="two renderers are named 'same': from .* and from") as caught:
        manager.get("renderers", "same")
    assert "one" in str(caught.value) and "two" in str(caught.value)
    assert set(reasons(manager)) == {"one", "two"}


def test_an_unknown_name_lists_the_choices_the_nearest_and_what_is_broken():
    manager = manager_of(mine=plugin(records=[entry("splat"), entry("mesh")]), bad=plugin(contract=0))
    with pytest.raises(PluginError) as caught:
        manager.get("renderers", "splatt")
    message = str(caught.value)
    for part in (
        "no renderer named 'splatt'",
        "did you mean 'splat'?",
        "installed: mesh, splat",
        "bad (was written",
    ):
        assert part in message
    assert "\n" not in message


def test_a_name_that_is_known_to_exist_says_what_to_install():
    with pytest.raises(PluginError, match="provided by nbf-renderers: pip install nbf-renderers"):
        PluginManager().get("renderers", "gaussian")


def test_a_target_that_cannot_be_imported_says_what_to_install():
    record = entry(target="nowhere_at_all:Thing", requires=("nowhere",))
    with pytest.raises(PluginError, match="splat: cannot import nowhere_at_all:Thing .*pip install nowhere"):
        record.load()
    with pytest.raises(PluginError, match="json:Missing does not exist"):
        entry(target="json:Missing").load()


@pytest.mark.parametrize(
    ("target", "reason"),
    [("json.misspelt:Thing", "No module named 'json.misspelt'"), ("json.faulty:Thing", "cannot import name 'loafs'")],
)
def test_a_package_that_lacks_something_of_its_own_is_not_to_be_installed_again(monkeypatch, tmp_path, target, reason):
    """Its author reads what is misspelt, and no advice that would not help."""
    (tmp_path / "faulty.py").write_text("from json import loafs\n")
    monkeypatch.setattr(sys.modules["json"], "__path__", [str(tmp_path)])
    with pytest.raises(PluginError, match=f"splat: {target} cannot be imported: {reason}") as caught:
        entry(target=target, requires=("nowhere",)).load()
    assert "pip install" not in str(caught.value)


class _Distribution:
    def __init__(self, name):
        self.name = name


class _EntryPoint:
    """What importlib.metadata gives, without anything installed."""

    def __init__(self, distribution, value, loaded):
        self.dist, self.value, self.name, self._loaded = _Distribution(distribution), value, "x", loaded

    def load(self):
        if isinstance(self._loaded, Exception):
            raise self._loaded
        return self._loaded


@pytest.fixture
def installed(monkeypatch):
    points = [
        _EntryPoint("nbf-one", "nbf_one.plugin", plugin(records=[entry("a")])),
        _EntryPoint("other-name", "nbf_two.plugin", plugin(records=[entry("b")])),
        _EntryPoint("nbf-lost", "nbf_lost.plugin", ModuleNotFoundError("No module named 'gone'")),
    ]
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: points)


def test_installed_plugins_load_and_one_that_cannot_be_imported_is_data(installed):
    manager = PluginManager()
    manager.load_installed()
    assert list(manager.entries("renderers")) == ["a", "b"]
    assert reasons(manager) == {"nbf-lost": "cannot be imported: ModuleNotFoundError: No module named 'gone'"}


def test_a_distribution_may_bring_several_plugins_and_name_one_twice(monkeypatch):
    first, second = plugin(records=[entry("a")]), plugin("nbf_fitters", records=[entry("b")])
    points = [_EntryPoint("mine", value, module) for value, module in (("m.a", first), ("m.a", first), ("m.b", second))]
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: points)
    manager = PluginManager()
    manager.load_installed()
    assert (list(manager.entries("renderers")), list(manager.entries("fitters"))) == (["a"], ["b"])
    assert reasons(manager) == {}


def test_a_file_of_a_package_that_is_gone_is_a_plugin_error():
    with pytest.raises(PluginError, match="gone_for_good:a.toml: cannot import gone_for_good"):
        _ = PipelineEntry(name="x", target="gone_for_good:a.toml", summary="").path


@pytest.mark.parametrize("name", ["nbf-two", "nbf_two", "other-name"])
def test_the_variable_limits_what_is_loaded(installed, monkeypatch, name):
    monkeypatch.setenv("NBF_LOAD_PLUGINS", f" {name} ,")
    get_plugin_manager.cache_clear()
    try:
        assert list(get_plugin_manager().entries("renderers")) == ["b"]
        assert get_plugin_manager().failures == []
    finally:
        get_plugin_manager.cache_clear()


def test_asking_for_a_plugin_that_is_not_installed_is_a_failure(installed):
    manager = PluginManager()
    manager.load_installed(["nbf-two", "nbf-three"])
    assert list(manager.entries("renderers")) == ["b"]
    assert "no such plugin is installed" in reasons(manager)["nbf-three"]
