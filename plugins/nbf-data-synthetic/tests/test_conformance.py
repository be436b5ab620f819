"""The rendered people keep the contract of data sets, as they are and augmented."""

import pytest

from nbf_data_synthetic.config import SyntheticConfig
from nbf_data_synthetic.dataset import SyntheticPeople
from nbf_testing.datasets import DatasetConformance


class TestSynthetic(DatasetConformance):
    lacks = ()
    options = {"patch_size": 60}

    @pytest.fixture
    def body(self, request):
        return request.getfixturevalue("anny")

    def make_dataset(self, body):
        return SyntheticPeople(SyntheticConfig(size=2, image_size=48, map_size=16, **self.options), body=body)


class TestAugmentedSynthetic(TestSynthetic):
    options = {"augment": True}

    @pytest.fixture
    def data(self, body):
        """One for all tests: the pictures that occluders are cut from take a while."""
        data = self.once("data", lambda: self.make_dataset(body))
        data.set_epoch(0)
        return data


@pytest.fixture(scope="session")
def anny():
    from nbf_body_anny.body import AnnyBody

    return AnnyBody()
