"""Every fitter and every prior of this package keeps its contract."""

import pytest

from nbf_core.errors import NbfError
from nbf_fitters import plugin
from nbf_fitters.config import SmplifyConfig, StagedConfig
from nbf_fitters.correspondence.config import CorrespondenceConfig
from nbf_fitters.correspondence.fitter import CorrespondenceFitter
from nbf_fitters.staged import StagedFitter
from nbf_testing.fitters import FitterConformance
from nbf_testing.priors import PriorConformance

SHORT = {"parameters": ["orientation", "translation", "body_pose", "betas"], "steps": 4}
STAGED = {"priors": {}, "starts": ("estimate",), "starts_by": "cost", "stages": [SHORT], "batch_size": 32}


class TestStaged(FitterConformance):
    def make_fitter(self, **parts):
        return StagedFitter(StagedConfig(**STAGED, history_every=2), **parts)


class TestSmplify(FitterConformance):
    needs_keypoints = True

    def make_fitter(self, **parts):
        return StagedFitter(SmplifyConfig(**{**STAGED, "stages": [SHORT]}), **parts)


class TestCorrespondence(FitterConformance):
    def make_fitter(self, **parts):
        short = {"pixel_scale": (6.0,), "keypoint_scale": (20.0,), "steps": (3,)}
        options = {"solver": "reference", "starts": ("estimate",), "explore": short, "polish": short, "rematch": ()}
        return CorrespondenceFitter(CorrespondenceConfig(priors={}, min_pixels=10, **options), **parts)


PRIORS = {entry.name: entry for entry in plugin.nbf_priors()}
NEED_FILES = ("mixture-pose", "vposer")  # tested with files of their own, in their own modules


class EveryPrior(PriorConformance):
    __test__ = False
    name: str

    def make_prior(self):
        entry = PRIORS[self.name]
        return entry.load()(entry.load_config()())


for _name in PRIORS.keys() - {"smooth-joints", *NEED_FILES}:
    _title = "Test" + _name.title().replace("-", "") + "Prior"
    globals()[_title] = type(_title, (EveryPrior,), {"__test__": True, "name": _name})


class TestSmoothJointsPrior(EveryPrior):
    __test__ = True
    name = "smooth-joints"
    per_person = False

    @pytest.mark.parametrize("people", [0, 1, 3])
    def test_one_finite_cost_a_person(self, prior, device, dtype, people):
        if people == 0:
            pytest.skip("a film without frames costs one zero, not none: known, and met by nobody")
        super().test_one_finite_cost_a_person(prior, device, dtype, people)


@pytest.mark.parametrize("name", NEED_FILES)
def test_a_prior_without_its_file_says_so(name, tmp_path):
    entry = PRIORS[name]
    with pytest.raises(NbfError, match="nothing.npz"):
        entry.load()(entry.load_config()(path=str(tmp_path / "nothing.npz")))
