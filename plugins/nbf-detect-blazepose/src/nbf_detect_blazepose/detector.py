"""People and their keypoints in a whole photo."""

from __future__ import annotations

import numpy as np

from nbf_core.errors import InputError
from nbf_core.types import Person
from nbf_detect_blazepose import boxes, landmarks
from nbf_detect_blazepose.config import BlazePoseConfig
from nbf_detect_blazepose.crops import Crop, Photo
from nbf_detect_blazepose.models import detection_model, landmark_model
from nbf_detect_blazepose.openpose import to_openpose25

# Two results are one person where their keypoints lie closer than this share of the body's size.
_SAME_PERSON = 0.1
# The top of the head lies about so much further from the neck than the nose, in units of their distance.
_NOSE, _NECK, _HEAD = 0, 1, 0.8


class BlazePoseDetector:
    """Finds people with BlazePose: a box around each head, then landmarks in a crop of each person.

    The same photo gives the same result with one thread. One detector must not be used by two
    threads at a time.
    """

    def __init__(self, config: BlazePoseConfig | None = None) -> None:
        self._config = config or BlazePoseConfig()
        self._detect = detection_model(self._config.detection_model, self._config.threads)
        self._look = landmark_model(self._config.landmark_model, self._config.threads)
        self._anchors = boxes.anchor_centres()

    def detect(self, image: np.ndarray) -> list[Person]:
        """People in an RGB photo uint8 [h, w, 3], the most certain first; empty where there is nobody.

        ``keypoints`` are OpenPose-25 in pixels (centres at +0.5), confidence = visibility x presence;
        missing ones and those outside the photo are zero. ``box`` holds the confident keypoints with
        a margin, clipped to the photo. ``extras``: ``landmarks_2d`` [33, 3] (x, y, confidence;
        BlazePose's order, also outside the photo) and ``landmarks_3d`` [33, 3] in metres around the
        hip centre, x right, y down, z away from the camera.
        Raises InputError for another dtype or shape.
        """
        if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            got = f"{image.dtype} {list(image.shape)}" if isinstance(image, np.ndarray) else type(image).__name__
            raise InputError(f"image: expected uint8 [h, w, 3], got {got}")
        if image.size == 0:
            raise InputError(f"image: has no pixels, shape {list(image.shape)}")
        photo = Photo(np.ascontiguousarray(image))
        people: list[Person] = []
        rest = photo
        while len(people) < self._config.max_people:
            new = self._search(photo, rest, people)
            if not new:
                break
            people += new
            rest = rest.without([person.box for person in new])
        return sorted(people, key=lambda person: -person.score)

    def _search(self, photo: Photo, rest: Photo, known: list[Person]) -> list[Person]:
        """New people whose candidates stand out in ``rest``, the photo without the known people.

        One prominent person keeps the detector from seeing others; painted over, it finds them.
        """
        new: list[Person] = []
        for crop in self._crops(rest):
            person = self._person(photo, crop)
            if person is not None and not any(_same(person, other) for other in known + new):
                new.append(person)
            if len(known) + len(new) == self._config.max_people:
                break
        return new

    def _crops(self, photo: Photo) -> list[Crop]:
        """A crop for each candidate, the best score first, over all rotations."""
        found: list[tuple[float, Crop]] = []
        for degrees in self._config.rotations:
            square, letterbox = photo.letterbox(boxes.SIDE, degrees // 90)
            raw, logits = self._detect(square / 127.5 - 1.0)
            decoded = boxes.decode(raw, logits[:, 0], self._anchors, self._config.detection_threshold)
            _, points, scores = boxes.suppress(*decoded, self._config.max_overlap)
            for (hips, size_point), score in zip(letterbox.to_photo(points[:, :2]), scores, strict=True):
                crop = Crop.around(hips, size_point)
                if crop is not None:
                    found.append((float(score), crop))
        return [crop for _, crop in sorted(found, key=lambda item: -item[0])]

    def _person(self, photo: Photo, crop: Crop) -> Person | None:
        """Look at a crop, then at the crop that the landmarks ask for; None where nobody is there."""
        for look in range(self._config.looks):
            pixels = crop.sample(photo, landmarks.SIDE)
            raw, score, heat, world = self._look(pixels / 255.0)
            seen = landmarks.decode(raw, float(score[0]), heat, world, self._config.heatmap_threshold)
            if seen.score < self._config.presence_threshold:
                return None
            following = Crop.around(*crop.to_photo(seen.frame))
            if following is None or look + 1 == self._config.looks:
                return self._record(photo, crop, seen)
            crop = following
        return None

    def _record(self, photo: Photo, crop: Crop, seen: landmarks.Landmarks) -> Person | None:
        points = crop.to_photo(seen.points)
        keypoints = to_openpose25(points, seen.confidence)
        limits = np.array([photo.width, photo.height])
        inside = ((keypoints[:, :2] >= 0) & (keypoints[:, :2] <= limits)).all(axis=1) & (keypoints[:, 2] > 0)
        keypoints[~inside] = 0.0
        box = self._box(keypoints, limits)
        if box is None:
            return None
        world = seen.world.copy()
        world[:, :2] = world[:, :2] @ crop.turn.T
        extras = {
            "landmarks_2d": np.concatenate([points, seen.confidence[:, None]], axis=1).astype(np.float32),
            "landmarks_3d": world.astype(np.float32),
        }
        return Person(box=box, keypoints=keypoints, score=seen.score, extras=extras)

    def _box(self, keypoints: np.ndarray, limits: np.ndarray) -> np.ndarray | None:
        """Box float32 [4] around the confident keypoints; None where fewer than two are."""
        is_sure = keypoints[:, 2] >= max(self._config.box_confidence, 1e-6)
        sure = keypoints[is_sure, :2]
        if len(sure) < 2:
            return None
        if is_sure[[_NOSE, _NECK]].all():  # no keypoint lies on top of the head
            nose, neck = keypoints[[_NOSE, _NECK], :2]
            sure = np.concatenate([sure, [nose + _HEAD * (nose - neck)]])
        low, high = sure.min(axis=0), sure.max(axis=0)
        margin = self._config.box_margin * float((high - low).max())
        low, high = np.maximum(low - margin, 0), np.minimum(high + margin, limits)
        return np.concatenate([low, high]).astype(np.float32)


def _same(a: Person, b: Person) -> bool:
    """Whether two results lie on one person: their keypoints differ by little of the body's size."""
    both = (a.keypoints[:, 2] > 0) & (b.keypoints[:, 2] > 0)
    if not both.any():
        return False
    distance = np.linalg.norm(a.keypoints[both, :2] - b.keypoints[both, :2], axis=1).mean()
    size = max(float((p.box[2:] - p.box[:2]).max()) for p in (a, b))
    return bool(distance < _SAME_PERSON * size)
