"""Part maps, scores and keypoints laid over a canvas."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from PIL import Image, ImageDraw, ImageFont

from nbf_raster import lambert, rasterise, vertex_normals
from nbf_run.report.drawing import SMOOTH, Shaded, draw_keypoints, over
from nbf_run.results import SURE, FittedPerson
from nbf_run.view.canvas import Canvas

Picture = UInt8[np.ndarray, "h w 3"]

SCORES = (0.0, 1.0)
"""The range of cosines that colours show; below and above look alike."""

DIFFERENCES = (-0.5, 0.5)


def part_colour(part: int) -> tuple[int, int, int]:
    """A part's colour, the same everywhere: neighbours in number are far apart in hue."""
    hue = (0.58 + part * 0.61803398875) % 1.0
    saturation, value = ((0.62, 0.95), (0.78, 0.78), (0.45, 0.98))[part % 3]
    return tuple(round(255 * channel) for channel in colorsys.hsv_to_rgb(hue, saturation, value))


def palette(parts: int) -> UInt8[np.ndarray, "p 3"]:
    """The colours of the first ``parts`` parts."""
    return np.array([part_colour(part) for part in range(parts)], np.uint8)


def draw_part_map(canvas: Canvas, people: Sequence[FittedPerson]) -> Picture:
    """What part the network sees at each pixel, over the grey picture."""
    result = canvas.grey.repeat(3, axis=2)
    for person in people:
        if person.parts is None:
            continue
        placed = canvas.place(person.parts.astype(np.float32), person.square, smooth=False)
        body = np.isfinite(placed) & (placed >= 0)
        parts = np.where(body, placed, 0).astype(int)
        colours = palette(max(int(person.parts.max()), 0) + 1)[parts]
        result = np.where(body[..., None], 0.3 * result + 0.7 * colours, result)
    return result.clip(0, 255).astype(np.uint8)


def draw_body_parts(
    canvas: Canvas,
    bodies: Sequence[Float[np.ndarray, "V 3"]],
    faces: Int[np.ndarray, "F 3"],
    vertex_parts: Int[np.ndarray, "V"],
) -> Picture:
    """Bodies over the grey picture, each part in its colour; the nearest drawn last."""
    picture = canvas.grey.repeat(3, axis=2).astype(np.uint8)
    for vertices in sorted(bodies, key=lambda vertices: -float(vertices[:, 2].mean())):
        picture = over(picture, _shade_parts(canvas, vertices, faces, vertex_parts), alpha=0.88)
    return picture


def draw_scores(
    canvas: Canvas,
    people: Sequence[FittedPerson],
    values: Sequence[Float[np.ndarray, "mh mw"] | None],
    words: str,
    whole: bool,
) -> Picture:
    """A map of scores of each person as colours, over the grey picture, with a scale.

    On the body's pixels, or with ``whole`` wherever the map is. ``words`` say what the colours show.
    """
    import matplotlib

    differs = words.startswith("body minus")
    low, high = DIFFERENCES if differs else SCORES
    colours = matplotlib.colormaps["RdBu" if differs else "viridis"]
    result = canvas.grey.repeat(3, axis=2)
    for person, scores in zip(people, values, strict=True):
        if scores is None:
            continue
        placed = canvas.place(scores, person.square)
        cover = np.isfinite(placed)
        if not whole:
            cover &= np.nan_to_num(canvas.place(person.silhouette, person.square)) > 0.5
        heat = colours(((np.nan_to_num(placed) - low) / (high - low)).clip(0, 1))[..., :3] * 255
        result = np.where(cover[..., None], 0.25 * result + 0.75 * heat, result)
    return _scale(result.clip(0, 255).astype(np.uint8), colours, (low, high), words)


def draw_both_keypoints(canvas: Canvas, people: Sequence[FittedPerson]) -> Picture:
    """The detector's keypoints with their bones, and a line from each sure one to where the fit has it."""
    picture = canvas.picture
    for person in people:
        found = np.concatenate([canvas.points(person.keypoints), person.keypoints[:, 2:]], axis=1)
        picture = draw_keypoints(picture, found, person.keypoint_set)
    height, width = canvas.size
    image = Image.fromarray(picture).resize((width * SMOOTH, height * SMOOTH), Image.Resampling.BILINEAR)
    draw = ImageDraw.Draw(image)
    unit = SMOOTH * max(height, width) / 190
    for person in people:
        sure = person.keypoints[:, 2] > SURE
        ends = canvas.points(person.fitted.keypoints)[sure] * SMOOTH
        for a, b in zip(canvas.points(person.keypoints)[sure] * SMOOTH, ends, strict=True):
            draw.line([tuple(a), tuple(b)], fill=(255, 255, 255), width=max(round(0.5 * unit), 1))
            for radius, colour in ((1.0 * unit, (20, 22, 26)), (0.7 * unit, (255, 226, 64))):
                draw.ellipse([*(b - radius), *(b + radius)], fill=colour)
    return np.array(image.resize((width, height), Image.Resampling.BOX))


def caption(picture: Picture, words: str) -> Picture:
    """The picture with words in its upper left corner."""
    image = Image.fromarray(picture)
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(size=max(round(picture.shape[0] / 34), 11))
    pad = font.size // 2
    box = draw.textbbox((2 * pad, 2 * pad), words, font=font)
    draw.rounded_rectangle([box[0] - pad, box[1] - pad, box[2] + pad, box[3] + pad], pad, fill=(24, 26, 30))
    draw.text((2 * pad, 2 * pad), words, fill=(250, 250, 250), font=font)
    return np.array(image)


def _scale(picture: Picture, colours, limits: tuple[float, float], words: str) -> Picture:
    """A bar of colours with its ends in numbers, at the lower edge."""
    height, width = picture.shape[:2]
    font = ImageFont.load_default(size=max(round(height / 40), 10))
    bar, length, edge = max(height // 60, 5), round(0.3 * width), max(height // 50, 5)
    ramp = (colours(np.linspace(0, 1, length))[None, :, :3] * 255).astype(np.uint8).repeat(bar, axis=0)
    image = Image.fromarray(picture)
    draw = ImageDraw.Draw(image)
    top = height - edge - bar
    text = top - font.size - edge // 2
    box = draw.textbbox((edge, text), f"{words}: {limits[0]:g} to {limits[1]:g}", font=font)
    right = max(box[2], edge + length) + edge // 2
    draw.rounded_rectangle([edge // 2, box[1] - edge // 2, right, height - edge // 2], edge // 2, fill=(24, 26, 30))
    draw.text((edge, text), f"{words}: {limits[0]:g} to {limits[1]:g}", fill=(250, 250, 250), font=font)
    image.paste(Image.fromarray(ramp), (edge, top))
    return np.array(image)


def _shade_parts(canvas: Canvas, vertices: np.ndarray, faces: np.ndarray, vertex_parts: np.ndarray) -> Shaded:
    height, width = canvas.size
    box = torch.tensor([0.0, 0.0, width, height], dtype=canvas.camera.focal.dtype)
    fine = canvas.camera.cropped(box, (height * SMOOTH, width * SMOOTH))
    seen = rasterise(vertices, faces, fine.focal.numpy(), fine.center.numpy(), fine.size)
    mask = seen.triangle >= 0
    corners, weights = faces[seen.triangle[mask]], seen.barycentric[mask]
    normals = (vertex_normals(vertices, faces)[corners] * weights[..., None]).sum(1)
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True).clip(1e-6)
    nearest = np.take_along_axis(corners, weights.argmax(-1)[:, None], axis=1)[:, 0]
    parts = np.asarray(vertex_parts)[nearest].astype(int)
    lit = np.zeros((*mask.shape, 3), np.float32)
    lit[mask] = (palette(int(parts.max(initial=0)) + 1)[parts] * 1.15 * lambert(normals, ambient=0.5)[:, None]).clip(
        0, 255
    )
    cover = mask[..., None].astype(np.float32)

    def average(values: np.ndarray) -> np.ndarray:
        return values.reshape(height, SMOOTH, width, SMOOTH, -1).mean((1, 3))

    return Shaded(average(lit), average(cover), (0, 0))
