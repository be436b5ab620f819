"""Results on disk: what a run directory adds to its numbers so that a fit can be looked at again, and reading it."""

from __future__ import annotations

import json
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from nbf_core.errors import InputError
from nbf_core.types import BodyParams, Camera
from nbf_run.images import read_image
from nbf_run.journal import Journal
from nbf_run.results import FittedImage, FittedPerson, Posed

PICTURE = "input.jpg"
KEYPOINTS = "result_keypoints.json"
"""What a benchmark leaves of a method's bodies."""

PICTURE_SIDE = 2048
"""Pixels of a stored picture's longer side, at most."""

_MAPS = ("object_score", "clutter_score")
_KEPT = 16
"""Results that an open run holds in memory."""


def extra_arrays(image: FittedImage, person: FittedPerson) -> dict[str, np.ndarray]:
    """The arrays of a person that only pictures need; half precision where eyes cannot tell.

    ``history_offsets`` are the vertices at ``history_steps`` relative to the fitted ones.
    """
    arrays: dict[str, np.ndarray] = {"stages": np.array(person.stages, np.int32)}
    if image.vertex_parts is not None:
        arrays["vertex_parts"] = np.asarray(image.vertex_parts, np.int16)
    if person.parts is not None:
        arrays["parts"] = np.asarray(person.parts, np.int16)
    for name in _MAPS:
        if getattr(person, name) is not None:
            arrays[name] = getattr(person, name).astype(np.float16)
    if person.confidence is not None:
        arrays["confidence"] = np.asarray(person.confidence, np.float32)
    if person.history:
        steps = sorted(person.history)
        offsets = [person.history[step] - person.fitted.vertices for step in steps]
        arrays["history_steps"] = np.array(steps, np.int32)
        arrays["history_offsets"] = np.stack(offsets).astype(np.float16)
    return arrays


def write_picture(path: Path, image: FittedImage) -> None:
    """Write the picture that was fitted, at most ``PICTURE_SIDE`` pixels long."""
    picture = Image.fromarray(image.image)
    picture.thumbnail((PICTURE_SIDE, PICTURE_SIDE), Image.Resampling.LANCZOS)
    picture.save(path, quality=92, subsampling=0)


@dataclass(frozen=True)
class StoredRun:
    """The results in a run directory, in their order; each is read when it is asked for.

    ``run[i]`` raises InputError in one line that names the file where a result is damaged. ``rate`` is the frame
    rate where the run is one of a film; ``report`` what ``report.json`` says (empty where there is none).
    """

    folder: Path
    files: tuple[Path, ...]
    report: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> FittedImage:
        file = self.files[index]
        return _read_cached(file, file.stat().st_mtime_ns if file.is_file() else 0)

    def __iter__(self) -> Iterator[FittedImage]:
        return (self[index] for index in range(len(self)))

    @property
    def names(self) -> list[str]:
        """What each result's folder is called."""
        return [path.parent.name for path in self.files]

    @property
    def rate(self) -> float | None:
        """Frames a second, where the film said so."""
        rate = self.report.get("rate")
        return float(rate) if isinstance(rate, (int, float)) and 0 < rate < 1000 else None

    @property
    def is_film(self) -> bool:
        """Whether the results are frames of one film."""
        return "tracks" in self.report


def open_run(path: str | Path) -> StoredRun:
    """The results in a run directory of ``nbf-run fit`` or ``demo``, in any folder that holds some, or in one file.

    Of a benchmark's results: a folder ``RUN/results/SET/CONDITION/METHOD``, or the ``result_keypoints.json`` in it.
    Raises InputError in one line where there are none.
    """
    path = Path(path)
    if path.name == KEYPOINTS or (path / KEYPOINTS).is_file():
        from nbf_run.stored_bench import open_bench

        return open_bench(path / KEYPOINTS if path.is_dir() else path)
    if path.is_file():
        return StoredRun(path.parent, (path,))
    if not path.is_dir():
        raise InputError(f"{path}: no such file or folder")
    report = _read_json(path / "report.json") if (path / "report.json").is_file() else {}
    # The folder may hold older results beside those of its last run.
    listed = _listed(report) or Journal.folders(path)
    files = [path / folder / "result.json" for folder in listed]
    files = files or sorted(path.rglob("result.json"), key=lambda file: _natural(str(file.relative_to(path))))
    if not files:
        raise InputError(f"{path}: {_why_empty(path, report)}")
    return StoredRun(path, tuple(files), report)


def read_result(path: str | Path) -> FittedImage:
    """One ``result.json`` with the arrays and the picture beside it. Raises InputError naming the file at fault."""
    path = Path(path)
    record = read_record(path)
    try:
        camera = Camera(
            focal=torch.tensor(record["camera"]["focal"], dtype=torch.float32),
            center=torch.tensor(record["camera"]["center"], dtype=torch.float32),
            size=tuple(int(side) for side in record["camera"]["size"]),
        )
        people, faces, vertex_parts = [], None, None
        for position, entry in enumerate(record["people"], start=1):
            name = Path(entry.get("files", {}).get("arrays", f"person-{position}.npz")).name
            arrays = _read_arrays(path.parent / name)
            people.append(_person(path.parent / name, entry, arrays))
            faces, vertex_parts = arrays["faces"], arrays.get("vertex_parts")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else " ".join(str(error).split())[:120]
        raise InputError(f"{path}: damaged, or not a result of nbf-run fit ({reason})") from error
    if faces is None:
        raise InputError(f"{path}: shows nobody")
    return FittedImage(
        name=str(record.get("image", path.parent.name)),
        image=_picture(path, record, camera),
        camera=camera,
        people=tuple(people),
        faces=faces,
        seconds=float(record.get("seconds") or 0.0),
        synthetic=bool(record.get("synthetic", False)),
        vertex_parts=vertex_parts,
        frame=record.get("frame"),
    )


def read_record(path: str | Path) -> dict[str, Any]:
    """The numbers of one ``result.json``, as written. Raises InputError naming the file."""
    record = _read_json(Path(path))
    if "people" not in record or "camera" not in record:
        raise InputError(f"{path}: not a result of nbf-run fit (no people, no camera)")
    return record


@lru_cache(maxsize=_KEPT)
def _read_cached(path: Path, changed: int) -> FittedImage:
    return read_result(path)


def _person(path: Path, entry: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> FittedPerson:
    """One person; the arrays hold what the record leaves out. Raises KeyError, ValueError or InputError."""
    count = len(arrays["fit_vertices"])
    for name in ("start_vertices", "fit_vertices"):
        if arrays[name].shape != (count, 3) or not np.isfinite(arrays[name]).all():
            raise InputError(f"{path}: damaged: {name} are not {count} points in space")
    if arrays["faces"].ndim != 2 or arrays["faces"].max(initial=-1) >= count or arrays["faces"].min(initial=0) < 0:
        raise InputError(f"{path}: damaged: the faces name vertices that do not exist")
    fitted = _posed("fit", entry, arrays)
    steps, offsets = arrays.get("history_steps", ()), arrays.get("history_offsets", ())
    history = {
        int(step): fitted.vertices + offset.astype(np.float32) for step, offset in zip(steps, offsets, strict=True)
    }
    losses = {role: _number(entry["loss"][role]) for role in ("start", "fit")}
    return FittedPerson(
        box=np.array(entry["box"], np.float64),
        square=np.array(entry["crop"], np.float64),
        score=_number(entry["score"]),
        keypoints=np.asarray(arrays["keypoints"], np.float32),
        keypoint_set=entry["keypoint_set"],
        start=_posed("start", entry, arrays),
        fitted=fitted,
        start_loss=losses["start"],
        loss=losses["fit"],
        kept=bool(entry["kept"]),
        silhouette=arrays["silhouette"].astype(np.float32),
        occlusion=arrays["occlusion"].astype(bool),
        trace={name.removeprefix("trace_"): arrays[name] for name in arrays if name.startswith("trace_")},
        stages=tuple(int(stage) for stage in arrays.get("stages", ())),
        history=history,
        track=entry.get("track"),
        errors={name: (_number(e["start"]), _number(e["fit"])) for name, e in entry.get("errors_mm", {}).items()},
        parts=arrays.get("parts"),
        confidence=arrays.get("confidence"),
        **{name: arrays[name].astype(np.float32) for name in _MAPS if name in arrays},
    )


def _posed(role: str, entry: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Posed:
    names = ("global_orient", "body_pose", "betas", "transl")
    return Posed(
        params=BodyParams(**{name: torch.from_numpy(arrays[f"{role}_{name}"]) for name in names}),
        vertices=np.asarray(arrays[f"{role}_vertices"], np.float32),
        joints=arrays[f"{role}_joints"],
        keypoints=np.array(entry[role]["keypoints"], np.float32),
        h36m=arrays.get(f"{role}_h36m"),
    )


def _picture(path: Path, record: Mapping[str, Any], camera: Camera) -> np.ndarray:
    """The picture that was fitted, in its full size: the stored one, else the file it came from."""
    stored, given = path.parent / PICTURE, Path(str(record.get("image", "")))
    file = stored if stored.is_file() or not given.is_file() else given
    if not file.is_file():
        raise InputError(f"{path}: the picture is gone: this run stored none ({PICTURE}), and {given} is not there")
    picture = read_image(file)
    height, width = camera.size
    if abs(picture.shape[0] * width / (picture.shape[1] * height) - 1) > 0.05:
        shape = f"{picture.shape[1]} x {picture.shape[0]}"
        raise InputError(f"{path}: {file} has {shape} pixels, the fitted picture had {width} x {height}")
    if picture.shape[:2] != camera.size:
        picture = np.array(Image.fromarray(picture).resize((width, height), Image.Resampling.BICUBIC))
    return picture


def _read_arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except FileNotFoundError as error:
        raise InputError(f"{path}: missing; the run directory is not complete") from error
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{path}: damaged or cut short ({' '.join(str(error).split())[:100]})") from error


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: {(error.strerror or str(error)).lower()}") from error
    except ValueError as error:
        raise InputError(f"{path}: damaged: not JSON ({error})") from error
    if not isinstance(value, dict):
        raise InputError(f"{path}: damaged: a JSON object was expected")
    return value


def _listed(report: Mapping[str, Any]) -> list[str]:
    entries = report.get("images")
    found = [entry.get("folder") for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    return [folder for folder in found if isinstance(folder, str)]


def _why_empty(path: Path, report: Mapping[str, Any]) -> str:
    stored = sorted(file.parent for file in (path / "results").rglob(KEYPOINTS)) if report else []
    if stored:
        shown = ", ".join(str(folder) for folder in stored[:3])
        return f"a benchmark; name the results of one of its methods: {shown}{', ...' if len(stored) > 3 else ''}"
    if report.get("kind", "").startswith("bench"):
        return "a benchmark without bodies of its own: its folders hold them, or none is finished yet"
    return "holds no results of nbf-run fit or demo (no result.json)"


def _natural(text: str) -> list[tuple[int, str]]:
    """Sorts frame-2 before frame-10."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", text)]


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)
