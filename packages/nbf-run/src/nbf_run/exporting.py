"""Results as files for other programs: one call, one command, whatever the results are from."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nbf_core.contracts import PeopleTable, WritesPeople
from nbf_core.errors import ConfigError, InputError, PluginError
from nbf_core.plugins import get_plugin_manager
from nbf_run.model_files import write_atomically
from nbf_run.report.run import save_picture
from nbf_run.results import FittedImage, FittedPerson
from nbf_run.stored import KEYPOINTS, StoredRun
from nbf_run.view.meshes import KINDS as MESHES
from nbf_run.view.meshes import write_meshes
from nbf_run.view.pictures import OnError, Step, each

KINDS = {
    "npz": "FOLDER/person-N.npz: parameters, vertices, joints, camera and faces as plain arrays",
    "npz-film": "track-N.npz: the same of each person of a film, over all its frames",
    "glb": "FOLDER/person-N.glb: the fitted body as glTF",
    "obj": "FOLDER/person-N.obj: the fitted body as OBJ",
    "glb-film": "track-N.glb: each person of a film as one animated glTF",
    "glb-fit": "FOLDER/person-N-fit.glb: the way from the estimate to the fit, animated (of a run with --trace)",
    "keypoints": "result_keypoints.json: all people as MMHuman3D's test writes them",
}
"""What :func:`export` can write, beside the files of data sets that take fitted people (``humandata``)."""

_PARAMETERS = ("global_orient", "body_pose", "betas", "transl")


def all_kinds() -> dict[str, str]:
    """All kinds of files, those of installed data sets too, and what each is."""
    found = dict(KINDS)
    for name in get_plugin_manager().entries("datasets"):
        if _writer(name) is not None:
            found[name] = f"{name}.npz and images/: all people with their pictures, to train on or to measure with"
    return found


def export(
    results: StoredRun | Sequence[FittedImage],
    out: str | Path,
    kinds: Iterable[str] = ("glb",),
    rate: float | None = None,
    on_error: OnError | None = None,
    step: Step | None = None,
) -> list[Path]:
    """Write the fitted bodies of all results into ``out`` as files of the ``kinds`` (:data:`KINDS`); those written.

    ``results``: a run of ``nbf-run fit``, ``demo`` or ``bench`` (:func:`nbf_run.open_run`), or what ``fit`` returned.
    Metres in the photo's camera; files hold OpenCV's axes (x right, y down, z forward), meshes glTF's (y up, z towards
    the viewer). ``rate``: frames a second of animations, the film's unless given. A result that is damaged raises
    InputError, or is handed to ``on_error``. Raises ConfigError for another kind, InputError where a kind finds
    nothing to write.
    """
    wanted, out, written = list(kinds), Path(out), []
    writers = {kind: _writer(kind) for kind in wanted if kind not in KINDS}
    for kind, writer in writers.items():
        if writer is None:
            raise ConfigError(f"no kind of file named {kind!r}; there are: {', '.join(all_kinds())}")
    heard: dict[str, InputError] = {}

    def once(name: str, error: InputError) -> None:
        if name not in heard and on_error is not None:
            on_error(name, error)
        heard[name] = error

    report = None if on_error is None else once
    meshes = [kind for kind in wanted if kind in MESHES]
    if meshes:
        written += write_meshes(results, out, meshes, rate, report, step)
    if len(meshes) < len(wanted):
        written += _Gathering(results, out, wanted, writers).write(report, step)
    return written


class _Gathering:
    """Everything but meshes, in one reading of the results."""

    def __init__(self, results: StoredRun | Sequence[FittedImage], out: Path, wanted: list[str], writers: dict) -> None:
        self.results, self.out, self.wanted, self.writers = results, out, wanted, writers
        self.rows: list[dict[str, Any]] = []
        self.tracks: OrderedDict[int, list[dict[str, np.ndarray]]] = OrderedDict()

    def write(self, on_error: OnError | None, step: Step | None) -> list[Path]:
        written = []
        for position, (folder, image) in enumerate(each(self.results, on_error), start=1):
            if self.writers:
                (self.out / "images").mkdir(parents=True, exist_ok=True)
                save_picture(self.out / "images" / f"{folder}.jpg", image.image)
            for number, person in enumerate(image.people, start=1):
                written += self._one(folder, number, image, person)
            if step is not None:
                step("results", position, len(self.results))
        for track, frames in self.tracks.items():
            written.append(self.out / f"track-{track + 1}.npz")
            self.out.mkdir(parents=True, exist_ok=True)
            fixed = ("faces", "size")
            stacked = {name: np.stack([frame[name] for frame in frames]) for name in frames[0] if name not in fixed}
            write_atomically(written[-1], stacked | {name: frames[0][name] for name in fixed})
        if "keypoints" in self.wanted and self.rows:
            written.append(self.out / KEYPOINTS)
            _write_keypoints(written[-1], self.rows)
        for kind, writer in self.writers.items():
            written += [self._labels(kind, writer)] if self.rows else []
        if not written and "npz-film" in self.wanted and self.rows:
            raise InputError(f"{self.out}: npz-film: nothing to write: these results are no frames of a film")
        return written

    def _one(self, folder: str, number: int, image: FittedImage, person: FittedPerson) -> list[Path]:
        arrays = _arrays(image, person)
        self.rows.append(
            {**arrays, "image": folder, "name": image.name, "detected": person.keypoints, "set": person.keypoint_set,
             "box": person.box, "score": person.score}
        )  # fmt: skip
        if "npz-film" in self.wanted and person.track is not None:
            self.tracks.setdefault(person.track, []).append(arrays)
        if "npz" not in self.wanted:
            return []
        path = self.out / folder / f"person-{number}.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, arrays)
        return [path]

    def _labels(self, kind: str, writer: type[WritesPeople]) -> Path:
        sets = {row["set"] for row in self.rows}
        if len(sets) > 1:
            raise InputError(f"{self.out}: {kind}: the people have keypoints of different sets: {', '.join(sets)}")
        boxes = np.stack([row["box"] for row in self.rows]).astype(float)
        boxes[:, 2:] -= boxes[:, :2]
        scores = np.array([[row["score"]] for row in self.rows], float)
        known = all("h36m" in row for row in self.rows)
        people = PeopleTable(
            images=[f"images/{row['image']}.jpg" for row in self.rows],
            boxes=np.concatenate([boxes, np.nan_to_num(scores, nan=1.0)], 1),
            keypoints=np.stack([row["detected"] for row in self.rows]).astype(np.float32),
            keypoint_set=sets.pop(),
            joints=np.stack([row["h36m"] for row in self.rows]) if known else None,
            **{name: np.stack([row[name] for row in self.rows]) for name in (*_PARAMETERS, "focal", "center")},
        )
        return writer.write_people(people, self.out)


def _arrays(image: FittedImage, person: FittedPerson) -> dict[str, np.ndarray]:
    """A person as plain arrays; camera coordinates, metres and pixels."""
    posed = person.fitted
    arrays = {name: getattr(posed.params, name).numpy().astype(np.float32) for name in _PARAMETERS}
    arrays |= {
        "vertices": np.asarray(posed.vertices, np.float32),
        "joints": np.asarray(posed.joints, np.float32),
        "keypoints2d": np.asarray(posed.keypoints, np.float32),
        "faces": np.asarray(image.faces, np.int32),
        "focal": image.camera.focal.numpy().astype(np.float32),
        "center": image.camera.center.numpy().astype(np.float32),
        "size": np.array(image.camera.size, np.int32),
        "frame": np.array(-1 if image.frame is None else image.frame, np.int32),
    }
    if posed.h36m is not None:
        arrays["h36m"] = np.asarray(posed.h36m, np.float32)
    return arrays


def _write_keypoints(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """All people in MMHuman3D's layout: ``keypoints`` is empty where a body model knows no Human3.6M joints."""
    import roma
    import torch

    pose = np.stack([np.concatenate([row["global_orient"][None], row["body_pose"]]) for row in rows])
    known = all("h36m" in row for row in rows)
    content = {
        "keypoints": _rounded(np.stack([row["h36m"] for row in rows])) if known else [],
        "poses": _rounded(roma.rotvec_to_rotmat(torch.from_numpy(pose)).numpy()),
        "betas": _rounded(np.stack([row["betas"] for row in rows])),
        "transl": _rounded(np.stack([row["transl"] for row in rows])),
        "image_path": [row["name"] for row in rows],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(json.dumps(content, separators=(",", ":")), encoding="utf-8")
    partial.replace(path)


def _rounded(values: np.ndarray) -> list[Any]:
    return np.round(values.astype(float), 6).tolist()


def _writer(kind: str) -> type[WritesPeople] | None:
    """The class of data sets of this name, where it takes fitted people."""
    entry = get_plugin_manager().entries("datasets").get(kind)
    try:
        target = None if entry is None else entry.load()
    except PluginError:
        return None
    return target if isinstance(target, WritesPeople) else None
