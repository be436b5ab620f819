from __future__ import annotations

from dataclasses import fields, replace

import pytest
import roma
import torch
from stick_body import JOINTS, StickBody, make_sample, perfect_output

from nbf_core.types import BodyParams, Camera, collate
from nbf_regressors.config import LossWeights
from nbf_regressors.losses import camera_prior, keypoint_loss, part_loss, supervised_losses
from nbf_regressors.parts import render_parts

PUBLISHED = LossWeights(total=60, parts=1, background=1, targets="annotations", huber=0)


class SkinnedBody(StickBody):
    """Each joint carries a triangle half a metre wide that faces the viewer: part 0 of the root, 1 of the others."""

    def __init__(self) -> None:
        super().__init__()
        corners = torch.arange(3 * JOINTS).reshape(JOINTS, 3)
        parts = (torch.arange(JOINTS) > 0).long().repeat_interleave(3)
        joints = torch.arange(JOINTS).repeat_interleave(3)
        self.spec = replace(self.spec, faces=corners, vertex_parts=parts, vertex_kernels=joints)

    def skin(self, joints):
        corners = joints.new_tensor([[0.0, -0.5, 0], [0.5, 0.5, 0], [-0.5, 0.5, 0]])
        return (joints[:, :, None] + corners).flatten(1, 2)


def annotate(sample, body, confidence=1.0):
    """The sample with the truth's own keypoints as annotations."""
    points = sample.camera.project(body.keypoints(body(sample.params, vertices=False), "openpose-25"))
    return replace(sample, keypoints=torch.cat([points, torch.full_like(points[..., :1], confidence)], dim=-1))


def to_double(record):
    """A record with its floating tensors in float64."""
    changed = {}
    for name in (field.name for field in fields(record)):
        value = getattr(record, name)
        if isinstance(value, torch.Tensor) and value.is_floating_point():
            changed[name] = value.double()
        elif isinstance(value, (BodyParams, Camera)):
            changed[name] = to_double(value)
    return replace(record, **changed)


@pytest.mark.parametrize("weights", [LossWeights(), PUBLISHED], ids=["default", "published"])
@pytest.mark.parametrize("root", [(0.0, 0.0, 0.0), (0.0, -0.2, 0.03)])
def test_the_truth_costs_nothing_and_anything_else_does(root, weights):
    body = StickBody(root)
    sample = annotate(make_sample(), body)
    output = perfect_output(sample)
    terms = supervised_losses(output, sample, body, weights)
    assert set(terms) == {"keypoints_2d", "keypoints_3d", "rotations", "shape", "camera_prior", "parts"}
    assert all(float(value) < 1e-4 for value in terms.values()), terms
    turned = replace(output, rotations=output.rotations.roll(1, dims=1))
    worse = supervised_losses(turned, sample, body, weights)
    assert worse["rotations"] > 0.01 and worse["keypoints_3d"] > 0.01 and worse["keypoints_2d"] > 1e-5


def test_labels_that_are_missing_are_left_out():
    sample, body = make_sample(), StickBody()
    output = perfect_output(sample)
    bare = replace(sample, params=None)
    assert set(supervised_losses(output, bare, body, LossWeights())) == {"camera_prior", "parts"}
    known = replace(annotate(sample, body), params=None, part_map=None)
    assert set(supervised_losses(output, known, body, LossWeights())) == {"camera_prior", "keypoints_2d"}


def test_annotated_keypoints_pull_the_body_where_nothing_else_is_known():
    """From annotations alone, descent finds pose and camera that project onto them."""
    body, sample = StickBody(), make_sample(1)
    truth = perfect_output(sample)
    sample = replace(annotate(sample, body), params=None, part_map=None)
    sixes = truth.rotations[..., :2].roll(1, dims=1).clone().requires_grad_()
    camera = (truth.weak_camera * 0.8).requires_grad_()
    optimizer = torch.optim.Adam([sixes, camera], lr=0.05)
    costs = []
    for _ in range(150):
        output = replace(truth, rotations=roma.special_gramschmidt(sixes), weak_camera=camera)
        cost = supervised_losses(output, sample, body, LossWeights())["keypoints_2d"]
        optimizer.zero_grad()
        cost.backward()
        optimizer.step()
        costs.append(cost.item())
    assert costs[-1] < 0.02 * costs[0], (costs[0], costs[-1])


def test_confidence_weighs_and_none_is_ignored():
    error = torch.tensor([[[0.3, 0.4], [torch.nan, 1.0], [1.0, 1.0]]], requires_grad=True)
    loss = keypoint_loss(error, torch.tensor([[1.0, 0.0, 0.5]]))
    assert loss.item() == pytest.approx((0.125 + 0.5 * 1.0) / 2)
    loss.backward()
    assert error.grad.isfinite().all() and (error.grad[0, 1] == 0).all()
    nothing = keypoint_loss(error, torch.zeros(1, 3))
    assert nothing.item() == 0.0
    # Far off, the robust form grows by the error, not by its square.
    far, farther = (keypoint_loss(torch.full((1, 1, 2), e), torch.ones(1, 1), huber=0.1) for e in (1.0, 2.0))
    assert float(farther / far) == pytest.approx(2, abs=0.1)


@pytest.mark.parametrize("weights", [LossWeights(), PUBLISHED], ids=["default", "published"])
def test_gradients_are_those_of_the_formulas(weights):
    body = StickBody((0.0, -0.2, 0.03))
    sample = to_double(annotate(make_sample(1), body, confidence=0.7))
    sample = replace(sample, part_map=sample.part_map[:, :2, :2])
    generator = torch.Generator().manual_seed(1)

    def total(sixes, betas, camera, parts):
        output = to_double(perfect_output(make_sample(1)))
        output = replace(
            output, rotations=roma.special_gramschmidt(sixes), betas=betas, weak_camera=camera, parts=parts,
            features=parts,
        )  # fmt: skip
        return torch.stack(list(supervised_losses(output, sample, body, weights).values()))

    shapes = ((1, JOINTS, 3, 2), (1, 10), (1, 3), (1, JOINTS + 1, 2, 2))
    start = [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]
    start[2] = torch.tensor([[0.8, 0.1, -0.2]], dtype=torch.float64)
    assert torch.autograd.gradcheck(total, [value.requires_grad_() for value in start])


def test_a_body_at_rest_has_finite_gradients():
    """Rotations of exactly nothing are where axis-angles have no direction."""
    body, sample = StickBody(), make_sample(1)
    sample = replace(annotate(sample, body), params=None, part_map=None)
    rotations = torch.eye(3).repeat(1, JOINTS, 1, 1).requires_grad_()
    output = replace(perfect_output(make_sample(1)), rotations=rotations)
    supervised_losses(output, sample, body, LossWeights())["keypoints_2d"].backward()
    assert rotations.grad.isfinite().all() and rotations.grad.abs().sum() > 0


def test_background_counts_for_less():
    logits = torch.zeros(1, 3, 2, 2)
    logits[:, 0] = 2.0
    right_on_body = part_loss(logits, torch.tensor([[[0, 0], [-1, -1]]]), background=0.1)
    even = part_loss(logits, torch.tensor([[[0, 0], [-1, -1]]]), background=1.0)
    assert right_on_body < even


def test_parts_are_drawn_from_the_body():
    body = SkinnedBody()
    params = replace(BodyParams.neutral(1, joints=JOINTS - 1), transl=torch.tensor([[0.0, 0.0, 4.0]]))
    camera = Camera.from_field((64, 64), 128.0, 1)
    parts = render_parts(body, params, camera, (32, 32))
    assert parts.shape == (1, 32, 32) and set(parts.unique().tolist()) == {-1, 0, 1}
    # The root's tip is at (0, -.5, 4): 16 pixels above the middle of the image, 8 in the map.
    rows, columns = (parts[0] == 0).nonzero().T
    assert abs(int(rows.min()) - 8) <= 1 and abs(float(columns[rows == rows.min()].float().mean()) - 15.5) <= 1
    # Whoever is behind the camera is not drawn.
    assert (render_parts(body, replace(params, transl=-params.transl), camera, (32, 32)) == -1).all()


def test_parts_that_nobody_labelled_are_drawn():
    body = SkinnedBody()
    sample = replace(make_sample(), part_map=None)
    output = perfect_output(make_sample())
    size = tuple(output.parts.shape[-2:])
    drawn = render_parts(body, sample.params, sample.camera, size)
    assert (drawn >= 0).any()
    given = supervised_losses(output, replace(sample, part_map=drawn), body, LossWeights())["parts"]
    assert torch.equal(supervised_losses(output, sample, body, LossWeights())["parts"], given)
    assert "parts" not in supervised_losses(output, sample, body, LossWeights(parts=0))
    assert "parts" not in supervised_losses(output, sample, StickBody(), LossWeights())  # has no skin to draw


def test_drawn_parts_behind_an_occluder_are_background():
    body, output = SkinnedBody(), perfect_output(make_sample())
    sample = replace(make_sample(), part_map=None)
    drawn = render_parts(body, sample.params, sample.camera, tuple(output.parts.shape[-2:]))
    hidden = torch.zeros_like(drawn, dtype=torch.bool)
    hidden[:, : drawn.shape[1] // 2] = True
    covered = torch.where(hidden, -2, drawn)
    assert (drawn >= 0)[hidden].any()
    given = supervised_losses(output, replace(sample, part_map=covered), body, LossWeights())["parts"]
    assert torch.equal(supervised_losses(output, replace(sample, occluded=hidden), body, LossWeights())["parts"], given)
    # A body that has no skin to draw
    assert "parts" not in supervised_losses(output, replace(sample, occluded=hidden), StickBody(), LossWeights())


def test_the_published_weights_are_the_terms():
    known = {"keypoints_3d": 5.0, "keypoints_2d": 2.5, "rotations": 1.0, "shape": 0.001, "camera_prior": 1.0}
    assert {name: getattr(PUBLISHED, name) for name in known} == known
    sample = make_sample()
    output = replace(perfect_output(sample), weak_camera=torch.zeros(2, 3), betas=sample.params.betas + 2)
    terms = supervised_losses(output, sample, StickBody(), PUBLISHED)
    assert float(terms["camera_prior"]) == pytest.approx(60) and float(terms["shape"]) == pytest.approx(60 * 0.004)
    assert camera_prior(torch.tensor([[0.1, 0, 0]])).item() == pytest.approx(torch.exp(torch.tensor(-2.0)).item())


class RegressingBody(StickBody):
    """It has the seventeen joints that 3D annotations are of."""

    def __init__(self) -> None:
        super().__init__((0.0, -0.2, 0.03))
        self.spec = replace(self.spec, keypoint_weights={"h36m-17": torch.zeros(17, JOINTS)})

    def keypoints(self, output, name):
        return output.joints[:, torch.arange(17 if name == "h36m-17" else 25) % JOINTS]


def four_people(body):
    """One with a body, one with 3D joints alone, one with keypoints alone, and one of whom nothing is known; apart."""
    whole = annotate(make_sample(4), body)
    joints = body.keypoints(body(whole.params), "h36m-17") + torch.tensor([3.0, 1.0, -2.0])
    labels = {
        "params": whole.params, "part_map": whole.part_map, "keypoints": whole.keypoints,
        "joints": torch.cat([joints, torch.ones(4, 17, 1)], -1),
    }  # fmt: skip
    has = [("params", "part_map", "keypoints"), ("joints",), ("keypoints",), ()]
    bare = replace(whole, params=None, part_map=None, keypoints=None)
    return [replace(bare[i], **{name: labels[name][i] for name in names}) for i, names in enumerate(has)], whole


@pytest.mark.parametrize("targets", ["body", "annotations"])
def test_in_a_mixed_batch_everybody_counts_with_what_is_known_of_them(targets):
    body, weights = RegressingBody(), LossWeights(targets=targets, huber=0, parts=1, background=1)
    people, whole = four_people(body)
    batch = collate(people, partial=True)
    truth = perfect_output(whole)
    wrong = replace(truth, rotations=truth.rotations.roll(1, dims=1), betas=truth.betas + 1, parts=-truth.parts)

    def alone(index):
        one = torch.tensor([index])
        return supervised_losses(wrong[one], collate([people[index]]), body, weights)

    terms = supervised_losses(wrong, batch, body, weights)
    full, deep, flat, nothing = (alone(i) for i in range(4))
    assert set(deep) == {"camera_prior", "keypoints_3d"} and set(flat) == {"camera_prior", "keypoints_2d"}
    assert set(nothing) == {"camera_prior"} and deep["keypoints_3d"] > 0.1
    for name in ("rotations", "shape", "parts"):
        torch.testing.assert_close(terms[name], full[name])
    torch.testing.assert_close(terms["keypoints_3d"], (full["keypoints_3d"] + deep["keypoints_3d"]) / 2)
    count = [25.0 if targets == "annotations" else JOINTS, 25.0]
    expected = (count[0] * full["keypoints_2d"] + count[1] * flat["keypoints_2d"]) / sum(count)
    torch.testing.assert_close(terms["keypoints_2d"], expected)
    right = supervised_losses(truth, batch, body, weights)
    assert all(float(right[name]) < 1e-4 for name in right), right


def test_what_stands_in_for_unknown_labels_changes_nothing():
    body, (people, whole) = RegressingBody(), four_people(RegressingBody())
    batch = collate(people, partial=True)
    output = perfect_output(whole)
    noise = batch.params.map(lambda value: torch.where(batch.with_params.view(-1, *[1] * (value.ndim - 1)), value, 7.0))
    other = replace(batch, params=noise)
    found = [supervised_losses(output, one, body, PUBLISHED) for one in (batch, other)]
    assert found[0].keys() == found[1].keys()
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


def test_who_is_unknown_gets_no_gradient():
    body = RegressingBody()
    people, whole = four_people(body)
    output = perfect_output(whole)
    moved = replace(
        output, rotations=output.rotations.roll(1, dims=1).requires_grad_(), betas=(output.betas + 1).requires_grad_()
    )
    terms = supervised_losses(moved, collate(people, partial=True), body, LossWeights())
    torch.stack(list(terms.values())).sum().backward()
    assert (moved.rotations.grad[:3].abs().sum((1, 2, 3)) > 0).all()
    assert moved.rotations.grad[3].abs().sum() == 0 and moved.betas.grad[3].abs().sum() == 0


def test_3d_joints_are_compared_about_the_pelvis_or_else_about_their_middle():
    body = RegressingBody()
    people, whole = four_people(body)
    joints = people[1].joints.clone()
    joints[[0, 5, 9], 3] = 0  # no pelvis
    joints[5, :3] = torch.nan
    sample = collate([replace(people[1], joints=joints)])
    one = torch.tensor([1])
    assert supervised_losses(perfect_output(whole)[one], sample, body, LossWeights())["keypoints_3d"] < 1e-6
