"""The fakes of every kind pass the suite of their kind."""

import numpy as np
import torch

from nbf_testing.body_models import BodyModelConformance
from nbf_testing.datasets import DatasetConformance
from nbf_testing.detectors import DetectorConformance
from nbf_testing.fake_networks import FakeBank, FakeRegressor
from nbf_testing.fake_parts import FakeDataset, FakeDetector, FakeFitter, FakeMetric, FakePrior, FakeProtocol
from nbf_testing.feature_banks import FeatureBankConformance
from nbf_testing.fitters import FitterConformance
from nbf_testing.metrics import MetricConformance
from nbf_testing.priors import PriorConformance
from nbf_testing.protocols import ProtocolConformance
from nbf_testing.regressors import RegressorConformance
from nbf_testing.stick_body import StickBody


class TestStickBody(BodyModelConformance):
    def make_body(self):
        return StickBody()


class TestFakeBank(FeatureBankConformance):
    def make_bank(self, spec, channels):
        return FakeBank(spec=spec, channels=channels)


class TestFakeRegressor(RegressorConformance):
    def make_regressor(self, spec):
        return FakeRegressor(spec=spec)


class TestFakeFitter(FitterConformance):
    needs_keypoints = True

    def make_fitter(self, **parts):
        return FakeFitter(None, **parts)


class TestFakePrior(PriorConformance):
    def make_prior(self):
        return FakePrior()


class TestFakeDataset(DatasetConformance):
    lacks = ("visible_joints", "kernel_map", "part_map")

    def make_dataset(self, body):
        return FakeDataset(None, body)


class TestFakeDetector(DetectorConformance):
    def make_detector(self):
        return FakeDetector()

    def photo(self):
        photo = np.full((40, 30, 3), 90, np.uint8)
        photo[5:30, 8:14] = 200
        return photo


class TestFakeMetric(MetricConformance):
    def make_metric(self):
        return FakeMetric()


class TestFakeProtocol(ProtocolConformance):
    def make_protocol(self, seed):
        return FakeProtocol(seed=seed)


def test_the_stick_bodys_triangles_are_seen_from_outside():
    body = StickBody().double()
    corners = body._vertices[body.spec.faces]
    a, b, c = corners.unbind(1)
    tubes = corners.view(23, -1, 3, 3)
    volume = (a * torch.linalg.cross(b, c)).sum(-1).view(23, -1).sum(1)
    assert (volume > 0).all() and tubes.isfinite().all()
