from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from stick_body import JOINTS, StickBody, make_sample

from nbf_core.contracts import Deployable, Regressor, TakesPublished
from nbf_core.errors import AssetError, ConfigError, ShapeError
from nbf_regressors.backbones import BACKBONES, blazepose
from nbf_regressors.config import PareCokeConfig
from nbf_regressors.decoders import DECODERS
from nbf_regressors.pare_coke import PareCoke


def make_regressor(**options) -> PareCoke:
    torch.manual_seed(0)
    options = {"image_size": 64, "map_size": 32, "width": 16, "channels": 8, "hidden": 32} | options
    return PareCoke(PareCokeConfig(**options), spec=StickBody().spec)


@pytest.mark.parametrize(
    "backbone, decoder, head",
    [("plain", decoder, head) for decoder in DECODERS for head in ("part-guided", "pare")]
    + [(backbone, decoder, "pare") for backbone in BACKBONES for decoder in ("shuffle", "unet")],
)
def test_any_backbone_goes_with_any_decoder_and_head(backbone, decoder, head):
    with torch.device("meta"):  # shapes alone
        size = 128 if backbone == "blazepose" else 64
        regressor = make_regressor(backbone=backbone, decoder=decoder, head=head, image_size=size, map_size=16)
        maps = regressor.backbone(torch.empty(2, 3, size, size))
        decoded = regressor.decoder(maps)
        features, parts = regressor.to_features(decoded.features), regressor.to_parts(decoded.parts)
        rotations, betas, camera = regressor.head(parts, decoded.pooled, maps[-1])
    finest = regressor.backbone.finest
    assert [size // level.shape[-1] for level in maps[:4]] == [finest, 2 * finest, 4 * finest, 8 * finest]
    assert tuple(level.shape[1] for level in maps) == regressor.backbone.channels
    assert features.shape == (2, 8, 16, 16) and parts.shape == (2, JOINTS + 1, 16, 16)
    assert rotations.shape == (2, JOINTS, 3, 3) and betas.shape == (2, 10) and camera.shape == (2, 3)


@pytest.mark.parametrize("backbone", ["plain", "efficientnet-lite0"])
@pytest.mark.parametrize("map_size", [16, 32])
def test_maps_have_the_promised_sizes(backbone, map_size):
    regressor = make_regressor(backbone=backbone, map_size=map_size).eval()
    assert isinstance(regressor, Regressor) and isinstance(regressor, TakesPublished)
    output = regressor(torch.rand(2, 3, 64, 64))
    assert output.features.shape == (2, 8, map_size, map_size)
    assert output.parts.shape == (2, JOINTS + 1, map_size, map_size)
    assert output.betas.shape == (2, 10) and output.weak_camera.shape == (2, 3)
    identity = output.rotations @ output.rotations.mT
    torch.testing.assert_close(identity, torch.eye(3).expand_as(identity), atol=1e-5, rtol=0)
    assert (output.weak_camera[:, 0] > 0).all()


def test_blazepose_starts_from_what_it_learned_and_holds_the_stages_asked_for(monkeypatch):
    given = _deployed(blazepose.BlazePose(frozen=5))
    source = SimpleNamespace(tensors=given)
    monkeypatch.setattr(blazepose, "read_weights", lambda name: source)
    regressor = make_regressor(backbone="blazepose", image_size=128, pretrained=True, frozen=2)
    trained = {name for name, value in regressor.backbone.named_parameters() if value.requires_grad}
    assert not any(name.startswith(("down.0", "down.1")) for name in trained)
    assert any(name.startswith("down.2") for name in trained) and any(name.startswith("summary") for name in trained)
    whole = make_regressor(backbone="blazepose", image_size=128, frozen=5).backbone
    assert not any(value.requires_grad for value in whole.parameters())
    pictures = torch.rand(2, 3, 128, 128)
    held = make_regressor(backbone="blazepose", image_size=128, pretrained=True, frozen=5).backbone.eval()
    with torch.inference_mode():
        for expected, found in zip(held(pictures), regressor.backbone.eval()(pictures), strict=True):
            torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    source.tensors = given | {"extra": torch.zeros(1)}
    with pytest.raises(AssetError, match="blazepose-full: tensor extra"):
        make_regressor(backbone="blazepose", image_size=128, pretrained=True)
    with pytest.raises(ValueError, match="image_size: blazepose needs at least 128, got 64"):
        PareCokeConfig(backbone="blazepose", image_size=64)


def test_blazepose_is_batch_normalised_where_it_is_trained_and_takes_weights_without(monkeypatch):
    folded = blazepose.BlazePose(frozen=5).eval()
    monkeypatch.setattr(blazepose, "read_weights", lambda name: SimpleNamespace(tensors=_deployed(folded)))
    trained = blazepose.BlazePose(frozen=2)
    blazepose.load_blazepose(trained)
    convolutions = [m for m in trained.modules() if isinstance(m, blazepose.FoldedConv)]
    assert {m.norm is None for m in convolutions if not m.weight.requires_grad} == {True}
    filters = torch.cat([m.weight.flatten(1).norm(dim=1) for m in convolutions if m.weight.requires_grad])
    assert all(m.norm is not None for m in convolutions if m.weight.requires_grad)
    torch.testing.assert_close(filters, torch.ones_like(filters))

    other = blazepose.BlazePose(frozen=5).eval()  # a run that held everything, gone on with
    trained.load_state_dict(other.state_dict())
    _same_maps(trained.eval(), other)
    trained.train()(torch.rand(2, 3, 128, 128))
    folded.load_state_dict(trained.state_dict())  # and deployed again
    _same_maps(trained.eval(), folded)
    whole = make_regressor(backbone="blazepose", image_size=128, frozen=2)
    assert isinstance(whole, Deployable) and not any(".norm." in name for name in whole.deployed())


def _same_maps(one: torch.nn.Module, other: torch.nn.Module) -> None:
    pictures = torch.rand(2, 3, 128, 128)
    with torch.inference_mode():
        for expected, found in zip(one(pictures), other(pictures), strict=True):
            torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def _deployed(folded: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The tensors of a network without batch normalisation, and statistics for each of its convolutions."""
    given = dict(folded.state_dict())
    for name, module in folded.named_modules():
        if isinstance(module, blazepose.FoldedConv):
            given[f"{name}.mean"] = torch.randn(module.out_channels)
            given[f"{name}.std"] = 0.5 + torch.rand(module.out_channels)
    return given


def test_images_are_treated_one_by_one():
    regressor = make_regressor().eval()
    images = torch.rand(3, 3, 64, 64)
    both, one = regressor(images), regressor(images[1:2])
    torch.testing.assert_close(both.features[1:2], one.features, atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(both.rotations[1:2], one.rotations, atol=1e-4, rtol=1e-3)


def test_every_trainable_parameter_gets_a_gradient():
    sample, regressor = make_sample(4), make_regressor(backbone="efficientnet-lite0", frozen=2).train()
    output = regressor(torch.rand(4, 3, 64, 64))
    (sum(regressor.loss(output, sample, StickBody()).values()) + output.features.square().mean()).backward()
    for name, parameter in regressor.named_parameters():
        frozen = name.startswith(("backbone.stages.0", "backbone.stages.1"))
        assert parameter.requires_grad != frozen, name
        assert (parameter.grad is None) == frozen, name
    assert not regressor.backbone.stages[0].training and regressor.backbone.stages[2].training


def test_pare_gives_rotations_whatever_it_sees():
    regressor = make_regressor(backbone="plain", decoder="unet", head="pare", map_size=16).eval()
    rotations = regressor(torch.rand(2, 3, 64, 64)).rotations
    torch.testing.assert_close(rotations @ rotations.mT, torch.eye(3).expand_as(rotations), atol=1e-5, rtol=0)


def test_normalisation_can_be_frozen():
    images = torch.rand(4, 3, 64, 64)
    frozen = make_regressor(backbone="plain", frozen_norm=True).train()
    free = make_regressor(backbone="plain").train()
    before = {name: value.clone() for name, value in frozen.named_buffers()}
    frozen(images), free(images)
    assert all(torch.equal(value, before[name]) for name, value in frozen.named_buffers())
    assert not all(torch.equal(value, before[name]) for name, value in free.named_buffers())
    assert frozen.training and all(p.requires_grad for p in frozen.parameters())


def test_wrong_images_and_sizes_are_named():
    with pytest.raises(ShapeError, match="images: expected"):
        make_regressor()(torch.rand(1, 3, 32, 32))
    with pytest.raises(ConfigError, match="map_size"):
        make_regressor(map_size=20)
    with pytest.raises(ConfigError, match="must be 4 for 'efficientnet-lite0' with the decoder 'unet', got 2"):
        make_regressor(decoder="unet")
    with pytest.raises(ConfigError, match="pretrained"):
        make_regressor(backbone="plain", pretrained=True)
