"""The suites of fitters and metrics catch what is wrong in known ways, each by the test that says so."""

from dataclasses import replace

import pytest
import torch
from catching import caught

from nbf_testing.fake_parts import FakeFitter, FakeMetric
from nbf_testing.fitters import FitterConformance
from nbf_testing.metrics import MetricConformance


class Changed(FakeFitter):
    """Gives another result."""

    def change(self, result, observation, start):
        return result

    @torch.no_grad()
    def fit(self, observation, start):
        return self.change(super().fit(observation, start), observation, start)


class NoMaps(Changed):
    def change(self, result, observation, start):
        return replace(result, silhouette=result.silhouette[:, :-1])


class DoublePrecision(Changed):
    def change(self, result, observation, start):
        return replace(result, params=result.params.to(dtype=torch.float64))


class OccludedByDegrees(Changed):
    def change(self, result, observation, start):
        return replace(result, occlusion=result.silhouette)


class GoesAstray(FakeFitter):
    """Moves people away from where they are seen."""

    def _shift(self, observation, start, params):
        error, shift, usable = super()._shift(observation, start, params)
        return -error, -shift, usable


class KeepsNobody(Changed):
    def change(self, result, observation, start):
        return replace(result, kept=torch.zeros_like(result.kept), params=result.start)


class LosesTheStart(Changed):
    def change(self, result, observation, start):
        return replace(result, start=result.params)


class SaysNothingOfTheLost(Changed):
    """Moves everybody, whether it says so or not."""

    def change(self, result, observation, start):
        return replace(
            result, params=replace(result.params, transl=result.params.transl + 0.1), kept=result.kept & False
        )


class Random(Changed):
    def change(self, result, observation, start):
        noise = 1e-3 * torch.randn_like(result.params.betas)
        return replace(result, params=replace(result.params, betas=result.params.betas + noise))


class WritesIntoTheStart(Changed):
    def change(self, result, observation, start):
        start.transl.add_(0.1)
        return result


class KeepsAGraph(Changed):
    def change(self, result, observation, start):
        return replace(result, loss=result.loss.clone().requires_grad_())


class NeedsGradients(FakeFitter):
    def fit(self, observation, start):
        leaf = start.transl.clone().requires_grad_()
        (leaf.square().sum()).backward()
        return super().fit(observation, start)


class NeedsKeypoints(FakeFitter):
    def fit(self, observation, start):
        assert len(observation.keypoints)
        return super().fit(observation, start)


class NeedsPeople(FakeFitter):
    def fit(self, observation, start):
        assert len(start.transl)
        return super().fit(observation, start)


class PassesNanOn(Changed):
    def change(self, result, observation, start):
        return replace(result, params=replace(result.params, body_pose=start.body_pose), start=start)


class RaisesForOne(FakeFitter):
    def fit(self, observation, start):
        if not start.transl.isfinite().all():
            raise ValueError("the start is not finite")
        return super().fit(observation, start)


class MeanOfTheBatch(FakeFitter):
    """Everybody's shift depends on everybody's error."""

    def _shift(self, observation, start, params):
        error, shift, usable = super()._shift(observation, start, params)
        return error, 0.9 * shift + 0.1 * shift.mean(0), usable


class BelievesAnyStart(FakeFitter):
    """Fits what is left of a start after its NaN were taken out."""

    def _shift(self, observation, start, params):
        return super()._shift(observation, params, params)


class TakesAnything(FakeFitter):
    def fit(self, observation, start):
        count = len(observation.features)
        if len(start.transl) != count:
            start = start[torch.zeros(count, dtype=torch.long)]
        return super().fit(observation, start)


class SequenceOfOthers(FakeFitter):
    """Offers films, and loses a film for a frame."""

    def fit_sequence(self, observation, start, before=None):
        if not start.body_pose.isfinite().all():
            raise ValueError("a frame is not finite")
        return super().fit(observation, start)


SHAPES = "test_shapes_dtype_and_device"
SPOILED = "test_unusable_people_spoil_nobody_else"
FITTERS = [
    (NoMaps, SHAPES, {}),
    (DoublePrecision, SHAPES, {"dtype": torch.float32}),
    (OccludedByDegrees, SHAPES, {}),
    (GoesAstray, "test_fits_come_nearer_to_what_is_seen", {}),
    (KeepsNobody, "test_fits_come_nearer_to_what_is_seen", {}),
    (LosesTheStart, "test_whoever_is_not_kept_is_the_start", {}),
    (SaysNothingOfTheLost, "test_whoever_is_not_kept_is_the_start", {}),
    (Random, "test_repeats_and_leaves_its_inputs_alone", {}),
    (WritesIntoTheStart, "test_repeats_and_leaves_its_inputs_alone", {}),
    (KeepsAGraph, "test_works_where_gradients_are_off_and_keeps_no_graph", {}),
    (NeedsGradients, "test_works_where_gradients_are_off_and_keeps_no_graph", {}),
    (NeedsKeypoints, "test_without_keypoints", {}),
    (NeedsKeypoints, "test_without_trust_in_the_features", {}),
    (NeedsPeople, "test_nobody_at_all", {}),
    (PassesNanOn, SPOILED, {}),
    (RaisesForOne, SPOILED, {}),
    (MeanOfTheBatch, SPOILED, {}),
    (BelievesAnyStart, SPOILED, {}),
    (TakesAnything, "test_what_does_not_fit_together_is_refused", {"name": "start"}),
]


@pytest.mark.wrong_shapes
@pytest.mark.parametrize(("wrong", "test", "arguments"), FITTERS, ids=[f"{w.__name__}-{t}" for w, t, _ in FITTERS])
def test_the_fitter_suite_catches(wrong, test, arguments):
    def maker(kind):
        return lambda **parts: kind(None, **parts)

    claims = {"needs_keypoints": True}
    caught(FitterConformance, "make_fitter", maker(FakeFitter), maker(wrong), test, claims, **arguments)


class Film(FakeFitter):
    """One shape, and otherwise frame by frame."""

    def fit_sequence(self, observation, start, before=None):
        return super().fit(observation, start)


def test_the_fitter_suite_catches_a_film_lost_for_a_frame():
    def maker(kind):
        return lambda **parts: kind(None, **parts)

    test = "test_a_spoiled_frame_loses_no_film"
    caught(FitterConformance, "make_fitter", maker(Film), maker(SequenceOfOthers), test)


class InMetres(FakeMetric):
    def __call__(self, *points):
        return super().__call__(*points) / 1000


class OneForAll(FakeMetric):
    def __call__(self, *points):
        return super().__call__(*points).mean()


class MoreIsMore(FakeMetric):
    lower_is_better = False


class OverTheBatch(FakeMetric):
    def __call__(self, *points):
        value = super().__call__(*points)
        return value + 0.1 * value.nan_to_num().mean()


class CountsHidden(FakeMetric):
    def __call__(self, predicted, truth, visible):
        return super().__call__(predicted, truth, torch.ones_like(visible))


class ByMultiplication(FakeMetric):
    """A hidden NaN is a NaN all the same."""

    def __call__(self, predicted, truth, visible):
        super().__call__(predicted, truth, visible)
        return 1000 * ((predicted - truth).norm(dim=-1) * visible).sum(-1) / visible.sum(-1)


class ZeroForNobody(FakeMetric):
    def __call__(self, predicted, truth, visible):
        return torch.where(visible.sum(-1) > 0, super().__call__(predicted, truth, visible), 0)


class NanIsPerfect(FakeMetric):
    def __call__(self, predicted, truth, visible):
        return super().__call__(torch.where(predicted.isfinite(), predicted, truth), truth, visible)


class Float32Inside(FakeMetric):
    def __call__(self, *points):
        return super().__call__(*points).float()


class CentresInPlace(FakeMetric):
    def __call__(self, predicted, truth, visible):
        predicted.sub_(predicted.mean(1, keepdim=True))
        return super().__call__(predicted, truth, visible)


class Broadcasts(FakeMetric):
    def __call__(self, predicted, truth, visible):
        return (predicted[..., :2] - truth[..., :2]).norm(dim=-1).amax(-1)


class Unheard(FakeMetric):
    takes = "fingers"


METRICS = [
    (Unheard, "test_fulfils_the_protocol", {}),
    (OneForAll, "test_one_value_a_sample", {"people": 5}),
    (Float32Inside, "test_one_value_a_sample", {"people": 1}),
    (MoreIsMore, "test_the_truth_is_best", {}),
    (InMetres, "test_values_are_in_the_unit_that_it_names", {}),
    (OverTheBatch, "test_samples_do_not_meet", {}),
    (CountsHidden, "test_hidden_points_do_not_count", {}),
    (ByMultiplication, "test_hidden_points_do_not_count", {}),
    (ZeroForNobody, "test_nothing_visible_is_not_a_number", {}),
    (NanIsPerfect, "test_a_prediction_that_is_no_number_never_counts_as_good", {"value": torch.nan}),
    (CentresInPlace, "test_repeats_and_leaves_its_inputs_alone", {}),
    (Broadcasts, "test_wrong_shapes_are_refused_by_name", {"name": "predicted"}),
]


@pytest.mark.wrong_shapes
@pytest.mark.parametrize(("wrong", "test", "arguments"), METRICS, ids=[f"{w.__name__}-{t}" for w, t, _ in METRICS])
def test_the_metric_suite_catches(wrong, test, arguments):
    caught(MetricConformance, "make_metric", FakeMetric, wrong, test, **arguments)
