"""The mixture prior: its formula, and files that are read safely or refused."""

import os
import pickle

import numpy as np
import pytest
import torch

from nbf_core.errors import AssetError, ShapeError
from nbf_core.pickles import read_pickled_arrays
from nbf_core.types import BodyParams
from nbf_fitters.config import MixturePoseConfig
from nbf_fitters.priors_mixture import MixturePosePrior, read_mixture, write_mixture

SIZE = 69


def mixture(components: int = 8) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    roots = rng.normal(size=(components, SIZE, SIZE)) * 0.1 + 0.4 * np.eye(SIZE)
    weights = rng.uniform(0.5, 1.5, components)
    covars = roots @ roots.transpose(0, 2, 1)
    return {"means": rng.normal(size=(components, SIZE)) * 0.3, "covars": covars, "weights": weights / weights.sum()}


def poses(count: int = 5) -> BodyParams:
    generator = torch.Generator().manual_seed(0)
    pose = 0.4 * torch.randn(count, 23, 3, generator=generator, dtype=torch.float64)
    none = torch.zeros(count, 3, dtype=torch.float64)
    return BodyParams(none, pose, none, none)


@pytest.fixture
def prior(tmp_path) -> MixturePosePrior:
    write_mixture(tmp_path / "mixture.npz", **mixture())
    return MixturePosePrior(MixturePoseConfig(path=str(tmp_path / "mixture.npz")))


def test_it_is_the_likeliest_component_up_to_a_constant(prior):
    data = mixture()
    densities = [
        torch.distributions.MultivariateNormal(torch.tensor(m), torch.tensor(c)).log_prob(poses().body_pose.flatten(1))
        + np.log(w)
        for m, c, w in zip(data["means"], data["covars"], data["weights"], strict=True)
    ]
    smallest = min(np.linalg.slogdet(c)[1] for c in data["covars"]) / 2
    torch.testing.assert_close(prior(poses()), -torch.stack(densities).amax(0) - smallest)


def test_a_mean_costs_less_than_its_surroundings(prior):
    params = poses(1)
    params.body_pose.copy_(prior.means[3].view(1, 23, 3))
    assert prior(params) < prior(poses(1))


def test_gradients(prior):
    none = torch.zeros(2, 3, dtype=torch.float64)
    pose = poses(2).body_pose.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda q: prior(BodyParams(none, q, none, none)), (pose,))


def test_another_body_is_refused(prior):
    with pytest.raises(ShapeError, match="mixture-pose prior has 69 numbers, the body 63"):
        prior(BodyParams(torch.zeros(1, 3), torch.zeros(1, 21, 3), torch.zeros(1, 10), torch.zeros(1, 3)))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("form", ["double", "single", "big end first", "columns first"])
def test_pickles_of_arrays_are_read(tmp_path, protocol, form):
    data = mixture(2)
    if form == "single":
        data = {key: value.astype(np.float32) for key, value in data.items()}
    if form == "big end first":
        data = {key: value.astype(">f8") for key, value in data.items()}
    if form == "columns first":
        data = {key: np.asfortranarray(value) for key, value in data.items()}
    path = tmp_path / "gmm_02.pkl"
    path.write_bytes(pickle.dumps({**data, "name": "a mixture", "n": np.float64(2)}, protocol))
    for expected, found in zip(data.values(), read_mixture(path), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_a_pickle_of_python_2_is_read(tmp_path):
    """As Python 2 wrote it: one array, its bytes as a byte string of 16 characters."""
    body = np.array([1.5, -2.0]).tobytes()
    array = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tU\x01btR"
    state = b"(K\x01(K\x02tcnumpy\ndtype\n(U\x02f8K\x00K\x01tR(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    path = tmp_path / "old.pkl"
    path.write_bytes(b"\x80\x02}U\x05means" + array + state + b"\x89U" + bytes([len(body)]) + body + b"tbs.")
    np.testing.assert_array_equal(read_pickled_arrays(path)["means"], [1.5, -2.0])


class Call:
    """Pickles as a call of any function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def test_nothing_in_a_pickle_is_executed(tmp_path):
    path, trace = tmp_path / "gmm_08.pkl", tmp_path / "trace"
    for protocol in (0, 2, 4):
        for call in (Call(os.mkdir, str(trace)), Call(eval, f"open({str(trace)!r}, 'w')"), Call(np.load, str(trace))):
            path.write_bytes(pickle.dumps({**mixture(1), "more": call}, protocol))
            with pytest.raises(AssetError, match=r"gmm_08.pkl: .*it names .*could run code; nothing in it was run"):
                read_mixture(path)
            assert not trace.exists()


@pytest.mark.parametrize(
    "content, words",
    [
        (b"", "cut short"),
        (pickle.dumps(mixture(1))[:500], "cut short"),
        (pickle.dumps([1, 2]), "expected a dictionary"),
        (pickle.dumps({"means": np.array([object, None])}, 2), "in place of a value"),
        (b"c_codecs\nencode\n(N}V__defaults__\n(I1\ntstb.", "damaged"),
    ],
)
def test_other_pickles_are_named(tmp_path, content, words):
    path = tmp_path / "gmm_08.pkl"
    path.write_bytes(content)
    with pytest.raises(AssetError, match=f"gmm_08.pkl: .*({words})"):
        read_mixture(path)


def test_broken_mixtures_are_named(tmp_path):
    path = tmp_path / "mixture.npz"
    for content in (None, b"", b"PK\x03\x04cut short"):
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(AssetError, match="mixture.npz"):
            read_mixture(path)
    good = mixture(2)
    for change, words in (
        ({"weights": None}, "weights missing"),
        ({"weights": np.ones(3)}, "do not fit"),
        ({"means": np.zeros(SIZE)}, "do not fit"),
        ({"means": good["means"] * np.nan}, "means are not finite"),
        ({"weights": np.array([1.0, 0.0])}, "must be positive"),
        ({"covars": -good["covars"]}, "not positive definite"),
    ):
        np.savez(path, **{key: value for key, value in {**good, **change}.items() if value is not None})
        with pytest.raises(AssetError, match=f"mixture.npz: .*{words}"):
            MixturePosePrior(MixturePoseConfig(path=str(path)))
