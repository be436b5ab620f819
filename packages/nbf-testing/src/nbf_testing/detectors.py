"""The conformance suite of detectors: subclass :class:`DetectorConformance` in a test file, pytest does the rest."""

from __future__ import annotations

import numpy as np
import pytest

from nbf_core.contracts import Detector
from nbf_core.conventions import KEYPOINT_SETS
from nbf_core.errors import NbfError
from nbf_core.types import Person
from nbf_testing.claims import Suite, one_line


class DetectorConformance(Suite):
    """What every detector must do. A plugin's test file is::

        class TestMine(DetectorConformance):
            def make_detector(self):
                return MyDetector(MyConfig())

            def photo(self):
                return ...  # uint8 [h, w, 3], RGB, in which it finds somebody

    ``mirror_tolerance``
        how far boxes in the mirrored photo may lie from the mirrored boxes, in longer sides of the box; None where
        nothing is claimed.
    """

    mirror_tolerance: float | None = 0.15

    def make_detector(self) -> Detector:
        """The detector under test."""
        raise NotImplementedError("a conformance test must say how its detector is made")

    def photo(self) -> np.ndarray | None:
        """An RGB picture in which the detector finds somebody; None skips what needs one."""
        return None

    @pytest.fixture
    def detector(self) -> Detector:
        return self.once("detector", self.make_detector)

    @pytest.fixture
    def picture(self) -> np.ndarray:
        photo = self.once("photo", self.photo)
        if photo is None:
            pytest.skip("the test names no photo() in which this detector finds somebody")
        return photo

    def people(self, detector: Detector, picture: np.ndarray) -> list[Person]:
        """Who is found in the photo, looked for once."""
        return self.once("people", lambda: detector.detect(picture))

    def test_fulfils_the_protocol(self, detector):
        assert isinstance(detector, Detector)

    @pytest.mark.parametrize("value", [0, 128, 255])
    @pytest.mark.parametrize("shape", [(1, 1), (1, 60), (60, 1), (48, 64)], ids=str)
    def test_nobody_is_in_a_blank_image(self, detector, shape, value):
        found = detector.detect(np.full((*shape, 3), value, np.uint8))
        assert found == [], "an empty list where there is nobody"

    def test_people_are_complete_and_inside_the_photo(self, detector, picture):
        people = self.people(detector, picture)
        assert people, "photo() must show somebody that the detector finds"
        height, width = picture.shape[:2]
        for person in people:
            assert isinstance(person, Person)
            box = np.asarray(person.box, np.float64)
            assert box.shape == (4,) and np.isfinite(box).all()
            x0, y0, x1, y1 = box
            assert x0 < x1 and y0 < y1, "box is (x0, y0, x1, y1)"
            assert x1 > 0 and y1 > 0 and x0 < width and y0 < height, "the box meets the photo"
            names = KEYPOINT_SETS.get(person.keypoint_set)
            assert names is not None, f"keypoint_set is one of {', '.join(KEYPOINT_SETS)}"
            assert person.keypoints.shape == (len(names), 3)
            assert np.isfinite(person.keypoints).all()
            assert (person.keypoints[:, 2] >= 0).all() and (person.keypoints[:, 2] <= 1).all()
            assert np.isfinite(person.score)
            assert all(isinstance(value, np.ndarray) for value in person.extras.values())

    def test_keypoints_lie_about_the_box(self, detector, picture):
        for person in self.people(detector, picture):
            sure = person.keypoints[person.keypoints[:, 2] > 0.5, :2]
            x0, y0, x1, y1 = np.asarray(person.box, np.float64)
            room = max(x1 - x0, y1 - y0)
            assert (sure >= [x0 - room, y0 - room]).all() and (sure <= [x1 + room, y1 + room]).all()

    def test_the_most_certain_come_first(self, detector, picture):
        scores = [float(person.score) for person in self.people(detector, picture)]
        assert scores == sorted(scores, reverse=True)

    def test_repeats_and_leaves_the_photo_alone(self, detector, picture):
        before = picture.copy()
        first = self.people(detector, picture)
        detector.detect(np.full((20, 30, 3), 90, np.uint8))
        same(detector.detect(picture), first)
        same(self.make_detector().detect(picture), first)
        assert np.array_equal(picture, before)

    def test_layout_in_memory_does_not_matter(self, detector, picture):
        first = self.people(detector, picture)
        scattered = np.asfortranarray(picture)
        same(detector.detect(scattered), first)
        fixed = picture.copy()
        fixed.setflags(write=False)
        same(detector.detect(fixed), first)

    def test_the_mirrored_photo_has_the_mirrored_people(self, detector, picture):
        if self.mirror_tolerance is None:
            pytest.skip("this detector claims nothing of mirrored photos")
        width = picture.shape[1]
        there = [np.asarray(person.box, np.float64) for person in self.people(detector, picture)]
        mirrored = [np.asarray(person.box, np.float64) for person in detector.detect(picture[:, ::-1])]
        assert len(mirrored) == len(there)
        for box in mirrored:
            back = np.array([width - box[2], box[1], width - box[0], box[3]])
            side = max(back[2] - back[0], back[3] - back[1])
            assert min(np.abs(back - other).max() for other in there) <= self.mirror_tolerance * side

    @pytest.mark.parametrize(
        "image",
        [np.zeros((4, 4, 3), np.float32), np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8),
         np.zeros((0, 4, 3), np.uint8)],
        ids=["float", "grey", "alpha", "empty"],
    )  # fmt: skip
    @pytest.mark.wrong_shapes
    def test_another_kind_of_image_is_refused(self, detector, image):
        with pytest.raises(NbfError, match="image") as caught:
            detector.detect(image)
        one_line(caught.value)


def same(found: list[Person], expected: list[Person]) -> None:
    """Assert that two results hold the same numbers."""
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one.box, other.box)
        np.testing.assert_array_equal(one.keypoints, other.keypoints)
        assert one.score == other.score and one.keypoint_set == other.keypoint_set
