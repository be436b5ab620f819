"""Calibrate the gate of the fitters, and try it on other people.

    python tools/benchmarks/calibrate_gate.py --out packages/nbf-fitters/src/nbf_fitters/data/gate.json
    python tools/benchmarks/calibrate_gate.py --try packages/nbf-fitters/src/nbf_fitters/data/gate.json

Everybody is fitted from starts whose truth is known: held-out poses with ideal features of several noises, and
pictures of the synthetic set as the trained model of ``--pipeline`` sees them, clean and behind a patch. Facts about
a fit are weighed so that taking it where they speak for it leaves the least error; of the limits with which people at
5 degrees do not end up worse, clean or behind the patch, those are taken that leave the least. There is one rule for
each trust that features have. Calibrated on the split ``val``, tried on ``test``.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import io
import itertools
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import torch
from gate_cases import Case, fitter_of, ideal_cases, model_cases

from nbf_body_anny.body import AnnyBody
from nbf_core.types import BodyParams, FitResult
from nbf_fitters.gate.evidence import Witness
from nbf_fitters.gate.fitter import mixed
from nbf_fitters.gate.rule import Rule, read_rule, with_ancestors, write_rules
from nbf_fitters.gate.ways import arms, joint_ways, person_ways
from nbf_render_numba.config import NumbaConfig
from nbf_render_numba.renderer import NumbaRenderer

LIMITS = [0.0, 0.5, -0.5, 1.0, -1.0, 1.5, -1.5, 2.0, -2.0, 2.5, 3.0, -3.0, 4.0, -4.0, 6.0, -99.0]
"""Of scores, whose sigmoid is about how probable it is that a fit helps. Of equal ones the first is taken: where
nobody here was harmed, that is no reason to believe everything."""

STRONG = 5.0
"""Degrees a joint by which a strong start errs."""


@dataclass(frozen=True)
class Fitted:
    """A case after its fit, with what the gate knows of it, and would know had the fit been the start.

    From these ``mirrored`` facts it learns what harm looks like, which a good fitter does too seldom to show.
    """

    case: Case
    result: FitResult
    facts: torch.Tensor
    mirrored: torch.Tensor


def joint_rows(body, one: Fitted) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Facts, mirrored ones and relative gains of the joints of those fitted; the root and the ends left out."""
    kept = one.result.kept
    truth, found, start = one.case.truth[kept], one.result.params[kept], one.result.start[kept]
    arm = arms(body, truth)
    use = (arm.norm(dim=-1) > 0).clone()
    use[:, 0] = False
    before, after = (joint_ways(params, truth, arm)[use] for params in (start, found))
    return one.facts[kept][use], one.mirrored[kept][use], (before - after) / before.mean().clamp_min(1)


@dataclass(frozen=True)
class Whole:
    """People after the joints' rule: facts and errors of those fitted, with and without alignment; how many all are."""

    facts: torch.Tensor
    mirrored: torch.Tensor
    before: torch.Tensor
    after: torch.Tensor
    people: int
    strong: bool
    patch: int

    @classmethod
    def of(cls, body, one: Fitted, rule: Rule) -> Whole:
        """``before`` and ``after`` are [2, n], millimetres."""
        kept, truth = one.result.kept, one.case.truth
        facts, truth, start, found = one.facts[kept], truth[kept], one.result.start[kept], one.result.params[kept]
        now = mixed(with_ancestors(rule.joints(facts), body.spec.parents), found, start)
        before, after = (torch.stack(person_ways(body, params, truth)) for params in (start, now))
        strong = one.case.degrees is not None and one.case.degrees <= STRONG
        mirrored = one.mirrored[kept][:, 0]
        return cls(facts[:, 0], mirrored, before, after, len(kept), strong, one.case.patch)


def learn(facts: list[torch.Tensor], gains: list[torch.Tensor], strong: list[bool], pull: float = 3e-3) -> torch.Tensor:
    """Weights of a score whose sigmoid, as the share of a fit that is taken, makes the most of the gains.

    One entry a group: facts [n, f] and gains [m, n], as shares of the group's error. Where a group of strong starts
    loses, that counts ten times. ``pull`` towards zero of the weights of standardised facts.
    """
    every = torch.cat(facts)
    middle, spread = every.mean(0), every.std(0)
    middle[0], spread[0] = 0.0, 1.0  # the constant
    scale = torch.where(spread > 1e-6, 1 / spread.clamp_min(1e-6), 0)
    rows = [(one - middle) * scale for one in facts]
    weights = torch.zeros(every.shape[1], requires_grad=True)
    optimiser = torch.optim.LBFGS([weights], max_iter=300, line_search_fn="strong_wolfe")

    def cost() -> torch.Tensor:
        optimiser.zero_grad()
        total = pull * len(rows) * weights[1:].square().sum()
        for row, gain, careful in zip(rows, gains, strong, strict=True):
            mean = (gain * torch.sigmoid(row @ weights)).sum(-1) / max(gain.shape[-1], 1)
            total = total - (mean - 9 * torch.relu(-mean) if careful else mean).sum()
        total.backward()
        return total

    optimiser.step(cost)
    found = weights.detach() * scale
    found[0] -= (found * middle)[1:].sum()
    return found


def make_rule(body, fitted: list[Fitted], made: dict) -> Rule:
    """The weights, then the limits: least error of all groups, of those that harm no strong start.

    Where none is without harm, the least harmful.
    """
    careless = [False] * len(fitted)
    rows = [joint_rows(body, one) for one in fitted]
    gains = [row[2][None] for row in rows]
    facts = [row[0] for row in rows] + [row[1] for row in rows]
    joint = learn(facts, gains + [-gain for gain in gains], careless * 2)
    best, least = None, (True, float("inf"))
    for joint_limit in LIMITS:
        groups = [Whole.of(body, one, Rule(joint, joint, joint_limit)) for one in fitted]
        gains = [(one.before - one.after) / one.before.mean(-1, keepdim=True).clamp_min(1) for one in groups]
        facts = [one.facts for one in groups] + [one.mirrored for one in groups]
        person = learn(facts, gains + [-gain for gain in gains], [one.strong for one in groups] + careless)
        for person_limit in LIMITS:
            rule = Rule(joint, person, joint_limit, person_limit, fitted[0].case.trust, made)
            score = judge(rule, groups)
            if score < least:
                best, least = rule, score
    words = "harm" if least[0] else "no harm, left"
    print(f"  limits {best.joint_limit} and {best.person_limit}: {words} {least[1]:.3f}", flush=True)
    return best


def judge(rule: Rule, groups: list[Whole]) -> tuple[bool, float]:
    """Whether strong starts are harmed, clean or patched, and the share of all error that is left; else the harm."""
    ratios, strong = [], {}
    for group in groups:
        passed = group.facts @ rule.person > rule.person_limit
        for i, (before, after) in enumerate(zip(group.before, group.after, strict=True)):
            gain = torch.zeros(group.people)
            gain[: len(before)] = (before - after) * passed
            ratios.append(float(1 - gain.sum() / before.sum().clamp_min(1)))
            if group.strong:
                strong.setdefault((group.patch, i), []).append(gain / before.mean().clamp_min(1))
    # Half a standard error of doubt: what looks even on these people must not harm others.
    pooled = [torch.cat(gains) for gains in strong.values()]
    harm = max((float(0.5 * gain.std() / len(gain) ** 0.5 - gain.mean()) for gain in pooled if gain.any()), default=0.0)
    return (True, harm) if harm > 0 else (False, sum(ratios) / len(ratios))


def fit_all(body, kind: str, cases: list[Case]) -> list[Fitted]:
    """Every case fitted, and the facts about it."""
    out = []
    for case in cases:
        if kind == "smplify" and case.observation.keypoints is None:
            continue
        result = fitter_of(kind, case, body).fit(case.observation, case.start)
        witness = Witness(body, NumbaRenderer(NumbaConfig()), case.bank, case.trust)
        facts = witness.facts(case.observation, result.start, result.params, result.confidence)
        mirrored = witness.facts(case.observation, result.params, result.start, result.confidence)
        out.append(Fitted(case, result, facts, mirrored))
    return out


def let_through(body, one: Fitted, rule: Rule) -> tuple[BodyParams, torch.Tensor]:
    """What a rule makes of a fit."""
    own = rule.believed(one.facts, body.spec.parents) & one.result.kept[:, None]
    return mixed(own, one.result.params, one.result.start), own


def show(body, kind: str, fitted: list[Fitted], rule: Rule) -> None:
    """Mean errors before, after the fit, and behind the gate; those of all strong starts together at the end."""
    print(f"{kind:42s}    start            fit              gated            people joints kept")
    strong: dict[str, list[torch.Tensor]] = {}
    for one in fitted:
        params, own = let_through(body, one, rule)
        ways = [torch.stack(person_ways(body, p, one.case.truth)) for p in (one.case.start, one.result.params, params)]
        rows = torch.stack(ways)  # what, aligned or not, person
        print(line(one.case.name, rows, own), flush=True)
        if one.case.degrees is not None and one.case.degrees <= STRONG:
            strong.setdefault("behind a patch" if one.case.patch else "clean", []).append(rows)
    for where, groups in strong.items():
        print(line(f"all strong starts, {where}", torch.cat(groups, dim=-1), None), flush=True)


def line(name: str, rows: torch.Tensor, own: torch.Tensor | None) -> str:
    """Means of one group, ``rows`` [3, 2, n]; a star where the gate leaves people worse than they began."""
    words = "  ".join(f"{apart:6.1f} / {aligned:6.1f}" for apart, aligned in rows.mean(-1).tolist())
    share = "" if own is None else f"{own[:, 0].float().mean():.2f} {own.float().mean():.2f}"
    worse = " *" if rows[2, 0].mean() > rows[0, 0].mean() else ""
    return f"{name:42s} {words}  {share}{worse}"


def rules_of(kind: str, options: argparse.Namespace) -> tuple[list[Rule], str]:
    """The rules for one fitter, one for each trust, and what there is to say of them."""
    torch.set_num_threads(1)
    body, split = AnnyBody(), "test" if options.tried else "val"
    cases = [*ideal_cases(body, options, split, seed=int(bool(options.tried))), *model_cases(body, options, split)]
    made = {
        "command": "tools/benchmarks/calibrate_gate.py",
        "date": datetime.date.today().isoformat(),
        "split": split,
        "people": options.people,
        "pictures": options.pictures,
        "pipeline": options.pipeline,
        "weights": options.weights or "the pipeline's",
    }
    rules, words, began = [], io.StringIO(), time.perf_counter()
    with contextlib.redirect_stdout(words):
        for trust, some in itertools.groupby(cases, key=lambda case: case.trust):
            fitted = fit_all(body, kind, list(some))
            if options.tried:
                rule = read_rule(options.tried, kind, trust)
            else:
                groups = {"groups": [one.case.name for one in fitted]}
                rule = make_rule(body, fitted, made | groups)
            rules.append(rule)
            show(body, kind, fitted, rule)
        print(f"{kind}: {time.perf_counter() - began:.0f} s")
    return rules, words.getvalue()


def main() -> None:
    """Calibrate or try, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fitters", nargs="*", default=["staged", "correspondence", "smplify"])
    parser.add_argument("--people", type=int, default=24, help="in each group with ideal features")
    parser.add_argument("--pictures", type=int, default=64, help="in each group seen by the model")
    parser.add_argument("--noise", type=float, nargs="*", default=[0.0, 0.3, 0.9])
    parser.add_argument("--patches", type=int, nargs="*", default=[0, 80])
    parser.add_argument("--degrees", type=float, nargs="*", default=[5.0, 15.0, 30.0])
    parser.add_argument("--channels", type=int, default=64)
    parser.add_argument("--pipeline", default="demo", help="whose model sees the synthetic set; empty: none")
    parser.add_argument("--weights", help="other weights than the pipeline names")
    parser.add_argument("--jobs", type=int, default=2, help="fitters at once, each in its own process")
    parser.add_argument("--out", help="where to write the rules")
    parser.add_argument("--try", dest="tried", help="try the rules of this file on the split test instead")
    options = parser.parse_args()
    rules = {}
    with ProcessPoolExecutor(options.jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        made = pool.map(rules_of, options.fitters, itertools.repeat(options))
        for kind, (found, words) in zip(options.fitters, made, strict=False):
            rules[kind] = found
            print(words, end="", flush=True)
    if options.out:
        write_rules(options.out, rules)


if __name__ == "__main__":
    main()
