"""Draws: alike however the batch is cut, fair, and never of what has no weight."""

import pytest
import torch

from nbf_core.errors import ShapeError
from nbf_core.sampling import _mix, background_weights, draw_keys, draw_pixels


@pytest.mark.parametrize("replacement", [True, False])
def test_a_draw_depends_on_its_own_image_alone(replacement):
    weight = torch.rand(6, 50, generator=torch.Generator().manual_seed(0))
    keys = draw_keys(seed=3, step=7, index=torch.arange(6))
    whole = draw_pixels(weight, 8, keys, replacement)
    order = torch.tensor([4, 1, 5])
    assert torch.equal(whole[order], draw_pixels(weight[order], 8, keys[order], replacement))
    torch.manual_seed(99)
    assert torch.equal(whole, draw_pixels(weight, 8, keys, replacement))


def test_seed_step_index_and_stream_all_change_the_draw():
    weight, index = torch.ones(1, 1000), torch.tensor([5])
    keys = [draw_keys(0, 0, index), draw_keys(1, 0, index), draw_keys(0, 1, index), draw_keys(0, 0, index + 1)]
    keys += [draw_keys(0, 0, index, stream=1), draw_keys(1, 1, index), draw_keys(2**40, 0, index)]
    draws = {tuple(draw_pixels(weight, 5, key)[0].tolist()) for key in keys}
    assert len(draws) == len(keys)


@pytest.mark.parametrize("replacement", [True, False])
def test_pixels_are_drawn_as_often_as_they_weigh(replacement):
    people = 20000
    weight = torch.tensor([0.0, 1.0, 2.0, 5.0, 0.0]).expand(people, -1)
    drawn = draw_pixels(weight, 1, draw_keys(0, 0, torch.arange(people)), replacement)
    share = torch.bincount(drawn.flatten(), minlength=5) / people
    torch.testing.assert_close(share, weight[0] / 8, atol=0.012, rtol=0)


def test_draws_of_neighbouring_images_and_steps_are_uncorrelated():
    weight = torch.ones(2000, 1000)
    first = draw_pixels(weight, 1, draw_keys(0, 0, torch.arange(2000)), replacement=True)
    for other in (draw_keys(0, 1, torch.arange(2000)), draw_keys(0, 0, torch.arange(1, 2001))):
        both = torch.cat([first, draw_pixels(weight, 1, other, replacement=True)], dim=1).float().T
        assert torch.corrcoef(both)[0, 1].abs() < 0.08  # 3.5 standard deviations


def test_without_replacement_all_are_different_and_the_weightless_come_last():
    weight = torch.zeros(4, 30)
    weight[:, 3:9] = 1e-3
    drawn = draw_pixels(weight, 10, draw_keys(0, 0, torch.arange(4)))
    for row in drawn.tolist():
        assert sorted(row[:6]) == list(range(3, 9))
        assert len(set(row)) == 10


def test_where_nothing_weighs_the_draw_is_uniform():
    drawn = draw_pixels(torch.zeros(3000, 4), 1, draw_keys(0, 0, torch.arange(3000)), replacement=True)
    assert (torch.bincount(drawn.flatten(), minlength=4) > 600).all()


def test_no_images_no_draws():
    none = torch.zeros(0, dtype=torch.long)
    assert draw_pixels(torch.zeros(0, 9), 2, draw_keys(0, 0, none)).shape == (0, 2)


def test_kernels_take_their_pixels_from_the_background():
    free = torch.ones(1, 2, 3)
    free[0, 0, 0] = 0
    weight = background_weights(free, torch.tensor([[4, 4, 2]]))
    torch.testing.assert_close(weight, torch.tensor([[0.0, 1.0, 0.0, 1.0, 0.0, 1.0]]))


@pytest.mark.wrong_shapes
def test_what_cannot_be_drawn_is_said():
    keys = draw_keys(0, 0, torch.arange(2))
    with pytest.raises(ValueError, match="cannot draw 4 of 3"):
        draw_pixels(torch.ones(2, 3), 4, keys)
    with pytest.raises(ShapeError, match="keys: expected"):
        draw_pixels(torch.ones(3, 3), 1, keys)


def test_the_mixing_is_splitmix64():
    """Its first two numbers from the state 0, from the reference implementation."""
    increment = 0x9E3779B97F4A7C15 - 2**64
    first, second = (value % 2**64 for value in _mix(torch.tensor([0, increment])).tolist())
    assert (first, second) == (0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4)
