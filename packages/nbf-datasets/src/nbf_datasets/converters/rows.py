"""Samples as a converter collects them, with a count of what was left out and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from nbf_core.conventions import convention
from nbf_core.errors import AssetError, InputError
from nbf_datasets.converters.poses import Body
from nbf_datasets.converters.source import Images
from nbf_datasets.humandata.checking import FARTHEST
from nbf_datasets.humandata.data import COMMON, HumanData, gender_row
from nbf_datasets.humandata.points import Held, Points

Step = Callable[[str, int, int], None]

BETAS = 10


class Rows:
    """Samples below the folder ``source``.

    ``skipped`` counts samples left out by the reason; ``problems`` are files that could not be used, one line each.
    """

    def __init__(self, source: Path) -> None:
        self.images = Images(source)
        self.skipped: Counter[str] = Counter()
        self.problems: list[str] = []
        self._blocks: list[dict[str, np.ndarray]] = []
        self._names: dict[str, tuple[str, ...]] = {}

    def __len__(self) -> int:
        return sum(len(block["image_path"]) for block in self._blocks)

    @property
    def source(self) -> Path:
        """The data set's folder."""
        return self.images.source

    def joints(self, field: str, names: Sequence[str]) -> None:
        """Say which joints, by their names in the common vocabulary, an array of keypoints will hold."""
        self._names[field] = tuple(names)

    def skip(self, reason: str, count: int = 1) -> None:
        """Leave samples out."""
        if count:
            self.skipped[reason] += count

    @contextmanager
    def part(self) -> Iterator[None]:
        """One of several files: where it cannot be used, that is noted, and the others go on."""
        before = len(self._blocks)
        try:
            yield
        except (AssetError, InputError) as error:
            del self._blocks[before:]
            self.problems.append(str(error))

    def add(
        self,
        image_path: Sequence[str],
        boxes: np.ndarray,
        points: dict[str, np.ndarray] | None = None,
        body: Body | None = None,
        gender: str | None = None,
        camera: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> None:
        """n samples: ``boxes`` [n, 4]; ``points`` by field, in the order given to :meth:`joints`.

        ``camera``: focal length and center, in pixels. Those whose image is not there, that have no box, or whose
        labels are no numbers are left out and counted.
        """
        count = len(image_path)
        block: dict[str, np.ndarray] = {"image_path": np.array(image_path, np.str_), "boxes": boxes}
        for name in self._names:
            width = 3 if name.startswith("keypoints2d") else 4
            given = None if points is None else points.get(name)
            given = np.zeros((count, len(self._names[name]), width)) if given is None else given
            # Where nothing is known anything may stand in a data set's files.
            block[name] = np.where(given[..., -1:] == 0, 0.0, given)
        known = np.zeros(count, bool) if body is None else np.ones(count, bool) if body.known is None else body.known
        block["has_smpl"] = known
        block["pose"] = np.zeros((count, 24, 3)) if body is None else body.pose
        block["betas"] = np.zeros((count, BETAS)) if body is None else body.betas[:, :BETAS]
        if body is not None and body.transl is not None and camera is not None:
            block["transl"] = body.transl
            block["focal"], block["center"] = (np.broadcast_to(one, (count, 2)) for one in camera)
        block["gender"] = np.full(count, -1 if gender is None else gender_row(gender))
        keep = self._usable(block)
        if keep.any():
            self._blocks.append({name: value[keep] for name, value in block.items()})

    def humandata(self, config: str) -> HumanData:
        """Everything collected, ``config`` being the data set's name. Raises InputError where that is nothing."""
        if not self._blocks:
            reasons = "; ".join([*self.problems[:3], *(f"{count} {reason}" for reason, count in self.skipped.items())])
            raise InputError(f"{self.source}: no sample that could be used ({reasons or 'none found'})")
        found = {name: np.concatenate([block[name] for block in self._blocks]) for name in self._shared()}
        smpl = {
            "body_pose": found["pose"][:, 1:].astype(np.float32),
            "global_orient": found["pose"][:, 0].astype(np.float32),
            "betas": found["betas"].astype(np.float32),
        }
        if "transl" in found:
            smpl["transl"] = found["transl"].astype(np.float32)
        some = bool(found["has_smpl"].any())
        return HumanData(
            image_path=found["image_path"],
            boxes=np.concatenate([found["boxes"], np.ones((len(found["boxes"]), 1))], 1),
            keypoints={name: self._points(name, found[name].astype(np.float32)) for name in self._names},
            smpl=smpl if some else None,
            has_smpl=found["has_smpl"] if some else None,
            gender=np.maximum(found["gender"], 0) if (found["gender"] >= 0).any() else None,
            camera={name: found[name] for name in ("focal", "center")} if "transl" in found else None,
            config=config,
        )

    def _shared(self) -> list[str]:
        """Fields that every block has: a place before a camera is of use only where all have one."""
        return [name for name in self._blocks[0] if all(name in block for block in self._blocks)]

    def _points(self, name: str, values: np.ndarray) -> Points:
        rows = convention(COMMON).rows
        kept = sorted((rows[joint], i) for i, joint in enumerate(self._names[name]) if joint in rows)
        order = [i for _, i in kept]
        return Points(COMMON, {row: i for i, (row, _) in enumerate(kept)}, Held(values[:, order]))

    def _usable(self, block: dict[str, np.ndarray]) -> np.ndarray:
        wrong = np.array([self.images.wrong(path) for path in block["image_path"].tolist()], dtype=object)
        _mark(wrong, np.isnan(block["boxes"]).all(1), "no box: too few keypoints")
        _mark(wrong, (block["boxes"][:, 2:] < 1).any(1), "box less than a pixel wide or high")
        for name, value in block.items():
            if value.dtype.kind == "f":
                _mark(
                    wrong, ~(np.abs(value.reshape(len(value), -1)) < FARTHEST).all(1), f"{name}: not sensible numbers"
                )
        for reason, count in Counter(wrong[wrong != ""].tolist()).items():
            self.skip(reason, count)
        return wrong == ""


def _mark(wrong: np.ndarray, where: np.ndarray, reason: str) -> None:
    wrong[where & (wrong == "")] = reason
