"""Against the published occlusion code: tests/golden, or the folder NBF_GOLDEN_DIR names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from nbf_core.contracts import Occluder
from nbf_datasets.occlusion.config import AdversarialConfig
from nbf_datasets.occlusion.paint import behind, covered_cells
from nbf_datasets.occlusion.places import at_cell, scaled, steps
from nbf_datasets.occlusion.protocols import Adversarial
from nbf_datasets.occlusion.visibility import published_occluder, visible_kernels
from nbf_testing.golden import cases

HERE = Path(__file__).parent / "golden"


@pytest.mark.parametrize("kind", ["occlusion_patch", "occ_visibility_map", "adversarial_grid"])
def test_golden_cases_are_there(kind):
    assert cases(kind, HERE)


@pytest.mark.parametrize("case", cases("occlusion_patch", HERE), ids=str)
def test_golden_patches_lie_where_the_published_ones_do_and_hide_the_same_keypoints(case):
    found = [
        at_cell((int(i), int(j)), size, stride, (side, side))
        for side, size, stride, i, j in case.inputs["combos"].tolist()
    ]
    case.check("rect", np.array([[one.y0, one.y1, one.x0, one.x1] for one in found]))
    case.check("area", np.array([(one.y1 - one.y0) * (one.x1 - one.x0) for one in found]))
    points = case.tensor("keypoints2d")
    seen = [
        (~behind(some[:, :2], one)).to(torch.uint8) * (some[:, 2] > 0) for some, one in zip(points, found, strict=True)
    ]
    case.check("visibility", torch.stack(seen))


@pytest.mark.parametrize("case", cases("occ_visibility_map", HERE), ids=str)
def test_golden_kernels_behind_the_published_rectangle_are_hidden(case):
    number = case.tensor("pix_to_kernel").long()
    side, batch = round(number.shape[1] ** 0.5), len(number)
    kernels = case.outputs["visibility_map"].shape[1] - 1
    # Published numbers go through the whole batch.
    nearest = torch.where(number < 0, -1, number - kernels * torch.arange(batch)[:, None]).view(batch, side, side)
    names = ("have_occ", "occ_size", "occ_stride", "occ_idx")
    occluders = [
        published_occluder(tuple(cell), size if there else 0, stride, side)
        for there, size, stride, cell in zip(*(case.inputs[name].tolist() for name in names), strict=True)
    ]
    visible = visible_kernels(nearest, occluders, kernels, (side, side))
    # Its first column says whether anything is background, cells behind the occluder included.
    covered = torch.stack([covered_cells(one, (side, side), (side, side)) for one in occluders])
    background = ((nearest < 0) | covered).flatten(1).any(1, keepdim=True)
    case.check("visibility_map", torch.cat([background, visible], 1).to(torch.int32))


@pytest.mark.parametrize("case", cases("adversarial_grid", HERE), ids=str)
def test_golden_positions_are_counted_and_chosen_as_published(case):
    size, stride, images = (case.params[name] for name in ("occ", "stride", "imgs"))
    protocol = Adversarial(AdversarialConfig(sizes=(size,), stride=stride))
    (only,) = protocol.cases
    grid = protocol.occluders(only, (224, 224), 0)
    count = steps(size, stride)
    case.check("n_grid", np.int32(count))
    case.check("num_data", np.int32(images * len(grid)))
    for number, image, row, column in case.outputs["index_image_h_w"].tolist():
        assert divmod(number, len(grid))[0] == image and grid[number % len(grid)].cell == (row, column)
    for metric in ("mpjpe", "pa-mpjpe"):
        values = torch.tensor(case.outputs[f"{metric}_elementwise"]).view(images, len(grid))
        case.check(f"{metric}_argmax", protocol.worst(values.T, lower_is_better=True).to(torch.int32))


def test_the_published_map_is_another_rectangle_than_the_one_drawn():
    """What the golden kind pins down and the product does not do: row and column change places."""
    ours, theirs = at_cell((2, 5), 40, 20, (80, 80)), published_occluder((2, 5), 40, 20, 80)
    assert (ours.y0, ours.x0) == (theirs.x0, theirs.y0) == (14, 35)
    assert scaled(45, 80) == 16 and published_occluder((1, 1), 47, 20, 80) == Occluder(7, 7, 23, 23, 47, 20, (1, 1))
    assert scaled(47, 80) == 17
