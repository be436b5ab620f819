"""Reading and writing video files with PyAV, an optional dependency (``nbf-run[video]``)."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import ModuleType

import numpy as np
from jaxtyping import UInt8

from nbf_core.errors import InputError, PluginError

SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".wmv")

_ENCODERS = {".webm": ("libvpx-vp9", "libvpx")}
_H264 = ("libx264", "libopenh264", "mpeg4")
# What an encoder writes depends on its number of threads, which would be that of the cores it may use just then.
_THREADS = 4
_QUALITY = {"libx264": {"crf": "19", "preset": "medium"}, "libvpx-vp9": {"crf": "28", "b": "0"}}


def is_video(path: str | Path) -> bool:
    """Whether a file's name is that of a video."""
    return Path(path).suffix.lower() in SUFFIXES


def require_av() -> ModuleType:
    """PyAV. Raises PluginError in one line where it is not installed."""
    try:
        import av
    except ImportError as error:
        raise PluginError("videos need PyAV: pip install 'nbf-run[video]' (or give a folder of frames)") from error
    return av


class VideoReader:
    """The frames of a video file, upright, in order.

    ``rate`` are frames a second. ``total`` is what the file claims its number of frames to be; it may be wrong, and 0
    where the file does not say. Raises InputError naming the file.
    """

    def __init__(self, path: str | Path):
        self.path, self._av = Path(path), require_av()
        if not self.path.is_file():
            raise InputError(f"{path}: no such file")
        if self.path.stat().st_size == 0:
            raise InputError(f"{path}: the file is empty")
        with self._open() as container:
            stream = container.streams.video[0]
            rate = stream.average_rate or stream.guessed_rate or Fraction(25)
            self.rate = float(rate)
            seconds = float(stream.duration * stream.time_base) if stream.duration and stream.time_base else 0.0
            seconds = seconds or (container.duration or 0) / 1e6
            self.total = int(stream.frames or round(seconds * self.rate))

    def frames(self, start: int = 0, stop: int | None = None, step: int = 1) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
        """Every ``step``-th frame from number ``start`` on, before ``stop``. Raises InputError where one is damaged."""
        number = 0
        with self._open() as container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            try:
                for frame in container.decode(stream):
                    if stop is not None and number >= stop:
                        return
                    if number >= start and (number - start) % step == 0:
                        yield _upright(frame)
                    number += 1
            except (self._av.error.FFmpegError, OSError, ValueError) as error:
                raise InputError(f"{self.path}: damaged at frame {number + 1} ({_reason(error)})") from error
        if number == 0:
            raise InputError(f"{self.path}: holds no frame that can be decoded")

    def _open(self):
        try:
            container = self._av.open(str(self.path))
        except (self._av.error.FFmpegError, OSError, ValueError) as error:
            raise InputError(f"{self.path}: not a video that can be read ({_reason(error)})") from error
        if not container.streams.video:
            container.close()
            raise InputError(f"{self.path}: holds no video")
        return container


class VideoWriter:
    """Writes frames of one size to a file, ``rate`` a second; H.264 unless the name ends in .webm.

    A reader sees nothing before :meth:`close`; leaving the ``with`` block by an exception leaves no file. An odd row or
    column at the lower right is cut off: the encoders take even sizes only. On one machine the same frames give the
    same bytes, however many cores the process may use.
    """

    def __init__(self, path: str | Path, rate: float):
        self.path, self.rate, self._av = Path(path), rate, require_av()
        if self.path.suffix.lower() not in SUFFIXES:
            raise InputError(f"{path}: not a name of a video ({', '.join(SUFFIXES)})")
        self._partial = self.path.with_name(f".{self.path.stem}.partial{self.path.suffix}")
        self._container = self._stream = None
        self.frames = 0

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, kind, value, trace) -> None:
        if kind is None:
            self.close()
        else:
            self._abandon()

    def add(self, picture: UInt8[np.ndarray, "h w 3"]) -> None:
        """Write the next frame."""
        picture = picture[: picture.shape[0] // 2 * 2, : picture.shape[1] // 2 * 2]
        if self._stream is None:
            self._begin(picture.shape[0], picture.shape[1])
        if picture.shape[:2] != (self._stream.height, self._stream.width):
            raise InputError(f"{self.path}: frame {self.frames + 1} has another size than the first")
        frame = self._av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        for packet in self._stream.encode(frame):
            self._container.mux(packet)
        self.frames += 1

    def close(self) -> None:
        """Finish the file."""
        if self._container is None:
            return
        for packet in self._stream.encode():
            self._container.mux(packet)
        self._container.close()
        self._container = None
        self._partial.replace(self.path)

    def _begin(self, height: int, width: int) -> None:
        encoder = self._encoder()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        options = {"fflags": "+bitexact"}  # WebM files would get a random number
        if self.path.suffix.lower() in (".mp4", ".m4v", ".mov"):
            options["movflags"] = "+faststart"
        self._container = self._av.open(str(self._partial), "w", options=options)
        self._stream = self._container.add_stream(encoder, rate=Fraction(self.rate).limit_denominator(1001))
        self._stream.width, self._stream.height, self._stream.pix_fmt = width, height, "yuv420p"
        self._stream.options = _QUALITY.get(encoder, {})
        self._stream.codec_context.thread_count = _THREADS

    def _encoder(self) -> str:
        wanted = _ENCODERS.get(self.path.suffix.lower(), _H264)
        for name in wanted:
            if name in self._av.codecs_available:
                return name
        raise PluginError(f"{self.path}: this build of PyAV has none of the encoders {', '.join(wanted)}")

    def _abandon(self) -> None:
        if self._container is not None:
            self._container.close()
            self._partial.unlink(missing_ok=True)


def _upright(frame) -> UInt8[np.ndarray, "h w 3"]:
    """The picture as it is meant to be seen: phones store films on their side and a note."""
    turns = round(getattr(frame, "rotation", 0) / 90) % 4
    return np.ascontiguousarray(np.rot90(frame.to_ndarray(format="rgb24"), turns))


def _reason(error: Exception) -> str:
    return " ".join(str(getattr(error, "strerror", None) or error).split())[:100]
