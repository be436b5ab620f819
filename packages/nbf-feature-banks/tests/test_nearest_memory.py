from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from nbf_core.contracts import FeatureBank
from nbf_core.errors import InputError, ShapeError
from nbf_feature_banks.config import NearestMemoryConfig
from nbf_feature_banks.nearest_memory import NearestMemoryBank

CHANNELS = 8


def make_bank(spec, **options) -> NearestMemoryBank:
    return NearestMemoryBank(NearestMemoryConfig(num_noise=4, max_group=9, **options), spec=spec, channels=CHANNELS)


def make_batch(people: int = 3, items: int = 12, seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    features = F.normalize(torch.randn(people, items, CHANNELS, generator=generator), dim=-1)
    kernels = torch.arange(items).expand(people, items) % 12
    orientation = torch.randint(0, 3, (people, items), generator=generator)
    visible = torch.rand(people, items, generator=generator) > 0.3
    background = F.normalize(torch.randn(people, 4, CHANNELS, generator=generator), dim=-1)
    return features, kernels, orientation, visible, background


def test_it_is_a_feature_bank(spec):
    assert isinstance(make_bank(spec), FeatureBank)


@pytest.mark.parametrize("init", ["random", "fourier"])
def test_features_are_unit_vectors_from_the_start_and_after_updates(spec, init):
    bank = make_bank(spec, init=init)
    bank.update(*make_batch())
    for tensor in (bank.features, bank.background, bank.clutter()):
        torch.testing.assert_close(tensor.norm(dim=-1), torch.ones(tensor.shape[:-1]))


def test_fourier_features_of_neighbours_are_alike(spec):
    bank = make_bank(spec, init="fourier", length=0.5)
    flat = bank.features[:, 0]
    assert flat[0] @ flat[1] > flat[0] @ flat[11] + 0.1


def test_an_update_moves_a_seen_class_towards_its_feature_and_no_other(spec):
    bank = make_bank(spec)
    before = bank.features.clone()
    features, kernels, orientation, _, background = make_batch()
    visible = torch.zeros_like(kernels, dtype=torch.bool)
    visible[1, 5] = True
    bank.update(features, kernels, orientation, visible, background)
    place = 5, int(orientation[1, 5])
    expected = F.normalize(0.9 * before[place] + 0.1 * features[1, 5], dim=-1)
    torch.testing.assert_close(bank.features[place], expected)
    changed = (bank.features != before).any(-1)
    assert changed.sum() == 1 and changed[place]


def test_where_nothing_is_visible_nothing_changes(spec):
    bank = make_bank(spec)
    before = {name: value.clone() for name, value in bank.state_dict().items()}
    features, kernels, orientation, visible, background = make_batch()
    bank.update(features, kernels, orientation, torch.zeros_like(visible), background)
    for name, value in bank.state_dict().items():
        torch.testing.assert_close(value, before[name])
    terms = bank.loss(features, kernels, orientation, torch.zeros_like(visible), background)
    assert terms["contrastive"] == 0


def test_held_updates_fill_the_ring_alone(spec):
    bank = make_bank(spec, hold=1)
    features, ring = bank.features.clone(), bank.background.clone()
    bank.update(*make_batch())
    torch.testing.assert_close(bank.features, features)
    assert not torch.equal(bank.background, ring)
    bank.update(*make_batch(seed=1))
    assert not torch.equal(bank.features, features)


def test_the_ring_wraps_and_its_place_is_in_the_checkpoint(spec):
    bank, other = make_bank(spec), make_bank(spec)
    for step in range(4):  # three batches of 3 x 4 fill the 36 rows
        bank.update(*make_batch(seed=step))
    last = make_batch(seed=3)[-1].flatten(0, 1)
    torch.testing.assert_close(bank.background[:12], last)
    other.load_state_dict(bank.state_dict())
    for each in (bank, other):
        each.update(*make_batch(seed=9))
    torch.testing.assert_close(bank.background, other.background)
    torch.testing.assert_close(bank.background[12:24], make_batch(seed=9)[-1].flatten(0, 1))


def test_the_loss_is_the_masked_cross_entropy(spec):
    """Against the formula written out: logits, neighbours out, ring shifted by log(weight_noise)."""
    bank = make_bank(spec).double()
    features, kernels, orientation, visible, background = make_batch()
    terms = bank.loss(features.double(), kernels, orientation, visible, background.double())
    values = []
    for b, i in visible.nonzero().tolist():
        k, o = int(kernels[b, i]), int(orientation[b, i])
        logits = torch.einsum("koc,c->ko", bank.features, features[b, i].double()) / 0.07
        for other in (k - 1, k + 1):
            if 0 <= other < 12:
                logits[other] -= 1e5
        ring = bank.background @ features[b, i].double() / 0.07 + torch.log(torch.tensor(5e-3).double())
        everything = torch.cat([logits.flatten(), ring])
        values.append(-torch.log_softmax(everything, 0)[k * 3 + o])
    torch.testing.assert_close(terms["contrastive"], torch.stack(values).mean())
    regulariser = 0.1 * torch.einsum("bnc,koc->bnko", background.double(), bank.features).mean()
    torch.testing.assert_close(terms["noise_regulariser"], regulariser)


def test_figure_against_ground_is_the_choice_that_a_fit_makes(spec):
    """Cross entropy of two: body pixels between their kernel and clutter, background between clutter and any kernel."""
    bank = make_bank(spec, weight_figure_ground=0.5).double()
    features, kernels, orientation, visible, background = make_batch()
    terms = bank.loss(features.double(), kernels, orientation, visible, background.double())
    clutter = bank.clutter()[0]
    figure = []
    for b, i in visible.nonzero().tolist():
        feature = features[b, i].double()
        logits = torch.stack([bank.features[kernels[b, i], orientation[b, i]] @ feature, clutter @ feature]) / 0.07
        figure.append(-torch.log_softmax(logits, 0)[0])
    ground = []
    for feature in background.double().flatten(0, 1):
        logits = torch.stack([(bank.features @ feature).max(), clutter @ feature]) / 0.07
        ground.append(-torch.log_softmax(logits, 0)[1])
    torch.testing.assert_close(terms["figure_ground"], 0.5 * (torch.stack(figure).mean() + torch.stack(ground).mean()))
    assert "figure_ground" not in make_bank(spec).loss(*make_batch())


def test_the_loss_is_differentiable_in_features_and_background(spec):
    bank = make_bank(spec, weight_figure_ground=0.5).double()
    features, kernels, orientation, visible, background = make_batch(people=1, items=4)
    leaf = [features.double().requires_grad_(), background.double().requires_grad_()]
    assert torch.autograd.gradcheck(lambda f, b: sum(bank.loss(f, kernels, orientation, visible, b).values()), leaf)


def test_an_update_between_loss_and_gradients_changes_nothing(spec):
    gradients = []
    for update in (False, True):
        bank = make_bank(spec)
        features, *rest = make_batch()
        features.requires_grad_()
        terms = bank.loss(features, *rest)
        if update:
            bank.update(features.detach(), *rest)
        sum(terms.values()).backward()
        gradients.append(features.grad)
    torch.testing.assert_close(*gradients)


def test_a_saved_bank_goes_on_as_if_never_stopped(spec):
    options = {"hold": 1, "momentum_end": 0.2, "momentum_steps": 3}
    bank, other = make_bank(spec, **options), make_bank(spec, seed=5, **options)
    for step in range(2):
        bank.update(*make_batch(seed=step))
    other.load_state_dict({name: value.clone() for name, value in bank.state_dict().items()})
    for step in range(2, 7):  # beyond the end of the ring and of the momentum's schedule
        for each in (bank, other):
            each.update(*make_batch(seed=step))
    for name, value in bank.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name


def test_momentum_goes_evenly_to_its_end_and_stays(spec):
    bank = make_bank(spec, hold=2, momentum=0.9, momentum_end=0.5, momentum_steps=4)
    values = []
    for step in range(8):
        values.append(bank.momentum)
        bank.update(*make_batch(seed=step))
    assert values == pytest.approx([0.9, 0.9, 0.9, 0.8, 0.7, 0.6, 0.5, 0.5])
    steady = make_bank(spec)
    steady.update(*make_batch())
    assert steady.momentum == 0.9


@pytest.mark.parametrize("bins", [1, 2, 3, 4, 8])
def test_any_number_of_orientation_bins(spec, bins):
    bank = make_bank(spec, orientations=bins)
    features, kernels, orientation, visible, background = make_batch()
    orientation = torch.randint(0, bins, orientation.shape, generator=torch.Generator().manual_seed(1))
    before = bank.features.clone()
    terms = bank.loss(features, kernels, orientation, visible, background)
    bank.update(features, kernels, orientation, visible, background)
    assert bank.features.shape == (12, bins, CHANNELS) and terms["contrastive"] > 0
    seen = torch.zeros(12, bins, dtype=torch.bool)
    seen[kernels[visible], orientation[visible]] = True
    assert torch.equal((bank.features != before).any(-1), seen)


def test_a_term_without_weight_is_not_computed_and_keeps_the_gradients_path(spec, monkeypatch):
    bank = make_bank(spec, weight_contrastive=0, weight_noise_regulariser=0)
    monkeypatch.setattr(bank, "_cross_entropy", lambda *_: pytest.fail("computed for nothing"))
    features, *rest, background = make_batch()
    leaves = [features.requires_grad_(), background.requires_grad_()]
    terms = bank.loss(features, *rest, background)
    assert [value.item() for value in terms.values()] == [0, 0]
    sum(terms.values()).backward()
    assert all(leaf.grad.abs().max() == 0 for leaf in leaves)
    bank.update(*make_batch())  # the bank still learns: fitting may use it
    assert int(bank.updates) == 1


def test_no_images_change_and_cost_nothing(spec):
    bank = make_bank(spec)
    none = [tensor[:0] for tensor in make_batch()]
    assert sum(bank.loss(*none).values()) == 0
    bank.update(*none)
    assert int(bank.updates) == 0


def test_features_that_are_not_finite_are_refused_and_harm_nothing(spec):
    bank = make_bank(spec)
    before = {name: value.clone() for name, value in bank.state_dict().items()}
    for broken in (0, 4):
        batch = list(make_batch())
        batch[broken] = batch[broken].clone()
        batch[broken][batch[3].nonzero()[0, 0]] = torch.nan
        with pytest.raises(FloatingPointError, match="not updated"):
            bank.update(*batch)
    for name, value in bank.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_labels_out_of_range_are_named_where_they_count(spec):
    bank = make_bank(spec)
    for place, value, words in ((1, 12, "kernel 12"), (1, -1, "kernel -1"), (2, 3, "bin 3"), (2, -2, "bin -2")):
        batch = list(make_batch())
        batch[place] = batch[place].clone()
        batch[place][2, 7] = value
        batch[3][2, 7] = True
        for call in (bank.loss, bank.update):
            with pytest.raises(InputError, match=f"image 2 of the batch, feature 7.*{words}"):
                call(*batch)
        batch[3][2, 7] = False
        bank.loss(*batch)


@pytest.mark.wrong_shapes
def test_wrong_shapes_are_named(spec):
    features, kernels, orientation, visible, background = make_batch()
    with pytest.raises(ShapeError, match="features: expected"):
        make_bank(spec).update(features[..., :4], kernels, orientation, visible, background)
    with pytest.raises(ShapeError, match="visible: expected"):
        make_bank(spec).loss(features, kernels, orientation, visible[:, :3], background)
