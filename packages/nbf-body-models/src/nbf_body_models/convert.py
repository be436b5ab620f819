"""Published model files as npz files that need no pickle."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nbf_body_models.files import read_model
from nbf_core.contracts import ConvertedFile

_LARGE = ("shapedirs", "posedirs")


def converted(path: Path, kind: str) -> ConvertedFile | None:
    """The arrays of a model file of this kind, under their published names; None for a body of another kind.

    The blend shapes become float32, as every program reads them; everything else stays as it is. What is no array is
    left out, and listed. Raises AssetError naming file and key.
    """
    model = read_model(path)
    if model.kind != kind:
        return None
    arrays = {
        "v_template": model.template,
        "shapedirs": model.directions.astype(np.float32),
        "posedirs": model.pose_directions.astype(np.float32),
        "J_regressor": model.regressor,
        "weights": model.weights,
        "kintree_table": np.array([model.parents, range(len(model.parents))], np.int64),
        "f": model.faces.astype(np.int32),
    }
    arrays |= {name: value for name, value in model.others.items() if name not in arrays}
    return ConvertedFile(arrays, model.left_out)
