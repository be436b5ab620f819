"""The regressor keeps the contract of regressors, with each kind of head."""

import torch

from nbf_regressors.config import PareCokeConfig
from nbf_regressors.pare_coke import PareCoke
from nbf_testing.regressors import RegressorConformance


class TestPareCoke(RegressorConformance):
    dtypes = (torch.float32,)  # the head computes in float32 whatever precision the network is trained in
    options = {"head": "part-guided"}

    def make_regressor(self, spec):
        config = PareCokeConfig(
            backbone="plain", image_size=64, map_size=16, channels=8, width=16, hidden=32, **self.options
        )
        return PareCoke(config, spec=spec)


class TestPareHead(TestPareCoke):
    options = {"head": "pare"}
