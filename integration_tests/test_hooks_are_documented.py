"""Every hook has its line in docs/hooks.md, and somebody who uses it."""

from pathlib import Path

import pytest

from nbf_core import contracts
from nbf_core.errors import PluginError
from nbf_core.plugins import KINDS, NbfSpecs, get_plugin_manager

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "hooks.md").read_text(encoding="utf-8")
HOOKS = [name for name in vars(NbfSpecs) if name.startswith("nbf_")]


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_is_documented(hook):
    assert f"| `{hook}` |" in PAGE
    assert "Example::" in getattr(NbfSpecs, hook).__doc__


def test_nothing_is_documented_that_does_not_exist():
    documented = {line.split("`")[1] for line in PAGE.splitlines() if line.startswith("| `nbf_")}
    assert documented == set(HOOKS)
    for line in PAGE.splitlines():
        cells = [cell.strip(" `") for cell in line.split("|")]
        if line.startswith("| `nbf_") and cells[3]:
            assert hasattr(contracts, cells[3])


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_is_used_by_a_package_here(hook):
    assert get_plugin_manager().entries(hook.removeprefix("nbf_"))


@pytest.mark.parametrize("kind", KINDS)
def test_every_component_can_be_imported_and_says_something(kind):
    for entry in get_plugin_manager().entries(kind).values():
        try:
            assert callable(entry.load())
        except PluginError as error:  # what it needs besides is not on this machine
            assert entry.requires and f"pip install {' '.join(entry.requires)}" in str(error)
        assert entry.summary and "\n" not in entry.summary
