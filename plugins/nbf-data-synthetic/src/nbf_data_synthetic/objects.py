"""Boxes, balls and posts of a scene, found by one ray a pixel: furniture, doors, bushes, trunks, lamps."""

from __future__ import annotations

import numpy as np
from numba import njit

from nbf_data_synthetic import colours, textures
from nbf_data_synthetic.noise import noise3
from nbf_data_synthetic.textures import evaluate

BOX, BALL, POST = range(3)
# An object is a row: kind, centre (scene coordinates), half sizes, cosine and sine of its turn about the vertical,
# how ragged its outline is, then a texture row.
_KIND, _CENTRE, _HALF, _COS, _SIN, _RAGGED, _TEXTURE = 0, 1, 4, 7, 8, 9, 10
ROW = _TEXTURE + textures.WIDTH


def _row(rng: np.random.Generator, kind: int, centre, half, angle: float) -> np.ndarray:
    row = np.zeros(ROW)
    row[_KIND] = kind
    row[_CENTRE : _CENTRE + 3] = centre
    row[_HALF : _HALF + 3] = half
    row[_COS], row[_SIN] = np.cos(angle), np.sin(angle)
    row[_TEXTURE:] = textures.random_texture(rng, plain_share=0.6, fine=2)
    return row


def _leaves(rng: np.random.Generator, row: np.ndarray) -> np.ndarray:
    """Makes a ball a bush."""
    texture = row[_TEXTURE:]
    texture[textures.KIND], texture[textures.FREQUENCY] = textures.FOLIAGE, 5 + 14 * rng.random()
    texture[textures.FIRST : textures.FIRST + 3] = colours.near(rng, np.array([0.14, 0.24, 0.08]), 0.08)
    texture[textures.SECOND : textures.SECOND + 3] = colours.near(rng, np.array([0.4, 0.52, 0.2]), 0.15)
    row[_RAGGED] = 1.0
    return row


def draw_objects(rng: np.random.Generator, stage, wall: np.ndarray) -> np.ndarray:
    """Up to twelve objects behind or beside the person and on the first ``wall`` [3], in any order."""
    u = rng.random
    rows = []
    reach = stage.reach
    for _ in range(int(rng.integers(0, 9))):
        z = stage.distance + 0.35 + 6.0 * u() ** 1.5
        if wall[2] > 0:
            z = min(z, max(wall[2] - 0.3, stage.distance + 0.3))
        x = (u() - 0.5) * reach * z * 1.2
        kind = (BOX, BOX, BALL, POST)[int(rng.integers(4))]
        large = (0.08 + 0.7 * u() ** 1.5) * max(reach * stage.distance / 2.2, 0.6)
        half = np.array([large * (0.3 + 0.7 * u()), large * (0.3 + u()), large * (0.3 + 0.5 * u())])
        if kind == POST:
            half = np.array([0.03 + 0.25 * u() ** 2, 0.4 + 2.5 * u(), 0.0])
        y = stage.ground + half[1] + (1.6 * u() if u() < 0.2 else 0.0)
        row = _row(rng, kind, (x, y, z), half, u() * np.pi)
        rows.append(_leaves(rng, row) if kind == BALL and u() < 0.7 else row)
    if wall[2] > 0:
        angle = np.arctan2(wall[0], wall[1])
        for _ in range(int(rng.integers(0, 6))):
            side = (u() - 0.5) * reach * wall[2] * 1.1
            centre = np.array([wall[0], 0, wall[1]]) * (wall[2] - 0.03) + side * np.array([wall[1], 0, -wall[0]])
            half = np.array([0.15 + 0.7 * u(), 0.15 + 0.7 * u(), 0.03])
            centre[1] = stage.ground + (1.0 if u() < 0.3 else 1.0 + u())
            rows.append(_row(rng, BOX, centre, half, -angle))
    return np.stack(rows) if rows else np.zeros((0, ROW))


def draw_front(rng: np.random.Generator, stage) -> np.ndarray:
    """One object between camera and person: a table or wall to the knees or hips, a post, a bush, something held."""
    u = rng.random
    z = stage.distance - (0.45 + 0.2 * u() * stage.distance)
    reach = stage.reach * z
    kind = (BOX, BOX, BALL, POST)[int(rng.integers(4))]
    x = (u() - 0.5) * reach * 0.8
    half = np.array([0.15 + 0.5 * reach * u(), 0.12 + 0.4 * u(), 0.1 + 0.15 * u()])
    if kind == POST:
        half = np.array([0.03 + 0.08 * u(), 1.0 + 2 * u(), 0.0])
    if kind == BALL:
        half = np.array([0.15 + 0.25 * u(), 0.15 + 0.3 * u(), 0.2])
    y = stage.ground + half[1] + (0.9 * u() if u() < 0.25 else 0.0)
    row = _row(rng, kind, (x, y, z), half, (u() - 0.5) * 0.8)
    return (_leaves(rng, row) if kind == BALL and u() < 0.7 else row)[None]


@njit(cache=True, nogil=True)
def _box(o, d, half, hit):
    """Where a ray from ``o`` along ``d`` enters a box about the origin; ``hit`` gets the normal. Infinity: nowhere."""
    enter, leave, axis = -1e9, 1e9, 0
    for k in range(3):
        if abs(d[k]) < 1e-12:
            if abs(o[k]) > half[k]:
                return np.inf
            continue
        a, b = (-half[k] - o[k]) / d[k], (half[k] - o[k]) / d[k]
        if a > b:
            a, b = b, a
        if a > enter:
            enter, axis = a, k
        leave = min(leave, b)
    if enter > leave or enter < 0.1:
        return np.inf
    hit[:] = 0.0
    hit[axis] = -1.0 if d[axis] > 0 else 1.0
    return enter


@njit(cache=True, nogil=True)
def _round(o, d, half, post, hit):
    """The same for an ellipsoid or, with ``post``, an upright cylinder of radius ``half[0]``."""
    a, b, c = 0.0, 0.0, -1.0
    for k in range(3):
        if post and k == 1:
            continue
        h = half[0] if post else half[k]
        a += d[k] * d[k] / (h * h)
        b += o[k] * d[k] / (h * h)
        c += o[k] * o[k] / (h * h)
    inside = b * b - a * c
    if inside <= 0.0 or a <= 0.0:
        return np.inf
    t = (-b - np.sqrt(inside)) / a
    if t < 0.1 or (post and abs(o[1] + d[1] * t) > half[1]):
        return np.inf
    for k in range(3):
        h = half[0] if post else half[k]
        hit[k] = (o[k] + d[k] * t) / (h * h)
    if post:
        hit[1] = 0.0
    length = np.sqrt(hit[0] * hit[0] + hit[1] * hit[1] + hit[2] * hit[2]) + 1e-12
    hit /= length
    return t


@njit(cache=True, nogil=True)
def _window(row, turn, focal, size, box):
    """Rows and columns of the picture that an object can cover, into ``box`` [4]; False where it is too near."""
    box[0], box[1], box[2], box[3] = size, 0, size, 0
    for k in range(8):
        a = row[_HALF] * (1 if k & 1 else -1)
        b = row[_HALF + 1] * (1 if k & 2 else -1)
        e = (row[_HALF] if row[_KIND] == POST else row[_HALF + 2]) * (1 if k & 4 else -1)
        x = row[_CENTRE] + row[_COS] * a + row[_SIN] * e
        y = row[_CENTRE + 1] + b
        z = row[_CENTRE + 2] - row[_SIN] * a + row[_COS] * e
        depth = turn[0, 2] * x + turn[1, 2] * y + turn[2, 2] * z
        if depth < 0.15:
            return False
        u = (turn[0, 0] * x + turn[1, 0] * y + turn[2, 0] * z) / depth * focal + size / 2
        v = (turn[0, 1] * x + turn[1, 1] * y + turn[2, 1] * z) / depth * focal + size / 2
        u, v = min(max(u, -1.0), size + 1.0), min(max(v, -1.0), size + 1.0)
        box[0], box[1] = min(box[0], int(v) - 1), max(box[1], int(v) + 2)
        box[2], box[3] = min(box[2], int(u) - 1), max(box[3], int(u) + 2)
    return True


@njit(cache=True, nogil=True)
def put(image, depth, row, camera, light):
    """Draw one object into the picture where it is nearer than ``depth``, which it updates."""
    turn, focal = camera
    lights, lamp = light
    size = len(image)
    box = np.zeros(4, np.int64)
    if not _window(row, turn, focal, size, box):
        return
    cos, sin = row[_COS], row[_SIN]
    o, d, n = np.empty(3), np.empty(3), np.empty(3)
    o[0] = -(cos * row[_CENTRE] - sin * row[_CENTRE + 2])
    o[1] = -row[_CENTRE + 1]
    o[2] = -(sin * row[_CENTRE] + cos * row[_CENTRE + 2])
    half, texture = row[_HALF : _HALF + 3], row[_TEXTURE:]
    colour = np.empty(3)
    for i in range(max(box[0], 0), min(box[1], size)):
        for j in range(max(box[2], 0), min(box[3], size)):
            dx, dy = (j + 0.5 - size / 2) / focal, (i + 0.5 - size / 2) / focal
            rx = turn[0, 0] * dx + turn[0, 1] * dy + turn[0, 2]
            rz = turn[2, 0] * dx + turn[2, 1] * dy + turn[2, 2]
            d[0], d[2] = cos * rx - sin * rz, sin * rx + cos * rz
            d[1] = turn[1, 0] * dx + turn[1, 1] * dy + turn[1, 2]
            t = _box(o, d, half, n) if row[_KIND] == BOX else _round(o, d, half, row[_KIND] == POST, n)
            if t >= depth[i, j]:
                continue
            x, y, z = o[0] + d[0] * t, o[1] + d[1] * t, o[2] + d[2] * t
            if row[_RAGGED] > 0.0:
                facing = -(n[0] * d[0] + n[1] * d[1] + n[2] * d[2])
                if noise3(x * 17.0, y * 17.0, z * 17.0, 5) > 0.3 + 1.2 * facing:
                    continue
            if abs(n[0]) > 0.7:
                evaluate(texture, z, y, 0.0, 0, colour)
            elif abs(n[1]) > 0.7 and row[_KIND] == BOX:
                evaluate(texture, x, z, 0.0, 0, colour)
            else:
                evaluate(texture, x, y, 0.0, 0, colour)
            nx, nz = cos * n[0] + sin * n[2], -sin * n[0] + cos * n[2]
            key = max(nx * lamp[0] + n[1] * lamp[1] + nz * lamp[2], 0.0)
            sky = 0.5 + 0.5 * n[1]
            depth[i, j] = t
            for c in range(3):
                light_ = lights[0, c] * sky + lights[0, 3 + c] * (1 - sky) + lights[1, 3 + c] * key * 0.85
                image[i, j, c] = colour[c] * np.sqrt(light_)
