"""The bank keeps the contract of feature banks, in each of its settings."""

from nbf_feature_banks.config import NearestMemoryConfig
from nbf_feature_banks.nearest_memory import NearestMemoryBank
from nbf_testing.feature_banks import FeatureBankConformance


class TestNearestMemory(FeatureBankConformance):
    options = {"max_group": 2, "num_noise": 8}

    def make_bank(self, spec, channels):
        return NearestMemoryBank(NearestMemoryConfig(**self.options), spec=spec, channels=channels)


class TestPublishedNearestMemory(TestNearestMemory):
    options = {"init": "random", "weight_noise_regulariser": 1.0, "orientations": 1, "max_group": 2, "num_noise": 5}


class TestHeldNearestMemory(TestNearestMemory):
    options = {**TestNearestMemory.options, "hold": 100}
    learns = False
