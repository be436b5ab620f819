"""A body seen from its side, standing on a ground."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from PIL import Image, ImageFilter

from nbf_core.types import Camera
from nbf_raster import rasterise
from nbf_run.report.drawing import over, shade_body

_PITCH = math.radians(9)  # the viewer looks down a little, so that the ground is seen as one
_FIELD = 2.6  # focal length in picture sides: a portrait lens, little distortion
_SKY = np.array([[236, 239, 243], [250, 250, 251]], np.float32)
_GROUND = np.array([214, 219, 226], np.float32)
_LINE = np.array([178, 186, 197], np.float32)
_CELL = 0.5  # metres between the lines of the ground


@dataclass(frozen=True)
class Stage:
    """Where bodies stand, in camera coordinates: what the view turns about, the ground's y, and the size to show."""

    middle: Float[np.ndarray, "3"]
    ground: float
    extent: float

    @classmethod
    def of(cls, vertices: Float[np.ndarray, "V 3"], turn: float = 90.0) -> Stage:
        """The stage that a body, turned by ``turn`` degrees, fills."""
        middle = (vertices.min(0) + vertices.max(0)) / 2
        turned = _turn(vertices - middle, turn)
        extent = max(float((turned.max(0) - turned.min(0))[:2].max()), 0.5)
        return cls(middle, float(vertices[:, 1].max()), extent)


def side_view(
    vertices: Float[np.ndarray, "V 3"],
    faces: Int[np.ndarray, "F 3"],
    colour: tuple[int, int, int],
    side: int,
    turn: float = 90.0,
    stage: Stage | None = None,
) -> UInt8[np.ndarray, "side side 3"]:
    """The body turned by ``turn`` degrees about the camera's vertical, on a ground.

    The camera that took the photo is taken to be upright: up is against its y axis. After 90 degrees it stood on the
    picture's left. Without a ``stage`` the body fills the picture and its lowest point is on the ground.
    """
    stage = stage or Stage.of(vertices, turn)
    turned = _turn(vertices - stage.middle, turn)
    ground = stage.ground - float(stage.middle[1])
    extent = stage.extent
    distance = _FIELD * extent * 1.22
    camera = Camera.from_field((side, side), _FIELD * side)
    view = _look_down(turned, distance)
    canvas = _floor(camera, ground, distance, extent)
    shadow = turned.copy()
    shadow[:, 1] = ground
    canvas = canvas * (1 - 0.38 * _shadow(_look_down(shadow, distance), faces, camera)[..., None])
    return over(canvas.clip(0, 255).astype(np.uint8), shade_body(view, faces, camera, colour), alpha=1.0)


def _turn(points: Float[np.ndarray, "V 3"], degrees: float) -> Float[np.ndarray, "V 3"]:
    """Turned about the vertical; after a quarter what was away from the camera is to the right."""
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    x, y, z = points.T
    return np.stack([c * x + s * z, y, c * z - s * x], axis=1)


def _rotation() -> Float[np.ndarray, "3 3"]:
    c, s = math.cos(_PITCH), math.sin(_PITCH)
    return np.array([[1, 0, 0], [0, c, -s], [0, s, c]])


def _look_down(points: Float[np.ndarray, "V 3"], distance: float) -> Float[np.ndarray, "V 3"]:
    """Scene coordinates (y down, origin at the body's middle) to those of the viewer."""
    return points @ _rotation().T + np.array([0, 0, distance])


def _shadow(points: np.ndarray, faces: np.ndarray, camera: Camera) -> Float[np.ndarray, "h w"]:
    seen = rasterise(points, faces, camera.focal.numpy(), camera.center.numpy(), camera.size)
    mask = Image.fromarray(((seen.triangle >= 0) * 255).astype(np.uint8))
    return np.asarray(mask.filter(ImageFilter.GaussianBlur(camera.size[0] / 70)), np.float32) / 255


def _floor(camera: Camera, ground: float, distance: float, extent: float) -> Float[np.ndarray, "h w 3"]:
    """Sky, and a lined ground that fades into it."""
    size = camera.size[0]
    ramp = np.linspace(0, 1, size, dtype=np.float32)[:, None, None]
    sky = np.broadcast_to((1 - ramp) * _SKY[0] + ramp * _SKY[1], (size, size, 3))
    rays = camera.rays().to(torch.float64).numpy() @ _rotation()
    origin = -_rotation().T @ np.array([0, 0, distance])
    with np.errstate(divide="ignore", invalid="ignore"):
        reach = (ground - origin[1]) / rays[..., 1]
        x = origin[0] + reach * rays[..., 0]
        z = origin[2] + reach * rays[..., 2]
    hit = (reach > 0) & np.isfinite(reach)
    x, z = np.where(hit, x, 0.0), np.where(hit, z, 0.0)
    lines = np.maximum(_lines(x, axis=1), _lines(z, axis=0))[..., None]
    colour = _GROUND * (1 - 0.8 * lines) + _LINE * 0.8 * lines
    fade = np.clip(1.35 - np.hypot(x, z) / (1.3 * extent), 0, 1)
    cover = (hit * fade * fade * (3 - 2 * fade))[..., None]
    return sky * (1 - cover) + colour * cover


def _lines(values: Float[np.ndarray, "h w"], axis: int) -> Float[np.ndarray, "h w"]:
    """1 on the lines of the grid, one pixel wide whatever the distance."""
    step = np.abs(np.gradient(values, axis=axis)).clip(1e-6)
    away = np.abs(values / _CELL - np.round(values / _CELL)) * _CELL
    return np.clip(1.1 - away / step, 0, 1) * np.clip(_CELL / (4 * step), 0, 1)
