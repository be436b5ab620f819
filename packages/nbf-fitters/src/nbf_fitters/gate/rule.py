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

SCORES = ("joint", "person")


@dataclass(frozen=True)
class Rule:
    """A score linear in the facts, of joints (``joint``) and of people (``person``): what exceeds its limit passes.

    Calibrated on features that deserve ``trust``; ``made`` tells how, when and on whom.
    """

    joint: Float[Tensor, "f"]
    person: Float[Tensor, "f"]
    joint_limit: float = 0.0
    person_limit: float = 0.0
    trust: float = 1.0
    made: Mapping[str, Any] = field(default_factory=dict)

    def joints(self, facts: Float[Tensor, "b J f"]) -> Bool[Tensor, "b J"]:
        """Which rotations of a fit are believed, each for itself."""
        return facts @ self.joint.to(facts) > self.joint_limit

    def people(self, facts: Float[Tensor, "b J f"]) -> Bool[Tensor, "b"]:
        """Who is believed as a whole, by the row of the root."""
        return facts[:, 0] @ self.person.to(facts) > self.person_limit

    def believed(self, facts: Float[Tensor, "b J f"], parents: Sequence[int]) -> Bool[Tensor, "b J"]:
        """Which rotations of a fit are kept: none of somebody who is not believed as a whole."""
        return with_ancestors(self.joints(facts), parents) & self.people(facts)[:, None]


def with_ancestors(kept: Bool[Tensor, "b J"], parents: Sequence[int]) -> Bool[Tensor, "b J"]:
    """The joints kept and all that they hang on: a child's turn means nothing about another parent's."""
    kept = kept.clone()
    kept[:, 0] = True
    for joint in range(len(parents) - 1, 0, -1):
        kept[:, parents[joint]] |= kept[:, joint]
    return kept


def read_rule(source: str, fitter: str, trust: float = 1.0) -> Rule:
    """The rule for a fitter from the file ``source`` (``shipped``: this package's), calibrated nearest to ``trust``.

    Raises AssetError where it is missing or is no such file, or has no rule for that fitter.
    """
    path = files("nbf_fitters") / "data" / "gate.json" if source == SHIPPED else Path(source)
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        entry = min(table["rules"][fitter], key=lambda one: abs(one["trust"] - trust))
        weights = {name: torch.tensor([float(entry[name][fact]) for fact in FACTS]) for name in SCORES}
        numbers = {name: float(entry[name]) for name in ("joint_limit", "person_limit", "trust")}
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
            name: {fact: round(value, 5) for fact, value in zip(FACTS, getattr(rule, name).tolist(), strict=True)}
            for name in SCORES
        }
        numbers = {name: round(getattr(rule, name), 5) for name in ("trust", "joint_limit", "person_limit")}
        return {"made": dict(rule.made), **numbers, **named}

    table = {"rules": {name: [entry(rule) for rule in some] for name, some in rules.items()}}
    Path(path).write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
