"""Places to stand in: a floor, walls or a skyline, furniture, trunks and bushes, seen by the camera of the person.

Scene coordinates are x to the right, y up, z ahead along the floor, in metres from the camera; the floor is the plane
y = ground. Depth is z of OpenCV's camera.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from nbf_data_synthetic import colours, photos, textures
from nbf_data_synthetic.backgrounds import enlarged
from nbf_data_synthetic.noise import lattice, noise2
from nbf_data_synthetic.objects import draw_front, draw_objects, put
from nbf_data_synthetic.shadows import lit
from nbf_data_synthetic.textures import evaluate


class Stage(NamedTuple):
    """Where the scene stands: rows x, up, ahead of a turn from camera to scene axes [3, 3]; the floor's height; the
    person's distance (metres); the focal length (pixels); the picture's width at a distance of one metre."""

    turn: np.ndarray
    ground: float
    distance: float
    focal: float
    reach: float


class Scene(NamedTuple):
    """What is drawn around people. ``back`` and ``front`` are rows of objects, ``planes`` textures of floor, wall,
    second wall and far things; ``walls`` [2, 3] normals (x, z) and distances; ``sky`` numbers of :func:`_sky`."""

    planes: np.ndarray
    walls: np.ndarray
    sky: np.ndarray
    back: np.ndarray
    front: np.ndarray
    prints: np.ndarray  # which photographed texture lies on floor and wall (-1: none), and its size in metres
    half: bool


def stage_of(up: np.ndarray, vertices: np.ndarray, focal: float, size: int) -> Stage:
    """The floor under the lowest of ``vertices`` [V, 3]."""
    ahead = np.array([0.0, 0, 1]) - up[2] * up
    ahead = ahead / np.sqrt((ahead * ahead).sum() + 1e-12)
    right = np.cross(ahead, up)
    turn = np.round(np.stack([right, up, ahead]), 9)
    ground = float(np.round((vertices @ up).min(), 4))
    return Stage(turn, ground, float(np.round(vertices[:, 2].mean(), 3)), focal, size / focal)


def draw_scene(rng: np.random.Generator, stage: Stage, front: bool) -> Scene:
    """A random place; with ``front`` something may stand before the person."""
    u = rng.random
    indoor = u() < 0.5
    planes = np.stack([_floor(rng, indoor), _wall(rng), _wall(rng), _far(rng)])
    walls = np.zeros((2, 3))
    if indoor or u() < 0.35:
        angle = 0.5 * (u() - 0.5)
        walls[0] = np.sin(angle), np.cos(angle), stage.distance + 0.4 + 4.5 * u() ** 2
        if u() < 0.45:
            angle += np.pi / 2 if u() < 0.5 else -np.pi / 2
            # Beside the person, as far as the picture may show.
            walls[1] = np.sin(angle), np.cos(angle), 0.5 + stage.reach * stage.distance * (0.2 + 0.5 * u())
    sky = np.array(
        [
            *colours.near(rng, np.array([0.62, 0.74, 0.9]), 0.25),
            *colours.near(rng, np.array([0.85, 0.87, 0.9]), 0.15),
            float(rng.integers(1 << 20)),
            u(),  # clouds
            float(u() < 0.5),  # trees or houses
            0.02 + 0.3 * u(),  # how high they stand
        ]
    )
    prints = np.full((2, 3), -1.0)
    for k in range(2):
        if u() < 0.3:
            prints[k] = int(rng.integers(len(photos.surfaces()))), 0.6 + 2 * u(), 0.4 + 0.6 * u()
    back = draw_objects(rng, stage, walls[0])
    before = draw_front(rng, stage) if front else back[:0]
    return Scene(planes, walls, sky, back, before, prints, bool(u() < 0.7 and len(before) == 0))


def _muted(rng: np.random.Generator, row: np.ndarray) -> np.ndarray:
    """The texture with less colour, as most of what is built has."""
    if rng.random() < 0.75:
        keep = 0.1 + 0.5 * rng.random()
        for start in (textures.FIRST, textures.SECOND, textures.THIRD):
            colour = row[start : start + 3]
            grey = (colour[0] + colour[1] + colour[2]) / 3
            row[start : start + 3] = grey + (colour - grey) * keep
    return row


def _built(rng: np.random.Generator, kinds: tuple[int, ...], frequency: float) -> np.ndarray:
    row = textures.plain(rng, colours.any_colour(rng, 0.5), 0.25 * rng.random())
    kind = kinds[int(rng.integers(len(kinds)))]
    row[textures.KIND] = kind
    near = colours.near(rng, row[textures.FIRST : textures.FIRST + 3], 0.25)
    row[textures.SECOND : textures.SECOND + 3] = near
    row[textures.THIRD : textures.THIRD + 3] = colours.any_colour(rng)
    row[textures.FREQUENCY] = frequency * (0.5 + 1.5 * rng.random())
    row[textures.AXIS + int(rng.integers(2))] = row[textures.FREQUENCY]
    row[textures.THRESHOLD] = 0.2 + 0.5 * rng.random()
    row[textures.GRAIN_FREQUENCY] = 4 + 30 * rng.random()
    return _muted(rng, row)


def _floor(rng: np.random.Generator, indoor: bool) -> np.ndarray:
    if indoor:
        kinds = (textures.PLAIN, textures.PLANKS, textures.TILES, textures.CLOUDS, textures.CHECKS)
        return _built(rng, kinds, 3.0)
    row = _built(rng, (textures.PLAIN, textures.CLOUDS, textures.FOLIAGE, textures.TILES), 2.0)
    if rng.random() < 0.4:  # grass
        row[textures.KIND], row[textures.FREQUENCY] = textures.FOLIAGE, 6 + 10 * rng.random()
        row[textures.FIRST : textures.FIRST + 3] = colours.near(rng, np.array([0.25, 0.38, 0.12]), 0.1)
        row[textures.SECOND : textures.SECOND + 3] = colours.near(rng, np.array([0.45, 0.55, 0.25]), 0.1)
    return row


def _wall(rng: np.random.Generator) -> np.ndarray:
    kinds = (
        textures.PLAIN, textures.PLAIN, textures.BRICKS, textures.PLANKS, textures.TILES,
        textures.CLOUDS, textures.STRIPES, textures.WINDOWS, textures.FOLIAGE,
    )  # fmt: skip
    row = _built(rng, kinds, 5.0)
    if row[textures.KIND] == textures.WINDOWS:
        row[textures.FREQUENCY] = 0.3 + 0.5 * rng.random()
    return row


def _far(rng: np.random.Generator) -> np.ndarray:
    row = _built(rng, (textures.FOLIAGE,), 12.0)
    row[textures.FIRST : textures.FIRST + 3] = colours.near(rng, np.array([0.16, 0.24, 0.1]), 0.08)
    row[textures.SECOND : textures.SECOND + 3] = colours.near(rng, np.array([0.35, 0.45, 0.2]), 0.12)
    return row


def paint(scene: Scene, stage: Stage, lights: np.ndarray, shadow, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The scene's picture [size, size, 3], about 0 to 1, and the depth of its objects [size, size] (else infinity)."""
    step = 2 if scene.half else 1
    small = size // step
    image, depth = np.empty((small, small, 3)), np.full((small, small), np.inf)
    focal = stage.focal / step
    lamp = np.stack([*lights[:, :3], stage.turn @ lights[1, :3]])
    light = (lights, lamp[-1], shadow)
    _planes(image, (stage.turn, stage.ground, focal), scene.planes, (scene.walls, scene.sky), light,
            (scene.prints, photos.surfaces()))  # fmt: skip
    for rows in (scene.back, scene.front):
        for row in rows:
            put(image, depth, row, (stage.turn, focal), (lights, lamp[-1]))
    return (image, depth) if step == 1 else (enlarged(image), np.repeat(np.repeat(depth, 2, 0), 2, 1))


@njit(cache=True, nogil=True)
def _planes(image, camera, planes, far, light, printed):
    """Floor, walls and sky."""
    turn, ground, focal = camera
    walls, sky = far
    lights, lamp, shadow = light
    prints, surfaces = printed
    size = len(image)
    for i in range(size):
        for j in range(size):
            dx, dy = (j + 0.5 - size / 2) / focal, (i + 0.5 - size / 2) / focal
            rx = turn[0, 0] * dx + turn[0, 1] * dy + turn[0, 2]
            ry = turn[1, 0] * dx + turn[1, 1] * dy + turn[1, 2]
            rz = turn[2, 0] * dx + turn[2, 1] * dy + turn[2, 2]
            t, what = 200.0, 3
            if ry * ground > 0.0 and ground < 0.0 and ground / ry < t:
                t, what = ground / ry, 0
            for w in range(2):
                along = walls[w, 0] * rx + walls[w, 1] * rz
                if walls[w, 2] > 0.0 and along > 1e-6 and walls[w, 2] / along < t:
                    t, what = walls[w, 2] / along, 1 + w
            colour = image[i, j]
            if what == 3:
                _sky(rx, ry, rz, focal / size, sky, planes[3], colour)
                continue
            x, y, z = rx * t, ry * t - ground, rz * t
            if what == 0:
                evaluate(planes[0], x, z, 0.0, 0, colour)
                _fade(planes[0], t / focal, colour)
                free = lit(shadow, dx * t, dy * t, t, 0.03)
                bright = 1.0
            else:
                x = x * walls[what - 1, 1] - z * walls[what - 1, 0]
                evaluate(planes[what], x, y, 0.0, 0, colour)
                bright = -(walls[what - 1, 0] * lamp[0] + walls[what - 1, 1] * lamp[2])
                free, z = 0.7, y
            k = min(what, 1)
            if prints[k, 0] >= 0.0:
                _print(surfaces[int(prints[k, 0])], x / prints[k, 1], z / prints[k, 1], prints[k, 2], colour)
            if what == 0:
                bright = max(lamp[1], 0.0)
            key = max(bright, 0.0) * free
            for c in range(3):
                colour[c] *= np.sqrt(0.75 * lights[0, c] + 0.25 * lights[0, 3 + c] + lights[1, 3 + c] * key)


@njit(cache=True, nogil=True)
def _fade(row, metres, colour):
    """Mix a pattern with its middle colour where it is finer than a pixel, ``metres`` wide."""
    fine = row[textures.FREQUENCY] * (5.0 if row[textures.KIND] == textures.FOLIAGE else 1.5)
    fine = max(fine, row[textures.GRAIN_FREQUENCY])
    share = min(max(fine * metres * 2.0 - 0.3, 0.0), 1.0)
    patterned = 0.4 if row[textures.KIND] > 0.0 else 0.0
    for c in range(3):
        first, second = row[textures.FIRST + c], row[textures.SECOND + c]
        colour[c] += (first + (second - first) * patterned - colour[c]) * share


@njit(cache=True, nogil=True)
def _print(surface, x, y, share, colour):
    """Multiply a colour by a photographed grey texture of unit size, repeated."""
    n = len(surface)
    a, b = int((y - np.floor(y)) * n) % n, int((x - np.floor(x)) * n) % n
    factor = 1.0 + share * (surface[a, b] / 128.0 - 1.0)
    for c in range(3):
        colour[c] *= factor


@njit(cache=True, nogil=True)
def _sky(rx, ry, rz, narrow, sky, trees, colour):
    """Sky with clouds over a skyline of trees or houses; ``narrow`` is the focal length over the picture's size."""
    seed = int(sky[6])
    ahead = np.sqrt(rx * rx + rz * rz) + 1e-9
    rise, side = ry / ahead * narrow, rx / ahead * narrow
    top = sky[9] * (0.4 + noise2(side * 6.0, 0.5, seed) + 0.3 * noise2(side * 31.0, 0.5, seed))
    if sky[8] < 0.5:
        cell = int(np.floor(side * 9.0))
        top = sky[9] * (0.5 + 1.5 * lattice(cell, 0, 0, seed))
    if rise < top:
        if sky[8] > 0.5:
            evaluate(trees, side * 6.0, rise * 6.0, 0.0, 0, colour)
        else:
            tone = 0.25 + 0.5 * lattice(cell, 1, 0, seed)
            u, v = side * 90.0, rise * 60.0
            glass = u - np.floor(u) < 0.5 and v - np.floor(v) < 0.6
            for c in range(3):
                colour[c] = (0.6 * tone if glass else tone) * (0.8 + 0.4 * lattice(cell, c, 2, seed))
        return
    cloud = noise2(side * 5.0, rise * 12.0, seed + 5) * 0.65 + noise2(side * 13.0, rise * 29.0, seed + 6) * 0.35
    cloud = min(max((cloud - 1.0 + sky[7]) * 3.0, 0.0), 1.0)
    low = min(max(rise * 1.5, 0.0), 1.0)
    for c in range(3):
        clear = sky[3 + c] + (sky[c] - sky[3 + c]) * low
        colour[c] = clear + (0.95 - clear) * cloud
