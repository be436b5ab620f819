"""What the staged fitter can be told, on sticks: parametrisations, starts, terms, notes; and SMPLify."""

from dataclasses import replace

import pytest
import torch
from fitting_fakes import DenseRenderer, FixedBank, StickBody, disturb, observe, people
from pydantic import ValidationError

from nbf_core.errors import ConfigError, ShapeError
from nbf_fitters import priors
from nbf_fitters.config import (
    GaussianPoseConfig,
    JointAngleConfig,
    ShapeConfig,
    SmplifyConfig,
    StageConfig,
    StagedConfig,
)
from nbf_fitters.descent import BETAS, Adam
from nbf_fitters.objective import Objective
from nbf_fitters.similarity import SimilarityTable
from nbf_fitters.staged import StagedFitter
from nbf_fitters.starts import two_sided

BODY = StickBody()
BANK = FixedBank(BODY)
STAGE = {"parameters": ["orientation", "translation", "body_pose"], "steps": 10}
PRIORS = {
    "gaussian-pose": priors.GaussianPosePrior(GaussianPoseConfig()),
    "joint-angle": priors.JointAnglePrior(JointAngleConfig()),
    "shape": priors.ShapePrior(ShapeConfig()),
}


def fitter(kind=StagedConfig, **changes) -> StagedFitter:
    options = {"priors": {}, "starts": ["estimate"], "starts_by": "cost", "stages": [STAGE]}
    return StagedFitter(kind(**{**options, **changes}), BODY, DenseRenderer(), BANK, PRIORS)


def scene(count=2, degrees=10):
    truth, camera = people(count)
    return truth, observe(BODY, BANK, truth, camera), disturb(truth, degrees)


def pixels(params, observation):
    points = BODY.keypoints(BODY(params), "openpose-25")
    return (observation.camera.project(points) - observation.keypoints[..., :2]).norm(dim=-1).mean(-1)


def test_adam_is_torchs():
    generator = torch.Generator().manual_seed(0)
    ours, theirs = torch.randn(3, 5, generator=generator), None
    theirs = ours.clone().requires_grad_()
    mine, reference = Adam(ours), torch.optim.Adam([theirs], lr=0.02, betas=BETAS)
    for _ in range(7):
        theirs.grad = torch.randn(3, 5, generator=generator)
        mine.step(theirs.grad, 0.02)
        reference.step()
    torch.testing.assert_close(ours, theirs.detach())


def test_similarities_are_those_of_the_whole_product():
    generator = torch.Generator().manual_seed(0)
    maps, bank = torch.randn(2, 4, 9, 8, generator=generator), torch.randn(5, 3, 4, generator=generator)
    clutter = torch.randn(2, 4, generator=generator)
    pixel, kernel = torch.tensor([3, 70, 100]), torch.tensor([[0, -1], [4, 2], [1, 1]])
    few, again = SimilarityTable(maps, bank, clutter), SimilarityTable(maps, bank, clutter)
    whole = again.everything().table.reshape(-1, 5, 3)
    for _ in range(2):
        torch.testing.assert_close(few.pairs(pixel, kernel), whole[pixel[:, None], kernel.clamp_min(0)])
    unit = torch.nn.functional.normalize
    direct = torch.einsum("bchw,koc->bhwko", unit(maps, dim=1), unit(bank, dim=-1)).reshape(-1, 5, 3)
    torch.testing.assert_close(whole, direct)
    torch.testing.assert_close(few.everything().table.reshape(-1, 5, 3), direct)


@pytest.mark.parametrize("parametrisation", ["local", "published"])
def test_both_parametrisations_fit(parametrisation):
    _, observation, start = scene()
    result = fitter(parametrisation=parametrisation, feature_weight=0).fit(observation, start)
    assert (pixels(result.params, observation) < 0.7 * pixels(start, observation)).all()


def test_held_joints_stay_and_unknown_ones_are_named():
    _, observation, start = scene()
    result = fitter(held_joints=["left_hip", "head"], feature_weight=0).fit(observation, start)
    moved = (result.params.body_pose - start.body_pose).abs().amax((0, 2)) > 1e-6
    held = [BODY.spec.joint_names.index(name) - 1 for name in ("left_hip", "head")]
    assert not moved[held].any() and moved.sum() > 10
    with pytest.raises(ConfigError, match="tail"):
        fitter(held_joints=["tail"])


def test_wild_shapes_start_from_the_mean():
    _, observation, start = scene()
    start.betas[0, 3] = 3.5
    start.betas[1, 3] = 2.5
    tool = fitter(shape_limit=3.0, feature_weight=0)
    result = tool.fit(observation, start)
    assert result.params.betas[0].abs().max() == 0 and result.params.betas[1, 3] == 2.5


@pytest.mark.parametrize("by", ["cost", "short-fit", "fit"])
def test_starts_compete_by_cost_or_by_fits(by):
    truth, observation, start = scene(degrees=5)
    wrong = two_sided(start, BODY.spec.mirror_joints)
    tool = fitter(starts=["estimate", "two-sided"], starts_by=by, start_stage={**STAGE, "steps": 4})
    found = [tool.fit(observation, begin).params.global_orient for begin in (start, wrong)]
    torch.testing.assert_close(*found, atol=0.05, rtol=0)


def test_steps_stages_and_history_are_noted():
    _, observation, start = scene()
    stages = [{**STAGE, "steps": 5}, {**STAGE, "steps": 3, "weights": {"anchor": 0}}]
    result = fitter(stages=stages, history_every=2, starts_by="short-fit", start_stage={**STAGE, "steps": 4}).fit(
        observation, start
    )
    assert result.stages == (0, 5, 11)
    assert {tuple(values.shape) for values in result.trace.values()} == {(15, 2)}
    assert list(result.history) == [0, 2, 4, 6, 8, 10, 12, 14]
    total = sum(values for name, values in result.trace.items() if name != "total")
    torch.testing.assert_close(total, result.trace["total"])
    assert (result.trace["anchor"][11:] == 0).all() and (result.trace["anchor"][6:11] > 0).all()


def test_scores_lie_beside_the_occlusion_they_make():
    truth, observation, _ = scene()
    result = fitter().fit(observation, truth)
    body = result.silhouette > 0.5
    assert (result.occlusion == (body & (result.clutter_score > result.object_score))).all()
    assert result.object_score.abs().max() <= 1 and (result.object_score[result.silhouette < 1e-3] == 0).all()


@pytest.mark.parametrize("term", ["vertices", "silhouette", "depth"])
def test_further_terms_pull_towards_what_is_seen(term):
    truth, observation, start = scene(1, degrees=0)
    start = replace(truth, transl=truth.transl + truth.transl.new_tensor([0.08, 0.0, 0.5]))
    silent = {"keypoints": {"weight": 0}, "likelihood": {"weight": 1e-9}, "anchor_weight": 0, "min_visible": 0}
    weights = {"vertices": {"vertices": {"weight": 1.0}}, "silhouette": {"silhouette_weight": 1.0}, "depth": {}}
    stage = {**STAGE, "parameters": ["translation"], "steps": 30}
    config = StagedConfig(priors={}, starts=["estimate"], stages=[stage], **silent, **weights[term])
    drawn = Objective(config, observation, BODY, DenseRenderer(), BANK, {}).explain(truth)["silhouette"]
    observation = replace(observation, silhouette=drawn)
    if term == "depth":  # towards the start's depth, whatever pulls away from it
        objective = Objective(config, observation, BODY, DenseRenderer(), BANK, {})
        costs = [
            objective(params, truth, StageConfig(**stage, weights={"depth": 2.0}))["depth"] for params in (truth, start)
        ]
        assert costs[0] == 0 and costs[1] > 1e-3
        return
    result = StagedFitter(config, BODY, DenseRenderer(), BANK, {}).fit(observation, start)
    gap = [(params.transl - truth.transl)[0, :2].norm() for params in (result.params, start)]
    assert result.kept.all() and gap[0] < 0.5 * gap[1]


def test_without_a_silhouette_to_compare_with_its_term_is_left_out():
    _, observation, start = scene(1)
    assert "silhouette" not in fitter(silhouette_weight=1.0).fit(observation, start).trace


@pytest.mark.wrong_shapes
def test_a_silhouette_of_another_size_is_named():
    _, observation, start = scene(1)
    with pytest.raises(ShapeError, match="silhouette"):
        fitter().fit(replace(observation, silhouette=torch.zeros(1, 3, 3)), start)


def test_smplify_needs_no_features_and_little_of_the_start():
    truth, observation, start = scene(degrees=15)
    nothing = replace(observation, features=torch.zeros_like(observation.features))
    config = SmplifyConfig()
    short = [stage.model_copy(update={"steps": 15}) for stage in config.stages]
    tool = StagedFitter(config.model_copy(update={"stages": tuple(short)}), BODY, DenseRenderer(), BANK, PRIORS)
    result = tool.fit(nothing, start)
    assert result.kept.all() and "likelihood" not in result.trace
    assert (pixels(result.params, observation) < 0.5 * pixels(start, observation)).all()
    camera = slice(result.stages[0], result.stages[1])
    assert (result.trace["depth"][camera] > 0).any() and (result.trace["gaussian-pose"][camera] == 0).all()


def test_smplify_loosens_its_priors_from_stage_to_stage():
    _, observation, start = scene(1)
    config = SmplifyConfig()
    objective = Objective(config, observation, BODY, DenseRenderer(), BANK, PRIORS)
    weights = [objective.stage_weights(stage) for stage in config.stages]
    for name in ("gaussian-pose", "joint-angle", "shape"):
        values = [w[name] for w in weights]
        assert values == sorted(values, reverse=True) and values[-1] == pytest.approx(config.priors[name], rel=0.05)
    assert all("likelihood" not in w and w["keypoints"] == 1.0 for w in weights)


def test_smplify_does_without_the_priors_its_stages_weigh():
    assert all(not stage.weights for stage in SmplifyConfig(priors={}).stages)
    assert len(SmplifyConfig(priors={}).stages) == len(SmplifyConfig().stages)
    own = [{"parameters": ["body_pose"], "steps": 1, "weights": {"shape": 2.0}}]
    with pytest.raises(ValidationError, match="stages.0.weights.shape"):
        SmplifyConfig(priors={}, stages=own)
