"""Calibrate the gate of the fitters, and try it on other people.

    python tools/benchmarks/calibrate_gate.py --out packages/nbf-fitters/src/nbf_fitters/data/gate.json
    python tools/benchmarks/calibrate_gate.py --try packages/nbf-fitters/src/nbf_fitters/data/gate.json

Everybody is fitted from starts whose truth is known: held-out poses with ideal features of several noises, and
pictures of the synthetic set as the trained model of ``--pipeline`` sees them, clean and behind a patch. For each joint
and for each person least squares tell which facts make the way from start to fit progress; of the margins with which
no group at 5 degrees ends up worse, those are taken that leave the least error. There is one rule for each trust that
features have. Calibrated on the split ``val``, tried on ``test``.
"""

from __future__ import annotations

import argparse
import datetime
import itertools
from dataclasses import dataclass

import roma
import torch
from gate_cases import Case, fitter_of, ideal_cases, model_cases

from nbf_body_anny.body import AnnyBody
from nbf_core.geometry.alignment import similarity_align
from nbf_core.types import BodyParams, FitResult
from nbf_fitters.gate.evidence import FACTS, Witness
from nbf_fitters.gate.fitter import mixed
from nbf_fitters.gate.rule import Rule, calibrate, read_rule, with_ancestors, write_rules
from nbf_render_numba.config import NumbaConfig
from nbf_render_numba.renderer import NumbaRenderer

JOINT_MARGINS = [-0.4, -0.2, -0.1, 0.0, 0.1, 0.2, 0.3]
PERSON_MARGINS = [-0.1, 0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6]
STRONG = 5.0
"""Degrees a joint by which a strong start errs."""


@dataclass(frozen=True)
class Fitted:
    """A case after its fit, with what the gate knows of it."""

    case: Case
    result: FitResult
    facts: torch.Tensor


def places(body, params: BodyParams) -> torch.Tensor:
    """Joints in millimetres."""
    with torch.no_grad():
        return 1000 * body(params, vertices=False).joints


def errors(body, found: BodyParams, truth: BodyParams) -> tuple[torch.Tensor, torch.Tensor]:
    """MPJPE and PA-MPJPE of each person."""
    one, other = places(body, found), places(body, truth)
    apart = ((one - one[:, :1]) - (other - other[:, :1])).norm(dim=-1).mean(-1)
    return apart, (similarity_align(one, other) - other).norm(dim=-1).mean(-1)


def rotations(params: BodyParams) -> torch.Tensor:
    """All rotations as matrices, the root first."""
    return roma.rotvec_to_rotmat(torch.cat([params.global_orient[:, None], params.body_pose], 1))


def arms(body, truth: BodyParams) -> torch.Tensor:
    """From each joint to the middle of what hangs on it, in the joint's own frame (mm); zero for ends."""
    joints, local = places(body, truth), rotations(truth)
    parents, world = body.spec.parents, [local[:, 0]]
    for joint in range(1, len(parents)):
        world.append(world[parents[joint]] @ local[:, joint])
    hangs = torch.zeros(len(parents), len(parents))
    for joint in range(len(parents)):
        above = parents[joint]
        while above >= 0:
            hangs[above, joint] = 1
            above = parents[above]
    middle = (hangs @ joints) / hangs.sum(-1).clamp_min(1)[:, None]
    arm = torch.where(hangs.sum(-1)[:, None] > 0, middle - joints, 0)
    return (torch.stack(world, 1).mT @ arm[..., None])[..., 0]


def joint_rows(body, one: Fitted) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Facts, way and progress of all joints of those who were fitted; the root and the ends left out."""
    kept = one.result.kept
    truth, start, found = one.case.truth[kept], one.result.start[kept], one.result.params[kept]
    arm = arms(body, truth)[..., None]
    begin, end, right = ((rotations(params) @ arm)[..., 0] for params in (start, found, truth))
    way = (end - begin).norm(dim=-1)
    progress = (begin - right).norm(dim=-1) - (end - right).norm(dim=-1)
    use = (arm[..., 0].norm(dim=-1) > 0).clone()
    use[:, 0] = False
    return one.facts[kept][use], way[use], progress[use]


def person_rows(body, one: Fitted, joint: torch.Tensor, margin: float) -> tuple[torch.Tensor, ...]:
    """The same about people, by the root's row, with the joints' rule applied already; the progress aligned as well."""
    kept, truth, start = one.result.kept, one.case.truth, one.result.start
    rule = Rule(joint, torch.zeros(len(FACTS)), margin)
    own = with_ancestors(rule.joints(one.facts), body.spec.parents)
    found = mixed(own, one.result.params, start)
    a, b = places(body, found), places(body, start)
    way = ((a - a[:, :1]) - (b - b[:, :1])).norm(dim=-1).mean(-1)
    before, after = errors(body, start, truth), errors(body, found, truth)
    progress, aligned = (b - a for b, a in zip(before, after, strict=True))
    return one.facts[kept][:, 0], way[kept], progress[kept], aligned[kept]


def let_through(body, one: Fitted, rule: Rule) -> tuple[BodyParams, torch.Tensor]:
    """What a rule makes of a fit."""
    own = with_ancestors(rule.joints(one.facts), body.spec.parents)
    own &= (rule.people(one.facts) & one.result.kept)[:, None]
    return mixed(own, one.result.params, one.result.start), own


def make_rule(body, fitted: list[Fitted], made: dict) -> Rule:
    """Weights by least squares, then the margins: least error over all groups, of those that harm no strong start."""
    rows = [torch.cat(part) for part in zip(*(joint_rows(body, one) for one in fitted), strict=True)]
    joint = calibrate(*rows)
    start_errors = [errors(body, one.case.start, one.case.truth)[0].mean() for one in fitted]
    best, least = None, (True, float("inf"))
    for joint_margin in JOINT_MARGINS:
        rows = [person_rows(body, one, joint, joint_margin) for one in fitted]
        person = calibrate(*(torch.cat(part) for part in list(zip(*rows, strict=True))[:3]))
        for person_margin in PERSON_MARGINS:
            rule = Rule(joint, person, joint_margin, person_margin, fitted[0].case.trust, made)
            ratios, harm = [], 0.0
            for one, before, (facts, _, progress, aligned) in zip(fitted, start_errors, rows, strict=True):
                people, passed = len(one.result.kept), facts @ person > person_margin
                ratios.append(float(1 - progress[passed].sum() / people / before))
                if one.case.degrees is not None and one.case.degrees <= STRONG:
                    harm = max(harm, *(doubt(gain * passed, people) / float(before) for gain in (progress, aligned)))
            score = (harm > 0, harm if harm > 0 else sum(ratios) / len(ratios))
            if score < least:
                best, least = rule, score
    print(f"  margins {best.joint_margin} and {best.person_margin}, harm: {least[0]}, score {least[1]:.3f}", flush=True)
    return best


def doubt(gain: torch.Tensor, people: int) -> float:
    """By how much the mean gain (mm) of so many people, the others' being none, may fall short of zero.

    Its mean less a half of its standard error: what looks even on these people must not harm others.
    """
    gain = torch.cat([gain, gain.new_zeros(people - len(gain))])
    return float(0.5 * gain.std() / people**0.5 - gain.mean()) if gain.any() else 0.0


def fit_all(body, kind: str, cases: list[Case]) -> list[Fitted]:
    """Every case fitted, and the facts about it."""
    out = []
    for case in cases:
        if kind == "smplify" and case.observation.keypoints is None:
            continue
        result = fitter_of(kind, case, body).fit(case.observation, case.start)
        witness = Witness(body, NumbaRenderer(NumbaConfig()), case.bank, case.trust)
        facts = witness.facts(case.observation, result.start, result.params, result.confidence)
        out.append(Fitted(case, result, facts))
    return out


def show(body, kind: str, fitted: list[Fitted], rule: Rule) -> None:
    """Mean errors before, after the fit, and behind the gate."""
    print(f"{kind:42s}    start            fit              gated            people joints kept")
    for one in fitted:
        params, own = let_through(body, one, rule)
        rows = [errors(body, p, one.case.truth) for p in (one.case.start, one.result.params, params)]
        words = "  ".join(f"{a.mean():6.1f} / {b.mean():6.1f}" for a, b in rows)
        worse = " *" if rows[2][0].mean() > rows[0][0].mean() else ""
        print(
            f"{one.case.name:42s} {words}  {own[:, 0].float().mean():.2f} {own.float().mean():.2f}{worse}", flush=True
        )


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
    parser.add_argument("--out", help="where to write the rules")
    parser.add_argument("--try", dest="tried", help="try the rules of this file on the split test instead")
    options = parser.parse_args()
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
    rules = {}
    for kind in options.fitters:
        rules[kind] = []
        for trust, some in itertools.groupby(cases, key=lambda case: case.trust):
            fitted = fit_all(body, kind, list(some))
            if options.tried:
                rule = read_rule(options.tried, kind, trust)
            else:
                groups = {"groups": [one.case.name for one in fitted]}
                rule = make_rule(body, fitted, made | groups)
            rules[kind].append(rule)
            show(body, kind, fitted, rule)
    if options.out:
        write_rules(options.out, rules)


if __name__ == "__main__":
    main()
