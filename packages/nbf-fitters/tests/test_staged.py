"""The fitter as a whole, on sticks."""

from dataclasses import replace

import pytest
import roma
import torch
from fitting_fakes import DenseRenderer, FixedBank, StickBody, disturb, observe, people
from pydantic import ValidationError

from nbf_core.conventions import KEYPOINT_SETS
from nbf_core.errors import ConfigError, ShapeError
from nbf_core.geometry.camera import central_ray_rotation
from nbf_core.types import BodyParams, Fragments, Observation, RenderOutput
from nbf_fitters.config import StagedConfig
from nbf_fitters.objective import Objective
from nbf_fitters.staged import StagedFitter
from nbf_fitters.starts import two_sided
from nbf_fitters.terms import HEAD

BODY = StickBody()
BANK = FixedBank(BODY)
SHORT = {
    "start_stage": {
        "parameters": ["orientation", "translation", "body_pose"],
        "steps": 6,
        "weights": {"likelihood": 0},
    },
    "stages": [{"parameters": ["orientation", "translation", "body_pose"], "steps": 16, "decay": 0.1}],
}


def fitter(**changes) -> StagedFitter:
    return StagedFitter(StagedConfig(**{"priors": {}, **SHORT, **changes}), BODY, DenseRenderer(), BANK, {})


def scene(count=2, degrees=15, seed=0):
    truth, camera = people(count, seed=seed)
    return truth, observe(BODY, BANK, truth, camera), disturb(truth, degrees)


def pixels(params: BodyParams, observation):
    points = BODY.keypoints(BODY(params), "openpose-25")
    truth = observation.keypoints[..., :2]
    return (observation.camera.project(points) - truth).norm(dim=-1).mean(-1)


def metres(params: BodyParams, truth: BodyParams):
    joints, target = BODY(params).joints, BODY(truth).joints
    return ((joints - joints[:, :1]) - (target - target[:, :1])).norm(dim=-1).mean(-1)


def finite(result) -> bool:
    tensors = [result.loss, result.start_loss, result.silhouette, *result.trace.values()]
    tensors += [getattr(result.params, name) for name in ("global_orient", "body_pose", "betas", "transl")]
    return all(tensor.isfinite().all() for tensor in tensors)


def test_keypoints_alone_bring_the_body_onto_them():
    truth, observation, start = scene()
    result = fitter(feature_weight=0, anchor_weight=1e-3).fit(observation, start)
    assert (pixels(result.params, observation) < 0.2 * pixels(start, observation)).all()
    assert result.kept.all() and (result.loss < result.start_loss).all()


@pytest.mark.parametrize("needs_head", [False, True])
def test_somebody_whose_head_is_hidden_is_fitted_by_the_other_keypoints_but_as_published_not(needs_head):
    _, observation, start = scene()
    hidden = observation.keypoints.clone()
    hidden[:, [i for i, name in enumerate(KEYPOINT_SETS["openpose-25"]) if name in HEAD], 2] = 0
    seen = replace(observation, keypoints=hidden)
    result = fitter(feature_weight=0.0, keypoints={"needs_head": needs_head}).fit(seen, start)
    assert (result.kept == (not needs_head)).all()


def test_features_alone_improve_a_disturbed_pose():
    truth, observation, start = scene(degrees=10)
    stages = [{**SHORT["stages"][0], "steps": 50}]
    result = fitter(likelihood={"weight": 3}, keypoints={"weight": 0}, stages=stages).fit(observation, start)
    assert (metres(result.params, truth) < 0.8 * metres(start, truth)).all()


def test_features_and_keypoints_stay_near_the_truth():
    truth, observation, _ = scene()
    result = fitter().fit(observation, truth)
    assert metres(result.params, truth).max() < 0.03


def test_a_mirrored_estimate_is_recovered_by_the_two_sided_start():
    truth, observation, start = scene(degrees=5)
    wrong = two_sided(start, BODY.spec.mirror_joints)
    result = fitter(starts=["estimate", "two-sided"]).fit(observation, wrong)
    assert (metres(result.params, truth) < 0.3 * metres(wrong, truth)).all()


@pytest.mark.parametrize("batch_size", [8, 1])
def test_people_do_not_influence_one_another(batch_size):
    truth, observation, start = scene(3)
    tool = fitter(batch_size=batch_size, stages=[{**SHORT["stages"][0], "steps": 4}])
    together = tool.fit(observation, start)
    for i in range(3):
        alone = tool.fit(observation[[i]], start[[i]])
        torch.testing.assert_close(alone.params.body_pose[0], together.params.body_pose[i], atol=1e-7, rtol=0)
        torch.testing.assert_close(alone.loss[0], together.loss[i], atol=1e-8, rtol=0)
        torch.testing.assert_close(alone.trace["total"][:, 0], together.trace["total"][:, i], atol=1e-7, rtol=0)


def test_unusable_observations_come_back_as_the_start_and_spoil_nobody():
    truth, observation, start = scene(4)
    features, transl = observation.features.clone(), start.transl.clone()
    features[1, 0, 3, 3] = float("nan")
    transl[2, 0] = float("inf")
    start = replace(start, transl=transl)
    good = fitter().fit(observation[[0]], start[[0]])
    result = fitter().fit(replace(observation, features=features), start)
    assert result.kept.tolist() == [True, False, False, True]
    assert finite(result)
    assert (result.params.body_pose[1] == start.body_pose[1]).all()
    torch.testing.assert_close(result.params.body_pose[0], good.params.body_pose[0], atol=1e-6, rtol=0)


def test_absent_and_nan_keypoints_leave_a_fit_by_features():
    truth, observation, start = scene(degrees=5)
    nothing = replace(observation, keypoints=None)
    nan = replace(observation, keypoints=torch.full_like(observation.keypoints, float("nan")))
    tool = fitter(starts=["estimate"])
    first, second = tool.fit(nothing, start), tool.fit(nan, start)
    assert finite(first) and "keypoints" not in first.trace
    torch.testing.assert_close(first.params.body_pose, second.params.body_pose)
    neither = fitter(feature_weight=0).fit(nothing, start)
    assert not neither.kept.any() and (neither.params.transl == start.transl).all()


def test_somebody_wholly_hidden_is_not_fitted_and_is_marked_hidden():
    truth, observation, start = scene()
    clutter = BANK.clutter()[0][:, None, None].expand_as(observation.features).clone()
    hidden = replace(observation, features=clutter, keypoints=None)
    result = fitter().fit(hidden, start)
    assert not result.kept.any() and finite(result)
    assert (result.params.body_pose == start.body_pose).all()
    assert (result.loss == result.start_loss).all()  # the objective at the parameters that are returned
    body = result.silhouette > 0.5
    assert body.any() and (result.occlusion == body).all()


def test_the_visible_body_is_not_marked_hidden_and_an_occluder_is():
    truth, observation, _ = scene()
    features = observation.features.clone()
    features[:, :, 12:] = BANK.clutter()[0][:, None, None]
    result = fitter().fit(replace(observation, features=features), truth)
    upper, lower = result.silhouette[:, :11] > 0.5, result.silhouette[:, 13:] > 0.5
    assert result.occlusion[:, :11][upper].float().mean() < 0.1
    assert result.occlusion[:, 13:][lower].float().mean() > 0.9


def test_nobody_in_the_picture_is_no_error():
    """A renderer that sees nothing gives no slots at all, not even empty ones."""

    class Blind(DenseRenderer):
        def render(self, kernels, camera, attributes, max_kernels=None):
            drawn, none = super().render(kernels, camera, attributes, max_kernels), torch.zeros(0, dtype=torch.long)
            slots = drawn.fragments.weight[:0, :0] * kernels.means.sum()
            fragments = Fragments(none, none.view(0, 0), slots, slots, none, slots.new_zeros(0), drawn.fragments.grid)
            return RenderOutput(drawn.attributes * 0, drawn.silhouette * 0, fragments)

    truth, observation, start = scene()
    tool = StagedFitter(StagedConfig(priors={}, **SHORT), BODY, Blind(), BANK, {})
    result = tool.fit(replace(observation, keypoints=None), start)
    assert finite(result) and not result.kept.any()
    assert (result.params.transl == start.transl).all()


def test_orientation_bins_are_relative_to_the_ray_through_the_crop():
    """The same view of a body, cropped out beside the optical axis, gives the same bins."""
    truth, camera = people(1)
    ray = torch.tensor([0.3, -0.2, 1.0], dtype=torch.float64)
    aside = replace(camera, center=camera.center - camera.focal * ray[:2])
    turn = central_ray_rotation(aside)
    turned = replace(
        truth,
        global_orient=roma.rotmat_to_rotvec(turn @ roma.rotvec_to_rotmat(truth.global_orient)),
        transl=(turn @ truth.transl[..., None])[..., 0],
    )
    weights = []
    for params, view in ((truth, camera), (turned, aside)):
        features = torch.ones(1, 32, *camera.size, dtype=torch.float64)
        objective = Objective(StagedConfig(priors={}), Observation(features, view), BODY, DenseRenderer(), BANK, {})
        weights.append(objective.viewer.scene(params).orientation)
    torch.testing.assert_close(*weights)


def test_nobody_is_fine():
    truth, observation, start = scene()
    none = torch.zeros(0, dtype=torch.long)
    result = fitter().fit(observation[none], start[none])
    assert len(result.loss) == 0


def test_no_gradient_mode_outside_does_not_matter():
    truth, observation, start = scene(1)
    with torch.no_grad():
        result = fitter(stages=[{**SHORT["stages"][0], "steps": 2}]).fit(observation, start)
    assert result.kept.all() and not result.loss.requires_grad


@pytest.mark.parametrize("weights", [{}, {"likelihood": 0, "keypoints": 0, "anchor": 0}])
def test_a_stage_whose_terms_do_not_depend_on_what_is_free_changes_nothing(weights):
    _, observation, start = scene(1)
    nothing = {"parameters": ["betas"], "steps": 2, "weights": {"likelihood": 0, "keypoints": 0} | weights}
    result = fitter(start_stage=nothing, stages=[nothing], starts=["estimate"], keep_only_better=False).fit(
        observation, start
    )
    assert finite(result)
    torch.testing.assert_close(result.params.body_pose, start.body_pose)


@pytest.mark.parametrize(("trust", "kept"), [(0.2, False), (1.0, True)])
def test_weak_features_do_not_fit_alone(trust, kept):
    _, observation, start = scene(1)
    config = StagedConfig(**{"priors": {}, **SHORT})
    result = StagedFitter(config, BODY, DenseRenderer(), BANK, {}, trust).fit(
        replace(observation, keypoints=None), start
    )
    assert bool(result.kept[0]) == kept
    if not kept:
        torch.testing.assert_close(result.params.body_pose, start.body_pose)


def test_a_prior_that_only_a_stage_weighs_must_be_there():
    stage = {"parameters": ["betas"], "steps": 1, "weights": {"shape": 1.0}}
    with pytest.raises(ConfigError, match="fitter.priors.shape"):
        fitter(priors={"shape": 0.0}, stages=[stage])


@pytest.mark.parametrize("form", ["soft", "simple"])
def test_the_published_forms_run(form):
    truth, observation, start = scene(1, degrees=5)
    result = fitter(likelihood={"form": form}).fit(observation, start)
    assert finite(result) and result.kept.all()


def test_mistakes_in_the_configuration_are_named():
    with pytest.raises(ConfigError, match="gaussian-pose"):
        StagedFitter(StagedConfig(), BODY, DenseRenderer(), BANK, {})
    with pytest.raises(ValidationError, match="keypoint.*no such term"):
        StagedConfig(stages=[{"parameters": ["orientation"], "steps": 1, "weights": {"keypoint": 1}}])
    with pytest.raises(ValidationError, match="hands"):
        StagedConfig(stages=[{"parameters": ["hands"], "steps": 1}])
    with pytest.raises(ValidationError, match="belongs to a term"):
        StagedConfig(priors={"anchor": 1.0})
    truth, observation, start = scene(2)
    with pytest.raises(ShapeError, match="transl"):
        fitter().fit(observation, start[[0]])
