"""What is left behind when training stops on numbers that are not finite: the batch that did it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from nbf_core.types import Sample
from nbf_run.training.data import named_tensors


class NotFinite(FloatingPointError):
    """A loss or a gradient is not a number; the message names step, terms, samples and the file of the batch."""


def save_batch(path: Path, batch: Sample, terms: Mapping[str, Tensor], step: int) -> None:
    """Write a batch as safetensors: tensors by dotted names, terms and step in the header under ``nbf``."""
    from safetensors.torch import save_file

    tensors = {name: value.detach().cpu().contiguous() for name, value in named_tensors(batch).items()}
    header = {
        "step": step,
        "samples": batch.index.tolist(),
        "terms": {name: str(float(value.detach())) for name, value in terms.items()},
        "camera.size": batch.camera.size,
    }
    save_file(tensors, path, {"nbf": json.dumps(header)})
