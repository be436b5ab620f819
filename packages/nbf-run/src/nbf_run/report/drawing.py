"""Bodies, keypoints and masks drawn over pictures. All pictures are uint8 RGB [h, w, 3]."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from PIL import Image, ImageDraw

from nbf_core.conventions import KEYPOINT_SETS
from nbf_core.types import Camera
from nbf_raster import lambert, rasterise, vertex_normals
from nbf_run.results import SURE

START_COLOUR = (226, 150, 62)
FIT_COLOUR = (74, 140, 226)
SEEN_COLOUR = (62, 178, 150)
HIDDEN_COLOUR = (222, 82, 66)
SIDE_COLOURS = {"left": (64, 196, 255), "right": (255, 122, 89), "middle": (250, 250, 250)}

SMOOTH = 2
"""Pictures are drawn this many times larger and averaged: soft edges."""

# Bones to draw, by the names of their ends; a set without a name leaves the bone out.
_BONES = (
    ("nose", "neck"), ("neck", "mid_hip"), ("neck", "left_shoulder"), ("neck", "right_shoulder"),
    ("left_shoulder", "left_elbow"), ("left_elbow", "left_wrist"), ("right_shoulder", "right_elbow"),
    ("right_elbow", "right_wrist"), ("mid_hip", "left_hip"), ("mid_hip", "right_hip"),
    ("left_hip", "left_knee"),
    ("left_knee", "left_ankle"), ("right_hip", "right_knee"), ("right_knee", "right_ankle"),
    ("left_ankle", "left_big_toe"), ("left_ankle", "left_heel"), ("right_ankle", "right_big_toe"),
    ("right_ankle", "right_heel"), ("nose", "left_eye"), ("left_eye", "left_ear"), ("nose", "right_eye"),
    ("right_eye", "right_ear"),
)  # fmt: skip


@dataclass(frozen=True)
class Shaded:
    """A lit body over a part of a picture: colour times coverage, and coverage in [0, 1].

    ``corner`` is (row, column) of the part's first pixel; the part may be empty.
    """

    lit: Float[np.ndarray, "h w 3"]
    cover: Float[np.ndarray, "h w 1"]
    corner: tuple[int, int]


def shade_body(
    vertices: Float[np.ndarray, "V 3"],
    faces: Int[np.ndarray, "F 3"],
    camera: Camera,
    colour: tuple[int, int, int],
) -> Shaded:
    """A body seen by ``camera``, lit from above the viewer's right shoulder, with soft edges."""
    box = _part(vertices, camera)
    height, width = box[3] - box[1], box[2] - box[0]
    if height <= 0 or width <= 0:
        return Shaded(np.zeros((0, 0, 3), np.float32), np.zeros((0, 0, 1), np.float32), (0, 0))
    fine = camera.cropped(torch.tensor(box, dtype=camera.focal.dtype), (height * SMOOTH, width * SMOOTH))
    seen = rasterise(vertices, faces, fine.focal.numpy(), fine.center.numpy(), fine.size)
    mask = seen.triangle >= 0
    # Only pixels of the body are lit: in most pictures they are a small part.
    corners = faces[seen.triangle[mask]]
    normals = (vertex_normals(vertices, faces)[corners] * seen.barycentric[mask][..., None]).sum(1)
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True).clip(1e-6)
    # Surfaces turning away from the viewer darken: without it limbs before the trunk cannot be told apart.
    facing = np.abs(normals[:, 2])
    light = lambert(normals, ambient=0.42) * (0.62 + 0.38 * facing)
    gloss = 0.16 * facing**12
    lit = np.zeros((*mask.shape, 3), np.float32)
    lit[mask] = (np.asarray(colour) * 1.18 * light[:, None] + 255 * gloss[:, None]).clip(0, 255)
    return Shaded(_average(lit), _average(mask[..., None].astype(np.float32)), (box[1], box[0]))


def over(picture: UInt8[np.ndarray, "h w 3"], body: Shaded, alpha: float = 0.78) -> UInt8[np.ndarray, "h w 3"]:
    """A shaded body laid over a picture, ``alpha`` opaque."""
    row, column = body.corner
    height, width = body.cover.shape[:2]
    result = picture.copy()
    part = result[row : row + height, column : column + width]
    part[:] = (part * (1 - alpha * body.cover) + alpha * body.lit).clip(0, 255)
    return result


def draw_keypoints(
    picture: UInt8[np.ndarray, "h w 3"], keypoints: Float[np.ndarray, "n 3"], names: str
) -> UInt8[np.ndarray, "h w 3"]:
    """Sure keypoints (x, y, confidence; pixels of the picture) and their bones; the person's left is blue."""
    height, columns = picture.shape[:2]
    image = Image.fromarray(picture).resize((columns * SMOOTH, height * SMOOTH), Image.Resampling.BILINEAR)
    draw = ImageDraw.Draw(image)
    unit = SMOOTH * max(height, columns) / 190
    index = {name: i for i, name in enumerate(KEYPOINT_SETS.get(names, ()))}
    sure = keypoints[:, 2] > SURE
    points = keypoints[:, :2] * SMOOTH
    for a, b in _BONES:
        if a in index and b in index and sure[index[a]] and sure[index[b]]:
            ends = [tuple(points[index[a]]), tuple(points[index[b]])]
            draw.line(ends, fill=(20, 22, 26), width=max(round(1.9 * unit), 2))
            draw.line(ends, fill=_side_colour(b), width=max(round(1.1 * unit), 1))
    order = list(index) or [""] * len(points)
    for name, point, shown in zip(order, points, sure, strict=True):
        if shown:
            for radius, colour in ((1.7 * unit, (20, 22, 26)), (1.2 * unit, _side_colour(name))):
                draw.ellipse([*(point - radius), *(point + radius)], fill=colour)
    return np.array(image.resize((columns, height), Image.Resampling.BOX))


def draw_occlusion(
    picture: UInt8[np.ndarray, "h w 3"],
    silhouette: Float[np.ndarray, "mh mw"],
    occlusion: Bool[np.ndarray, "mh mw"],
) -> UInt8[np.ndarray, "h w 3"]:
    """The body's pixels over a grey picture: green where the body explains them, red where clutter does."""
    size = (picture.shape[1], picture.shape[0])
    body = _enlarge((silhouette > 0.5).astype(np.float32), size)
    hidden = _enlarge((occlusion & (silhouette > 0.5)).astype(np.float32), size)
    grey = np.asarray(Image.fromarray(picture).convert("L"), np.float32)[..., None] * 0.75 + 30
    cover = _edge(body)[..., None]
    # The share of hidden among the body's pixels: edges of the body itself must not count as half hidden.
    part = _edge(hidden / body.clip(1e-3))[..., None]
    colour = part * np.float32(HIDDEN_COLOUR) + (1 - part) * np.float32(SEEN_COLOUR)
    return (grey * (1 - 0.72 * cover) + 0.72 * cover * colour * (0.55 + 0.45 * grey / 255)).astype(np.uint8)


def _enlarge(values: Float[np.ndarray, "h w"], size: tuple[int, int]) -> Float[np.ndarray, "H W"]:
    return np.asarray(Image.fromarray(values).resize(size, Image.Resampling.BICUBIC))


def _edge(values: np.ndarray) -> np.ndarray:
    """A smooth step at one half, about a pixel of the enlarged map wide."""
    return ((values - 0.5) * 6 + 0.5).clip(0, 1)


def _side_colour(name: str) -> tuple[int, int, int]:
    return SIDE_COLOURS.get(name.partition("_")[0], SIDE_COLOURS["middle"])


def _part(vertices: Float[np.ndarray, "V 3"], camera: Camera) -> tuple[int, int, int, int]:
    """The whole pixels (x0, y0, x1, y1) of the picture that the vertices can reach."""
    height, width = camera.size
    ahead = vertices[vertices[:, 2] > 0.01]
    if not len(ahead) or not np.isfinite(ahead).all():
        return (0, 0, 0, 0)
    seen = ahead[:, :2] / ahead[:, 2:] * camera.focal.numpy() + camera.center.numpy()
    low = np.floor(seen.min(0)).clip(0, (width, height)).astype(int)
    high = np.ceil(seen.max(0)).clip(0, (width, height)).astype(int)
    return (int(low[0]), int(low[1]), int(high[0]), int(high[1]))


def _average(values: Float[np.ndarray, "H W c"]) -> Float[np.ndarray, "h w c"]:
    height, width = values.shape[0] // SMOOTH, values.shape[1] // SMOOTH
    return values.reshape(height, SMOOTH, width, SMOOTH, -1).mean((1, 3))
