"""Keypoints from one convention to another, joint by joint by name."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from nbf_core.conventions.skeletons import convention, relatives
from nbf_core.errors import ShapeError


@lru_cache(maxsize=256)
def matching_rows(source: str, target: str, approximate: bool = False) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Rows of ``target`` and, for each, the row of ``source`` that holds this joint.

    With ``approximate`` a joint that the source lacks is taken from the nearest in meaning that it has
    (:func:`nbf_core.conventions.relatives`). Raises ConfigError for an unknown name.
    """
    rows, found = convention(source).rows, {}
    for row, joint in enumerate(convention(target).joints):
        names = (joint, *relatives(joint)) if approximate else (joint,)
        here = next((rows[name] for name in names if name in rows), None)
        if here is not None:
            found[row] = here
    return tuple(found), tuple(found.values())


def convert_keypoints(
    values: Any, source: str, target: str, mask: Any = None, approximate: bool = False
) -> tuple[Any, Any]:
    """Keypoints [..., n, c] of convention ``source`` as [..., m, c] of ``target``, and which of the ``m`` are known.

    Numpy arrays or torch tensors, type and device kept. ``mask`` [n] says which rows of the source are known: all
    where it is None. Rows that are not known are zero; the mask returned is uint8. Raises ShapeError naming the
    convention where the number of rows is not its own.
    """
    have = len(convention(source))
    if values.ndim < 2 or values.shape[-2] != have:
        raise ShapeError(f"keypoints of {source}: expected [..., {have}, c], got {tuple(values.shape)}")
    if mask is not None and tuple(mask.shape) != (have,):
        raise ShapeError(f"mask of {source}: expected [{have}], got {tuple(mask.shape)}")
    to, of = matching_rows(source, target, approximate)
    out, known = _zeros(values, len(convention(target)))
    out[..., list(to), :] = values[..., list(of), :]
    known[list(to)] = 1 if mask is None else (mask[list(of)] != 0)
    return out, known


def _zeros(values: Any, rows: int) -> tuple[Any, Any]:
    shape = (*values.shape[:-2], rows, values.shape[-1])
    if isinstance(values, np.ndarray):
        return np.zeros(shape, values.dtype), np.zeros(rows, np.uint8)
    import torch  # only whoever hands over tensors pays for it

    return values.new_zeros(shape), torch.zeros(rows, dtype=torch.uint8, device=values.device)
