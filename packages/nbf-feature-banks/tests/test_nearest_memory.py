from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from nbf_core.contracts import FeatureBank
from nbf_core.errors import ShapeError
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


def test_the_loss_is_differentiable_in_features_and_background(spec):
    bank = make_bank(spec).double()
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


def test_several_clutter_centres_separate_what_is_apart(spec):
    bank = make_bank(spec)
    axes = torch.eye(CHANNELS)[:2].repeat_interleave(18, dim=0)
    bank.background.copy_(axes)
    centers = bank.clutter(2)
    assert centers.shape == (2, CHANNELS)
    torch.testing.assert_close((centers @ axes.T).amax(dim=0), torch.ones(36))


@pytest.mark.wrong_shapes
def test_wrong_shapes_are_named(spec):
    features, kernels, orientation, visible, background = make_batch()
    with pytest.raises(ShapeError, match="features: expected"):
        make_bank(spec).update(features[..., :4], kernels, orientation, visible, background)
    with pytest.raises(ShapeError, match="visible: expected"):
        make_bank(spec).loss(features, kernels, orientation, visible[:, :3], background)
