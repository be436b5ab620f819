"""The conformance suite of feature banks: subclass :class:`FeatureBankConformance`, pytest does the rest."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nbf_core.contracts import FeatureBank
from nbf_core.errors import NbfError, ShapeError
from nbf_core.types import BodySpec
from nbf_testing.claims import Suite, one_line, seeded, skip_where_impossible
from nbf_testing.stick_body import StickBody

CHANNELS, IMAGES, SEEN, ROWS = 6, 3, 7, 4


@dataclass(frozen=True)
class Seen:
    """What a bank is shown of a batch, named as its arguments are."""

    features: Tensor
    kernels: Tensor
    orientation: Tensor
    visible: Tensor
    background: Tensor

    @property
    def given(self) -> tuple[Tensor, ...]:
        """In the order of the arguments."""
        return self.features, self.kernels, self.orientation, self.visible, self.background


class FeatureBankConformance(Suite):
    """What every feature bank must do. A plugin's test file is::

        class TestMine(FeatureBankConformance):
            def make_bank(self, spec, channels):
                return MyBank(MyConfig(), spec=spec, channels=channels)

    ``learns``
        False for a bank whose features never move: that an update pulls them is then not asked for.
    """

    learns: bool = True

    def make_bank(self, spec: BodySpec, channels: int) -> FeatureBank:
        """The bank under test, newly built."""
        raise NotImplementedError("a conformance test must say how its bank is made")

    def new_bank(self, device: str = "cpu", dtype: torch.dtype | None = None) -> FeatureBank:
        """A new bank for the body of sticks."""
        torch.manual_seed(0)
        return self.make_bank(_spec(), CHANNELS).to(dtype or self.finest(device)).to(device)

    def seen(self, bank: FeatureBank, seed: int = 0, images: int = IMAGES) -> Seen:
        """A batch as training hands it over: unit features, about half of them visible."""
        draw = seeded(seed)
        size, bins, channels = bank.features.shape
        unit = {
            name: F.normalize(torch.randn(images, count, channels, generator=draw, dtype=torch.float64), dim=-1)
            for name, count in (("features", SEEN), ("background", ROWS))
        }
        unit = {name: value.to(bank.features.dtype).to(bank.features.device) for name, value in unit.items()}
        kernels = torch.rand(images, size, generator=draw).argsort(1)[:, :SEEN]  # each at most once a person
        orientation = torch.randint(0, bins, (images, SEEN), generator=draw)
        visible = torch.rand(images, SEEN, generator=draw) < 0.5
        visible[:1, 0] = True
        visible[:1, 1] = False
        move = unit["features"].device
        return Seen(unit["features"], kernels.to(move), orientation.to(move), visible.to(move), unit["background"])

    # What it holds.

    def test_fulfils_the_protocol(self):
        bank = self.new_bank()
        assert isinstance(bank, FeatureBank) and isinstance(bank, nn.Module)

    def test_features_are_unit_vectors_a_kernel_and_bin(self, device, dtype):
        skip_where_impossible(device, dtype)
        bank = self.new_bank(device, dtype)
        assert bank.features.dim() == 3 and bank.features.shape[1] >= 1
        assert len(bank.features) == _spec().kernels and bank.features.shape[2] == CHANNELS
        for step in range(3):
            assert bank.features.dtype == dtype and bank.features.device.type == device
            torch.testing.assert_close(bank.features.norm(dim=-1), torch.ones_like(bank.features[..., 0]))
            bank.update(*self.seen(bank, seed=step).given)

    @pytest.mark.parametrize("centers", [1, 2])
    def test_clutter_is_made_of_unit_vectors(self, device, dtype, centers):
        skip_where_impossible(device, dtype)
        bank = self.new_bank(device, dtype)
        bank.update(*self.seen(bank).given)
        clutter = bank.clutter() if centers == 1 else bank.clutter(centers)
        assert 1 <= len(clutter) <= centers and clutter.shape[1:] == (CHANNELS,)
        assert clutter.dtype == dtype and clutter.device.type == device
        torch.testing.assert_close(clutter.norm(dim=-1), torch.ones_like(clutter[:, 0]))

    def test_is_the_same_whenever_it_is_built(self):
        one, two = self.new_bank(), self.new_bank()
        for step in range(2):
            for (name, first), second in zip(one.state_dict().items(), two.state_dict().values(), strict=True):
                assert torch.equal(first, second), name
            for bank in (one, two):
                bank.update(*self.seen(bank, seed=step).given)

    # Update.

    def test_an_update_pulls_what_is_visible_and_nothing_else(self, device):
        bank = self.new_bank(device)
        if not self.learns:
            pytest.skip("this bank does not claim that its features move")
        seen = self.seen(bank)
        before = bank.features.clone()
        bank.update(*seen.given)
        changed = (bank.features - before).abs().amax(-1) > 0
        expected = torch.zeros_like(changed)
        expected[seen.kernels[seen.visible], seen.orientation[seen.visible]] = True
        assert torch.equal(changed, expected), "features change in the kernels and bins that are visible, only there"
        image, item = (0, 0)
        place = seen.kernels[image, item], seen.orientation[image, item]
        same = (seen.kernels == place[0]) & (seen.orientation == place[1]) & seen.visible
        target = seen.features[same].mean(0)
        assert bank.features[place] @ target > before[place] @ target, "towards the mean of what was seen"

    def test_nothing_visible_moves_no_feature(self):
        bank = self.new_bank()
        seen = self.seen(bank)
        before = bank.features.clone()
        bank.update(*replace(seen, visible=torch.zeros_like(seen.visible)).given)
        assert torch.equal(bank.features, before)

    def test_an_empty_batch_is_no_error(self):
        bank = self.new_bank()
        seen = self.seen(bank, images=0)
        before = bank.features.clone()
        bank.update(*seen.given)
        assert torch.equal(bank.features, before)
        for name, value in bank.loss(*seen.given).items():
            assert torch.isfinite(value), name

    def test_an_update_keeps_no_graph_and_leaves_its_inputs_alone(self):
        bank = self.new_bank()
        seen = self.seen(bank)
        leaves = replace(seen, features=seen.features.clone().requires_grad_())
        before = [value.clone() for value in seen.given]
        bank.update(*leaves.given)
        assert not bank.features.requires_grad and bank.features.grad_fn is None
        for now, then in zip(seen.given, before, strict=True):
            assert torch.equal(now, then)

    @pytest.mark.parametrize("value", [torch.nan, torch.inf])
    @pytest.mark.parametrize("name", ["features", "background"])
    def test_what_is_not_finite_never_gets_into_it(self, name, value):
        bank = self.new_bank()
        seen = self.seen(bank)
        spoiled = getattr(seen, name).clone()
        spoiled[0, 0] = value
        with contextlib.suppress(ArithmeticError, NbfError):  # to refuse is as good as to leave it out
            bank.update(*replace(seen, **{name: spoiled}).given)
        for key, state in bank.state_dict().items():
            assert torch.isfinite(state).all(), key
        assert torch.isfinite(bank.clutter()).all()

    # Loss.

    def test_loss_is_finite_numbers_by_name(self, device, dtype):
        skip_where_impossible(device, dtype)
        bank = self.new_bank(device, dtype)
        seen = self.seen(bank)
        terms = bank.loss(*seen.given)
        assert terms, "a bank has at least one term"
        for name, value in terms.items():
            assert isinstance(name, str) and value.shape == () and torch.isfinite(value), name
            assert value.device.type == device, name

    def test_a_loss_changes_nothing(self):
        bank = self.new_bank()
        before = {name: value.clone() for name, value in bank.state_dict().items()}
        seen = self.seen(bank)
        first, second = bank.loss(*seen.given), bank.loss(*seen.given)
        assert first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)
        for name, value in bank.state_dict().items():
            assert torch.equal(value, before[name]), name

    def test_features_cost_less_at_their_own_kernel(self):
        bank = self.new_bank()
        seen = self.seen(bank)
        right = bank.features[seen.kernels, seen.orientation].clone()
        wrong = bank.features[(seen.kernels + len(bank.features) // 2) % len(bank.features), seen.orientation].clone()
        costs = [float(sum(bank.loss(*replace(seen, features=each).given).values())) for each in (right, wrong)]
        assert costs[0] < costs[1]

    def test_gradients_reach_the_features_and_not_the_bank(self, device):
        bank = self.new_bank(device)
        seen = self.seen(bank)
        features = seen.features.clone().requires_grad_()
        background = seen.background.clone().requires_grad_()
        total = sum(bank.loss(*replace(seen, features=features, background=background).given).values())
        total.backward()
        assert torch.isfinite(features.grad).all()
        assert features.grad[seen.visible].any() and not features.grad[~seen.visible].any()
        assert background.grad is not None and torch.isfinite(background.grad).all()
        assert not bank.features.requires_grad and bank.features.grad is None

    def test_a_loss_of_nothing_visible_still_has_a_gradient(self):
        """Every process must have a backward pass, also the one whose people are all hidden."""
        bank = self.new_bank()
        seen = self.seen(bank)
        features = seen.features.clone().requires_grad_()
        hidden = replace(seen, features=features, visible=torch.zeros_like(seen.visible))
        total = sum(bank.loss(*hidden.given).values())
        assert torch.isfinite(total)
        total.backward()
        assert features.grad is not None and not features.grad.any()

    def test_an_update_before_the_backward_pass_does_no_harm(self):
        gradients = []
        for update in (False, True):
            bank = self.new_bank()
            seen = self.seen(bank)
            features = seen.features.clone().requires_grad_()
            total = sum(bank.loss(*replace(seen, features=features).given).values())
            if update:
                bank.update(*seen.given)
            total.backward()
            gradients.append(features.grad)
        assert torch.equal(*gradients)

    # State and errors.

    def test_all_of_its_state_is_in_the_checkpoint(self):
        one, two = self.new_bank(), self.new_bank()
        for step in range(4):
            one.update(*self.seen(one, seed=step).given)
        two.load_state_dict({name: value.clone() for name, value in one.state_dict().items()})
        for step in range(4, 6):
            seen = self.seen(one, seed=step)
            assert torch.equal(one.features, two.features) and torch.equal(one.clutter(), two.clutter())
            first, second = one.loss(*seen.given), two.loss(*seen.given)
            assert all(torch.equal(first[name], second[name]) for name in first)
            one.update(*seen.given)
            two.update(*seen.given)

    @pytest.mark.parametrize("name", ["features", "kernels", "orientation", "visible", "background"])
    @pytest.mark.parametrize("method", ["update", "loss"])
    @pytest.mark.wrong_shapes
    def test_wrong_shapes_are_refused_by_name(self, method, name):
        bank = self.new_bank()
        seen = self.seen(bank)
        value = getattr(seen, name)
        short = value[..., :-1]
        with pytest.raises(ShapeError, match=name) as caught:
            getattr(bank, method)(*replace(seen, **{name: short}).given)
        one_line(caught.value)

    @pytest.mark.parametrize("name", ["kernels", "orientation"])
    @pytest.mark.parametrize("value", [-1, 10_000])
    def test_a_visible_kernel_that_does_not_exist_is_refused(self, name, value):
        bank = self.new_bank()
        seen = self.seen(bank)
        odd = getattr(seen, name).clone()
        odd[0, 0] = value
        before = bank.features.clone()
        with pytest.raises(NbfError) as caught:
            bank.update(*replace(seen, **{name: odd}).given)
        one_line(caught.value)
        assert torch.equal(bank.features, before)


def _spec() -> BodySpec:
    return _BODY.spec


_BODY = StickBody()
