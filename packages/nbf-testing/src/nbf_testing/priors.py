"""The conformance suite of priors: subclass :class:`PriorConformance` in a test file, pytest does the rest."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from nbf_core.contracts import Prior
from nbf_core.errors import ShapeError
from nbf_core.types import BodyParams
from nbf_testing.claims import Suite, assert_slope, noise, one_line, skip_where_impossible
from nbf_testing.people import PARAMETERS, random_params
from nbf_testing.stick_body import StickBody

_SPEC = StickBody().spec


class PriorConformance(Suite):
    """What every prior must do. A plugin's test file is::

        class TestMine(PriorConformance):
            def make_prior(self):
                return MyPrior(MyConfig())

    ``per_person``
        False for a prior that takes the batch for frames of one person: what one costs then depends on the others.
    """

    per_person: bool = True

    def make_prior(self) -> Prior:
        """The prior under test, newly built."""
        raise NotImplementedError("a conformance test must say how its prior is made")

    @pytest.fixture
    def prior(self) -> Prior:
        return self.make_prior()

    def params(self, *batch: int, dtype: torch.dtype | None = None, device: str = "cpu", **options) -> BodyParams:
        """SMPL's parameters: 23 joints, 10 shape coefficients."""
        return random_params(_SPEC, *batch, **options).to(dtype=dtype or self.finest(device)).to(device)

    def test_fulfils_the_protocol(self, prior):
        assert isinstance(prior, Prior)

    @pytest.mark.parametrize("people", [0, 1, 3])
    def test_one_finite_cost_a_person(self, prior, device, dtype, people):
        skip_where_impossible(device, dtype)
        cost = prior(self.params(people, dtype=dtype, device=device))
        assert cost.shape == (people,) and cost.dtype == dtype and cost.device.type == device
        assert torch.isfinite(cost).all()

    def test_any_dtype_after_any_other(self, prior):
        """A prior keeps nothing of a call: what it converts for one must not be lost for the next."""
        costs = [prior(self.params(2, dtype=dtype)) for dtype in (*self.dtypes, *self.dtypes)]
        assert [cost.dtype for cost in costs] == [*self.dtypes, *self.dtypes]
        for first, again in zip(costs, costs[len(self.dtypes) :], strict=False):
            torch.testing.assert_close(first, again, rtol=1e-5, atol=1e-5)

    def test_people_of_a_batch_do_not_meet(self, prior):
        if not self.per_person:
            pytest.skip("this prior compares the people of a batch with one another, as frames of a film")
        params = self.params(3)
        together = prior(params)
        params.body_pose[1] = torch.nan
        params.betas[1] = torch.nan
        beside = prior(params)
        for person in (0, 2):
            alone = prior(params[person : person + 1])[0]
            torch.testing.assert_close(together[person], alone)
            torch.testing.assert_close(beside[person], alone)

    def test_repeats_and_leaves_its_inputs_alone(self, prior):
        params = self.params(2)
        before = params.clone()
        assert torch.equal(prior(params), prior(params))
        assert torch.equal(prior(params), self.make_prior()(params))
        for name in PARAMETERS:
            assert torch.equal(getattr(params, name), getattr(before, name))

    def test_where_a_person_stands_costs_nothing(self, prior):
        params = self.params(2)
        moved = replace(params, transl=params.transl + 3)
        torch.testing.assert_close(prior(params), prior(moved))

    @pytest.mark.parametrize("at", ["rest", "posed", "wild"])
    def test_costs_and_gradients_are_finite(self, prior, at):
        params = self.params(2, pose={"wild": 3.0}.get(at, 0.3))
        if at == "rest":
            params = params.map(torch.zeros_like)
        leaves = params.map(lambda value: value.clone().requires_grad_())
        cost = prior(leaves)
        assert torch.isfinite(cost).all()
        used = [getattr(leaves, name) for name in PARAMETERS]
        for name, gradient in zip(PARAMETERS, _gradients(cost.sum(), used), strict=True):
            assert gradient is None or torch.isfinite(gradient).all(), name

    def test_gradients_match_finite_differences(self, prior, device):
        params = self.params(3, device=device)
        leaves = params.map(lambda value: value.clone().requires_grad_())
        cost = prior(leaves)
        assert cost.requires_grad, "a prior is differentiable in what it looks at"
        gradients = _gradients((cost * noise(cost, 1)).sum(), [getattr(leaves, name) for name in PARAMETERS])
        looked_at = [name for name, gradient in zip(PARAMETERS, gradients, strict=True) if gradient is not None]
        for name in looked_at:
            value = getattr(params, name)

            def number(one, name=name):
                cost = prior(replace(params, **{name: one}))
                return (cost * noise(cost, 1)).sum()

            assert_slope(number, value)

    def test_the_unlikely_costs_more_somewhere(self, prior):
        """It tells bodies apart: a prior that is the same for every body does nothing."""
        scales = torch.tensor([0.0, 0.1, 0.5, 1.5, 3.0], dtype=self.finest())
        one = self.params(1, pose=1.0)
        many = one.map(lambda value: value.repeat(len(scales), *[1] * (value.dim() - 1)))
        many = replace(
            many,
            body_pose=scales[:, None, None] * many.body_pose,
            betas=scales[:, None] * 2 * many.betas,
            global_orient=torch.tensor([[math.pi, 0.0, 0.0]]).to(many.betas).repeat(len(scales), 1),
        )
        cost = prior(many)
        assert cost.max() > cost.min()

    @pytest.mark.parametrize("name", ["body_pose", "betas"])
    @pytest.mark.wrong_shapes
    def test_a_body_of_other_joints_is_costed_or_refused_by_name(self, prior, name):
        params = self.params(2)
        short = replace(params, **{name: getattr(params, name)[:, :2]})
        try:
            cost = prior(short)
        except ShapeError as error:
            assert name in str(error)
            one_line(error)
        else:
            assert cost.shape == (2,) and torch.isfinite(cost).all()


def _gradients(cost, leaves):
    """The gradients of ``leaves``, None where the cost does not look at one."""
    if not cost.requires_grad:
        return [None] * len(leaves)
    return torch.autograd.grad(cost, leaves, allow_unused=True)
