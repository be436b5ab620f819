"""What is wrong with the samples of a HumanData file: the one list that data checks show and training runs skip by."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from nbf_core.contracts import FileProblem, FileReport
from nbf_core.contracts.files import Step
from nbf_core.errors import AssetError, InputError
from nbf_datasets.folder import read_image
from nbf_datasets.humandata.archive import Archive
from nbf_datasets.humandata.data import GENDERS, HumanData
from nbf_datasets.humandata.images import find_images, missing_images, plain_path
from nbf_datasets.humandata.reading import read_humandata

FARTHEST = 1e6
"""Pixels, metres and radians beyond this are taken for damage."""


def check(path: Path, images: Path | None = None, pictures: bool = False, step: Step | None = None) -> FileReport:
    """A report of one file; see ``nbf_core.contracts.ReadsFiles.check_file``."""
    path = Path(path)
    try:
        data = read_humandata(path)
        folder = find_images(data, images)
        problems = [*_unread_problems(path), *label_problems(data), *image_problems(data, folder)]
        if pictures:
            problems += picture_problems(
                data, folder, {one.sample for one in problems if one.field == "image_path"}, step
            )
        labels = counts(data)
    except AssetError as error:
        field, _, text = str(error).removeprefix(f"{path}: ").partition(": ")
        problem = FileProblem(field, text) if text else FileProblem("file", field)
        return FileReport(path, usable=False, images=images, problems=(problem,))
    problems.sort(key=lambda problem: -1 if problem.sample is None else problem.sample)
    return FileReport(path, True, len(data), folder, data.fields, labels, tuple(problems))


def _unread_problems(path: Path) -> Iterator[FileProblem]:
    """Pickled fields that no run reads, and that are no data: a file with one is not to be trusted elsewhere."""
    archive = Archive(path)
    for name, field in archive.fields.items():
        if not field.dtype.hasobject:
            continue
        try:
            archive.read(name)
        except AssetError as error:
            yield FileProblem(name, str(error).removeprefix(f"{path}: {name}: "))


def counts(data: HumanData) -> dict[str, int]:
    """How many samples have each kind of label."""
    found = {"body parameters": int(data.with_body.sum())}
    for name, points in data.keypoints.items():
        having = sum(int((values[..., -1] > 0).any(1).sum()) for _, values in points.chunks())
        found[f"{name} ({len(points.column)} joints of {points.convention})"] = having
    if data.gender is not None:
        for row, name in enumerate(GENDERS):
            found[f"gender {name}"] = int((data.gender == row).sum())
    if data.camera is not None:
        found["camera"] = len(data)
    return found


def label_problems(data: HumanData) -> list[FileProblem]:
    """What is wrong with the labels, sample by sample; images are not looked at."""
    return [*_box_problems(data), *_keypoint_problems(data), *_body_problems(data)]


def image_problems(data: HumanData, folder: Path) -> list[FileProblem]:
    """Samples whose image is not there, or would be outside the folder."""
    return [FileProblem("image_path", text, number) for number, text in missing_images(data, folder).items()]


def picture_problems(
    data: HumanData, folder: Path, without: set[int | None], step: Step | None = None
) -> list[FileProblem]:
    """Samples whose image cannot be decoded, or lies wholly outside their box; ``without`` are not looked at."""
    found: list[FileProblem] = []
    wanted: dict[str, list[int]] = {}
    for number, text in enumerate(data.image_path.tolist()):
        if number not in without:
            wanted.setdefault(text, []).append(number)
    for done, (text, numbers) in enumerate(wanted.items(), 1):
        try:
            width, height = read_image(folder / plain_path(text)).size
        except InputError as error:
            found += [FileProblem("image_path", str(error), number) for number in numbers]
            continue
        for number in numbers:
            x, y, w, h, _ = data.boxes[number]
            if x >= width or y >= height or x + w <= 0 or y + h <= 0:
                where = f"{_list(data.boxes[number, :4])} is outside its image of {width} x {height}"
                found.append(FileProblem("bbox_xywh", where, number))
        if step is not None:
            step("images", done, len(wanted))
    return found


def _box_problems(data: HumanData) -> Iterator[FileProblem]:
    boxes = data.boxes[:, :4]
    for number in np.flatnonzero(~_sound(boxes)):
        yield FileProblem("bbox_xywh", f"holds {_list(boxes[number])}", int(number))
    for number in np.flatnonzero(_sound(boxes) & (boxes[:, 2:] < 1).any(1)):
        yield FileProblem("bbox_xywh", f"{_list(boxes[number])} is less than a pixel wide or high", int(number))


def _keypoint_problems(data: HumanData) -> Iterator[FileProblem]:
    for name, points in data.keypoints.items():
        for first, values in points.chunks():
            confidence = values[..., -1]
            bad = ~np.isfinite(confidence) | (confidence < 0) | (confidence > FARTHEST)
            # Where nothing is known anything may stand.
            bad |= (confidence > 0) & ~_sound(values[..., :-1])
            for number in np.flatnonzero(bad.any(1)):
                joint = int(np.flatnonzero(bad[number])[0])
                held = _list(values[number, joint])
                yield FileProblem(name, f"{points.known[joint]} is {held}", first + int(number))


def _body_problems(data: HumanData) -> Iterator[FileProblem]:
    for table, held, asked in (
        ("smpl", data.smpl or {}, data.with_body),
        ("camera", data.camera or {}, np.ones(len(data), bool)),
    ):
        for name, values in held.items():
            flat = values.reshape(len(values), -1)
            for number in np.flatnonzero(asked & ~_sound(flat)):
                wrong = flat[number][~(np.abs(flat[number]) < FARTHEST)]
                yield FileProblem(f"{table}/{name}", f"holds {wrong[0]:g}", int(number))
    if data.camera is not None:
        for number in np.flatnonzero((data.camera["focal"] <= 0).any(1)):
            yield FileProblem("camera/focal", f"{_list(data.camera['focal'][number])} is not positive", int(number))


def _sound(values: np.ndarray) -> np.ndarray:
    """Whether all of the last dimension are numbers of a sensible size; NaN is not."""
    return (np.abs(values) < FARTHEST).all(-1)


def _list(values: np.ndarray) -> str:
    return "[" + ", ".join(f"{value:g}" for value in values) + "]"
