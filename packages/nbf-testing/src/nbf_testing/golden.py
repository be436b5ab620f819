"""Golden cases: inputs and outputs of the published implementation, as npz files beside a ``manifest.json``.

The manifest lists cases; a case has a name, a file, a kind, parameters, notes, and tolerances of its own.
Cases are chosen by kind, never by name, so that a test meets every set of the same kinds: where the
environment variable ``NBF_GOLDEN_DIR`` is set, cases come from there instead of from the package's own copy.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

ENVIRONMENT = "NBF_GOLDEN_DIR"


@dataclass(frozen=True)
class GoldenCase:
    """One case. Arrays are read on first use, never by pickle."""

    name: str
    kind: str
    path: Path
    atol: float
    rtol: float
    notes: str = ""
    params: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.name

    @cached_property
    def arrays(self) -> dict[str, np.ndarray]:
        """All arrays of the file by their full names (``in__...``, ``out__...``)."""
        with np.load(self.path, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files if name != "params_json"}

    @property
    def inputs(self) -> dict[str, np.ndarray]:
        """Inputs without their prefix."""
        return self._with_prefix("in__")

    @property
    def outputs(self) -> dict[str, np.ndarray]:
        """Expected outputs without their prefix."""
        return self._with_prefix("out__")

    def tensor(self, name: str, requires_grad: bool = False) -> Tensor:
        """The input ``name`` as a fresh tensor."""
        return torch.tensor(self.arrays[f"in__{name}"]).requires_grad_(requires_grad)

    def scalar(self, name: str) -> Any:
        """The one-element input ``name`` as a Python number."""
        return self.arrays[f"in__{name}"].item()

    def check(self, name: str, value: Tensor | np.ndarray) -> None:
        """Assert that ``value`` equals the output ``name``; an output that the case lacks is not checked.

        The rule: integers exact, else ``|a - b| <= atol + rtol max|b|`` with the case's tolerances.
        """
        expected = self.arrays.get(f"out__{name}")
        if expected is None:
            return
        actual = value.detach().cpu().numpy() if isinstance(value, Tensor) else np.asarray(value)
        assert actual.shape == expected.shape, f"{self.name} {name}: {actual.shape} is not {expected.shape}"
        if expected.dtype.kind in "iub":
            wrong = int((actual.astype(np.int64) != expected.astype(np.int64)).sum())
            assert wrong == 0, f"{self.name} {name}: {wrong} of {expected.size} differ"
            return
        reference = expected.astype(np.float64)
        limit = self.atol + self.rtol * float(np.abs(reference).max(initial=0.0))
        error = float(np.abs(actual.astype(np.float64) - reference).max(initial=0.0))
        assert error <= limit, f"{self.name} {name}: off by {error:.3g}, allowed {limit:.3g}"  # NaN fails too

    def _with_prefix(self, prefix: str) -> dict[str, np.ndarray]:
        return {name[len(prefix) :]: array for name, array in self.arrays.items() if name.startswith(prefix)}


def golden_dir(default_dir: str | Path) -> Path:
    """The directory that golden cases come from."""
    return Path(os.environ.get(ENVIRONMENT) or default_dir)


def cases(kind: str, default_dir: str | Path) -> list[GoldenCase]:
    """All cases of a kind, in the manifest's order. For ``pytest.mark.parametrize("case", ..., ids=str)``."""
    directory = golden_dir(default_dir)
    manifest = json.loads((directory / "manifest.json").read_text(encoding="utf-8"))
    return [
        GoldenCase(
            name=case["name"],
            kind=case["kind"],
            path=directory / case["file"],
            atol=float(case["atol"]),
            rtol=float(case["rtol"]),
            notes=case.get("notes", ""),
            params=case.get("params", {}),
        )
        for case in manifest["cases"]
        if case["kind"] == kind
    ]
