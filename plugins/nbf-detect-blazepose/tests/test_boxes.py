"""Anchors, decoding and suppression."""

import numpy as np

from nbf_detect_blazepose import boxes


def test_there_is_an_anchor_for_each_output_and_they_tile_the_square():
    anchors = boxes.anchor_centres()
    assert anchors.shape == (2254, 2)
    assert anchors.min() > 0 and anchors.max() < 1
    np.testing.assert_allclose(anchors.mean(axis=0), 0.5, atol=1e-6)
    np.testing.assert_allclose(anchors[0], 4 / 224)  # two anchors in the first cell of stride 8
    np.testing.assert_allclose(anchors[-6:], 1 - 16 / 224)  # six in the last cell of stride 32


def test_decoding_adds_offsets_in_pixels_and_drops_low_scores():
    raw = np.zeros((2, 12), np.float32)
    raw[0] = [22.4, 0, 44.8, 89.6, 0, 0, 0, -112, 0, 0, 0, 0]
    anchors = np.full((2, 2), 0.5, np.float32)
    found, points, scores = boxes.decode(raw, np.array([2.0, -2.0]), anchors, 0.5)
    np.testing.assert_allclose(found, [[0.5, 0.3, 0.7, 0.7]], atol=1e-6)
    np.testing.assert_allclose(points[0, :2], [[0.5, 0.5], [0.5, 0.0]], atol=1e-6)
    np.testing.assert_allclose(scores, 1 / (1 + np.exp(-2.0)))


def test_suppression_merges_overlapping_boxes_by_score_and_keeps_others():
    found = np.array([[0, 0, 1, 1], [0, 0.1, 1, 1.1], [2, 2, 3, 3]], float)
    points = np.arange(3)[:, None, None] * np.ones((3, 4, 2))
    merged, where, scores = boxes.suppress(found, points, np.array([0.9, 0.6, 0.5]), 0.3)
    np.testing.assert_allclose(scores, [0.9, 0.5])
    np.testing.assert_allclose(merged[0], [0, 0.04, 1, 1.04])
    np.testing.assert_allclose(where[:, 0, 0], [0.4, 2.0])


def test_suppression_of_nothing_is_nothing_and_of_empty_boxes_ends():
    for count in (0, 2):
        merged, points, scores = boxes.suppress(np.zeros((count, 4)), np.zeros((count, 4, 2)), np.ones(count), 0.3)
        assert len(merged) == len(points) == len(scores) == count
