"""Correspondence quality on maps whose answer is known."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from nbf_core.errors import ShapeError
from nbf_run.quality import QualityMeter, correspondence_quality

# Four kernels: left hand, 5 cm beside it, right hand, navel. Bins 2. Channels: kernels, then clutter.
REST = torch.tensor([[0.5, 0.0, 0.0], [0.55, 0.0, 0.0], [-0.5, 0.0, 0.0], [0.0, 0.0, 0.1]])
SPEC = SimpleNamespace(kernel_rest=REST)
CLUTTER = 8


class Bank:
    features = torch.eye(9)[:8].reshape(4, 2, 9)

    def clutter(self, centers: int = 1):
        return torch.eye(9)[CLUTTER:]


def run(labels: list[int], matches: list[int], stride: int = 1) -> dict[str, float]:
    """Pixels with true ``labels`` whose features equal those of the bank's entries ``matches``."""
    features = torch.eye(9)[matches].T[None, :, None, :]
    sample = SimpleNamespace(kernel_map=torch.tensor(labels)[None, None])
    return correspondence_quality(features, Bank(), sample, SPEC, stride)


def test_the_best_kernel_counts_in_either_orientation():
    counts = run([0, 0, 2], [0, 1, 5])
    assert counts["body"] == counts["near"] == counts["found"] == counts["correct_side"] == 3
    assert counts["distance"] == 0


def test_a_neighbour_is_near_and_the_other_side_is_wrong():
    counts = run([0, 0], [2, 4])
    assert (counts["near"], counts["sided"], counts["correct_side"]) == (1, 2, 1)
    assert counts["distance"] == pytest.approx(0.05 + 1.0)


def test_the_midline_has_no_side():
    counts = run([3, 0], [6, 6])
    assert (counts["body"], counts["sided"], counts["correct_side"]) == (2, 1, 0)


def test_clutter_is_told_from_the_body():
    counts = run([0, 0, -1, -1, -2, -2], [0, CLUTTER, CLUTTER, 0, CLUTTER, 3])
    assert (counts["body"], counts["found"], counts["found_near"]) == (2, 1, 1)
    assert (counts["background"], counts["rejected"]) == (2, 1)
    assert (counts["occluder"], counts["occluder_rejected"]) == (2, 1)


def test_a_stride_takes_every_other_pixel():
    assert run([0, 2, 0, 2], [0, 0, 0, 0], stride=2)["correct_side"] == 2


def test_counts_add_up_to_shares():
    meter = QualityMeter()
    meter.add(run([0, 0], [0, 4]))
    meter.add(run([2, -1], [4, CLUTTER]))
    meter.add({})
    result = meter.result()
    assert result["correct_side"] == result["within_10cm"] == pytest.approx(2 / 3)
    assert result["background_rejected"] == 1
    assert result["occluder_rejected"] is None
    assert result["body_pixels"] == 3


def test_nothing_to_count_is_no_quality():
    sample = SimpleNamespace(kernel_map=None)
    assert correspondence_quality(torch.zeros(1, 9, 1, 1), Bank(), sample, SPEC) == {}
    assert QualityMeter().result()["correct_side"] is None


def test_half_precision_features_are_matched_in_single():
    features = torch.eye(9, dtype=torch.float16)[[0]].T[None, :, None, :]
    sample = SimpleNamespace(kernel_map=torch.zeros(1, 1, 1, dtype=torch.long))
    assert correspondence_quality(features, Bank(), sample, SPEC)["near"] == 1


def test_maps_of_another_size_are_refused():
    sample = SimpleNamespace(kernel_map=torch.zeros(1, 4, 4, dtype=torch.long))
    with pytest.raises(ShapeError, match="features"):
        correspondence_quality(torch.zeros(1, 9, 2, 2), Bank(), sample, SPEC)
