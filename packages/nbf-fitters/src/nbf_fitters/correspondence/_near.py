"""Matching again near a pose, compiled."""

from __future__ import annotations

import numpy as np

from nbf_fitters.correspondence._compile import entry


@entry
def nearest_alike(scores, place, projected, radius, discount, label, value):
    """The best class of each pixel among the kernels within ``radius`` of it, -1 in ``label`` where there is none.

    ``scores`` [n, k o], ``place`` [n, 2], ``projected`` [k, 2]; fills ``label`` [n] and ``value`` [n].
    """
    kernels = len(projected)
    orientations = scores.shape[1] // kernels
    for i in range(len(place)):
        best, chosen = -np.inf, -1
        for k in range(kernels):
            x, y = place[i, 0] - projected[k, 0], place[i, 1] - projected[k, 1]
            square = (x * x + y * y) / (radius * radius)
            if square <= 1.0:
                for o in range(orientations):
                    score = scores[i, k * orientations + o] - discount * square
                    if score > best:
                        best, chosen = score, k * orientations + o
        label[i], value[i] = chosen, best
