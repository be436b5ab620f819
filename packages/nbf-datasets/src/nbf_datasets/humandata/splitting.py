"""Samples that are kept apart from training, to measure on."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence

import numpy as np

MANY_FOLDERS = 20
"""From so many folders of images on, a folder is taken to be a sequence of a film."""


def held_out(paths: Sequence[str], share: float, seed: int) -> np.ndarray:
    """Which samples are kept apart, bool [N]: about ``share`` of them, none where that would leave nothing to train on.

    Everybody in one picture goes the same way, and so do all pictures of a folder where there are ``MANY_FOLDERS`` or
    more: neighbouring frames of a film are nearly the same. Which ones depends on seed and paths alone.
    """
    texts = [str(text).replace("\\", "/") for text in paths]
    folders = [text.rpartition("/")[0] for text in texts]
    groups = folders if len(set(folders)) >= MANY_FOLDERS else texts
    sizes = Counter(groups)
    order = sorted(sizes, key=lambda name: hashlib.blake2b(f"{seed}:{name}".encode(), digest_size=8).digest())
    chosen, count = set(), 0
    for name in order[:-1] if share > 0 else []:
        if chosen and count + sizes[name] > share * len(texts):
            break
        chosen.add(name)
        count += sizes[name]
    return np.array([name in chosen for name in groups], bool)
