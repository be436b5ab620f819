"""The rule of the gate: which facts speak for a fit and how much, calibrated on people whose truth is known."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from nbf_core.errors import AssetError
from nbf_fitters.gate.evidence import FACTS

SHIPPED = "shipped"
"""The name of the file that comes with this package."""


SHORT_WAY = 10.0
"""Millimetres."""


@dataclass(frozen=True)
class Rule:
    """``share`` is the expected share of the way from start to fit that is progress, linear in the facts.

    For a joint (``joint``) and for a whole person (``person``). One, if the start was wrong by all of that way and
    the fit is right; minus one, if the start was right. What is kept exceeds its margin. Calibrated on features that
    deserve ``trust``; ``made`` tells how, when and on whom.
    """

    joint: Float[Tensor, "f"]
    person: Float[Tensor, "f"]
    joint_margin: float = 0.0
    person_margin: float = 0.0
    trust: float = 1.0
    made: Mapping[str, Any] = field(default_factory=dict)

    def joints(self, facts: Float[Tensor, "b J f"]) -> Bool[Tensor, "b J"]:
        """Which rotations the evidence speaks for, each for itself."""
        return facts @ self.joint.to(facts) > self.joint_margin

    def people(self, facts: Float[Tensor, "b J f"]) -> Bool[Tensor, "b"]:
        """Who is fitted at all, by the row of the root."""
        return facts[:, 0] @ self.person.to(facts) > self.person_margin


def read_rule(source: str, fitter: str, trust: float = 1.0) -> Rule:
    """The rule for a fitter from the file ``source`` (``shipped``: this package's), calibrated nearest to ``trust``.

    Raises AssetError where it is missing or is no such file, or has no rule for that fitter.
    """
    path = files("nbf_fitters") / "data" / "gate.json" if source == SHIPPED else Path(source)
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        entry = min(table["rules"][fitter], key=lambda one: abs(one["trust"] - trust))
        weights = {name: torch.tensor([float(entry[name][fact]) for fact in FACTS]) for name in ("joint", "person")}
        numbers = {name: float(entry[name]) for name in ("joint_margin", "person_margin", "trust")}
        return Rule(**weights, **numbers, made=entry.get("made", {}))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise AssetError(
            f"fitter.gate: {source} has no rule for {fitter} ({type(error).__name__}: {error}); "
            "tools/benchmarks/calibrate_gate.py makes such files"
        ) from error


def write_rules(path: str | Path, rules: Mapping[str, Sequence[Rule]]) -> None:
    """Write the rules of several fitters by name, each for one trust or more."""

    def entry(rule: Rule) -> dict[str, Any]:
        named = {
            name: {fact: round(value, 5) for fact, value in zip(FACTS, column.tolist(), strict=True)}
            for name, column in (("joint", rule.joint), ("person", rule.person))
        }
        numbers = {name: round(getattr(rule, name), 5) for name in ("trust", "joint_margin", "person_margin")}
        return {"made": dict(rule.made), **numbers, **named}

    table = {"rules": {name: [entry(rule) for rule in some] for name, some in rules.items()}}
    Path(path).write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")


def calibrate(
    facts: Float[Tensor, "n f"], way: Float[Tensor, "n"], progress: Float[Tensor, "n"], ridge: float = 1e-2
) -> Float[Tensor, "f"]:
    """Weights of the facts whose sum is the ``progress`` (mm) as a share of the ``way`` (mm between start and fit).

    Least squares, with a pull towards zero that counts as much as ``ridge`` of the samples. Ways shorter than
    ``SHORT_WAY`` count for less: which end of them is better is chance.
    """
    scale = 1 / (way + SHORT_WAY)
    rows = (facts * (way * scale)[:, None]).double()
    matrix = rows.mT @ rows
    pull = ridge * matrix.diagonal().clamp_min(1e-12)
    return torch.linalg.solve(matrix + torch.diag(pull), rows.mT @ (progress * scale).double()).float()


def with_ancestors(kept: Bool[Tensor, "b J"], parents: Sequence[int]) -> Bool[Tensor, "b J"]:
    """The joints kept and all that they hang on: a child's turn means nothing about another parent's."""
    kept = kept.clone()
    kept[:, 0] = True
    for joint in range(len(parents) - 1, 0, -1):
        kept[:, parents[joint]] |= kept[:, joint]
    return kept
