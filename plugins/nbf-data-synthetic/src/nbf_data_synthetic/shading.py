"""Lights on dressed people, and their picture over a background."""

from __future__ import annotations

import numpy as np
from numba import njit

from nbf_data_synthetic.clothes import EYES, GLOVES, HAIR, SHOES, SKIN, garment
from nbf_data_synthetic.colours import near
from nbf_data_synthetic.folds import height, slope
from nbf_data_synthetic.shadows import lit
from nbf_data_synthetic.textures import evaluate

# Lights are rows of direction to the light (camera coordinates) and colour; row 0 holds sky and ground.
LIGHTS = 4


def draw_lights(rng: np.random.Generator, up: np.ndarray) -> np.ndarray:
    """Ambient light (sky, ground), a key light mostly from above, and up to two weaker ones, [4, 6].

    ``up`` [3] is the world's vertical in camera coordinates.
    """
    u = rng.random
    lights = np.zeros((LIGHTS, 6))
    white = np.ones(3)
    hard = u() < 0.45  # sun or flash against an overcast sky
    ambient = 0.28 + 0.3 * u() if hard else 0.5 + 0.4 * u()
    warm = np.array([1.0, 1 - 0.12 * u(), 1 - 0.35 * u()]) if u() < 0.5 else white
    lights[0, :3] = near(rng, white * 0.85, 0.12) * ambient
    lights[0, 3:] = near(rng, white * 0.7, 0.2) * ambient * (0.35 + 0.5 * u())
    strengths = (0.5 + 0.6 * u() if hard else 0.15 + 0.45 * u(), 0.35 * u(), 0.3 * u() if u() < 0.3 else 0.0)
    for row, strength in enumerate(strengths, 1):
        direction = rng.random(3) * 2 - 1
        height_of_light = direction @ up
        wanted = 0.25 + 0.9 * u() if u() < 0.88 else height_of_light
        direction = direction + (wanted - height_of_light) * up
        if u() < 0.75:
            direction[2] = -abs(direction[2])
        lights[row, :3] = direction / np.sqrt((direction * direction).sum() + 1e-6)
        lights[row, 3:] = near(rng, (warm if row == 1 else white) * 0.92, 0.08) * strength
    # The camera sets its exposure by what it meets: about the brightest side of a grey thing.
    level = (lights[0].mean() + 0.75 * lights[1:, 3:].mean(1).sum()) / (0.8 + 0.5 * u())
    lights[0] /= level
    lights[1:, 3:] /= level
    return lights


def compose(seen, mesh, crowd, scene, focal: float) -> np.ndarray:
    """The picture uint8 [3, h, w] of people over a background.

    ``seen`` is the raster (triangle, barycentric, depth) of all people's faces one after the other; ``mesh`` is
    (faces, rest [V, 3], parts [V], marks) of one; ``crowd`` (normals [n V, 3] in camera coordinates, outfits [n, o],
    textures [n, garments, w]); ``scene`` (background [h, w, 3], its depth [h, w], lights, shadow).
    """
    size = len(seen.triangle)
    colour, normal = np.zeros((size, size, 3)), np.zeros((size, size, 3))
    heights, worn = np.zeros((size, size)), np.full((size, size), -1, np.int32)
    _surfaces(seen.triangle, seen.barycentric, mesh, crowd, (colour, normal, heights, worn))
    background, away, lights, shadow = scene
    person = np.where(seen.depth < away, seen.triangle // len(mesh[0]), -1).astype(np.int32)
    image = background.copy()
    _light((person, seen.depth), (colour, normal, heights, worn), lights, shadow, focal, image)
    out = np.empty((3, size, size), np.uint8)
    _merge(image, person, seen.depth, out)
    return out


@njit(cache=True, nogil=True)
def _surfaces(triangle, weights, mesh, crowd, result):
    """Colour, normal, fine height and garment of what each pixel sees."""
    faces, rest, parts, marks = mesh
    normals, outfits, textures = crowd
    colour, normal, heights, worn = result
    for i in range(len(triangle)):
        for j in range(len(triangle)):
            t = triangle[i, j]
            if t < 0:
                continue
            person = t // len(faces)
            t -= person * len(faces)
            a, b, c = faces[t, 0], faces[t, 1], faces[t, 2]
            wa, wb, wc = float(weights[i, j, 0]), float(weights[i, j, 1]), float(weights[i, j, 2])
            px = wa * rest[a, 0] + wb * rest[b, 0] + wc * rest[c, 0]
            py = wa * rest[a, 1] + wb * rest[b, 1] + wc * rest[c, 1]
            pz = wa * rest[a, 2] + wb * rest[b, 2] + wc * rest[c, 2]
            nearest = a
            if wb > wa and wb >= wc:
                nearest = b
            elif wc > wa and wc > wb:
                nearest = c
            shift = person * len(rest)
            for k in range(3):
                normal[i, j, k] = wa * normals[a + shift, k] + wb * normals[b + shift, k] + wc * normals[c + shift, k]
            part = parts[nearest]
            g = garment(part, px, py, pz, outfits[person], marks)
            evaluate(textures[person, g], px, py, pz, part, colour[i, j])
            heights[i, j] = height(g, part, px, py, pz, outfits[person], marks)
            worn[i, j] = g


@njit(cache=True, nogil=True)
def _crevice(depth, person, i, j, reach):
    """How much nearer things around a pixel are, 0 (open) to about 1: light that does not get there."""
    size = len(depth)
    z, total = depth[i, j], 0.0
    for k in range(8):
        r = reach if k < 4 else reach * 2
        dy, dx = (k % 2) * 2 - 1, ((k % 4) // 2) * 2 - 1
        a = i + dy * r if k < 4 else i + (dy * r if k % 4 < 2 else 0)
        b = j + dx * r if k < 4 else j + (dy * r if k % 4 >= 2 else 0)
        if a < 0 or b < 0 or a >= size or b >= size or person[a, b] < 0:
            continue
        nearer = z - depth[a, b]
        if nearer > 0.02 and nearer < 0.6:
            total += min((nearer - 0.02) / 0.12, 1.0) * (1.0 - nearer / 0.6)
    return total / 8.0


@njit(cache=True, nogil=True)
def _light(seen, surfaces, lights, shadow, focal, image):
    person, depth = seen
    colour, normal, heights, worn = surfaces
    size = len(person)
    rise = np.empty(2)
    for i in range(size):
        for j in range(size):
            if person[i, j] < 0:
                continue
            z = depth[i, j]
            nx, ny, nz = normal[i, j, 0], normal[i, j, 1], normal[i, j, 2]
            length = np.sqrt(nx * nx + ny * ny + nz * nz) + 1e-9
            nx, ny, nz = nx / length, ny / length, nz / length
            metres = z / focal
            slope(heights, person, depth, i, j, metres, rise)
            # A pixel covers more of a surface that is seen at an angle.
            face = max(-nz, 0.2)
            gx, gy = rise[0] * face, rise[1] * face
            along = gx * nx + gy * ny
            nx, ny, nz = nx - gx + along * nx, ny - gy + along * ny, nz + along * nz
            length = np.sqrt(nx * nx + ny * ny + nz * nz) + 1e-9
            nx, ny, nz = nx / length, ny / length, nz / length
            open_ = 1.0 - 0.75 * _crevice(depth, person, i, j, max(int(0.05 / metres), 1))
            px, py = (j + 0.5 - size / 2) * metres, (i + 0.5 - size / 2) * metres
            free = lit(shadow, px + 0.015 * nx, py + 0.015 * ny, z + 0.015 * nz, 0.02)
            _shade((nx, ny, nz), worn[i, j], lights, (open_, free), colour[i, j], image[i, j])


@njit(cache=True, nogil=True)
def _shade(n, g, lights, share, colour, out):
    """Write the lit colour of a surface with normal ``n``, garment ``g`` and what ``share`` of light reaches it."""
    nx, ny, nz = n
    open_, free = share
    sky = 0.5 - 0.5 * ny  # the camera's y points down
    red = (lights[0, 0] * sky + lights[0, 3] * (1 - sky)) * open_
    green = (lights[0, 1] * sky + lights[0, 4] * (1 - sky)) * open_
    blue = (lights[0, 2] * sky + lights[0, 5] * (1 - sky)) * open_
    shine = 0.0
    for k in range(1, LIGHTS):
        lx, ly, lz = lights[k, 0], lights[k, 1], lights[k, 2]
        cosine = nx * lx + ny * ly + nz * lz
        if cosine <= 0.0:
            continue
        reach = free if k == 1 else open_
        red += lights[k, 3] * cosine * reach
        green += lights[k, 4] * cosine * reach
        blue += lights[k, 5] * cosine * reach
        # The mirrored light's z tells how much of it goes to the camera.
        s = max(-(2 * cosine * nz - lz), 0.0)
        s = s * s
        s = s * s
        s = s * s
        shine += lights[k, 3] * s * reach
    gloss = 0.0
    if g == SKIN or g == SHOES or g == HAIR or g == GLOVES:
        gloss = 0.1
    elif g == EYES:
        gloss = 0.4
    # Colours are as a screen shows them, light adds up before that: the root is about the screen's curve.
    out[0] = colour[0] * np.sqrt(red) + gloss * shine
    out[1] = colour[1] * np.sqrt(green) + gloss * shine
    out[2] = colour[2] * np.sqrt(blue) + gloss * shine


@njit(cache=True, nogil=True)
def _merge(image, person, depth, out):
    """Round to uint8; where the surface changes (person, or depth by 5 cm) neighbours mix, as in a lens."""
    size = len(image)
    for i in range(size):
        up, down = max(i - 1, 0), min(i + 1, size - 1)
        for j in range(size):
            left, right = max(j - 1, 0), min(j + 1, size - 1)
            p = person[i, j]
            edge = person[up, j] != p or person[down, j] != p or person[i, left] != p or person[i, right] != p
            if not edge and p >= 0:
                z = depth[i, j]
                edge = abs(depth[up, j] - z) > 0.05 or abs(depth[down, j] - z) > 0.05
                edge = edge or abs(depth[i, left] - z) > 0.05 or abs(depth[i, right] - z) > 0.05
            for c in range(3):
                value = image[i, j, c]
                if edge:
                    cross = image[up, j, c] + image[down, j, c] + image[i, left, c] + image[i, right, c]
                    corners = image[up, left, c] + image[up, right, c] + image[down, left, c] + image[down, right, c]
                    value = 0.3 * value + 0.125 * cross + 0.05 * corners
                out[c, i, j] = int(min(max(value * 255.0 + 0.5, 0.0), 255.0))
