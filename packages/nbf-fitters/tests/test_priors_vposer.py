"""VPoser as a prior, with weights drawn at random: its own may not be passed on."""

import pytest
import torch
from fitting_fakes import people
from safetensors.torch import save_file
from torch import nn

from nbf_core.errors import AssetError, ShapeError
from nbf_fitters.config import VPoserConfig
from nbf_fitters.priors_vposer import VPoserPrior


def weights(hidden=16, code=4, joints=21):
    """What a file of VPoser v1 holds, by torch's own layers."""
    torch.manual_seed(0)
    layers = nn.ModuleDict(
        {
            "enc_bn1": nn.BatchNorm1d(3 * joints),
            "enc_fc1": nn.Linear(3 * joints, hidden),
            "enc_bn2": nn.BatchNorm1d(hidden),
            "enc_fc2": nn.Linear(hidden, hidden),
            "enc_mu": nn.Linear(hidden, code),
            "enc_logvar": nn.Linear(hidden, code),
            "dec_fc1": nn.Linear(code, hidden),
            "dec_fc2": nn.Linear(hidden, hidden),
            "dec_out": nn.Linear(hidden, 6 * joints),
        }
    )
    for norm in ("enc_bn1", "enc_bn2"):
        layers[norm].running_mean.normal_()
        layers[norm].running_var.uniform_(0.5, 2)
    return layers.eval(), {f"bodyprior_{name}": value for name, value in layers.state_dict().items()}


def saved(tmp_path, tensors):
    path = tmp_path / "vposer.pt"
    torch.save(tensors, path)
    return str(path)


def test_the_cost_is_the_squared_norm_of_the_code(tmp_path):
    layers, tensors = weights()
    prior = VPoserPrior(VPoserConfig(path=saved(tmp_path, tensors)))
    params, _ = people(3)
    flat = params.body_pose[:, :21].flatten(1).float()
    hidden = nn.functional.leaky_relu(layers["enc_fc1"](layers["enc_bn1"](flat)), 0.2)
    code = layers["enc_mu"](nn.functional.leaky_relu(layers["enc_fc2"](layers["enc_bn2"](hidden)), 0.2))
    torch.testing.assert_close(prior(params.to(torch.float32)), code.square().sum(-1))
    moved = params.clone()
    moved.body_pose[:, 21:] += 1  # hands
    assert (prior(moved) == prior(params)).all()


@pytest.mark.parametrize("wrap", [lambda t: t, lambda t: {"state_dict": {f"module.{k}": v for k, v in t.items()}}])
@pytest.mark.parametrize("reconstruction", [0.0, 0.5])
def test_gradients_and_other_widths(tmp_path, wrap, reconstruction):
    _, tensors = weights(hidden=7, code=3)
    prior = VPoserPrior(VPoserConfig(path=saved(tmp_path, wrap(tensors)), reconstruction=reconstruction))
    params, _ = people(2)

    def cost(pose):
        return prior(type(params)(params.global_orient, pose, params.betas, params.transl))

    assert torch.autograd.gradcheck(cost, (params.body_pose.clone().requires_grad_(),))
    assert cost(params.body_pose).min() > 0


def test_what_the_decoder_gives_are_rotations(tmp_path):
    _, tensors = weights()
    prior = VPoserPrior(VPoserConfig(path=saved(tmp_path, tensors), reconstruction=1.0))
    turned = prior.decode(torch.randn(2, 4))
    assert turned.shape == (2, 21, 3, 3)
    torch.testing.assert_close(turned @ turned.mT, torch.eye(3).expand_as(turned), atol=1e-5, rtol=0)


def test_safetensors(tmp_path):
    _, tensors = weights()
    path = tmp_path / "vposer.safetensors"
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)
    params, _ = people(1)
    both = [VPoserPrior(VPoserConfig(path=p))(params) for p in (str(path), saved(tmp_path, tensors))]
    assert both[0] == both[1]


class Harmful:
    def __reduce__(self):
        return print, ("executed",)


def test_bad_files_are_named(tmp_path, capsys):
    def error(tensors):
        with pytest.raises(AssetError, match="vposer.pt") as caught:
            VPoserPrior(VPoserConfig(path=saved(tmp_path, tensors)))
        return str(caught.value)

    _, tensors = weights()
    assert "bodyprior_enc_mu.bias is missing" in error({k: v for k, v in tensors.items() if "enc_mu.bias" not in k})
    wrong = {**tensors, "bodyprior_enc_fc2.weight": torch.ones(16, 3)}
    assert "bodyprior_enc_fc2.weight: expected shape (16, 16), got (16, 3)" in error(wrong)
    assert "not finite" in error({**tensors, "bodyprior_enc_mu.bias": torch.full((4,), torch.nan)})
    assert "refused" in error({**tensors, "more": Harmful()})
    assert "executed" not in capsys.readouterr().out
    assert "no tensors by name" in error([torch.ones(1)])
    with pytest.raises(AssetError, match="gone.pt"):
        VPoserPrior(VPoserConfig(path=str(tmp_path / "gone.pt")))
    (tmp_path / "vposer.safetensors").write_bytes(b"nothing")
    with pytest.raises(AssetError, match="vposer.safetensors"):
        VPoserPrior(VPoserConfig(path=str(tmp_path / "vposer.safetensors")))


def test_a_body_with_too_few_joints_is_an_error(tmp_path):
    prior = VPoserPrior(VPoserConfig(path=saved(tmp_path, weights()[1])))
    params, _ = people(1)
    with pytest.raises(ShapeError, match="21 joints"):
        prior(type(params)(params.global_orient, params.body_pose[:, :20], params.betas, params.transl))
