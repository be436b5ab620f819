"""The gate: facts, rules, and what comes out of a fitter behind it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from correspondence_fakes import BANK, BODY, fitter, joint_error, scene
from fitting_fakes import DenseRenderer

from nbf_core.contracts import Fitter, SequenceFitter
from nbf_core.errors import AssetError
from nbf_core.types import FitResult
from nbf_fitters import build
from nbf_fitters.build_config import BuiltCorrespondenceConfig, BuiltSmplifyConfig, BuiltStagedConfig
from nbf_fitters.config import StagedConfig
from nbf_fitters.gate.evidence import FACTS, Witness, turns
from nbf_fitters.gate.fitter import gated, mixed
from nbf_fitters.gate.rule import Rule, read_rule, with_ancestors, write_rules
from nbf_fitters.gate.ways import arms, joint_ways, person_ways
from nbf_fitters.records import unfitted
from nbf_fitters.staged import StagedFitter

NAMES = BODY.spec.joint_names
SHORT = {"parameters": ["orientation", "translation", "body_pose"], "steps": 2}


def row(**weights: float) -> torch.Tensor:
    return torch.tensor([weights.get(name, 0.0) for name in FACTS])


def rule(joint: dict | None = None, person: dict | None = None, **changes) -> Rule:
    return Rule(row(**(joint or {"one": 1.0})), row(**(person or {"one": 1.0})), **changes)


def witness(trust: float = 1.0) -> Witness:
    return Witness(BODY, DenseRenderer(), BANK, trust)


class GivesTruth:
    """A fitter that answers what it was told."""

    def __init__(self, answer, kept=True):
        self.answer, self.kept = answer, kept

    def fit(self, observation, start) -> FitResult:
        result = unfitted(observation, start)
        kept = torch.full_like(result.kept, self.kept)
        return replace(result, params=self.answer, kept=kept, confidence=torch.ones(len(kept), len(NAMES)))


def behind(told: GivesTruth, made: Rule, trust: float = 1.0):
    return gated(told, made, BODY, DenseRenderer(), BANK, trust)


def same(one, other) -> bool:
    return all(torch.equal(getattr(one, name), getattr(other, name)) for name in vars(one))


def test_what_moves_with_a_joint_belongs_to_it():
    kernels, points = witness().moved("openpose-25")
    elbow, wrist, shoulder = (NAMES.index(f"left_{name}") for name in ("elbow", "wrist", "shoulder"))
    assert kernels[0].all() and points[0].all()
    assert (kernels[elbow] <= kernels[shoulder]).all() and kernels[elbow].sum() < kernels[shoulder].sum()
    assert points[elbow].sum() == 1  # the wrist; a joint does not move itself
    assert not points[wrist].any()


def test_facts_tell_the_better_body():
    truth, observation, start = scene(2)
    facts = witness().facts(observation, start, truth)
    assert facts.shape == (2, 24, len(FACTS)) and facts.isfinite().all()
    named = dict(zip(FACTS, facts[:, 0].unbind(-1), strict=True))
    assert (named["residual_gain"] > 0).all() and (named["residual_fit"] < 1e-6).all()
    assert (named["margin_gain"] > 0).all() and (named["seen_gain"] >= 0).all()
    other = dict(zip(FACTS, witness().facts(observation, truth, start)[:, 0].unbind(-1), strict=True))
    torch.testing.assert_close(other["margin_gain"], -named["margin_gain"])


def test_without_trust_or_keypoints_these_facts_are_silent():
    truth, observation, start = scene(1)
    facts = dict(zip(FACTS, witness(0.0).facts(observation, start, truth)[0].unbind(-1), strict=True))
    assert not facts["body"].any() and not facts["margin_gain"].any() and facts["residual_start"].any()
    silent = witness().facts(replace(observation, keypoints=None), start, truth)[0]
    facts = dict(zip(FACTS, silent.unbind(-1), strict=True))
    assert not facts["keypoints"].any() and not facts["residual_start"].any() and facts["body"].any()


def test_the_angle_between_bodies_is_that_of_their_joints():
    truth, _, _ = scene(1)
    pose = truth.body_pose.clone()
    pose[0, 3] = 0
    bent = pose.clone()
    bent[0, 3, 1] = 0.4
    angle = turns(replace(truth, body_pose=pose), replace(truth, body_pose=bent))
    assert abs(float(angle[0, 4]) - 0.4) < 1e-6 and angle.sum() < 0.4 + 1e-5


def test_ways_are_distances_between_bodies():
    truth, _, _ = scene(1)
    arm = arms(BODY, truth)
    elbow, wrist, hand = (NAMES.index(f"left_{name}") for name in ("elbow", "wrist", "hand"))
    joints = BODY(truth).joints[0]
    middle = joints[[wrist, hand]].mean(0) - joints[elbow]
    torch.testing.assert_close(arm[0, elbow].norm(), 1000 * middle.norm())
    assert not arm[0, hand].any()
    pose = truth.body_pose.clone()
    pose[0, elbow - 1] = 0
    straight, bent = replace(truth, body_pose=pose), replace(truth, body_pose=pose.clone())
    bent.body_pose[0, elbow - 1, 1] = 0.5
    way = joint_ways(straight, bent, arm)
    assert (way > 0).sum() == 1 and way[0, elbow] <= 2 * torch.sin(torch.tensor(0.25)) * arm[0, elbow].norm() + 1e-6
    apart, aligned = person_ways(BODY, straight, bent)
    assert apart > 0 and aligned > 0
    shifted = replace(straight, transl=straight.transl + 1)
    assert person_ways(BODY, straight, shifted)[0].abs().max() < 1e-6


def test_a_joint_brings_its_ancestors_along():
    own = torch.zeros(1, 24, dtype=torch.bool)
    own[0, NAMES.index("left_knee")] = True
    kept = with_ancestors(own, BODY.spec.parents)
    names = {NAMES[i] for i in kept[0].nonzero()[:, 0].tolist()}
    assert names == {"left_knee", "left_hip", "pelvis"} and own.sum() == 1


def test_mixed_bodies_take_each_rotation_from_one_of_the_two():
    truth, _, start = scene(2)
    joints = torch.zeros(2, 24, dtype=torch.bool)
    joints[0, [0, 5]] = True
    body = mixed(joints, truth, start)
    assert torch.equal(body.transl[0], truth.transl[0]) and torch.equal(body.transl[1], start.transl[1])
    assert torch.equal(body.body_pose[0, 4], truth.body_pose[0, 4])
    assert torch.equal(body.body_pose[0, 5:], start.body_pose[0, 5:]) and same(body[[1]], start[[1]])


@pytest.mark.parametrize("verdict", ["all", "nobody", "trunk"])
def test_what_the_rule_refuses_is_the_start(verdict):
    truth, observation, start = scene(2)
    made = {
        "all": rule(),
        "nobody": rule(person={"one": -1.0}),
        "trunk": rule(joint={"one": -1.0}),
    }[verdict]
    result = behind(GivesTruth(truth), made).fit(observation, start)
    if verdict == "all":
        assert result.kept.all() and result.kept_joints.all() and same(result.params, truth)
    elif verdict == "nobody":
        assert not result.kept.any() and not result.kept_joints.any() and same(result.params, start)
        assert not result.confidence.any()
    else:
        assert result.kept.all() and (result.kept_joints.sum(-1) == 1).all()
        assert torch.equal(result.params.body_pose, start.body_pose)
        assert torch.equal(result.params.transl, truth.transl)
        assert (result.confidence[:, 0] == 1).all() and not result.confidence[:, 1:].any()


def test_who_was_not_fitted_stays_so_whatever_is_wrong_with_them():
    _, observation, start = scene(2)
    broken = replace(observation, features=torch.full_like(observation.features, float("nan")))
    result = behind(GivesTruth(start, kept=False), rule()).fit(broken, start)
    assert not result.kept.any() and not result.kept_joints.any() and same(result.params, start)


def test_limbs_in_sight_pass_and_hidden_ones_do_not():
    """A rule by what is seen alone, over legs behind an occluder."""
    truth, observation, start = scene(1, degrees=8)
    features = observation.features.clone()
    below = int(observation.camera.project(BODY(truth).joints)[0, [1, 2], 1].min())
    features[:, :, below:] = BANK.clutter()[0][:, None, None]
    seen = replace(observation, features=features, keypoints=None)
    sight = rule(joint={"seen_fit": 1.0}, joint_limit=0.5)
    result = behind(GivesTruth(truth), sight).fit(seen, start)
    names = {NAMES[i] for i in result.kept_joints[0].nonzero()[:, 0].tolist()}
    assert {"left_elbow", "right_elbow", "pelvis"} <= names and not names & {"left_knee", "right_knee"}


def test_rules_are_written_and_the_nearest_in_trust_is_read(tmp_path):
    path = tmp_path / "gate.json"
    low, high = rule(trust=0.05, joint_limit=0.1), rule(joint={"body": 2.0}, person_limit=0.3, made={"by": "me"})
    write_rules(path, {"staged": [low, high]})
    found = read_rule(str(path), "staged", 0.9)
    assert torch.equal(found.joint, high.joint) and found.person_limit == 0.3 and found.made == {"by": "me"}
    assert read_rule(str(path), "staged", 0.3).joint_limit == 0.1
    with pytest.raises(AssetError, match="no rule for smplify"):
        read_rule(str(path), "smplify")
    table = json.loads(path.read_text())
    del table["rules"]["staged"][0]["joint"]["body"]
    path.write_text(json.dumps(table))
    with pytest.raises(AssetError, match="body"):
        read_rule(str(path), "staged", 0.0)
    with pytest.raises(AssetError, match="calibrate_gate"):
        read_rule(str(tmp_path / "none.json"), "staged")


@pytest.mark.parametrize("name", ["staged", "smplify", "correspondence"])
@pytest.mark.parametrize("trust", [0.0, 0.05, 1.0])
def test_rules_come_with_every_fitter_and_say_how_they_were_made(name, trust):
    found = read_rule("shipped", name, trust)
    assert found.joint.isfinite().all() and found.person.isfinite().all()
    assert {"command", "date", "split", "groups"} <= set(found.made) and found.made["split"] == "val"


def test_fitters_are_built_with_a_gate_where_asked():
    handed = {"body": BODY, "renderer": DenseRenderer(), "bank": BANK, "priors": {}}
    plain = {"priors": {}}
    off = build.staged(BuiltStagedConfig(**plain), **handed)
    assert type(off) is StagedFitter
    film = build.smplify(BuiltSmplifyConfig(gate="shipped", **plain), **handed)
    assert isinstance(film, SequenceFitter) and isinstance(film, Fitter)
    one = build.correspondence(BuiltCorrespondenceConfig(gate="shipped", **plain), **handed)
    assert isinstance(one, Fitter) and not isinstance(one, SequenceFitter)


def test_films_pass_unjudged():
    _, observation, start = scene(3)
    config = StagedConfig(priors={}, start_stage=SHORT, stages=[SHORT])
    inner = StagedFitter(config, BODY, DenseRenderer(), BANK, {})
    film = gated(inner, rule(person={"one": -1.0}), BODY, DenseRenderer(), BANK)
    assert same(film.fit_sequence(observation, start).params, inner.fit_sequence(observation, start).params)


def test_a_good_fit_passes_the_shipped_gate_and_a_wrong_one_does_not():
    truth, observation, start = scene(2, degrees=20)
    inner = fitter()
    result = gated(inner, read_rule("shipped", "correspondence"), BODY, DenseRenderer(), BANK).fit(observation, start)
    assert result.kept.all() and result.kept_joints.float().mean() > 0.5
    assert (joint_error(result.params, truth).mean(-1) < 0.6 * joint_error(start, truth).mean(-1)).all()
    wrong = behind(GivesTruth(start), read_rule("shipped", "correspondence")).fit(observation, truth)
    assert not wrong.kept.any() and same(wrong.params, truth)
