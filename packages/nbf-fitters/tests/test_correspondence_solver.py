"""The Gauss-Newton system: derivatives against autograd, compiled against the reference."""

from __future__ import annotations

import pytest
import roma
import torch
from correspondence_fakes import BODY, fitter, scene
from torch import Tensor

from nbf_fitters.config import GaussianPoseConfig
from nbf_fitters.correspondence import _compile, reference
from nbf_fitters.correspondence.chunk import ChunkFit
from nbf_fitters.correspondence.matching import best, noise_level
from nbf_fitters.correspondence.problem import to_params
from nbf_fitters.correspondence.records import Schedule, State
from nbf_fitters.priors import GaussianPosePrior

SCALES = (torch.tensor(6.0, dtype=torch.float64), torch.tensor(20.0, dtype=torch.float64))
needs_numba = pytest.mark.skipif(not _compile.AVAILABLE, reason="numba is not installed")


@pytest.fixture(scope="module")
def hard():
    """A problem in which every term counts, away from its minimum."""
    truth, observation, start = scene(2, degrees=20)
    tool = fitter()
    prior = GaussianPosePrior(GaussianPoseConfig())
    tool._gaussian = (prior.mean.double(), prior.factor.double().mT @ prior.factor.double())
    tool.config = tool.config.model_copy(update={"priors": {"gaussian-pose": 0.1}})
    work = ChunkFit(tool._setting(observation), observation, start, torch.ones(2, dtype=torch.bool))
    pixels, matches = work.seen.pixels, best(work.seen.scores)
    problem = work.problem(pixels, matches, noise_level(matches.similarity, pixels.person, 2))
    generator = torch.Generator().manual_seed(3)
    noise = 0.2 * torch.randn(2, 24, 3, generator=generator, dtype=torch.float64)
    state = State(
        roma.rotvec_to_rotmat(noise) @ work.start.rotations,
        work.start.shift + 0.05,
        work.start.betas + 0.3,
    )
    return problem, state


def moved(problem, state: State, step: Tensor) -> State:
    return reference.advance(problem.body, reference.pose(problem.body, state), state, step)


def test_the_gradient_is_that_of_the_energy(hard):
    problem, state = hard
    step = torch.zeros(2, 24 * 3 + 3 + 10, dtype=torch.float64, requires_grad=True)
    energy = reference.evaluate(problem, moved(problem, state, step), *SCALES, build=False).energy
    (gradient,) = torch.autograd.grad(energy.sum(), step)
    system = reference.evaluate(problem, state, *SCALES)
    torch.testing.assert_close(system.energy, energy.detach())
    torch.testing.assert_close(system.gradient, gradient, rtol=1e-6, atol=1e-6)


def test_points_move_as_the_body_model_moves_its_kernels_and_keypoints(hard):
    """Levers against finite differences through the body itself."""
    problem, state = hard
    world = reference.pose(problem.body, state)
    how = BODY.skinning()
    rest = (how.kernels, how.kernel_directions, how.kernel_weights)
    points = reference.levers(problem.body, world, state.betas, *(x.expand(2, *x.shape) for x in rest))
    base = reference.base_levers(problem.body, world, state.betas)
    names = BODY.spec.keypoint_weights["openpose-25"]
    like = to_params(state, scene(1)[2].to(dtype=torch.float64))
    output = BODY(like)
    torch.testing.assert_close(points.point, output.kernels, rtol=1e-5, atol=1e-6)
    found = reference.combined(names, base)
    torch.testing.assert_close(found.point, BODY.keypoints(output, "openpose-25"), rtol=1e-5, atol=1e-6)
    generator = torch.Generator().manual_seed(0)
    step = 1e-5 * torch.randn(2, 85, generator=generator, dtype=torch.float64)
    after, before = (BODY(to_params(moved(problem, state, sign * step), like)) for sign in (1, -1))
    for levers, change in (
        (points, after.kernels - before.kernels),
        (found, BODY.keypoints(after, "openpose-25") - BODY.keypoints(before, "openpose-25")),
    ):
        predicted = torch.stack(
            [
                (reference.rows(direction.expand_as(levers.point), levers) @ step[..., None])[..., 0]
                for direction in torch.eye(3, dtype=torch.float64)
            ],
            dim=-1,
        )
        torch.testing.assert_close(predicted, change / 2, rtol=1e-4, atol=1e-9)


def test_the_matrix_is_the_second_derivative_where_residuals_are_small(hard):
    """Gauss-Newton equals Newton for the quadratic terms: anchor and shape at their minimum, nothing seen."""
    problem, _ = hard
    empty = problem._replace(
        evidence=problem.evidence._replace(trust=problem.evidence.trust * 0),
        points=problem.points._replace(trust=problem.points.trust * 0),
        limbs=problem.limbs._replace(trust=problem.limbs.trust * 0),
        prior=problem.prior._replace(
            mean=problem.prior.mean[:0], precision=problem.prior.precision[:0, :0], shape=0 * problem.prior.shape
        ),
    )
    state = State(empty.prior.rotations, empty.prior.shift, empty.prior.betas)

    def energy(step: Tensor) -> Tensor:
        return reference.evaluate(empty, moved(empty, state, step), *SCALES, build=False).energy.sum()

    zero = torch.zeros(2, 85, dtype=torch.float64)
    second = torch.autograd.functional.hessian(energy, zero + 1e-9)
    system = reference.evaluate(empty, state, *SCALES)
    torch.testing.assert_close(system.matrix[0], second[0, :, 0], rtol=1e-4, atol=1e-4)


@needs_numba
def test_the_compiled_solver_computes_what_the_reference_does(hard):
    from nbf_fitters.correspondence import compiled

    problem, state = hard
    schedule = Schedule([12.0, 2.0], [40.0, 10.0], [3, 3], 1e-3)
    one, two = reference.solve(problem, state, schedule), compiled.solve(problem, state, schedule)
    torch.testing.assert_close(two.energy, one.energy, rtol=1e-7, atol=1e-7)
    for a, b in zip(one.state, two.state, strict=True):
        torch.testing.assert_close(b, a, rtol=1e-6, atol=1e-6)
    first, second = (tool.normal_matrix(problem, state, schedule) for tool in (reference, compiled))
    torch.testing.assert_close(second, first, rtol=1e-8, atol=1e-6)


@needs_numba
def test_threads_change_nothing(hard):
    from nbf_fitters.correspondence import compiled

    problem, state = hard
    schedule = Schedule([6.0], [20.0], [3], 1e-3)
    one, two = compiled.solve(problem, state, schedule, 1), compiled.solve(problem, state, schedule, 2)
    assert all((a == b).all() for a, b in zip(one.state, two.state, strict=True))


def test_an_energy_never_rises(hard):
    problem, state = hard
    solution = reference.solve(problem, state, Schedule([6.0], [20.0], [8], 0.0))
    assert (solution.trace.diff(dim=0) <= 0).all()
    assert (solution.energy < reference.evaluate(problem, state, *SCALES, build=False).energy).all()


def test_a_body_behind_the_camera_has_no_finite_energy_and_stays(hard):
    problem, state = hard
    behind = state._replace(shift=state.shift * torch.tensor([[1.0, 1.0, -1.0], [1, 1, 1]], dtype=torch.float64))
    solution = reference.solve(problem, behind, Schedule([6.0], [20.0], [2], 0.0))
    assert solution.energy.isinf().tolist() == [True, False]
    assert (solution.state.shift[0] == behind.shift[0]).all() and solution.state.rotations.isfinite().all()
