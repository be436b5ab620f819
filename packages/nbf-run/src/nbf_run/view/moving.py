"""Videos of results: layers side by side, frame after frame."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from nbf_core.errors import InputError
from nbf_run.report.side import Stage
from nbf_run.results import FittedImage
from nbf_run.stored import StoredRun
from nbf_run.video import VideoWriter
from nbf_run.view.layers import LAYERS, draw, find_layers
from nbf_run.view.pictures import OnError, Step, each

RATE = 25.0
"""Frames a second where nobody knows."""

HEIGHT = 720
"""Pixels of a video's height unless asked otherwise."""


def write_video(
    results: StoredRun | Sequence[FittedImage],
    path: str | Path,
    layers: Iterable[str] = ("fit", "side"),
    rate: float | None = None,
    height: int = HEIGHT,
    on_error: OnError | None = None,
    step: Step | None = None,
) -> Path:
    """Write the frames of a film with their bodies as a video (.mp4, .webm and the like; needs ``nbf-run[video]``).

    The layers stand side by side, each ``height`` pixels high at most; standing bodies keep their place on one ground
    through the whole film. ``rate`` is that of the film, else 25 frames a second. A layer that a frame does not hold is
    black there. Raises InputError where the results are pictures of different sizes, PluginError without PyAV.
    """
    wanted = list(layers)
    chosen = find_layers(wanted)
    rate = rate or (results.rate if isinstance(results, StoredRun) else None) or RATE
    with VideoWriter(path, rate) as video:
        stage = None
        if any(layer.stands for layer in chosen):
            stage = film_stage(results, on_error=None if on_error is None else lambda *_: None)
        for number, frame in enumerate(video_frames(results, wanted, height, stage, on_error), start=1):
            video.add(frame)
            if step is not None:
                step("frames", number, len(results))
    if not video.frames:
        raise InputError(f"{path}: not written: no result could be read")
    return Path(path)


def video_frames(
    results: StoredRun | Sequence[FittedImage],
    layers: Sequence[str],
    height: int = HEIGHT,
    stage: Stage | None = None,
    on_error: OnError | None = None,
) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    """The frames of such a video, one after the other."""
    size = None
    for _, image in each(results, on_error):
        size = size or image.camera.size
        if image.camera.size != size:
            shape = " x ".join(map(str, reversed(image.camera.size)))
            first = " x ".join(map(str, reversed(size)))
            raise InputError(
                f"{image.name}: has {shape} pixels, the first has {first}: these are no frames of one film"
            )
        panels = [_panel(image, layer, size, height, stage) for layer in layers]
        yield np.concatenate(panels, axis=1)


def film_stage(results: StoredRun | Sequence[FittedImage], on_error: OnError | None = None) -> Stage:
    """One stage for all frames: everybody's way is on it, the ground under their feet.

    The ground is where most of the frames' lowest points are: single frames in the air, or below it, do not move it.
    """
    low, high, feet = [], [], []
    for _, image in each(results, on_error):
        for person in image.people:
            low.append(person.fitted.vertices.min(0))
            high.append(person.fitted.vertices.max(0))
            feet.append(float(person.fitted.vertices[:, 1].max()))
    if not feet:
        raise InputError("no result could be read")
    lowest, highest = np.percentile(low, 2, axis=0), np.percentile(high, 98, axis=0)
    # Depth is the least certain, and the side view shows it: a stage for all of it would make bodies tiny.
    middle = (lowest + highest) / 2
    tall = float(np.median(np.array(high)[:, 1] - np.array(low)[:, 1]))
    span = max(float((highest - lowest).max()), tall)
    return Stage(middle, float(np.percentile(feet, 75)), min(span, 3.0 * tall))


def _panel(
    image: FittedImage, layer: str, size: tuple[int, int], height: int, stage: Stage | None
) -> UInt8[np.ndarray, "h w 3"]:
    """One layer, exactly as high as the others."""
    rows, columns = size
    high = min(height, rows) // 2 * 2
    if LAYERS[layer].stands:
        return draw(image, layer, side=high, stage=stage)
    wide = max(round(columns * high / rows / 2) * 2, 2)
    picture = draw(image, layer, side=max(high, wide))
    if picture is None:
        return np.zeros((high, wide, 3), np.uint8)
    if picture.shape[:2] != (high, wide):
        picture = np.array(Image.fromarray(picture).resize((wide, high), Image.Resampling.BILINEAR))
    return picture
