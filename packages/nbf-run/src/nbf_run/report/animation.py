"""Moving pictures: a body finding its place, and a film with its people."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont, features

from nbf_run.report import drawing
from nbf_run.report.figures import shown
from nbf_run.results import FittedImage, FittedPerson

SIDE = 320
"""Pixels of an animation's side."""

STEP, HOLD = 110, 1600
"""Milliseconds a frame is shown, and the last one."""

_BAR, _RAIL = 5, (60, 64, 70)


def suffix() -> str:
    """The format that this installation of Pillow can write."""
    return ".webp" if features.check("webp") else ".gif"


def write_fit_animation(path: Path, image: FittedImage, person: FittedPerson) -> bool:
    """The body over the photo at every step that was kept; whether there was anything to show.

    It begins with the network's estimate and ends with what the fit returned. The bar below shows how far the fit
    is, with notches where stages begin.
    """
    if not person.history:
        return False
    crop = shown(image, person.square, SIDE)
    camera = image.camera.cropped(torch.as_tensor(person.square, dtype=image.camera.focal.dtype), (SIDE, SIDE))
    last = max(len(person.trace.get("total", ())) - 1, max(person.history))

    def frame(vertices: np.ndarray, colour: tuple[int, int, int], step: int, words: str) -> Image.Image:
        body = drawing.over(crop, drawing.shade_body(vertices, image.faces, camera, colour))
        return _labelled(body, words, step / max(last, 1), [stage / max(last, 1) for stage in person.stages])

    frames = [frame(person.start.vertices, drawing.START_COLOUR, 0, "start")]
    frames += [frame(v, drawing.FIT_COLOUR, step, f"step {step}") for step, v in sorted(person.history.items())]
    words = "fit" if person.kept else "start kept"
    frames.append(frame(person.fitted.vertices, drawing.FIT_COLOUR, last, words))
    _save(path, frames, [5 * STEP, *[STEP] * (len(frames) - 2), HOLD])
    return True


def write_film(path: Path, pictures: Sequence[Path], rate: float = 12.0) -> None:
    """All frames of a film, small, at ``rate`` frames a second."""
    frames = []
    for file in pictures:
        with Image.open(file) as picture:
            picture.thumbnail((2 * SIDE, 2 * SIDE))
            frames.append(picture.convert("RGB"))
    _save(path, frames, [round(1000 / rate)] * len(frames))


def _labelled(picture: UInt8[np.ndarray, "h w 3"], words: str, done: float, notches: Sequence[float]) -> Image.Image:
    height, width = picture.shape[:2]
    image = Image.new("RGB", (width, height + _BAR), _RAIL)
    image.paste(Image.fromarray(picture), (0, 0))
    draw = ImageDraw.Draw(image)
    draw.rectangle([0, height, round(done * (width - 1)), height + _BAR], fill=drawing.FIT_COLOUR)
    for notch in notches:
        if notch > 0:
            x = round(notch * (width - 1))
            draw.rectangle([x, height, x + 1, height + _BAR], fill=(245, 246, 248))
    font = ImageFont.load_default(size=15)
    box = draw.textbbox((9, 7), words, font=font)
    draw.rounded_rectangle([box[0] - 5, box[1] - 4, box[2] + 5, box[3] + 4], 4, fill=(24, 26, 30))
    draw.text((9, 7), words, fill=(250, 250, 250), font=font)
    return image


def _save(path: Path, frames: Sequence[Image.Image], durations: Sequence[int]) -> None:
    options = {"quality": 82, "method": 4} if path.suffix == ".webp" else {"disposal": 1, "optimize": True}
    rest = list(frames[1:])
    frames[0].save(path, save_all=True, append_images=rest, duration=list(durations), loop=0, **options)
