"""A mixture keeps its proportions, repeats nothing before its time, and depends on seed, epoch and index alone."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from nbf_core.config import load_pipeline
from nbf_core.errors import ConfigError, InputError, PluginError
from nbf_core.plugins import PluginManager, get_plugin_manager
from nbf_datasets import plugin
from nbf_datasets.config import MixedConfig
from nbf_datasets.mixed import MixedDataset, shares


@pytest.fixture(scope="module", autouse=True)
def registered():
    manager: PluginManager = get_plugin_manager()
    if "mixed" not in manager.entries("datasets"):
        manager.register(plugin, "nbf-datasets")


@pytest.fixture
def folders(tmp_path):
    for name, count in (("many", 7), ("few", 3)):
        (tmp_path / name).mkdir()
        for number in range(count):
            grey = np.full((8, 8, 3), number * 10 + (100 if name == "few" else 0), np.uint8)
            Image.fromarray(grey).save(tmp_path / name / f"{number}.png")
    return tmp_path


def config(folders, **changes):
    parts = {
        "many": {"use": "image-folder", "ratio": 0.7, "path": folders / "many"},
        "few": {"use": "image-folder", "ratio": 0.3, "path": folders / "few"},
    }
    return MixedConfig(**{"parts": parts, "shared": {"image_size": 8}, "length": 10, **changes})


def test_every_epoch_holds_each_part_in_its_proportion(folders):
    mixed = MixedDataset(config(folders, length=40))
    for epoch in range(3):
        mixed.set_epoch(epoch)
        assert Counter(mixed.names[mixed.place(i)[0]] for i in range(40)) == {"many": 28, "few": 12}


def test_a_part_is_gone_through_wholly_before_it_begins_again(folders):
    mixed = MixedDataset(config(folders, length=10))
    seen = Counter()
    for epoch in range(7):
        mixed.set_epoch(epoch)
        seen.update(mixed.place(i)[:2] for i in range(10))
    assert set(seen.values()) == {7}
    assert len(seen) == 10


def test_a_sample_depends_on_seed_epoch_and_index_alone(folders):
    first, again, other = (MixedDataset(config(folders, seed=seed)) for seed in (0, 0, 1))
    for data in (first, again, other):
        data.set_epoch(4)
    places = [first.place(i) for i in range(10)]
    assert [again.place(i) for i in reversed(range(10))] == places[::-1]
    assert [other.place(i) for i in range(10)] != places
    sample = first[3]
    part, own, _ = places[3]
    assert int(sample.index) == 3
    assert int(sample.image[0, 0, 0]) == own * 10 + 100 * part
    assert first.describe(3) == f"sample 3 (sample {own} of {first.names[part]})"


def test_the_first_samples_already_are_a_mixture(folders):
    mixed = MixedDataset(config(folders, length=1000))
    assert 20 < sum(mixed.place(i)[0] for i in range(100)) < 40


@given(st.lists(st.floats(0.001, 100), min_size=1, max_size=8), st.integers(1, 100_000))
def test_shares_add_up_and_are_off_by_less_than_one(ratios, total):
    counts = shares(ratios, total)
    assert sum(counts) == total
    assert all(abs(count - ratio / sum(ratios) * total) < 1 + 1e-6 for count, ratio in zip(counts, ratios, strict=True))


def test_published_proportions():
    assert shares([0.5, 0.2, 0.021, 0.046, 0.233], 100_000) == [50_000, 20_000, 2_100, 4_600, 23_300]


def pipeline(tmp_path, data: str):
    path = tmp_path / "p.toml"
    path.write_text(f"schema = 1\nname = 'p'\n[data]\nuse = 'mixed'\n{data}")
    return path


def test_a_missing_plugin_of_a_part_is_named_with_its_part(tmp_path):
    path = pipeline(tmp_path, "[data.parts.coco]\nuse = 'skeletons'\nratio = 1\n")
    with pytest.raises(PluginError, match=r"p.toml: data.parts.coco.use: no dataset named 'skeletons'"):
        load_pipeline(path)


def test_a_wrong_key_of_a_part_is_named_with_its_part(tmp_path):
    path = pipeline(tmp_path, "[data.parts.a]\nuse = 'image-folder'\nratio = 1\npath = 'x'\nimage_sise = 64\n")
    with pytest.raises(ConfigError, match=r"p.toml: data.parts.a.image_sise: unknown key; did you mean 'image_size'"):
        load_pipeline(path)


def test_parts_get_the_shared_options_unless_they_have_their_own(folders):
    mixed = config(folders, shared={"image_size": 16, "focal": 2.0})
    assert mixed.config_of("few").image_size == 16 and mixed.config_of("few").focal == 2.0


def test_a_part_without_a_share_is_refused(folders):
    with pytest.raises(ConfigError, match=r"data.parts.few.ratio: gives no sample in an epoch of 1"):
        MixedDataset(config(folders, length=1))


def test_a_broken_image_is_named(folders):
    mixed = MixedDataset(config(folders))
    (folders / "few" / "1.png").write_bytes(b"no picture")
    wrong = next(i for i in range(10) if mixed.place(i)[:2] == (1, 1))
    with pytest.raises(InputError, match="1.png"):
        mixed[wrong]
