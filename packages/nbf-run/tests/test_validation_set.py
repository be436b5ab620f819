"""What a training is measured on: what its data set keeps apart, another set that the pipeline names, or nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from nbf_core.config import Config
from nbf_core.errors import ConfigError, PluginError
from nbf_core.plugins import ComponentEntry, get_plugin_manager, hookimpl
from nbf_core.types import BodyParams, Camera, Sample, collate
from nbf_run.options import read_pipeline
from nbf_run.training.features import RenderedBody, unlabelled
from nbf_run.training.validation import validate, validation_data


class SplitOptions(Config):
    """A data set that may keep samples apart."""

    kept: int = 0
    split: str = "train"
    augment: bool = True


class Split:
    """Remembers its configuration."""

    def __init__(self, config, body):
        self.config = config

    def __len__(self):
        return self.config.kept if self.config.split == "val" else 5


class Plugin:
    """Offers that data set."""

    NBF_CONTRACT = 1

    @hookimpl
    def nbf_datasets(self):
        yield ComponentEntry(
            name="split", target=f"{__name__}:Split", config=f"{__name__}:SplitOptions", summary="a stand-in"
        )


@pytest.fixture
def data_of(pipeline, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, Split.__module__, sys.modules[__name__])
    manager = get_plugin_manager()
    if "split" not in manager.entries("datasets"):
        manager.register(Plugin(), "split-sets")

    def call(**settings):
        changes = [(key.replace("__", "."), value) for key, value in settings.items()]
        read = read_pipeline(pipeline, changes)
        return validation_data(read, read.options["train"], None)

    return call


def test_a_data_set_that_keeps_nothing_apart_gives_nothing_to_measure_on(data_of):
    assert data_of() is None
    assert data_of(data__use="split") is None


def test_what_is_kept_apart_is_measured_undisturbed(data_of):
    data = data_of(data__use="split", data__kept=3)
    assert len(data) == 3 and not data.config.augment


def test_another_set_can_be_named_whole_or_by_what_differs(data_of):
    assert data_of(train__validation={"use": "split"}).config == SplitOptions(augment=False)
    data = data_of(data__use="split", data__kept=2, train__validation={"augment": True})
    assert data.config == SplitOptions(kept=2, augment=True)


@pytest.mark.parametrize(
    ("validation", "error", "message"),
    [
        ({"use": "spilt"}, PluginError, "train.validation.use: no dataset named 'spilt'"),
        ({"use": "split", "kepd": 1}, ConfigError, "train.validation.kepd: unknown key; did you mean 'kept'"),
        ({"kept": 1}, ConfigError, "train.validation.kept: unknown key"),
    ],
)
def test_a_wrong_key_is_named(data_of, validation, error, message):
    with pytest.raises(error, match=message):
        data_of(train__validation=validation)


# Batches of people of whom not the same is known -------------------------------------------------------------------


def person(index, **labels):
    return Sample(
        image=torch.zeros(3, 8, 8, dtype=torch.uint8), camera=Camera.from_field((8, 8), 9.0), index=torch.tensor(index),
        **labels,
    )  # fmt: skip


def test_maps_are_drawn_for_those_with_a_body_and_without_a_map():
    params, given = BodyParams.neutral(), torch.zeros(2, 2, dtype=torch.long)
    batch = collate([person(0), person(1, params=params), person(2, params=params, kernel_map=given)], partial=True)
    assert unlabelled(batch).tolist() == [False, True, False]
    assert unlabelled(replace(batch, kernel_map=None)).tolist() == [False, True, True]
    assert not unlabelled(replace(batch, params=None, with_params=None)).any()

    class Drawn(RenderedBody):
        def __init__(self):
            pass

        def _drawn(self, max_kernels=None):
            from types import SimpleNamespace

            fragments = SimpleNamespace(pixel=torch.arange(12), kernel=torch.full((12, 1), 7), weight=torch.ones(12, 1))
            return SimpleNamespace(fragments=fragments, silhouette=torch.ones(3, 2, 2))

    maps = Drawn().labelled(batch).kernel_map
    assert [one.unique().tolist() for one in maps] == [[-3], [7], [0]]


def test_only_true_bodies_are_measured():
    class Body:
        spec = None

        def __call__(self, params, vertices=True):
            from types import SimpleNamespace

            return SimpleNamespace(joints=params.betas[:, :9].reshape(-1, 3, 3) + params.transl[:, None])

    class Bank:
        features = torch.zeros(2, 1, 4)

    def regressor(images):
        from nbf_core.types import RegressorOutput

        people = len(images)
        return RegressorOutput(
            torch.eye(3).expand(people, 24, 3, 3), torch.arange(10.0).expand(people, 10), torch.ones(people, 3),
            torch.ones(people, 4, 2, 2), torch.ones(people, 25, 2, 2),
        )  # fmt: skip

    truth = replace(BodyParams.neutral(), betas=torch.arange(10.0))
    batch = collate([person(0, params=truth), person(1)], partial=True)
    worse = replace(
        batch, params=batch.params.map(lambda value: value + torch.tensor([0.0, 5.0]).view(2, *[1] * (value.ndim - 1)))
    )
    assert validate([batch], Body(), regressor, Bank()) == validate([worse], Body(), regressor, Bank())
    assert validate([batch], Body(), regressor, Bank())["start_mpjpe"] == pytest.approx(0, abs=1e-3)
