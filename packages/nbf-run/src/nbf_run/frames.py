"""The frames of a film, whether it comes as a file or as pictures."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nbf_core.errors import ConfigError, InputError
from nbf_run.images import find_images
from nbf_run.video import VideoReader, is_video

Frame = tuple[str, "str | Path | np.ndarray | InputError"]
"""A frame's name, and the picture, where it is, or why there is none."""


@dataclass(frozen=True)
class Cut:
    """Which frames of a film: every ``step``-th from ``start`` on, before ``stop``; counted from 0."""

    start: int = 0
    stop: int | None = None
    step: int = 1

    @classmethod
    def parse(cls, text: str) -> Cut:
        """``START:STOP:STEP``, each of which may be left out. Raises ConfigError."""
        match = re.fullmatch(r"(\d*)(?::(\d*)(?::(\d*))?)?", text.strip())
        if not match or not text.strip():
            raise ConfigError(f"fit.frames: {text}: expected START:STOP:STEP in whole numbers, such as 0:200:2")
        start, stop, step = (int(part) if part else None for part in match.groups())
        cut = cls(start or 0, stop, 1 if step is None else step)
        if cut.step < 1 or (cut.stop is not None and cut.stop <= cut.start):
            raise ConfigError(f"fit.frames: {text}: no frame is left")
        return cut

    @property
    def text(self) -> str:
        """As :meth:`parse` takes it."""
        return f"{self.start}:{'' if self.stop is None else self.stop}:{self.step}"

    def count(self, total: int) -> int:
        """How many of ``total`` frames."""
        return len(range(self.start, total if self.stop is None else min(self.stop, total), self.step))

    def after(self, done: int) -> Cut:
        """The same without its first ``done`` frames."""
        return Cut(self.start + done * self.step, self.stop, self.step)


class Film:
    """A film to be fitted: ``total`` frames (a video's own claim; 0 where it makes none), ``rate`` a second or None."""

    def __init__(self, paths: Iterable[str | Path], cut: Cut | None = None):
        self.paths = [Path(path) for path in paths]
        self.cut = cut or Cut()
        videos = [path for path in self.paths if is_video(path)]
        if videos and len(self.paths) > 1:
            raise InputError(f"{videos[0]}: a video is fitted by itself; leave the other inputs out")
        self._video = VideoReader(videos[0]) if videos else None
        self._pictures = [] if videos else find_frames(self.paths)
        known = self._video.total if self._video else len(self._pictures)
        self.total = self.cut.count(known)
        self.rate = self._video.rate / self.cut.step if self._video else None
        if known and not self.total:
            raise InputError(f"{self.paths[0]}: has {known} frames; fit.frames = {self.cut.text} leaves none")

    def frames(self, done: int = 0) -> Iterator[Frame]:
        """The frames after the first ``done``. A video that breaks off gives its reason as its last frame."""
        if self._video is None:
            cut = self.cut.after(done)
            yield from ((str(path), path) for path in self._pictures[cut.start : cut.stop : cut.step])
            return
        cut, stem = self.cut.after(done), self.paths[0].stem
        number = cut.start
        try:
            for picture in self._video.frames(cut.start, cut.stop, cut.step):
                yield f"{stem}-{number:06d}", picture
                number += cut.step
        except InputError as error:
            yield f"{stem}-{number:06d}", error


def find_frames(paths: Iterable[str | Path]) -> list[Path]:
    """Files and the pictures in folders, in the order of the numbers in their names: frame-2 before frame-10."""

    def key(path: Path) -> list[tuple[int, str]]:
        return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", path.name)]

    found: list[Path] = []
    for path in paths:
        inside = find_images([path])
        found += sorted(inside, key=key) if Path(path).is_dir() else inside
    return found


def named(frames: Sequence[str | Path | np.ndarray]) -> Iterator[Frame]:
    """Pictures and paths, with names."""
    for number, frame in enumerate(frames):
        yield (f"frame-{number + 1}" if isinstance(frame, np.ndarray) else str(frame)), frame
