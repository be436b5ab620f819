"""Leaving out one optional plugin leaves the rest working, and asking for it says what to install."""

import importlib.metadata
import json

import pytest

from nbf_core.plugins import KINDS, get_plugin_manager
from nbf_core.plugins.manager import KNOWN_PROVIDERS

# What each optional plugin provides: the kind as the listing calls it, a name, and a way to ask for it.
OPTIONAL = {
    "nbf-body-anny": ("body_models", "anny", ("body.use=anny",)),
    "nbf-renderers": ("renderers", "gaussian", ("renderer.use=gaussian",)),
    "nbf-feature-banks": ("feature_banks", "nearest-memory", ("bank.use=nearest-memory",)),
    "nbf-regressors": ("regressors", "pare-coke", ("regressor.use=pare-coke",)),
    "nbf-fitters": ("fitters", "staged", ("fitter.use=staged",)),
    "nbf-data-synthetic": ("datasets", "synthetic", ("data.use=synthetic",)),
    "nbf-datasets": ("datasets", "image-folder", ("data.use=image-folder",)),
    "nbf-detect-blazepose": ("detectors", "blazepose", ("detector.use=blazepose",)),
}


def without(*left_out):
    """The value of NBF_LOAD_PLUGINS that loads all installed plugins but these."""
    installed = {point.dist.name for point in importlib.metadata.entry_points(group="nbf")}
    assert set(left_out) <= installed
    return ",".join(sorted(installed - set(left_out)))


@pytest.mark.parametrize("plugin", OPTIONAL)
def test_the_rest_is_listed_without_it(nbf_run, plugin):
    kind, name, _ = OPTIONAL[plugin]
    everything = json.loads(nbf_run("plugins", "list", "--json").stdout)["components"]
    done = nbf_run("plugins", "list", "--json", NBF_LOAD_PLUGINS=without(plugin))
    assert done.returncode == 0, done.stderr
    listing = json.loads(done.stdout)
    assert listing["failures"] == []
    assert name not in listing["components"][kind]
    for other, names in everything.items():
        kept = {n: entry for n, entry in names.items() if entry["plugin"] != plugin}
        assert listing["components"][other] == kept


def test_the_provider_of_every_name_is_known():
    """So that whoever lacks it hears what to install, whatever they ask for."""
    manager = get_plugin_manager()
    for kind in (*KINDS, "pipelines", "weights"):
        own = {name: manager.provider(kind, name) for name in manager.entries(kind)}
        own = {name: plugin for name, plugin in own.items() if plugin.startswith("nbf-") and plugin != "nbf-testing"}
        assert own.items() <= KNOWN_PROVIDERS.get(kind, {}).items()


@pytest.mark.parametrize("plugin", OPTIONAL)
def test_asking_for_it_says_what_to_install(nbf_run, tmp_path, plugin):
    kind, name, setting = OPTIONAL[plugin]
    section = setting[0].partition(".")[0]
    pipeline = tmp_path / "mine.toml"
    pipeline.write_text(f'schema = 1\n[{section}]\nuse = "{name}"\n')
    done = nbf_run("config", "check", pipeline, NBF_LOAD_PLUGINS=without(plugin))
    assert done.returncode == 2
    assert f"{pipeline}: {section}.use: " in done.stderr
    assert f"pip install {plugin}" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_without_the_model_its_weights_are_asked_for_by_name(nbf_run, photos, tmp_path):
    done = nbf_run(
        "fit", "demo", photos / "astronaut.jpg", "--out", tmp_path / "out",
        NBF_LOAD_PLUGINS=without("nbf-model-small"),
    )  # fmt: skip
    assert done.returncode == 2
    assert "pip install nbf-model-small" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_photos_are_fitted_without_what_fitting_does_not_need(nbf_run, photos, tmp_path, quick):
    left_out = without("nbf-data-synthetic", "nbf-datasets", "nbf-metrics", "nbf-model-small")
    done = nbf_run(
        "fit", "demo", photos / "walk_front.jpg", "--out", tmp_path / "out", *quick, NBF_LOAD_PLUGINS=left_out
    )
    assert done.returncode == 2 and "fitter.lift = 'off' does without" in done.stderr
    done = nbf_run(
        *("fit", "demo", photos / "walk_front.jpg", "--out", tmp_path / "out"),
        *(*quick, "--set", "fitter.lift=off"),
        NBF_LOAD_PLUGINS=left_out,
    )
    assert done.returncode == 0, done.stderr
