"""The suites of body models and priors catch what is wrong in known ways, each by the test that says so."""

from dataclasses import replace

import pytest
import torch
from catching import caught

from nbf_core.errors import ShapeError
from nbf_testing.body_models import BodyModelConformance
from nbf_testing.fake_parts import FakePrior
from nbf_testing.priors import PriorConformance
from nbf_testing.stick_body import StickBody


class OtherSpec(StickBody):
    """Says of itself what is not so."""

    def __init__(self, **changes):
        super().__init__()
        self.changes = changes

    @property
    def spec(self):
        return replace(super().spec, **self.changes)


class InCentimetres(StickBody):
    def forward(self, params, vertices=True):
        output = super().forward(params, vertices)
        return output.map(lambda value: 100 * value)


class UpsideDown(StickBody):
    def forward(self, params, vertices=True):
        return super().forward(params, vertices).map(lambda value: value * value.new_tensor([1.0, -1.0, -1.0]))


class OtherCheapPath(StickBody):
    def forward(self, params, vertices=True):
        output = super().forward(params, vertices)
        return output if vertices else replace(output, kernels=output.kernels + 0.01)


class AlwaysVertices(StickBody):
    def forward(self, params, vertices=True):
        return super().forward(params, True)


class OneBatchDimension(StickBody):
    def forward(self, params, vertices=True):
        if params.transl.dim() != 2:
            raise ShapeError("one batch dimension, please")
        return super().forward(params, vertices)


class Float32Inside(StickBody):
    def forward(self, params, vertices=True):
        return super().forward(params, vertices).to(dtype=torch.float32)


class TranslatesFirst(StickBody):
    """Turns the body about the origin after it was moved."""

    def forward(self, params, vertices=True):
        import roma

        still = super().forward(replace(params, global_orient=torch.zeros_like(params.global_orient)), vertices)
        turn = roma.rotvec_to_rotmat(params.global_orient)
        return still.map(lambda value: value @ turn.mT)


class ForgetsTranslation(StickBody):
    def keypoints(self, output, name):
        points = super().keypoints(output, name)
        return points - output.joints[..., :1, :]


class WorldRotations(StickBody):
    """Takes each joint's rotation for one in the world, not relative to the parent."""

    def forward(self, params, vertices=True):
        pose = params.body_pose.clone()
        pose[..., 3:, :] = pose[..., 3:, :] + 0.1 * pose.sum(-2, keepdim=True)
        return super().forward(replace(params, body_pose=pose), vertices)


class IgnoresShape(StickBody):
    def forward(self, params, vertices=True):
        return super().forward(replace(params, betas=torch.zeros_like(params.betas)), vertices)


class LimpsLeft(StickBody):
    def forward(self, params, vertices=True):
        pose = params.body_pose.clone()
        pose[..., 0, :] *= 0.5
        return super().forward(replace(params, body_pose=pose), vertices)


class NormalisesByBatch(StickBody):
    def forward(self, params, vertices=True):
        if params.betas.dim() > 1 and len(params.betas) > 1:
            params = replace(params, betas=params.betas - 0.1 * params.betas.mean(0, keepdim=True))
        return super().forward(params, vertices)


class WrapsAngles(StickBody):
    """Writes into what it was given."""

    def forward(self, params, vertices=True):
        params.body_pose.detach().mul_(0.999)
        return super().forward(params, vertices)


class Detached(StickBody):
    def forward(self, params, vertices=True):
        return super().forward(replace(params, body_pose=params.body_pose.detach()), vertices)


class HalfGradient(StickBody):
    def forward(self, params, vertices=True):
        half = params.transl / 2 + params.transl.detach() / 2
        return super().forward(replace(params, transl=half), vertices)


class NoGradientAtRest(StickBody):
    def forward(self, params, vertices=True):
        angle = params.body_pose.square().sum(-1, keepdim=True).sqrt()
        return super().forward(replace(params, body_pose=params.body_pose * (angle / angle)), vertices)


class Unchecked(StickBody):
    def _check(self, params):
        pass


class KeyErrorForAnUnknownSet(StickBody):
    def keypoints(self, output, name):
        return self.spec.keypoint_weights[name].to(output.joints) @ torch.cat([output.joints, output.markers], -2)


class OtherSkinning(StickBody):
    def skinning(self):
        skinning = super().skinning()
        return replace(skinning, kernel_weights=skinning.kernel_weights.roll(1, 1))


SPEC = StickBody().spec
GRADIENT = "test_gradients_match_finite_differences"
SHAPES = "test_shapes_dtype_and_device"
FITS = "test_the_specification_fits_together"
BODIES = [
    (lambda: OtherSpec(parents=(-1, 0, 0, 0, 7, *SPEC.parents[5:])), FITS, {}),
    (lambda: OtherSpec(parents=(-1, *SPEC.parents[2:], 0)), "test_a_joint_turns_what_hangs_on_it_alone", {}),
    (lambda: OtherSpec(mirror_joints=(1, 2, 0, *range(3, 24))), FITS, {}),
    (lambda: OtherSpec(vertex_kernels=SPEC.vertex_kernels + 10), FITS, {}),
    (lambda: OtherSpec(kernel_adjacency=SPEC.kernel_adjacency.triu()), FITS, {}),
    (lambda: OtherSpec(kernel_vertices=SPEC.kernel_vertices.flip(0)), "test_kernels_lie_on_their_vertices", {}),
    (lambda: OtherSpec(kernel_rest=SPEC.kernel_rest + 0.1), "test_kernels_rest_where_the_specification_says", {}),
    (
        lambda: OtherSpec(kernel_mirror=torch.arange(SPEC.kernels)),
        "test_mirrored_parameters_give_the_mirrored_body",
        {},
    ),
    (InCentimetres, "test_stands_upright_in_metres_left_along_x", {}),
    (UpsideDown, "test_stands_upright_in_metres_left_along_x", {}),
    (OtherCheapPath, "test_the_cheap_path_gives_the_same_points", {}),
    (AlwaysVertices, "test_the_cheap_path_gives_the_same_points", {}),
    (OneBatchDimension, SHAPES, {"batch": (2, 3)}),
    (Float32Inside, SHAPES, {"batch": (3,)}),
    (TranslatesFirst, "test_orientation_turns_about_the_root_joint", {}),
    (ForgetsTranslation, "test_translation_moves_everything", {}),
    (ForgetsTranslation, "test_keypoints_are_weighted_joints_and_markers", {}),
    (WorldRotations, "test_a_joint_turns_what_hangs_on_it_alone", {}),
    (IgnoresShape, "test_shape_changes_the_body_and_rests_at_zero", {}),
    (LimpsLeft, "test_mirrored_parameters_give_the_mirrored_body", {}),
    (NormalisesByBatch, "test_people_of_a_batch_do_not_meet", {}),
    (WrapsAngles, "test_repeats_and_leaves_its_inputs_alone", {}),
    (Detached, GRADIENT, {"name": "body_pose", "at": "posed"}),
    (HalfGradient, GRADIENT, {"name": "transl", "at": "posed"}),
    (NoGradientAtRest, GRADIENT, {"name": "body_pose", "at": "rest"}),
    (Unchecked, "test_wrong_shapes_are_refused_by_name", {"name": "betas"}),
    (KeyErrorForAnUnknownSet, "test_an_unknown_keypoint_set_is_refused_by_name", {}),
    (OtherSkinning, "test_skinning_says_how_it_is_posed", {}),
]


@pytest.mark.wrong_shapes
@pytest.mark.parametrize(
    ("wrong", "test", "arguments"), BODIES, ids=[f"{i}-{test}" for i, (_, test, _) in enumerate(BODIES)]
)
def test_the_body_suite_catches(wrong, test, arguments):
    caught(BodyModelConformance, "make_body", StickBody, wrong, test, **arguments)


class OneNumber(FakePrior):
    def __call__(self, params):
        return super().__call__(params).sum()


class SharedCost(FakePrior):
    def __call__(self, params):
        return super().__call__(params) + 0 * super().__call__(params).mean()


class InFloat32(FakePrior):
    def __call__(self, params):
        return super().__call__(params).float()


class KeepsItsDtype(FakePrior):
    """Converts its numbers for the first call, and does not for the next."""

    mean = None

    def __call__(self, params):
        if self.mean is None:
            self.mean = params.body_pose.new_zeros(3) + 0.1
        return (params.body_pose.to(self.mean) - self.mean).square().sum((-1, -2))


class AngleOfNothing(FakePrior):
    """The norm has no gradient at zero."""

    def __call__(self, params):
        return params.body_pose.square().sum(-1).sqrt().sum(-1)


class Cut(FakePrior):
    def __call__(self, params):
        return super().__call__(params).detach()


class HalfSlope(FakePrior):
    def __call__(self, params):
        value = super().__call__(params)
        return value / 2 + value.detach() / 2


class LooksAtThePlace(FakePrior):
    def __call__(self, params):
        return super().__call__(params) + params.transl.square().sum(-1)


class Overflows(FakePrior):
    def __call__(self, params):
        return torch.exp(100 * params.body_pose.abs()).sum((-1, -2))


class Indifferent(FakePrior):
    def __call__(self, params):
        return 0 * super().__call__(params)


class IndexError_(FakePrior):
    def __call__(self, params):
        return params.body_pose[:, 18].square().sum(-1)


PRIORS = [
    (OneNumber, "test_one_finite_cost_a_person", {"people": 3}),
    (InFloat32, "test_one_finite_cost_a_person", {"people": 3}),
    (SharedCost, "test_people_of_a_batch_do_not_meet", {}),
    (KeepsItsDtype, "test_any_dtype_after_any_other", {}),
    (AngleOfNothing, "test_costs_and_gradients_are_finite", {"at": "rest"}),
    (Overflows, "test_costs_and_gradients_are_finite", {"at": "wild"}),
    (Cut, GRADIENT, {}),
    (HalfSlope, GRADIENT, {}),
    (LooksAtThePlace, "test_where_a_person_stands_costs_nothing", {}),
    (Indifferent, "test_the_unlikely_costs_more_somewhere", {}),
    (IndexError_, "test_a_body_of_other_joints_is_costed_or_refused_by_name", {"name": "body_pose"}),
]


@pytest.mark.wrong_shapes
@pytest.mark.parametrize(("wrong", "test", "arguments"), PRIORS, ids=[f"{w.__name__}-{t}" for w, t, _ in PRIORS])
def test_the_prior_suite_catches(wrong, test, arguments):
    caught(PriorConformance, "make_prior", FakePrior, wrong, test, **arguments)
