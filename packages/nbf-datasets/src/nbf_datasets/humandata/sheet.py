"""Contact sheets: crops with their labels drawn over them."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from nbf_core.conventions import OPENPOSE_25
from nbf_core.errors import InputError
from nbf_datasets.folder import read_image
from nbf_datasets.humandata.checking import label_problems
from nbf_datasets.humandata.crops import Crop, center_of, side_of
from nbf_datasets.humandata.data import GENDERS, HumanData
from nbf_datasets.humandata.images import find_images, plain_path
from nbf_datasets.humandata.labels import KEYPOINTS
from nbf_datasets.humandata.reading import read_humandata

TILE, FOOT, GAP = 240, 34, 8
ROOM = 1.15
"""Tiles show this much of the box, so that its edge is seen."""

_SMOOTH = 2  # drawn this many times larger and averaged
_GROUND, _TEXT, _DARK, _WRONG = (250, 250, 248), (40, 40, 44), (58, 60, 66), (196, 62, 48)
_LEFT, _RIGHT, _MIDDLE, _BOX = (64, 196, 255), (255, 122, 89), (250, 250, 250), (250, 206, 84)
_BONES = (
    *(("nose", "neck"), ("neck", "mid_hip"), ("nose", "left_eye"), ("nose", "right_eye")),
    *(("left_eye", "left_ear"), ("right_eye", "right_ear")),
    *(
        (f"{side}_{one}", f"{side}_{other}")
        for side in ("left", "right")
        for one, other in (
            *(("shoulder", "elbow"), ("elbow", "wrist"), ("hip", "knee"), ("knee", "ankle")),
            *(("ankle", "big_toe"), ("ankle", "heel")),
        )
    ),
    *(
        (middle, f"{side}_{end}")
        for side in ("left", "right")
        for middle, end in (("neck", "shoulder"), ("mid_hip", "hip"))
    ),
)


def draw_sheet(path: Path, images: Path | None = None, count: int = 12, seed: int = 0) -> np.ndarray:
    """``count`` random samples of a file, in the file's order, uint8 RGB. Raises AssetError as reading does."""
    data = read_humandata(path)
    folder = find_images(data, images)
    chosen = np.sort(np.random.default_rng(seed).permutation(len(data))[:count])
    keypoints = None
    if "keypoints2d" in data.keypoints:
        keypoints = data.keypoints["keypoints2d"].joints(KEYPOINTS, approximate=True)[0]
    wrong: dict[int | None, str] = {}
    for problem in label_problems(data):
        wrong.setdefault(problem.sample, f"{problem.field}: {problem.text}")
    tiles = [_tile(data, folder, int(row), keypoints, wrong.get(int(row))) for row in chosen]
    return _joined(tiles)


def _tile(data: HumanData, folder: Path, row: int, keypoints: np.ndarray | None, wrong: str | None) -> Image.Image:
    """One sample; what is wrong with it in place of its picture."""
    tile = Image.new("RGB", (TILE, TILE + FOOT), _GROUND)
    box = data.boxes[row, :4]
    try:
        if wrong is not None:
            raise InputError(wrong)
        crop = Crop.around(center_of(box), side_of(box, ROOM), TILE)
        picture = Image.fromarray(crop.cut(read_image(folder / plain_path(str(data.image_path[row])))))
        tile.paste(_annotated(picture, crop, box, None if keypoints is None else keypoints[row]), (0, 0))
    except InputError as error:
        draw = ImageDraw.Draw(tile)
        draw.rectangle((0, 0, TILE, TILE), fill=_DARK)
        draw.multiline_text((10, 10), _folded(str(error), 34), fill=(236, 200, 190), font=_font(12))
    draw = ImageDraw.Draw(tile)
    draw.text((2, TILE + 2), f"{row}  {_shortened(str(data.image_path[row]), 34)}", fill=_TEXT, font=_font(12))
    draw.text((2, TILE + 17), _facts(data, row, keypoints), fill=_WRONG if wrong else (110, 112, 118), font=_font(12))
    return tile


def _annotated(picture: Image.Image, crop: Crop, box: np.ndarray, keypoints: np.ndarray | None) -> Image.Image:
    large = picture.resize((TILE * _SMOOTH, TILE * _SMOOTH), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(large)
    corners = crop.points(np.array([box[:2], box[:2] + box[2:]])) * _SMOOTH
    draw.rectangle([*corners[0], *corners[1]], outline=_BOX, width=_SMOOTH)
    if keypoints is not None:
        places, sure = crop.points(keypoints[:, :2]) * _SMOOTH, keypoints[:, 2] > 0
        for one, other in _BONES:
            a, b = OPENPOSE_25.index(one), OPENPOSE_25.index(other)
            if sure[a] and sure[b]:
                draw.line([*places[a], *places[b]], fill=_colour(other), width=2 * _SMOOTH)
        for name, (x, y), there in zip(OPENPOSE_25, places, sure, strict=True):
            if there:
                r = 2.6 * _SMOOTH
                draw.ellipse([x - r, y - r, x + r, y + r], fill=_colour(name), outline=(30, 30, 30))
    return large.resize((TILE, TILE), Image.Resampling.BOX)


def _facts(data: HumanData, row: int, keypoints: np.ndarray | None) -> str:
    facts = []
    if keypoints is not None:
        facts.append(f"{int((keypoints[row, :, 2] > 0).sum())} of 25 keypoints")
    if data.with_body[row]:
        facts.append("body" if data.gender is None else f"body ({GENDERS[data.gender[row]]})")
    deep = data.keypoints.get("keypoints3d")
    if deep is not None:
        facts.append("3D")
    return ", ".join(facts) or "no labels"


def _joined(tiles: Sequence[Image.Image]) -> np.ndarray:
    columns = min(len(tiles), max(1, round((len(tiles) * 1.6) ** 0.5)))
    rows = -(-len(tiles) // columns)
    width, height = columns * (TILE + GAP) + GAP, rows * (TILE + FOOT + GAP) + GAP
    sheet = Image.new("RGB", (width, height), _GROUND)
    for number, tile in enumerate(tiles):
        row, column = divmod(number, columns)
        sheet.paste(tile, (GAP + column * (TILE + GAP), GAP + row * (TILE + FOOT + GAP)))
    return np.array(sheet)


def _colour(name: str) -> tuple[int, int, int]:
    return {"left": _LEFT, "right": _RIGHT}.get(name.partition("_")[0], _MIDDLE)


def _font(size: int):
    try:
        return ImageFont.load_default(size)
    except (TypeError, OSError, ImportError):  # Pillow without FreeType has one size only
        return ImageFont.load_default()


def _shortened(text: str, length: int) -> str:
    plain = "".join(letter if letter.isprintable() and letter.isascii() else "?" for letter in text)
    return plain if len(plain) <= length else f"...{plain[-length + 3 :]}"


def _folded(text: str, width: int) -> str:
    return textwrap.fill(_shortened(text, 300), width)
