"""Samples that are kept apart from training: by picture or sequence, by seed, and never all of them."""

from __future__ import annotations

import numpy as np
import pytest
from humandata_world import COUNT, tree

from nbf_core.errors import ConfigError
from nbf_core.plugins import PluginManager, get_plugin_manager
from nbf_datasets import plugin
from nbf_datasets.config import MixedConfig
from nbf_datasets.humandata.config import HumanDataConfig
from nbf_datasets.humandata.dataset import HumanDataset
from nbf_datasets.humandata.splitting import MANY_FOLDERS, held_out
from nbf_datasets.mixed import MixedDataset


@pytest.fixture(scope="module", autouse=True)
def registered():
    manager: PluginManager = get_plugin_manager()
    if "mixed" not in manager.entries("datasets"):
        manager.register(plugin, "nbf-datasets")


def test_the_share_is_kept_by_picture_whoever_is_in_it():
    paths = [f"train/{i // 2}.jpg" for i in range(400)]
    apart = held_out(paths, 0.1, seed=0)
    assert 36 <= apart.sum() <= 40 and (apart[::2] == apart[1::2]).all()
    assert (apart == held_out(paths, 0.1, seed=0)).all() and (apart != held_out(paths, 0.1, seed=1)).any()
    # What is kept does not depend on the order of the file, nor on how its paths are written.
    back = held_out([path.replace("/", "\\") for path in reversed(paths)], 0.1, seed=0)
    assert (back[::-1] == apart).all()


def test_films_are_kept_apart_by_sequence():
    paths = [f"seq{i % (2 * MANY_FOLDERS)}/{i:05d}.jpg" for i in range(4000)]
    apart = held_out(paths, 0.1, seed=3)
    kept = {path.partition("/")[0] for path, one in zip(paths, apart, strict=True) if one}
    left = {path.partition("/")[0] for path, one in zip(paths, apart, strict=True) if not one}
    assert not kept & left and len(kept) == 4


@pytest.mark.parametrize(("count", "share", "expected"), [(1, 0.5, 0), (2, 0.01, 1), (2, 0.99, 1), (5, 0.0, 0)])
def test_small_files_give_one_and_never_all(count, share, expected):
    assert held_out([f"{i}.jpg" for i in range(count)], share, 0).sum() == expected


def dataset(path, **options):
    return HumanDataset(HumanDataConfig(path=path, image_size=64, map_size=16, **options))


def test_the_two_splits_of_a_file_are_the_file(tmp_path):
    path = tree(tmp_path)
    train, val = (dataset(path, held_out=0.3, split=split) for split in ("train", "val"))
    assert len(train) and len(val) and sorted([*train.rows, *val.rows]) == list(range(COUNT))
    assert len(dataset(path, split="val")) == 0 and len(dataset(path)) == COUNT


def test_what_is_broken_is_left_out_of_measuring_too(tmp_path):
    path = tree(tmp_path)
    whole = dataset(path, held_out=0.5, split="val")
    gone = int(whole.rows[0])
    (path.parents[1] / "datasets" / "tiny" / f"part{gone % 2}" / f"{gone}.png").unlink()
    assert sorted(dataset(path, held_out=0.5, split="val").rows) == sorted(whole.rows[1:])


def mixture(path, split=None, **shared):
    parts = {
        "a": {"use": "humandata", "path": path, "ratio": 0.75},
        "b": {"use": "humandata", "path": path, "ratio": 0.25, "held_out": 0.4},
    }
    shared = {"image_size": 64, "map_size": 16, **shared}
    return MixedDataset(MixedConfig(parts=parts, shared=shared, length=8, split=split))


def test_a_mixture_measures_on_what_its_parts_keep_apart(tmp_path):
    path = tree(tmp_path)
    assert mixture(path).names == ("a", "b")
    val = mixture(path, "val")
    assert val.names == ("b",) and len(val) == 8
    assert {int(val.parts[0].rows[val.place(i)[1]]) for i in range(8)} == set(val.parts[0].rows)
    assert mixture(path, "val", held_out=0.3).names == ("a", "b")


def test_a_mixture_of_which_nothing_is_kept_apart_measures_on_nothing(tmp_path):
    config = MixedConfig(parts={"a": {"use": "humandata", "path": tree(tmp_path), "ratio": 1.0}}, length=8, split="val")
    assert len(MixedDataset(config)) == 0


def test_keeping_everything_apart_is_refused(tmp_path):
    path = tree(tmp_path)
    for number in range(1, COUNT):
        (path.parents[1] / "datasets" / "tiny" / f"part{number % 2}" / f"{number}.png").unlink()
    kept = [seed for seed in range(20) if held_out([f"part{i % 2}/{i}.png" for i in range(COUNT)], 0.3, seed)[0]]
    with pytest.raises(ConfigError, match="held_out = 0.3 leaves no sample to train on"):
        dataset(path, held_out=0.3, seed=kept[0], skip=True)
    assert np.array_equal(dataset(path, held_out=0.3, seed=kept[0], skip=True, split="val").rows, [0])
