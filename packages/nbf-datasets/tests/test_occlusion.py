"""What every occlusion protocol promises."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from nbf_core.contracts import Occluder, OcclusionProtocol, WritesOccluders
from nbf_core.errors import AssetError, ShapeError
from nbf_core.plugins import PluginManager
from nbf_core.types import Camera, Sample, collate
from nbf_datasets import plugin
from nbf_datasets.occlusion.config import AdversarialConfig, GridConfig, VaryingConfig
from nbf_datasets.occlusion.places import around, at_cell, grid, steps
from nbf_datasets.occlusion.protocols import Adversarial, Clean, Grid, Varying

SIZE = 64


def people(count: int = 2, labels: bool = True) -> Sample:
    points = torch.rand(count, 25, 2, generator=torch.Generator().manual_seed(0)) * SIZE
    keypoints = torch.cat([points, torch.full((count, 25, 1), 0.5)], -1)
    extra = {
        "keypoints": keypoints,
        "detected": keypoints.clone(),
        "visible_joints": torch.ones(count, 24),
        "kernel_map": torch.zeros(count, 16, 16, dtype=torch.long),
    }
    whole = Sample(
        image=torch.zeros(count, 3, SIZE, SIZE, dtype=torch.uint8),
        camera=Camera.from_field((SIZE, SIZE), 60.0, count),
        index=torch.arange(count),
        **extra if labels else {},
    )
    return collate([whole[i] for i in range(count)])


def test_every_name_of_the_plugin_keeps_the_contract(tmp_path):
    manager = PluginManager()
    manager.register(plugin, "nbf-datasets")
    entries = manager.entries("protocols")
    assert not manager.failures and set(entries) == {"adversarial", "clean", "file", "grid", "varying"}
    for name, entry in entries.items():
        if name != "file":
            protocol = entry.load()(entry.load_config()(), seed=3)
            assert isinstance(protocol, OcclusionProtocol)
            assert isinstance(protocol, WritesOccluders) == (name == "adversarial")
            assert len({case.name for case in protocol.cases}) == len(protocol.cases)
            assert all(protocol.occluders(case, (SIZE, SIZE), 0) for case in protocol.cases)


def test_the_default_cases_are_the_published_ones():
    assert [case.size for case in Adversarial().cases] == [40, 80]
    assert Adversarial().cases[0].choose == ("mpjpe", "pa-mpjpe", "pckh")
    assert [case.size for case in Varying().cases] == list(range(0, 160, 5))
    assert [len(Grid().occluders(case, (224, 224), 0)) for case in Grid().cases] == [20**2, 16**2]
    assert not Grid().cases[0].choose and Clean().cases[0].size is None


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 224), st.integers(9, 224), st.integers(8, 400), st.integers(8, 400))
def test_the_grid_covers_the_image_from_corner_to_corner(size, stride, height, width):
    places = grid(size, stride, (height, width))
    assert len(places) == steps(size, stride) ** 2
    assert (places[0].x0, places[0].y0) == (0, 0)
    for one in places:
        assert 0 <= one.y0 <= one.y1 <= height and 0 <= one.x0 <= one.x1 <= width
    if height == width == 224:
        assert (places[-1].x1, places[-1].y1) == (224, 224)
    assert all(one == at_cell(one.cell, size, stride, (height, width)) for one in places[:3])


def test_a_wide_image_has_its_grid_stretched_over_it():
    assert at_cell((1, 2), 40, 20, (112, 224)) == Occluder(40, 10, 80, 30, 40, 20, (1, 2))


def test_growing_patches_stay_in_their_place():
    for place in ("centre", "drawn"):
        protocol = Varying(VaryingConfig(place=place, sizes=(0, 40, 120)), seed=1)
        none, small, large = (protocol.occluders(case, (SIZE, SIZE), 5)[0] for case in protocol.cases)
        assert none.x0 == none.x1 and none.y0 == none.y1
        assert large.x0 < small.x0 < small.x1 < large.x1 and large.y0 < small.y0 < small.y1 < large.y1
    others = {protocol.occluders(protocol.cases[1], (SIZE, SIZE), index) for index in range(9)}
    assert len(others) > 5
    assert around((0.5, 0.5), 80, (224, 224)) == Occluder(72, 72, 152, 152, size=80)


def test_what_lies_behind_the_patch_is_hidden_and_the_rest_is_kept():
    samples, patch = people(), Occluder(16, 32, 32, 60, size=98)
    former = samples.clone()
    joints = torch.full((2, 24, 2), 20.0)
    joints[:, 1:, 1] = 40
    hidden = Grid().apply(samples, [patch, Occluder(0, 0, 0, 0)], joints)
    covered = torch.zeros(SIZE, SIZE, dtype=torch.bool)
    covered[32:60, 16:32] = True
    assert (hidden.image[0] > 0).any(0)[covered].float().mean() > 0.9 and not hidden.image[0, :, ~covered].any()
    cell = samples.keypoints[0, :, :2].long()
    behind = covered[cell[:, 1], cell[:, 0]]
    assert behind.any() and torch.equal(hidden.keypoints[0, :, 2] == 0, behind)
    assert torch.equal(hidden.detected[0, :, 2] == 0, behind)
    assert hidden.visible_joints[0].tolist() == [1] + [0] * 23
    assert torch.equal(hidden.kernel_map[0] == -2, covered[2::4, 2::4])
    for name in ("image", "keypoints", "detected", "visible_joints", "kernel_map"):
        assert torch.equal(getattr(hidden, name)[1], getattr(samples, name)[1])
        assert torch.equal(getattr(samples, name), getattr(former, name))
    assert hidden.part_map is None and hidden.params is None


def test_without_joints_their_visibility_stays():
    hidden = Grid().apply(people(), [Occluder(0, 0, SIZE, SIZE, size=224)] * 2)
    assert hidden.visible_joints.all() and not hidden.keypoints[..., 2].any()


def test_the_patch_looks_the_same_at_every_place_in_any_batch_and_at_every_call():
    protocol, case = Grid(GridConfig(sizes=(60,), stride=40), seed=2), Grid(GridConfig(sizes=(60,))).cases[0]
    samples = people(4, labels=False)
    places = protocol.occluders(case, (SIZE, SIZE), 3)

    def patch(picture, place):
        return picture[:, place.y0 : place.y1, place.x0 : place.x1]

    one = samples[3:4].map(lambda tensor: tensor.expand(len(places), *tensor.shape[1:]))
    drawn = protocol.apply(one, places).image
    whole = patch(drawn[0], places[0])
    for picture, place in zip(drawn, places, strict=True):
        piece = patch(picture, place)
        assert piece.numel() and torch.equal(piece, whole[:, : piece.shape[1], : piece.shape[2]])
    again = Grid(GridConfig(sizes=(60,), stride=40), seed=2).apply(samples, [places[4]] * 4).image
    assert torch.equal(again[3], drawn[4]) and not torch.equal(again[2], again[3])
    assert not torch.equal(Grid(GridConfig(), seed=9).apply(samples, [places[4]] * 4).image, again)


def test_patches_can_be_cut_from_pictures(tmp_path):
    for name, shape in (("a.png", (90, 70)), ("b.png", (9, 12))):
        Image.fromarray(np.full((*shape, 3), 200, np.uint8)).save(tmp_path / name)
    protocol = Grid(GridConfig(textures=tmp_path))
    samples = people(8, labels=False)
    drawn = protocol.apply(samples, [Occluder(2, 2, 32, 32, size=105)] * 8).image
    assert (drawn[:, :, 2:32, 2:32] == 200).all() and (drawn == 0).any()
    (tmp_path / "empty").mkdir()
    for folder, problem in (("empty", "no picture"), ("absent", "not a folder")):
        with pytest.raises(AssetError, match=f"{folder}: {problem}"):
            Grid(GridConfig(textures=tmp_path / folder))


def test_the_worst_is_the_first_of_the_worst_and_never_unknown():
    nan, protocol = torch.nan, Adversarial(AdversarialConfig(sizes=(40,)))
    values = torch.tensor([[nan, 1.0, nan, 5.0], [2, 3, nan, nan], [2, 0, nan, 5]])
    assert protocol.worst(values, lower_is_better=True).tolist() == [1, 1, 0, 0]
    assert protocol.worst(values, lower_is_better=False).tolist() == [1, 2, 0, 0]


@pytest.mark.wrong_shapes
def test_wrong_numbers_are_named():
    with pytest.raises(ShapeError, match="occluders"):
        Grid().apply(people(), [Occluder(0, 0, 1, 1)])
    with pytest.raises(ShapeError, match="joints"):
        Grid().apply(people(), [Occluder(0, 0, 1, 1)] * 2, torch.zeros(1, 24, 2))


def test_occluders_are_plain_values():
    assert dataclasses.replace(Occluder(0, 0, 2, 2), x0=1) == Occluder(1, 0, 2, 2)


def test_listing_the_protocols_imports_no_torch():
    lines = ("import sys", "import nbf_datasets.occlusion.config", "from nbf_datasets.plugin import nbf_protocols")
    code = "; ".join((*lines, "list(nbf_protocols())", "print('torch' in sys.modules)"))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
