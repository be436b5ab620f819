"""Pictures of results as files: one of each layer of each person, and all of them on one sheet."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from nbf_core.errors import InputError
from nbf_run.report.run import save_picture
from nbf_run.results import FittedImage
from nbf_run.stored import StoredRun
from nbf_run.view.layers import LAYERS, SIDE, draw, find_layers

OnError = Callable[[str, InputError], None]
Step = Callable[[str, int, int], None]

_PAPER, _INK, _SOFT = (251, 251, 250), (29, 33, 38), (100, 108, 118)


def write_pictures(
    results: StoredRun | Sequence[FittedImage],
    out: str | Path,
    layers: Iterable[str] = (),
    side: int = SIDE,
    on_error: OnError | None = None,
    step: Step | None = None,
) -> list[Path]:
    """Write pictures of every person into ``out``, a folder for each photo; the files written.

    ``person-N-LAYER.jpg`` shows the square around a person, ``photo-LAYER.jpg`` the whole photo; without ``layers``
    every layer is written, and ``person-N-sheet.jpg`` shows them all. Layers that a result does not hold are left out.
    A result that is damaged raises InputError, or is handed to ``on_error``.
    """
    wanted = list(layers)
    find_layers(wanted)
    out, written = Path(out), []
    for position, (folder, image) in enumerate(each(results, on_error), start=1):
        (out / folder).mkdir(parents=True, exist_ok=True)
        for person in range(len(image.people)):
            pictures = person_pictures(image, person, wanted or LAYERS, side)
            if not wanted:
                pictures["sheet"] = sheet(image, person, pictures)
            for layer, picture in pictures.items():
                written.append(out / folder / f"person-{person + 1}-{layer}.jpg")
                save_picture(written[-1], picture)
        for layer in wanted or LAYERS:
            if not LAYERS[layer].stands and (picture := draw(image, layer, side=2 * side)) is not None:
                written.append(out / folder / f"photo-{layer}.jpg")
                save_picture(written[-1], picture)
        if step is not None:
            step("results", position, len(results))
    return written


def person_pictures(
    image: FittedImage, person: int, layers: Iterable[str] = tuple(LAYERS), side: int = SIDE
) -> dict[str, UInt8[np.ndarray, "h w 3"]]:
    """The layers of one person that the result holds, by name."""
    pictures = {layer: draw(image, layer, person, side) for layer in layers}
    return {layer: picture for layer, picture in pictures.items() if picture is not None}


def sheet(
    image: FittedImage, person: int, pictures: dict[str, UInt8[np.ndarray, "h w 3"]], cell: int = 320, columns: int = 5
) -> UInt8[np.ndarray, "h w 3"]:
    """All pictures of a person on one sheet, with what each shows."""
    gap = cell // 20
    title, font = ImageFont.load_default(size=cell // 13), ImageFont.load_default(size=cell // 22)
    below = 4 * font.size
    rows = math.ceil(len(pictures) / columns)
    head = 4 * gap
    size = (columns * (cell + gap) + gap, head + rows * (cell + below + gap) + gap)
    paper = Image.new("RGB", size, _PAPER)
    pen = ImageDraw.Draw(paper)
    one = image.people[person]
    before, after = one.keypoint_errors
    words = f"{Path(image.name).name}, person {person + 1}: keypoint error {before:.1f} to {after:.1f} % of their size"
    pen.text((gap, gap), words if one.kept else f"{words}; the start was kept", fill=_INK, font=title)
    for place, (layer, picture) in enumerate(pictures.items()):
        x = gap + place % columns * (cell + gap)
        y = head + place // columns * (cell + below + gap)
        paper.paste(Image.fromarray(picture).resize((cell, cell), Image.Resampling.LANCZOS), (x, y))
        pen.text((x, y + cell + 4), layer, fill=_INK, font=font)
        for line, text in enumerate(_lines(LAYERS[layer].about, font, cell)):
            pen.text((x, y + cell + 6 + (line + 1) * font.size * 1.2), text, fill=_SOFT, font=font)
    return np.array(paper)


def each(results: StoredRun | Sequence[FittedImage], on_error: OnError | None = None):
    """Every result with the name of a folder for it; a damaged one raises InputError or goes to ``on_error``."""
    names: list[str] = []
    for index in range(len(results)):
        try:
            image = results[index]
        except InputError as error:
            if on_error is None:
                raise
            on_error(str(results.files[index]), error)
            continue
        name = stem = results.names[index] if isinstance(results, StoredRun) else Path(image.name).stem or "image"
        number = 1
        while name in names:
            number += 1
            name = f"{stem}-{number}"
        names.append(name)
        yield name, image


def _lines(text: str, font, width: int) -> list[str]:
    """The text in lines of at most ``width`` pixels."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) > width and lines[-1]:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines
