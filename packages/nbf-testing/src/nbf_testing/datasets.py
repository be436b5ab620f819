"""The conformance suite of data sets: subclass :class:`DatasetConformance` in a test file, pytest does the rest."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from nbf_core.contracts import BodyModel, Dataset
from nbf_core.types import Sample, collate
from nbf_core.types.tree import TensorRecord
from nbf_testing.claims import Suite
from nbf_testing.stick_body import StickBody

LABELS = ("params", "keypoints", "detected", "visible_joints", "kernel_map", "part_map")


class DatasetConformance(Suite):
    """What every data set must do; three samples are looked at. A plugin's test file is::

        class TestMine(DatasetConformance):
            @pytest.fixture(autouse=True)
            def _files(self, tmp_path):
                self.folder = ...  # whatever it reads; left out where it reads nothing

            def make_dataset(self, body):
                return MyDataset(MyConfig(path=self.folder), body=body)

    ``lacks``
        the labels that its samples do not have, as :attr:`nbf_core.types.Sample.lacks` gives them; None where that
        differs from sample to sample.
    ``agreement``
        how far (in sides of the image, a median) keypoints may lie from those of the body of ``params``; None where
        the two were annotated independently.
    """

    lacks: tuple[str, ...] | None = None
    agreement: float | None = 0.02

    def make_dataset(self, body: BodyModel) -> Dataset:
        """The data set under test, newly built, of at least two samples."""
        raise NotImplementedError("a conformance test must say how its data set is made")

    def make_body(self) -> BodyModel:
        """The body that the data set is handed."""
        return StickBody()

    @pytest.fixture
    def body(self) -> BodyModel:
        return self.once("body", self.make_body)

    @pytest.fixture
    def data(self, body) -> Dataset:
        return self.make_dataset(body)

    def few(self, data: Dataset) -> list[Sample]:
        """The first three samples at most."""
        return [data[index] for index in range(min(3, len(data)))]

    def test_fulfils_the_protocol(self, data):
        assert isinstance(data, Dataset)
        assert len(data) >= 2, "give the suite a data set of two samples or more"

    def test_samples_are_complete(self, data, body):
        for index, sample in enumerate(self.few(data)):
            assert isinstance(sample, Sample)
            height, width = sample.image.shape[1:]
            assert sample.image.shape[0] == 3 and sample.image.dtype == torch.uint8
            assert tuple(sample.camera.size) == (height, width), "camera belongs to image"
            assert sample.camera.focal.shape == sample.camera.center.shape == (2,)
            assert (sample.camera.focal > 0).all()
            assert sample.index.shape == () and int(sample.index) == index
            for name, value in tensors(sample).items():
                assert value.device.type == "cpu", name
                if value.is_floating_point():
                    assert value.dtype == torch.float32, f"{name}: {value.dtype}"
                    assert torch.isfinite(value).all(), f"{name} is not finite: a label that is not known is None"

    def test_labels_have_their_shapes(self, data, body):
        spec = body.spec
        for sample in self.few(data):
            if sample.params is not None:
                assert sample.params.betas.shape == (spec.shapes,)
                assert sample.params.body_pose.shape[1:] == (3,) and sample.params.transl.shape == (3,)
                assert sample.params.transl[2] > 0, "the body stands before the camera"
            shapes = {"keypoints": (25, 3), "detected": (25, 3), "visible_joints": (24,), "detected_3d": (25, 4),
                      "joints": (17, 4), "gender": ()}  # fmt: skip
            for name, shape in shapes.items():
                value = getattr(sample, name)
                assert value is None or value.shape == shape, name
            for name in ("keypoints", "detected", "visible_joints"):
                value = getattr(sample, name)
                if value is not None:
                    confidence = value if value.dim() == 1 else value[:, 2]
                    assert (confidence >= 0).all() and (confidence <= 1).all(), f"{name}: confidence is from 0 to 1"

    def test_label_maps_name_kernels_and_their_parts(self, data, body):
        spec, seen = body.spec, 0
        for sample in self.few(data):
            for name, below in (("kernel_map", spec.kernels), ("part_map", len(spec.joint_names))):
                value = getattr(sample, name)
                if value is not None:
                    seen += 1
                    assert value.dim() == 2 and not value.is_floating_point(), name
                    assert value.min() >= -2 and value.max() < below, name
            if sample.kernel_map is not None and sample.part_map is not None:
                parts = spec.vertex_parts[spec.kernel_vertices].cpu()
                kernel = sample.kernel_map
                expected = torch.where(kernel >= 0, parts[kernel.clamp_min(0)], kernel)
                assert torch.equal(sample.part_map.long(), expected.long()), "a kernel's part is that of its vertex"
        if not seen:
            pytest.skip("its samples have no label maps")

    def test_says_what_it_lacks(self, data):
        if self.lacks is None:
            pytest.skip("the test does not say what its samples lack, so it may differ from sample to sample")
        for sample in self.few(data):
            assert sample.lacks == tuple(name for name in LABELS if name in self.lacks)

    def test_keypoints_are_those_of_the_body(self, data, body):
        if self.agreement is None:
            pytest.skip("keypoints and parameters were annotated independently of one another")
        compared = 0
        for sample in self.few(data):
            if sample.params is None or sample.keypoints is None:
                continue
            params = sample.params[None]
            kind = body.spec.kernel_rest.dtype
            points = body.keypoints(body(params.to(dtype=kind), vertices=False), "openpose-25")
            pixels = sample.camera[None].to(dtype=kind).project(points)[0].cpu()
            known = sample.keypoints[:, 2] > 0
            if known.sum() >= 3:
                error = (pixels - sample.keypoints[:, :2])[known].norm(dim=-1).median()
                assert error <= self.agreement * max(sample.camera.size), f"{float(error):.1f} px apart"
                compared += 1
        if not compared:
            pytest.skip("no sample has both parameters and keypoints")

    def test_the_same_index_gives_the_same_sample(self, data, body):
        first = self.few(data)
        torch.manual_seed(5)
        for index in reversed(range(len(first))):
            assert_same(data[index], first[index])
        again = self.make_dataset(body)
        assert len(again) == len(data)
        for index in reversed(range(len(first))):
            assert_same(again[index], first[index])

    def test_a_sample_is_the_callers_to_change(self, data):
        first = data[0].clone()
        data[0].image.fill_(0)
        for value in tensors(data[0]).values():
            value.zero_()
        assert_same(data[0], first)

    def test_an_epoch_gives_samples_of_its_own(self, data, body):
        if not hasattr(data, "set_epoch"):
            pytest.skip("this data set does not offer the optional set_epoch")
        data.set_epoch(3)
        first = self.few(data)
        data.set_epoch(4)
        self.few(data)
        data.set_epoch(3)
        for index in reversed(range(len(first))):
            assert_same(data[index], first[index])
        again = self.make_dataset(body)
        again.set_epoch(3)
        assert_same(again[1], first[1])

    def test_a_worker_process_gives_the_same_samples(self, data):
        loader = DataLoader(data, sampler=range(min(2, len(data))), num_workers=1, collate_fn=_first)
        for index, sample in enumerate(loader):
            assert_same(sample, data[index])

    def test_samples_collate(self, data):
        few = self.few(data)
        batch = collate(few)
        assert len(batch.image) == len(batch.camera.focal) == len(few)
        assert batch.index.tolist() == [int(sample.index) for sample in few]

    def test_an_index_beyond_the_end_is_refused(self, data):
        with pytest.raises(IndexError):
            data[len(data)]

    def test_names_its_samples(self, data):
        if not hasattr(data, "describe"):
            pytest.skip("this data set does not offer the optional describe")
        text = data.describe(1)
        assert isinstance(text, str) and text and "\n" not in text

    def test_what_is_prepared_is_the_same(self, data, body, tmp_path):
        if not hasattr(data, "prepare"):
            pytest.skip("this data set does not offer the optional prepare")
        first = self.few(data)
        data.prepare(tmp_path / "prepared", 1)
        for index, sample in enumerate(first):
            assert_same(data[index], sample)


def tensors(record: TensorRecord, prefix: str = "") -> dict[str, Tensor]:
    """All tensors of a record by name, nested records included."""
    found = {}
    for field in dataclasses.fields(record):  # type: ignore[arg-type]
        value = getattr(record, field.name)
        if isinstance(value, Tensor):
            found[prefix + field.name] = value
        elif isinstance(value, TensorRecord):
            found |= tensors(value, f"{prefix}{field.name}.")
    return found


def assert_same(one: TensorRecord, other: TensorRecord) -> None:
    """Assert that two records hold the same labels, to the last bit."""
    first, second = tensors(one), tensors(other)
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert torch.equal(value, second[name]), f"{name} differs"


def _first(samples: list[Sample]) -> Sample:
    return samples[0]
