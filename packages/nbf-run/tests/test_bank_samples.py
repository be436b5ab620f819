"""Which pixels of the feature map the bank is shown."""

from __future__ import annotations

import pytest
import torch

from nbf_core.types import Camera, Sample, collate
from nbf_run.training.features import BESIDE, Draws, background_pixels

SIDE, BODY = 32, slice(12, 20)


def batch(people: int) -> Sample:
    """A square body in the middle of each map, with an occluder over its upper left corner."""
    kernels = torch.full((SIDE, SIDE), -1)
    kernels[BODY, BODY] = 5
    kernels[12:14, 12:14] = -2
    camera, image = Camera.from_field((8, 8), 9.0), torch.zeros(3, 8, 8, dtype=torch.uint8)
    return collate([Sample(image, camera, torch.tensor(i), kernel_map=kernels) for i in range(people)])


def places(people: int, count: int, beside: float):
    """Rows and columns that were drawn: the features hold them, as an angle each."""
    rows, columns = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    angle = torch.stack([rows, columns]) / SIDE
    features = torch.cat([angle.cos(), angle.sin()]).expand(people, -1, -1, -1)
    drawn = background_pixels(features, batch(people), count, Draws(seed=1, step=0), beside=beside)
    place = torch.atan2(drawn[..., 2:], drawn[..., :2]) * SIDE
    return place.round().long().unbind(-1)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_background_beside_the_body_is_drawn_as_often_as_asked(share):
    rows, columns = places(people=200, count=8, beside=share)
    shown = batch(1).kernel_map[0]
    assert (shown[rows, columns] < 0).all()
    near = torch.zeros(SIDE, SIDE, dtype=torch.bool)
    near[12 - BESIDE : 20 + BESIDE, 12 - BESIDE : 20 + BESIDE] = True
    free = shown < 0
    expected = share + (1 - share) * (near & free).sum() / free.sum()
    assert float(near[rows, columns].float().mean()) == pytest.approx(float(expected), abs=0.05)


def test_a_map_without_body_gives_background_all_the_same():
    sample = batch(2)
    sample.kernel_map[0] = -1
    drawn = background_pixels(torch.randn(2, 4, SIDE, SIDE), sample, 6, Draws(1, 0), beside=0.5)
    assert drawn.shape == (2, 6, 4) and drawn.isfinite().all()
