"""The suites of data sets, detectors and occlusion protocols catch what is wrong in known ways."""

import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from catching import caught

from nbf_core.contracts import OcclusionCase
from nbf_core.types import Camera
from nbf_testing.datasets import DatasetConformance
from nbf_testing.detectors import DetectorConformance
from nbf_testing.fake_parts import FakeDataset, FakeDetector, FakeProtocol
from nbf_testing.protocols import ProtocolConformance


class Changed(FakeDataset):
    """Gives other samples."""

    def change(self, sample, index):
        return sample

    def __getitem__(self, index):
        return self.change(super().__getitem__(index), index)


class ChannelsLast(Changed):
    def change(self, sample, index):
        return replace(sample, image=sample.image.permute(1, 2, 0))


class CameraOfTheFile(Changed):
    """The picture was scaled, its camera was not."""

    def change(self, sample, index):
        return replace(sample, camera=sample.camera.resized((64, 64)))


class Doubles(Changed):
    def change(self, sample, index):
        return replace(sample, keypoints=sample.keypoints.double())


class NanForUnknown(Changed):
    def change(self, sample, index):
        return replace(sample, visible_joints=torch.full((24,), torch.nan))


class SurePercent(Changed):
    def change(self, sample, index):
        return replace(sample, keypoints=sample.keypoints * torch.tensor([1.0, 1.0, 100.0]))


class OnTheMat(Changed):
    """The body stands in the origin: the translation was forgotten."""

    def change(self, sample, index):
        return replace(sample, params=replace(sample.params, transl=0 * sample.params.transl))


class OtherParts(Changed):
    def change(self, sample, index):
        kernel_map = torch.full((4, 4), 7)
        return replace(sample, kernel_map=kernel_map, part_map=torch.full((4, 4), 20))


class UnknownKernels(Changed):
    def change(self, sample, index):
        return replace(sample, kernel_map=torch.full((4, 4), 5000))


class Mirrored(Changed):
    """The picture and the keypoints are mirrored, the body is not."""

    def change(self, sample, index):
        points = sample.keypoints.clone()
        points[:, 0] = self.side - points[:, 0]
        return replace(sample, keypoints=points)


class YBeforeX(Changed):
    def change(self, sample, index):
        return replace(sample, keypoints=sample.keypoints[:, [1, 0, 2]])


class HalfAPixelDown(Changed):
    def change(self, sample, index):
        camera = sample.camera
        return replace(sample, camera=Camera(camera.focal, camera.center + 4, camera.size))


class Lottery(Changed):
    def change(self, sample, index):
        return replace(sample, detected=sample.detected + random.random())


class Cached(FakeDataset):
    """Hands out its own memory."""

    def __init__(self, *given):
        super().__init__(*given)
        self.kept = {}

    def __getitem__(self, index):
        if index not in self.kept:
            self.kept[index] = super().__getitem__(index)
        return self.kept[index]


class EpochOfTheLastCall(FakeDataset):
    """Its augmentation goes on from call to call."""

    calls = 0

    def set_epoch(self, epoch):
        self.epoch = epoch

    def __getitem__(self, index):
        self.calls += hasattr(self, "epoch")
        sample = super().__getitem__(index)
        return replace(sample, detected=sample.detected + self.calls)


class Epochs(FakeDataset):
    epoch = 0

    def set_epoch(self, epoch):
        self.epoch = epoch

    def __getitem__(self, index):
        sample = super().__getitem__(index)
        return replace(sample, detected=sample.detected + self.epoch)


class OtherInWorkers(FakeDataset):
    def __getitem__(self, index):
        sample = super().__getitem__(index)
        inside = torch.utils.data.get_worker_info() is not None
        return replace(sample, index=sample.index + inside)


class RoundAndRound(FakeDataset):
    def __getitem__(self, index):
        return super().__getitem__(index % len(self))


class TwoSizes(Changed):
    def change(self, sample, index):
        return replace(sample, image=sample.image[:, : self.side - index])


SAME = "test_the_same_index_gives_the_same_sample"
COMPLETE = "test_samples_are_complete"
AGREE = "test_keypoints_are_those_of_the_body"
DATASETS = [
    (ChannelsLast, COMPLETE),
    (CameraOfTheFile, COMPLETE),
    (Doubles, COMPLETE),
    (NanForUnknown, COMPLETE),
    (SurePercent, "test_labels_have_their_shapes"),
    (OnTheMat, "test_labels_have_their_shapes"),
    (Mirrored, AGREE),
    (YBeforeX, AGREE),
    (HalfAPixelDown, AGREE),
    (NanForUnknown, "test_says_what_it_lacks"),
    (Lottery, SAME),
    (Cached, "test_a_sample_is_the_callers_to_change"),
    (OtherInWorkers, "test_a_worker_process_gives_the_same_samples"),
    (RoundAndRound, "test_an_index_beyond_the_end_is_refused"),
    (TwoSizes, "test_samples_collate"),
]
LACKS = {"lacks": ("visible_joints", "kernel_map", "part_map")}


def on(kind):
    return lambda body: kind(None, body)


@pytest.mark.wrong_shapes
@pytest.mark.parametrize(("wrong", "test"), DATASETS, ids=[f"{wrong.__name__}-{test}" for wrong, test in DATASETS])
def test_the_data_set_suite_catches(wrong, test):
    caught(DatasetConformance, "make_dataset", on(FakeDataset), on(wrong), test, LACKS)


def test_the_data_set_suite_catches_an_epoch_that_goes_on():
    test = "test_an_epoch_gives_samples_of_its_own"
    caught(DatasetConformance, "make_dataset", on(Epochs), on(EpochOfTheLastCall), test)


class Mapped(Changed):
    def change(self, sample, index):
        parts = self.body.spec.vertex_parts[self.body.spec.kernel_vertices]
        kernel_map = torch.full((4, 4), 7)
        return replace(sample, kernel_map=kernel_map, part_map=parts[kernel_map])


@pytest.mark.parametrize("wrong", [OtherParts, UnknownKernels])
def test_the_data_set_suite_catches_wrong_maps(wrong):
    test = "test_label_maps_name_kernels_and_their_parts"
    caught(DatasetConformance, "make_dataset", on(Mapped), on(wrong), test)


class SeesGhosts(FakeDetector):
    def detect(self, image):
        height, width = image.shape[:2]
        return super().detect(image) or [self.around(width, height)]

    def around(self, width, height):
        patch = np.zeros((height + 1, width + 1, 3), np.uint8)
        patch[1:, 1:] = 255
        return super().detect(patch)[0]


class Altered(FakeDetector):
    def alter(self, person, image):
        return person

    def detect(self, image):
        return [self.alter(person, image) for person in super().detect(image)]


class WidthAndHeight(Altered):
    """Boxes of x, y, width, height."""

    def alter(self, person, image):
        x0, y0, x1, y1 = person.box
        return replace(person, box=np.array([x0 + 20, y0 + 20, x1 - x0, y1 - y0]))


class OtherKeypoints(Altered):
    def alter(self, person, image):
        return replace(person, keypoints=np.zeros((17, 3)))


class Percent(Altered):
    def alter(self, person, image):
        return replace(person, keypoints=np.full((25, 3), 50.0))


class KeypointsElsewhere(Altered):
    def alter(self, person, image):
        keypoints = np.full((25, 3), 500.0)
        keypoints[:, 2] = 0.9
        return replace(person, keypoints=keypoints)


class LeastFirst(FakeDetector):
    def detect(self, image):
        found = super().detect(image)
        return [replace(person, score=0.1 * i) for i, person in enumerate(2 * found)]


class Unsteady(Altered):
    calls = 0

    def alter(self, person, image):
        self.calls += 1
        return replace(person, score=0.5 + 0.001 * self.calls)


class DrawsIntoThePhoto(Altered):
    def alter(self, person, image):
        image[:2] = 255
        return person


class NeedsItsMemory(FakeDetector):
    def detect(self, image):
        return super().detect(np.frombuffer(image.data, np.uint8).reshape(image.shape))


class LeftHanded(Altered):
    def alter(self, person, image):
        return replace(person, box=np.array([0.0, 0.0, person.box[2], person.box[3]]))


class TakesFloats(FakeDetector):
    def detect(self, image):
        return super().detect(image.astype(np.uint8))


def photo():
    picture = np.full((40, 30, 3), 90, np.uint8)
    picture[5:30, 8:14] = 200
    return picture


STEADY = "test_repeats_and_leaves_the_photo_alone"
DETECTORS = [
    (SeesGhosts, "test_nobody_is_in_a_blank_image", {"shape": (20, 20), "value": 0}),
    (WidthAndHeight, "test_people_are_complete_and_inside_the_photo", {}),
    (OtherKeypoints, "test_people_are_complete_and_inside_the_photo", {}),
    (Percent, "test_people_are_complete_and_inside_the_photo", {}),
    (KeypointsElsewhere, "test_keypoints_lie_about_the_box", {}),
    (LeastFirst, "test_the_most_certain_come_first", {}),
    (Unsteady, STEADY, {}),
    (DrawsIntoThePhoto, STEADY, {}),
    (NeedsItsMemory, "test_layout_in_memory_does_not_matter", {}),
    (LeftHanded, "test_the_mirrored_photo_has_the_mirrored_people", {}),
    (TakesFloats, "test_another_kind_of_image_is_refused", {"image": np.zeros((4, 4, 3), np.float32)}),
]


@pytest.mark.parametrize(("wrong", "test", "arguments"), DETECTORS, ids=[f"{w.__name__}-{t}" for w, t, _ in DETECTORS])
def test_the_detector_suite_catches(wrong, test, arguments):
    claims = {"photo": lambda self: photo()}
    caught(DetectorConformance, "make_detector", FakeDetector, wrong, test, claims, **arguments)


def test_without_a_photo_the_detector_suite_says_what_it_leaves_out():
    suite = type("Suite", (DetectorConformance,), {"make_detector": lambda self: FakeDetector()})()
    from catching import run

    with pytest.raises(pytest.skip.Exception, match="photo"):
        run(suite, "test_the_most_certain_come_first")


class TwoOfAName(FakeProtocol):
    cases = (OcclusionCase("a"), OcclusionCase("a"))


class Nothing(FakeProtocol):
    def occluders(self, case, image_size, index):
        return ()


class OnTheReferenceGrid(FakeProtocol):
    """Places that are no whole pixels."""

    def occluders(self, case, image_size, index):
        (one,) = super().occluders(case, image_size, index)
        return (replace(one, x0=one.x0 + 0.5),)


class Wanders(FakeProtocol):
    calls = 0

    def occluders(self, case, image_size, index):
        self.calls += 1
        (one,) = super().occluders(case, image_size, index)
        return (replace(one, x0=one.x0 - self.calls),)


class Reworked(FakeProtocol):
    def rework(self, hidden, samples, occluders):
        return hidden

    def apply(self, samples, occluders, joints=None):
        return self.rework(super().apply(samples, occluders, joints), samples, occluders)


class Unseen(Reworked):
    def rework(self, hidden, samples, occluders):
        return replace(hidden, image=samples.image)


class HidesNoKeypoint(Reworked):
    def rework(self, hidden, samples, occluders):
        return replace(hidden, keypoints=samples.keypoints)


class BackgroundInMaps(Reworked):
    def rework(self, hidden, samples, occluders):
        return replace(hidden, part_map=None if hidden.part_map is None else hidden.part_map.clamp_min(-1))


class HidesJointsUnasked(Reworked):
    def rework(self, hidden, samples, occluders):
        return replace(hidden, visible_joints=0 * samples.visible_joints)


class InventsLabels(Reworked):
    def rework(self, hidden, samples, occluders):
        return replace(hidden, keypoints=torch.zeros(len(samples.image), 25, 3))


class PaintsInPlace(FakeProtocol):
    def apply(self, samples, occluders, joints=None):
        hidden = super().apply(samples, occluders, joints)
        samples.image.copy_(hidden.image)
        return hidden


class TextureByPlace(Reworked):
    """The texture is that of the place, not of the sample."""

    def rework(self, hidden, samples, occluders):
        image = hidden.image.clone()
        for row, one in enumerate(occluders):
            image[row, :, one.y0 : one.y1, one.x0 : one.x1] = one.x0
        return replace(hidden, image=image)


class TextureByRow(Reworked):
    def rework(self, hidden, samples, occluders):
        image = hidden.image.clone()
        for row, one in enumerate(occluders):
            image[row, :, max(one.y0, 0) : one.y1, max(one.x0, 0) : one.x1] = 10 * row
        return replace(hidden, image=image)


class NanIsWorst(FakeProtocol):
    def worst(self, values, lower_is_better):
        return (values if lower_is_better else -values).argmax(0)


class AlwaysTheLargest(FakeProtocol):
    def worst(self, values, lower_is_better):
        return super().worst(values, True)


CALLS = "test_no_order_of_calls_changes_them"
ALWAYS = "test_there_is_always_an_occluder_or_one_that_covers_nothing"
BEHIND = "test_an_occluder_hides_what_lies_behind_it"
TEXTURE = "test_the_texture_is_the_samples_own_at_every_position"
WORST = "test_the_worst_is_the_first_of_the_worst_and_never_nan"
PROTOCOLS = [
    (TwoOfAName, "test_fulfils_the_protocol", {}),
    (Nothing, ALWAYS, {"size": (56, 56)}),
    (OnTheReferenceGrid, ALWAYS, {"size": (56, 56)}),
    (Wanders, CALLS, {}),
    (Unseen, BEHIND, {}),
    (HidesNoKeypoint, BEHIND, {}),
    (BackgroundInMaps, BEHIND, {}),
    (HidesJointsUnasked, "test_without_joints_their_visibility_stays", {}),
    (InventsLabels, "test_what_is_not_known_stays_unknown", {}),
    (PaintsInPlace, "test_samples_are_not_written_to", {}),
    (TextureByPlace, TEXTURE, {}),
    (TextureByRow, TEXTURE, {}),
    (NanIsWorst, WORST, {}),
    (AlwaysTheLargest, WORST, {}),
]


@pytest.mark.wrong_shapes
@pytest.mark.parametrize(("wrong", "test", "arguments"), PROTOCOLS, ids=[f"{w.__name__}-{t}" for w, t, _ in PROTOCOLS])
def test_the_protocol_suite_catches(wrong, test, arguments):
    caught(ProtocolConformance, "make_protocol", FakeProtocol, wrong, test, **arguments)
