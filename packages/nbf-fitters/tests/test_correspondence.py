"""The fitter by correspondences as a whole, on tubes."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from correspondence_fakes import BANK, BODY, fitter, joint_error, scene
from fitting_fakes import DenseRenderer, StickBody
from pydantic import ValidationError

from nbf_core.contracts import Fitter, SkinnedBodyModel
from nbf_core.conventions import KEYPOINT_SETS
from nbf_core.errors import ConfigError, ShapeError
from nbf_fitters.config import GaussianPoseConfig
from nbf_fitters.correspondence.config import CorrespondenceConfig
from nbf_fitters.correspondence.fitter import CorrespondenceFitter
from nbf_fitters.correspondence.matching import best, body_pixels, nearby_one, similarities
from nbf_fitters.priors import GaussianPosePrior
from nbf_fitters.starts import two_sided
from nbf_fitters.terms import HEAD

PARAMETERS = ("global_orient", "body_pose", "betas", "transl")


def finite(result) -> bool:
    tensors = [result.loss, result.start_loss, result.silhouette, result.confidence, *result.trace.values()]
    return all(t.isfinite().all() for t in [*tensors, *(getattr(result.params, name) for name in PARAMETERS)])


def same(one, other) -> bool:
    return all((getattr(one, name) == getattr(other, name)).all() for name in PARAMETERS)


def pixels_off(params, observation):
    points = BODY.keypoints(BODY(params), "openpose-25")
    return (observation.camera.project(points) - observation.keypoints[..., :2]).norm(dim=-1).mean(-1)


@pytest.mark.parametrize("solver", ["auto", "reference"])
def test_features_alone_recover_a_disturbed_pose(solver):
    truth, observation, start = scene(2)
    result = fitter(solver=solver).fit(replace(observation, keypoints=None), start)
    assert result.kept.all() and finite(result)
    before, after = joint_error(start, truth).mean(-1), joint_error(result.params, truth).mean(-1)
    assert (after < 0.4 * before).all(), (before, after)
    assert (result.loss < result.start_loss).all()
    assert isinstance(fitter(), Fitter) and isinstance(BODY, SkinnedBodyModel)


def test_the_two_solvers_agree():
    _, observation, start = scene(1)
    one, two = (fitter(solver=solver).fit(observation, start) for solver in ("auto", "reference"))
    torch.testing.assert_close(one.params.body_pose, two.params.body_pose, atol=1e-4, rtol=0)
    torch.testing.assert_close(one.confidence, two.confidence, atol=1e-4, rtol=0)


def test_a_mirrored_estimate_is_recovered():
    truth, observation, start = scene(1, degrees=5)
    wrong = two_sided(start, BODY.spec.mirror_joints)
    result = fitter().fit(replace(observation, keypoints=None), wrong)
    assert joint_error(result.params, truth).mean() < 0.3 * joint_error(wrong, truth).mean()


def test_without_trust_keypoints_alone_are_fitted():
    _, observation, start = scene(2)
    noise = torch.randn(observation.features.shape, generator=torch.Generator().manual_seed(0)).to(observation.features)
    result = fitter(trust=0.0).fit(replace(observation, features=noise), start)
    assert result.kept.all()
    assert (pixels_off(result.params, observation) < 0.2 * pixels_off(start, observation)).all()
    other = fitter(trust=0.0).fit(observation, start)
    assert same(result.params, other.params)  # features had no say
    alone = fitter(trust=0.0).fit(replace(observation, keypoints=None), start)
    assert not alone.kept.any() and same(alone.params, start)


def test_somebody_whose_head_is_hidden_is_fitted_by_the_other_keypoints():
    _, observation, start = scene(2)
    hidden = observation.keypoints.clone()
    head = [i for i, name in enumerate(KEYPOINT_SETS["openpose-25"]) if name in HEAD]
    hidden[:, head, 2] = 0
    result = fitter(trust=0.0).fit(replace(observation, keypoints=hidden), start)
    assert result.kept.all()
    assert (pixels_off(result.params, observation) < 0.5 * pixels_off(start, observation)).all()


def test_what_little_trust_hears_weighs_less_beside_the_prior():
    """With the prior weighed more, poses that the picture hardly fixes are nearer to its mean."""
    _, observation, start = scene(2, degrees=30)
    prior = GaussianPosePrior(GaussianPoseConfig())

    def fits(trust: float):
        for times in (1.0, 10.0):
            config = CorrespondenceConfig(priors={"gaussian-pose": 0.2}, unsure_prior=times, min_pixels=10)
            tool = CorrespondenceFitter(config, BODY, DenseRenderer(), BANK, {"gaussian-pose": prior}, trust)
            yield tool.fit(observation, start).params

    loose, tight = fits(trust=0.3)
    assert (prior(tight) < prior(loose)).all()
    assert same(*fits(trust=1.0))


def test_keypoints_help_beside_features():
    _, observation, start = scene(2)
    noisy = observation.features + 0.3 * torch.randn(
        observation.features.shape, generator=torch.Generator().manual_seed(0)
    ).to(observation.features)
    seen = replace(observation, features=noisy / noisy.norm(dim=1, keepdim=True))
    without = fitter().fit(replace(seen, keypoints=None), start)
    beside = fitter().fit(seen, start)
    assert (pixels_off(beside.params, observation) < pixels_off(without.params, observation)).all()


def test_people_do_not_influence_one_another_nor_does_the_batch_size():
    _, observation, start = scene(3)
    together, again = fitter().fit(observation, start), fitter().fit(observation, start)
    assert same(together.params, again.params)
    split = fitter(batch_size=1).fit(observation, start)
    torch.testing.assert_close(split.params.body_pose, together.params.body_pose, atol=1e-5, rtol=0)
    torch.testing.assert_close(split.loss, together.loss, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(split.confidence, together.confidence, atol=1e-5, rtol=0)


def test_bad_inputs_come_back_as_the_start_and_spoil_nobody():
    _, observation, start = scene(6)
    features, transl, focal = observation.features.clone(), start.transl.clone(), observation.camera.focal.clone()
    features[1, 0, 3, 3] = float("nan")
    transl[2] = torch.tensor([0.0, 0.0, -3.0])  # behind the camera
    transl[3, 0] = float("inf")
    focal[4] = 0.0
    bad = replace(observation, features=features, camera=replace(observation.camera, focal=focal), keypoints=None)
    result = fitter().fit(bad, replace(start, transl=transl))
    assert result.kept.tolist() == [True, False, False, False, False, True] and finite(result)
    good = fitter().fit(replace(observation, keypoints=None)[[0]], start[[0]])
    torch.testing.assert_close(result.params.body_pose[0], good.params.body_pose[0], atol=1e-5, rtol=0)
    assert (result.params.body_pose[1] == start.body_pose[1]).all() and (result.confidence[1] == 0).all()


def test_an_absurd_start_is_no_error():
    _, observation, start = scene(3)
    wild = replace(start, transl=start.transl * torch.tensor([[1.0, 1, 20], [30, 1, 1], [1, 1, 0.1]]).to(start.transl))
    wild = replace(wild, betas=wild.betas + 40)
    assert finite(fitter().fit(observation, wild))


def test_nothing_seen_is_not_fitted():
    _, observation, start = scene(2)
    clutter = BANK.clutter()[0][:, None, None].expand_as(observation.features).clone()
    result = fitter().fit(replace(observation, features=clutter, keypoints=None), start)
    assert not result.kept.any() and finite(result) and same(result.params, start)
    silent = torch.full_like(observation.keypoints, float("nan"))
    result = fitter().fit(replace(observation, features=clutter, keypoints=silent), start)
    assert not result.kept.any() and finite(result)


def test_half_outside_is_fitted_by_the_other_half():
    truth, observation, start = scene(1)
    low = 20
    camera = replace(observation.camera, size=(low, 40))
    half = replace(observation, features=observation.features[:, :, :low], camera=camera, keypoints=None)
    result = fitter().fit(half, start)
    assert finite(result) and result.kept.all()
    inside = BODY.spec.joint_names.index("head")
    assert joint_error(result.params, truth)[0, inside] < joint_error(start, truth)[0, inside]


def test_a_map_of_another_size_than_the_camera_is_flagged():
    _, observation, start = scene(2)
    other = replace(observation, camera=replace(observation.camera, size=(64, 64)))
    result = fitter().fit(other, start)
    assert not result.kept.any() and same(result.params, start)


def test_nobody_is_fine():
    _, observation, start = scene(2)
    none = torch.zeros(0, dtype=torch.long)
    assert len(fitter().fit(observation[none], start[none]).loss) == 0


def test_hidden_limbs_have_less_confidence_and_keep_the_start():
    truth, observation, start = scene(1, degrees=8)
    points = observation.camera.project(BODY(truth).joints)[0]
    features = observation.features.clone()
    below = int(points[[1, 2], 1].min())
    features[:, :, below:] = BANK.clutter()[0][:, None, None]
    result = fitter().fit(replace(observation, features=features, keypoints=None), start)
    names = BODY.spec.joint_names
    legs = [names.index(f"{side}_{joint}") for side in ("left", "right") for joint in ("knee", "ankle")]
    arms = [names.index(f"{side}_{joint}") for side in ("left", "right") for joint in ("elbow", "wrist")]
    assert result.confidence[0, legs].max() < result.confidence[0, arms].min()
    assert (result.confidence >= 0).all() and (result.confidence <= 1).all()
    assert result.occlusion[0, below + 1 :].any() and not result.occlusion[0, : below - 2].float().mean() > 0.05
    turned = (result.params.body_pose - start.body_pose).norm(dim=-1)[0]
    assert turned[[j - 1 for j in legs]].max() < 0.3


def test_noisy_features_are_matched_again_near_the_pose():
    truth, observation, start = scene(2, degrees=6)
    noise = torch.randn(observation.features.shape, generator=torch.Generator().manual_seed(0))
    noisy = observation.features + 0.16 * noise.to(observation.features)
    seen = replace(observation, features=noisy / noisy.norm(dim=1, keepdim=True), keypoints=None)
    again = fitter(rematch_noise=0.1).fit(seen, start)
    assert finite(again) and again.kept.all()
    assert joint_error(again.params, truth).mean() < joint_error(start, truth).mean()
    assert len(again.trace["total"]) > len(fitter(rematch=()).fit(seen, start).trace["total"])


def test_matching_near_a_pose_compiled_or_not_is_the_same():
    _, observation, start = scene(1)
    tables = fitter().tables(torch.device("cpu"))
    pixels = body_pixels(observation.features, tables)
    scores = similarities(pixels, tables, torch.float32)
    projected = observation.camera.project(BODY(start).kernels)[0].float()
    from nbf_fitters.correspondence.matching import nearby

    found, ok = nearby(scores, pixels, projected[None], 4.0)
    label, value = nearby_one(scores, pixels.place, projected, 4.0)
    assert (ok == value.isfinite()).all() and ok.any()
    assert (found.label == label)[ok].float().mean() > 0.99
    torch.testing.assert_close(found.similarity, value)
    assert (best(scores).similarity[ok] >= value[ok]).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_best_class_is_the_most_similar_one_whatever_the_signs(dtype):
    scores = torch.randn(300, 40, generator=torch.Generator().manual_seed(0))
    scores[100:200] = -scores[100:200].abs() - 0.01
    scores[200] = 0.0
    found = best(scores.to(dtype))
    assert torch.equal(found.similarity, scores.to(dtype).amax(-1).float())
    assert torch.equal(scores.to(dtype).float().gather(-1, found.label[:, None])[:, 0], found.similarity)
    nobody = best(scores[:0].to(dtype))
    assert not len(nobody.label) and not len(nobody.similarity)


def test_mistakes_are_named():
    with pytest.raises(ConfigError, match="skinning.*stick"):
        CorrespondenceFitter(CorrespondenceConfig(priors={}), StickBody(), DenseRenderer(), BANK)
    with pytest.raises(ConfigError, match="gaussian-pose"):
        CorrespondenceFitter(CorrespondenceConfig(), BODY, DenseRenderer(), BANK)
    with pytest.raises(ConfigError, match="Gaussian over poses"):
        CorrespondenceFitter(CorrespondenceConfig(), BODY, DenseRenderer(), BANK, {"gaussian-pose": lambda params: 0})
    with pytest.raises(ValidationError, match="no other prior"):
        CorrespondenceConfig(priors={"joint-angle": 1.0})
    with pytest.raises(ValidationError, match="one entry a stage"):
        CorrespondenceConfig(polish={"pixel_scale": [1.0], "keypoint_scale": [1.0], "steps": [1, 2]})
    _, observation, start = scene(2)
    with pytest.raises(ShapeError, match="transl"):
        fitter().fit(observation, start[[0]])
    with pytest.raises(ShapeError, match="channels"):
        fitter().fit(replace(observation, features=observation.features[:, :7]), start)
