"""Lights on a dressed body, and its picture over a background."""

from __future__ import annotations

import numpy as np
from numba import njit

from nbf_data_synthetic.clothes import EYES, HAIR, SHOES, SKIN, garment
from nbf_data_synthetic.colours import near
from nbf_data_synthetic.textures import evaluate

# Lights are rows of direction to the light (camera coordinates) and colour; row 0 holds sky and ground.


def draw_lights(rng: np.random.Generator) -> np.ndarray:
    """Ambient light (sky, ground), a key light mostly from above, and a weaker fill light, [3, 6]."""
    u = rng.random
    lights = np.zeros((3, 6))
    white = np.ones(3)
    ambient = 0.3 + 0.5 * u()
    lights[0, :3] = near(rng, white * 0.85, 0.15) * ambient
    lights[0, 3:] = near(rng, white * 0.7, 0.2) * ambient * (0.4 + 0.5 * u())
    for row, strength in ((1, 0.4 + 0.8 * u()), (2, 0.4 * u())):
        direction = rng.random(3) * 2 - 1
        direction[1] = -abs(direction[1]) - 0.1 if u() < 0.85 else direction[1]
        direction[2] = -abs(direction[2]) if u() < 0.8 else direction[2]
        lights[row, :3] = direction / np.sqrt((direction * direction).sum() + 1e-6)
        lights[row, 3:] = near(rng, white * 0.9, 0.12) * strength
    return lights


@njit(cache=True, nogil=True)
def compose(triangle, weights, surface, look, background, out):
    """Shade what a raster [n h, n w] sees and average n x n of its pixels over ``background`` [h, w, 3].

    ``surface`` is (faces, rest [V, 3], normals [V, 3] in camera coordinates, parts [V]); ``look`` is (outfit,
    marks, textures, lights). All n x n pixels count for the edge of the body; those off the diagonal are only
    shaded where none was. Writes uint8 ``out`` [3, h, w].
    """
    height, width = background.shape[:2]
    fine = len(triangle) // height
    colour, total = np.empty(3), np.empty(3)
    share = 1.0 / (fine * fine)
    for i in range(height):
        for j in range(width):
            empty, shaded = 0, 0
            total[:] = 0.0
            for k in range(fine * fine):
                y, x = i * fine + k // fine, j * fine + k % fine
                f = triangle[y, x]
                if f < 0:
                    empty += 1
                    continue
                if k // fine != k % fine and shaded > 0:
                    continue
                shaded += 1
                _shade(triangle[y, x], weights[y, x], surface, look, colour)
                for c in range(3):
                    total[c] += colour[c]
            for c in range(3):
                value = empty * share * background[i, j, c]
                if shaded > 0:
                    value += (1.0 - empty * share) * total[c] / shaded
                out[c, i, j] = int(min(max(value * 255.0 + 0.5, 0.0), 255.0))


@njit(cache=True, nogil=True)
def _shade(triangle, w, surface, look, colour):
    faces, rest, normals, parts = surface
    outfit, marks, textures, lights = look
    a, b, c = faces[triangle, 0], faces[triangle, 1], faces[triangle, 2]
    wa, wb, wc = float(w[0]), float(w[1]), float(w[2])
    px = wa * rest[a, 0] + wb * rest[b, 0] + wc * rest[c, 0]
    py = wa * rest[a, 1] + wb * rest[b, 1] + wc * rest[c, 1]
    pz = wa * rest[a, 2] + wb * rest[b, 2] + wc * rest[c, 2]
    nx = wa * normals[a, 0] + wb * normals[b, 0] + wc * normals[c, 0]
    ny = wa * normals[a, 1] + wb * normals[b, 1] + wc * normals[c, 1]
    nz = wa * normals[a, 2] + wb * normals[b, 2] + wc * normals[c, 2]
    length = np.sqrt(nx * nx + ny * ny + nz * nz) + 1e-9
    nx, ny, nz = nx / length, ny / length, nz / length
    nearest = a
    if wb > wa and wb >= wc:
        nearest = b
    elif wc > wa and wc > wb:
        nearest = c
    part = parts[nearest]
    worn = garment(part, px, py, pz, outfit, marks)
    evaluate(textures[worn], px, py, pz, part, colour)
    sky = 0.5 - 0.5 * ny  # the camera's y points down
    shine = 0.0
    red = lights[0, 0] * sky + lights[0, 3] * (1 - sky)
    green = lights[0, 1] * sky + lights[0, 4] * (1 - sky)
    blue = lights[0, 2] * sky + lights[0, 5] * (1 - sky)
    for k in range(1, 3):
        lx, ly, lz = lights[k, 0], lights[k, 1], lights[k, 2]
        cosine = nx * lx + ny * ly + nz * lz
        if cosine <= 0.0:
            continue
        red += lights[k, 3] * cosine
        green += lights[k, 4] * cosine
        blue += lights[k, 5] * cosine
        # The mirrored light's z tells how much of it goes to the camera.
        s = max(-(2 * cosine * nz - lz), 0.0)
        s = s * s
        s = s * s
        s = s * s
        shine += lights[k, 3] * s
    gloss = 0.0
    if worn == SKIN or worn == SHOES or worn == HAIR:
        gloss = 0.1
    elif worn == EYES:
        gloss = 0.4
    colour[0] = colour[0] * red + gloss * shine
    colour[1] = colour[1] * green + gloss * shine
    colour[2] = colour[2] * blue + gloss * shine
