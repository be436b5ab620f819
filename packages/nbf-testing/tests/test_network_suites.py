"""The suites of feature banks and regressors catch what is wrong in known ways, each by the test that says so."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from catching import caught

from nbf_testing.fake_networks import FakeBank, FakeRegressor
from nbf_testing.feature_banks import FeatureBankConformance
from nbf_testing.regressors import RegressorConformance


class LongFeatures(FakeBank):
    def update(self, features, *rest):
        super().update(features, *rest)
        self.features.mul_(2)


class MovesWhatIsHidden(FakeBank):
    def update(self, features, kernels, orientation, visible, background):
        super().update(features, kernels, orientation, torch.ones_like(visible), background)


class PushesAway(FakeBank):
    def update(self, features, *rest):
        super().update(-features, *rest)


class MovesForNothing(FakeBank):
    def update(self, features, kernels, orientation, visible, background):
        super().update(features, kernels, orientation, visible, background)
        if not visible.any():
            self.features.copy_(self.features.roll(1, 0))


class RemembersGraphs(FakeBank):
    def update(self, features, kernels, orientation, visible, background):
        self._buffers["features"] = self.features + 0 * features.sum()


class TakesNan(FakeBank):
    def update(self, features, kernels, orientation, visible, background):
        self.features.copy_(F.normalize(self.features + background.mean(), dim=-1))
        self.features.add_(0 * features.sum())


class NeedsSomebody(FakeBank):
    def update(self, features, kernels, orientation, visible, background):
        assert len(features) > 0
        super().update(features, kernels, orientation, visible, background)


class RandomStart(FakeBank):
    count = 0

    def __init__(self, **parts):
        super().__init__(**parts)
        RandomStart.count += 1
        self.features.copy_(self.features.roll(RandomStart.count, 0))


class LearnsFromALoss(FakeBank):
    def loss(self, *seen):
        terms = super().loss(*seen)
        self.background.copy_(self.background.roll(1))
        return terms


class PrefersOthers(FakeBank):
    def loss(self, *seen):
        return {name: -value for name, value in super().loss(*seen).items()}


class LossWithoutGradient(FakeBank):
    def loss(self, features, *rest):
        return super().loss(features.detach(), *rest)


class LossOfAll(FakeBank):
    def loss(self, features, kernels, orientation, visible, background):
        return super().loss(features, kernels, orientation, torch.ones_like(visible), background)


class NothingToLearn(FakeBank):
    def loss(self, features, kernels, orientation, visible, background):
        if not visible.any():
            return {"likeness": features.new_zeros(())}
        return super().loss(features, kernels, orientation, visible, background)


class UpdatesInPlace(FakeBank):
    """Its backward pass meets a bank that has moved on."""

    def loss(self, features, kernels, orientation, visible, background):
        cosine = (features.flatten(0, 1) @ self.features.flatten(0, 1).mT).square().mean()
        return {"likeness": super().loss(features, kernels, orientation, visible, background)["likeness"] + cosine}


class StateBeside(FakeBank):
    """Counts its updates, and the count is in no checkpoint."""

    updates = 0

    def update(self, features, *rest):
        self.updates += 1
        super().update(features.roll(self.updates, 0), *rest)


class ManyCentres(FakeBank):
    def clutter(self, centers=1):
        return 2 * self.background.expand(centers, -1)


class NoChecks(FakeBank):
    def _check(self, *seen):
        pass


UPDATE = "test_an_update_pulls_what_is_visible_and_nothing_else"
BANKS = [
    (LongFeatures, "test_features_are_unit_vectors_a_kernel_and_bin", {}),
    (ManyCentres, "test_clutter_is_made_of_unit_vectors", {"centers": 2}),
    (MovesWhatIsHidden, UPDATE, {}),
    (PushesAway, UPDATE, {}),
    (MovesForNothing, "test_nothing_visible_moves_no_feature", {}),
    (NeedsSomebody, "test_an_empty_batch_is_no_error", {}),
    (RandomStart, "test_is_the_same_whenever_it_is_built", {}),
    (RemembersGraphs, "test_an_update_keeps_no_graph_and_leaves_its_inputs_alone", {}),
    (TakesNan, "test_what_is_not_finite_never_gets_into_it", {"name": "features", "value": torch.nan}),
    (LearnsFromALoss, "test_a_loss_changes_nothing", {}),
    (PrefersOthers, "test_features_cost_less_at_their_own_kernel", {}),
    (LossWithoutGradient, "test_gradients_reach_the_features_and_not_the_bank", {}),
    (LossOfAll, "test_gradients_reach_the_features_and_not_the_bank", {}),
    (NothingToLearn, "test_a_loss_of_nothing_visible_still_has_a_gradient", {}),
    (UpdatesInPlace, "test_an_update_before_the_backward_pass_does_no_harm", {}),
    (StateBeside, "test_all_of_its_state_is_in_the_checkpoint", {}),
    (NoChecks, "test_wrong_shapes_are_refused_by_name", {"name": "kernels", "method": "update"}),
    (NoChecks, "test_a_visible_kernel_that_does_not_exist_is_refused", {"name": "kernels", "value": 10_000}),
]


@pytest.mark.wrong_shapes
@pytest.mark.parametrize(("wrong", "test", "arguments"), BANKS, ids=[f"{w.__name__}-{t}" for w, t, _ in BANKS])
def test_the_bank_suite_catches(wrong, test, arguments):
    def maker(kind):
        return lambda spec, channels: kind(spec=spec, channels=channels)

    caught(FeatureBankConformance, "make_bank", maker(FakeBank), maker(wrong), test, **arguments)


class Changed(FakeRegressor):
    """Gives another output."""

    def change(self, output, images):
        return output

    def forward(self, images):
        return self.change(super().forward(images), images)


class PartsWithoutBackground(Changed):
    def change(self, output, images):
        return replace(output, parts=output.parts[:, :-1])


class NotQuiteRotations(Changed):
    def change(self, output, images):
        return replace(output, rotations=1.01 * output.rotations)


class Reflections(Changed):
    def change(self, output, images):
        return replace(output, rotations=output.rotations * output.rotations.new_tensor([1.0, 1.0, -1.0]))


class BatchStatistics(Changed):
    def change(self, output, images):
        return replace(output, features=output.features - output.features.mean(0, keepdim=True).nan_to_num())


class ZeroToOneTwice(FakeRegressor):
    """Shifts the images that it was handed."""

    def forward(self, images):
        images.sub_(0.5)
        return super().forward(images)


class CountsCalls(FakeRegressor):
    def __init__(self, **parts):
        super().__init__(**parts)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, images):
        self.calls += 1
        return super().forward(images)


class WeightsBeside(FakeRegressor):
    def __init__(self, **parts):
        super().__init__(**parts)
        self.secret = [torch.nn.Conv2d(8, 8, 1)]

    def forward(self, images):
        output = super().forward(images)
        return replace(output, features=self.secret[0](output.features))


class Blind(FakeRegressor):
    def forward(self, images):
        return super().forward(torch.zeros_like(images))


class AnySize(FakeRegressor):
    def forward(self, images):
        side = self.image_size
        return super().forward(F.interpolate(images, (side, side)))


class NeedsEverything(FakeRegressor):
    def loss(self, output, sample, body):
        return {**super().loss(output, sample, body), "keypoints": sample.keypoints.sum() * 0}


class BelievesHiddenKeypoints(FakeRegressor):
    def loss(self, output, sample, body):
        terms = super().loss(output, sample, body)
        if sample.keypoints is not None:
            terms["keypoints"] = sample.keypoints[..., :2].mean()
        return terms


class TeachesNothing(FakeRegressor):
    def loss(self, output, sample, body):
        return {name: value.detach() for name, value in super().loss(output, sample, body).items()}


class IgnoresTheRay(FakeRegressor):
    """Takes the root's rotation for one in the camera's axes, whatever the crop shows."""

    def loss(self, output, sample, body):
        centred = replace(sample.camera, center=torch.full_like(sample.camera.center, sample.camera.size[0] / 2))
        return super().loss(output, replace(sample, camera=centred), body)


REGRESSORS = [
    (PartsWithoutBackground, "test_shapes_dtype_and_device", {}),
    (NotQuiteRotations, "test_rotations_are_rotations_whatever_the_picture", {"picture": "black"}),
    (Reflections, "test_rotations_are_rotations_whatever_the_picture", {"picture": "noise"}),
    (BatchStatistics, "test_people_of_a_batch_do_not_meet_in_use", {}),
    (ZeroToOneTwice, "test_repeats_and_changes_nothing_in_use", {}),
    (CountsCalls, "test_repeats_and_changes_nothing_in_use", {}),
    (WeightsBeside, "test_all_of_its_state_is_in_the_checkpoint", {}),
    (Blind, "test_the_picture_decides", {}),
    (AnySize, "test_images_of_another_size_are_refused_by_name", {"wrong": "size"}),
    (NeedsEverything, "test_labels_that_are_missing_are_left_out", {"missing": ("keypoints",)}),
    (BelievesHiddenKeypoints, "test_keypoints_of_no_confidence_do_not_count", {}),
    (TeachesNothing, "test_a_loss_teaches", {}),
    (IgnoresTheRay, "test_the_truth_costs_less", {"wrong": "weak_camera"}),
]


@pytest.mark.wrong_shapes
@pytest.mark.parametrize(
    ("wrong", "test", "arguments"), REGRESSORS, ids=[f"{w.__name__}-{t}" for w, t, _ in REGRESSORS]
)
def test_the_regressor_suite_catches(wrong, test, arguments):
    def maker(kind):
        return lambda spec: kind(spec=spec)

    caught(RegressorConformance, "make_regressor", maker(FakeRegressor), maker(wrong), test, **arguments)
