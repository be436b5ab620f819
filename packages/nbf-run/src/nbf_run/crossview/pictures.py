"""Bodies of one view drawn into the pictures of all, and how many keypoints lie how near."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw

from nbf_core.types import Camera
from nbf_run.crossview.methods import Outcome
from nbf_run.crossview.placing import place
from nbf_run.crossview.scene import SCORED_INDEX, Scene
from nbf_run.crossview.score import Scores
from nbf_run.crossview.summary import curve
from nbf_run.report import drawing

SIDE = 320
"""Pixels along one cell."""

FRAME = (250, 204, 60)
"""What is drawn around the picture that a body was fitted to."""

ALIGNMENT = "scaled"
"""How bodies are placed for pictures: their own picture stays what it was."""

_ABSENT = (20, 23)
"""Small toes, which BlazePose does not have."""

LINES = ("#e2963e", "#4a8ce2", "#3eb296", "#b05fc9", "#de5242", "#8a919c", "#7a6a2f", "#2a5caa")


def chosen(scene: Scene, count: int) -> list[tuple[int, int]]:
    """Moments spread over the sequence, and the view whose bodies are shown there: each in turn."""
    moments, views = scene.shape
    picks = np.unique(np.linspace(0, moments - 1, count + 2).round().astype(int)[1:-1]) if count else []
    return [(int(moment), number % views) for number, moment in enumerate(picks)]


def strip(
    scene: Scene, outcome: Outcome | None, moment: int, source: int, colour: tuple[int, int, int] = drawing.FIT_COLOUR
) -> UInt8[np.ndarray, "h w 3"]:
    """The pictures of a moment side by side with the body fitted to view ``source``, which has a frame.

    Dots are the keypoints that count. Without ``outcome`` the pictures alone, with all keypoints detected.
    """
    views = scene.shape[1]
    cells = []
    for target in range(views):
        row = moment * views + target
        camera, picture = _cell(scene, row)
        if outcome is None:
            keypoints = _scaled(scene.samples.keypoints[row].numpy(), scene, row)
            picture = drawing.draw_keypoints(picture, keypoints, "openpose-25")
        else:
            picture = _with_body(scene, outcome, (moment * views + source, row), camera, picture, colour)
            picture = _dots(scene, moment, target, picture)
        if outcome is not None and target == source:
            picture[:5], picture[-5:], picture[:, :5], picture[:, -5:] = (FRAME,) * 4
        cells.append(picture)
    gap = np.full((SIDE, 6, 3), 255, np.uint8)
    return np.concatenate([part for cell in cells for part in (cell, gap)][:-1], axis=1)


def write_curves(path: Path, scores: Mapping[str, Scores], floor: Float[torch.Tensor, "m v 13"], limit: float) -> None:
    """Draw the share of keypoints in the other views within each distance: a line a method."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    limits = np.linspace(0, 0.4, 81)
    figure = Figure(figsize=(10.4, 4.0), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    for axes, alignment in zip(figure.subplots(1, 2, sharey=True), ("moved", "scaled"), strict=True):
        for colour, (name, own) in zip(LINES * 9, scores.items(), strict=False):
            axes.plot(100 * limits, curve(own, alignment, limits), color=colour, linewidth=1.8, label=name)
        known = floor[~floor.isnan()].numpy()
        share = 100 * (known[None] <= limits[:, None]).mean(1)
        axes.plot(100 * limits, share, color="#8a919c", linewidth=1.2, linestyle=":", label="the truth's own noise")
        axes.axvline(100 * limit, color="#c9ced6", linewidth=1.0, zorder=0)
        axes.annotate("PCKh", (100 * limit, 2), xytext=(4, 0), textcoords="offset points", fontsize=8, color="#8a919c")
        axes.set_title(f"{alignment}: keypoints in the other views within ... cm, %", fontsize=9.5, loc="left")
        axes.set_xlim(0, 40)
        axes.set_ylim(0, 100)
        axes.grid(color="#edf0f3", linewidth=0.8)
        axes.tick_params(labelsize=8, colors="#646c76")
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
    axes.legend(fontsize=8.5, frameon=False, loc="lower right")
    figure.savefig(path)


def _cell(scene: Scene, row: int) -> tuple[Camera, UInt8[np.ndarray, "s s 3"]]:
    image = scene.samples.image[row].permute(1, 2, 0).contiguous().numpy()
    picture = np.array(Image.fromarray(image).resize((SIDE, SIDE), Image.Resampling.LANCZOS))
    return scene.samples.camera[row].resized((SIDE, SIDE)), picture


def _scaled(keypoints: Float[np.ndarray, "n 3"], scene: Scene, row: int) -> Float[np.ndarray, "n 3"]:
    height, width = scene.samples.camera.size
    return keypoints * np.array([SIDE / width, SIDE / height, 1.0])


def _with_body(
    scene: Scene,
    outcome: Outcome,
    rows: tuple[int, int],
    camera: Camera,
    picture: UInt8[np.ndarray, "s s 3"],
    colour: tuple[int, int, int],
) -> UInt8[np.ndarray, "s s 3"]:
    """The body of picture ``rows[0]`` drawn into picture ``rows[1]``: its surface, or its bones where it has none."""
    source, target = rows
    placement = place(scene, outcome.points, ALIGNMENT)
    solid = outcome.vertices is not None
    points = torch.from_numpy(outcome.vertices(source)) if solid else outcome.points[source]
    view, own = scene.view[target], scene.view[source]
    world = own.to_world(points * placement.scale[source]) + placement.shift[source]
    local = view.to_camera(world)
    if not torch.isfinite(local).all():
        return picture
    if solid:
        body = drawing.shade_body(local.float().numpy(), outcome.faces, camera.to(dtype=torch.float32), colour)
        return drawing.over(picture, body, alpha=0.7)
    pixels = camera.project(local).numpy()
    sure = np.ones((len(pixels), 1))
    sure[list(_ABSENT)] = 0
    return drawing.draw_keypoints(picture, np.concatenate([pixels, sure], 1), "openpose-25")


def _dots(scene: Scene, moment: int, view: int, picture: UInt8[np.ndarray, "s s 3"]) -> UInt8[np.ndarray, "s s 3"]:
    row = moment * scene.shape[1] + view
    points = _scaled(scene.samples.keypoints[row].numpy(), scene, row)[list(SCORED_INDEX), :2]
    fine = 3
    image = Image.fromarray(picture).resize((SIDE * fine, SIDE * fine), Image.Resampling.BILINEAR)
    draw = ImageDraw.Draw(image)
    for point, known in zip(points * fine, scene.known[moment, view], strict=True):
        if known:
            for radius, colour in ((fine * SIDE / 110, (20, 22, 26)), (fine * SIDE / 170, (255, 255, 255))):
                draw.ellipse([*(point - radius), *(point + radius)], fill=colour)
    return np.array(image.resize((SIDE, SIDE), Image.Resampling.BOX))
