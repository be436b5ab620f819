"""What keeps an objective from pulling a true body away: kernels under the skin, and steps that know when to stop."""

from __future__ import annotations

from dataclasses import replace

import torch
from fitting_fakes import DenseRenderer, FixedBank, StickBody, disturb, observe, people

from nbf_core.types import BodyOutput, BodyParams, Camera
from nbf_fitters.config import StagedConfig
from nbf_fitters.descent import Adam
from nbf_fitters.scene import Viewer, vertex_normals
from nbf_fitters.staged import StagedFitter

# An octahedron, its faces counter-clockwise seen from outside.
POINTS = torch.tensor([[1.0, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]])
FACES = torch.tensor([[0, 2, 4], [2, 1, 4], [1, 3, 4], [3, 0, 4], [2, 0, 5], [1, 2, 5], [3, 1, 5], [0, 3, 5]])


class Ball:
    """A body of six kernels."""

    def __init__(self):
        stick = StickBody().spec
        index = torch.arange(6)
        self.spec = replace(
            stick,
            faces=FACES,
            vertex_parts=0 * index,
            vertex_kernels=index,
            kernel_mirror=index,
            kernel_adjacency=torch.zeros(6, 6, dtype=torch.bool),
            kernel_vertices=index,
            kernel_limbs=0 * index,
            kernel_rest=POINTS,
            kernel_precision=400.0,
        )

    def __call__(self, params, vertices=True):
        points = POINTS.expand(len(params.transl), -1, -1) + params.transl[:, None]
        return BodyOutput(points, points[:, :0], points)

    forward = __call__

    def keypoints(self, output, name):
        return output.joints


def test_normals_point_outward():
    normals = vertex_normals(torch.stack([POINTS, 3 * POINTS + 5]), FACES)
    torch.testing.assert_close(normals, POINTS.expand(2, -1, -1))
    lonely = vertex_normals(torch.cat([POINTS, torch.ones(1, 3)])[None], FACES)
    assert not lonely[0, -1].any()


def test_kernels_are_drawn_under_the_skin():
    params = BodyParams.neutral(2)
    params = replace(params, transl=torch.tensor([[0.0, 0, 10], [1, 0, 12]]).requires_grad_())
    camera = Camera.from_field((8, 8), 30.0, 2)
    on, under = (
        Viewer(Ball(), DenseRenderer(), camera, 1, True, inset).scene(params).kernels.means for inset in (0.0, 2.0)
    )
    torch.testing.assert_close(on - under, 0.1 * POINTS.expand(2, -1, -1))  # two deviations of 5 cm
    (gradient,) = torch.autograd.grad(under.sum(), params.transl)
    assert (gradient == 6).all()


def test_a_body_without_faces_has_no_inside():
    camera = Camera.from_field((8, 8), 30.0, 1)
    params = BodyParams.neutral(1, dtype=torch.float64)
    scenes = [Viewer(StickBody(), DenseRenderer(), camera, 1, True, inset).scene(params) for inset in (0.0, 0.63)]
    assert torch.equal(scenes[0].kernels.means, scenes[1].kernels.means)


def test_damped_steps_are_short_where_the_objective_is_flat():
    plain, damped = torch.zeros(1, 2), torch.zeros(1, 2)
    gradient = torch.tensor([[1.0, 1e-4]])
    Adam(plain).step(gradient, 0.1)
    Adam(damped, damping=1.0).step(gradient, 0.1)
    torch.testing.assert_close(plain, torch.tensor([[-0.1, -0.1]]), atol=1e-3, rtol=0)
    assert abs(damped[0, 0] + 0.1 / (1 + 0.5**0.5)) < 1e-4 and abs(damped[0, 1]) < 1e-4


def test_one_persons_gradient_does_not_damp_another():
    both, alone = torch.zeros(2, 3), torch.zeros(1, 3)
    gradient = torch.tensor([[1.0, 2.0, 3.0], [1e3, 1e4, 1e5]])
    Adam(both, damping=0.5).step(gradient, 0.1)
    Adam(alone, damping=0.5).step(gradient[:1], 0.1)
    torch.testing.assert_close(both[:1], alone)


def test_a_damped_stage_still_finds_the_way():
    body = StickBody()
    bank = FixedBank(body)
    truth, camera = people(2)
    start = disturb(truth, 10)
    stage = {"parameters": ["orientation", "translation", "body_pose"], "steps": 25, "decay": 0.0, "damping": 0.5}
    config = StagedConfig(priors={}, starts_by="cost", stages=[stage], feature_weight=0.0, anchor_weight=1e-3)
    result = StagedFitter(config, body, DenseRenderer(), bank, {}).fit(observe(body, bank, truth, camera), start)
    assert result.kept.all() and (result.loss < 0.2 * result.start_loss).all()
