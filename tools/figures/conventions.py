"""Draws the pictures of docs/conventions.md with nbf's own cameras and body: python tools/figures/conventions.py

Needs matplotlib and the packages nbf-body-anny and nbf-raster. Writes docs/images/conventions/*.png.
"""

from __future__ import annotations

import math
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.patches import Rectangle

from nbf_body_anny.body import AnnyBody
from nbf_core.conventions import KEYPOINT_SETS
from nbf_core.geometry.orientation import orientation_weights
from nbf_core.types import BodyOutput, BodyParams, Camera
from nbf_raster import interpolate, lambert, rasterise, vertex_normals

OUT = Path(__file__).resolve().parents[2] / "docs" / "images" / "conventions"
BLUE, ORANGE, GREEN, GREY, RED = "#3b6fb6", "#d9822b", "#4a9a5b", "#8a8f98", "#c2413b"
DEPTH = 6.0


def posed(changes: dict[int, tuple[float, float, float]] | None = None, orient=(math.pi, 0.0, 0.0)) -> BodyParams:
    """The mean body upright before the camera, some of its joints turned (by their place in ``body_pose``)."""
    params = BodyParams.neutral(1)
    for joint, turn in (changes or {}).items():
        params.body_pose[0, joint] = torch.tensor(turn)
    params.global_orient[0] = torch.tensor(orient)
    params.transl[0] = torch.tensor([0.0, 0.0, DEPTH])
    return params


def picture(model: AnnyBody, output: BodyOutput, camera: Camera) -> np.ndarray:
    """The body in grey on white, as the camera sees it."""
    vertices, faces = output.vertices[0].double().numpy(), model.spec.faces.numpy()
    focal, center = camera.focal[0].tolist(), camera.center[0].tolist()
    seen = rasterise(vertices, faces, focal=focal, center=center, size=camera.size)
    shade = lambert(interpolate(seen, faces, vertex_normals(vertices, faces)), two_sided=True)
    return np.where(seen.triangle >= 0, 0.55 + 0.4 * shade, 1.0)


def show(axis: plt.Axes, image: np.ndarray, title: str = "") -> None:
    """An image whose pixels have their centres at +0.5."""
    height, width = image.shape[:2]
    axis.imshow(image, cmap="gray", vmin=0, vmax=1, extent=(0, width, height, 0))
    axis.set_title(title, fontsize=10)
    axis.axis("off")


def cameras(model: AnnyBody) -> None:
    """The axes of the camera, and where pixels are."""
    figure = plt.figure(figsize=(9.6, 3.6))
    space = figure.add_subplot(1, 2, 1)
    output = model(posed({15: (0, 0, -0.9), 16: (0, 0, 0.9)}))
    points = _beside(output.vertices[0, ::5].detach().numpy())
    space.scatter(*points.T, s=0.8, color=GREY, lw=0)
    for end, name, colour in zip(
        np.eye(3) * 1.2, ("x: right", "y: down", "z: forward"), (RED, GREEN, BLUE), strict=True
    ):
        tip = _beside(end)
        space.annotate("", tip, (0, 0), arrowprops={"arrowstyle": "-|>", "color": colour, "lw": 2})
        space.text(*(1.1 * tip + (0.05, 0.08 if name.startswith("z") else -0.04)), name, color=colour, fontsize=10)
    corners = np.array([(-1, -1, 2), (1, -1, 2), (1, 1, 2), (-1, 1, 2), (-1, -1, 2)]) * (0.45, 0.45, 1)
    space.plot(*_beside(corners).T, color="black", lw=1)
    for corner in corners[:4] * DEPTH / 2:
        space.plot(*np.array([(0, 0), _beside(corner)]).T, color="black", lw=0.5, alpha=0.4)
    space.set(aspect="equal")
    space.axis("off")
    space.set_title("camera coordinates, metres", fontsize=10)

    grid = figure.add_subplot(1, 2, 2)
    camera = Camera.from_field((3, 5), 4.0, 1)
    for x in range(5):
        for y in range(3):
            grid.add_patch(Rectangle((x, y), 1, 1, fill=False, ec=GREY, lw=1))
            grid.plot(x + 0.5, y + 0.5, ".", color=GREY)
    grid.plot(0, 0, "s", color="black", ms=5)
    grid.annotate("(0, 0)", (0, 0), (-0.25, -0.22), ha="right", fontsize=9)
    grid.annotate("(0.5, 0.5)\nfirst pixel's centre", (0.5, 0.5), (-0.35, 1.35), ha="right", fontsize=9,
                  arrowprops={"arrowstyle": "-", "color": GREY})  # fmt: skip
    center = camera.center[0].tolist()
    grid.plot(*center, "+", color=ORANGE, ms=14, mew=2)
    grid.annotate("centre (2.5, 1.5)", center, (5.2, 1.5), color=ORANGE, va="center", fontsize=9)
    grid.annotate("(5, 3)", (5, 3), (5.15, 3.1), fontsize=9)
    for end, name, place in (((1.6, -0.55), "x", (1.75, -0.5)), ((-0.55, 2.9), "y", (-0.6, 3.25))):
        start = (0.3, -0.55) if name == "x" else (-0.55, 2.2)
        grid.annotate("", end, start, arrowprops={"arrowstyle": "->"})
        grid.text(*place, name, fontsize=10)
    grid.set(xlim=(-2.6, 7.2), ylim=(3.9, -0.9), aspect="equal")
    grid.set_title("pixels of a camera with size = (3, 5)", fontsize=10)
    grid.axis("off")
    save(figure, "camera.png")


def _beside(points: np.ndarray) -> np.ndarray:
    """Camera coordinates seen from the side and a little from above, in the plane of the paper."""
    x, y, z = np.moveaxis(np.asarray(points, dtype=float), -1, 0)
    return np.stack([0.8 * z + 0.5 * x, -y - 0.32 * x + 0.12 * z], -1)


def rotations(model: AnnyBody) -> None:
    """The rest pose, the whole body turned, one joint turned."""
    camera = Camera.from_field((330, 300), 900.0, 1)
    cases = (
        ("rest: global_orient = (π, 0, 0)", posed()),
        ("global_orient = R_x(π) R_y(0.5)", posed(orient=_turned(0.5))),
        ("body_pose[17] = (0, −1.4, 0)", posed({17: (0.0, -1.4, 0.0)})),
        ("body_pose[0] = (−0.8, 0, 0)", posed({0: (-0.8, 0.0, 0.0)}, _turned(0.5))),
    )
    figure, axes = plt.subplots(1, 4, figsize=(11.2, 3.4))
    for axis, (title, params) in zip(axes, cases, strict=True):
        output = model(params)
        show(axis, picture(model, output, camera), title)
        root = output.joints[:, :1]
        turn = _matrix(params.global_orient[0])
        for column, colour, name in zip(turn.T, (RED, GREEN, BLUE), "xyz", strict=True):
            tip = camera.project(root + 0.42 * column)[0, 0].tolist()
            start = camera.project(root)[0, 0].tolist()
            axis.annotate("", tip, start, arrowprops={"arrowstyle": "->", "color": colour, "lw": 1.8})
            axis.annotate(name, tip, color=colour, fontsize=10, ha="center",
                          va="top" if name == "z" else "bottom")  # fmt: skip
    save(figure, "rotations.png")


def _turned(angle: float) -> tuple[float, float, float]:
    """Upright, then turned about the body's own vertical axis: R_x(pi) R_y(angle) as one axis-angle."""
    return (math.pi * math.cos(angle / 2), 0.0, math.pi * math.sin(angle / 2))


def _matrix(axis_angle: torch.Tensor) -> torch.Tensor:
    import roma

    return roma.rotvec_to_rotmat(axis_angle)


def keypoints(model: AnnyBody) -> None:
    """Every keypoint set on the body: rows by number, the person's left in one colour, its right in another."""
    camera = Camera.from_field((390, 400), 1150.0, 1)
    output = model(posed())
    image = picture(model, output, camera)
    figure, axes = plt.subplots(2, 2, figsize=(10.4, 10.4))
    for axis, (name, joints) in zip(axes.flat, KEYPOINT_SETS.items(), strict=True):
        show(axis, image, f"{name}")
        places = camera.project(model.keypoints(output, name))[0].tolist()
        for row, (joint, place) in enumerate(zip(joints, places, strict=True)):
            axis.plot(*place, "o", color=_side(joint), ms=4)
            if not _crowded(place, places):
                left = _side(joint) == ORANGE
                beside = (place[0] - 5 if left else place[0] + 5, place[1] - 4)
                axis.annotate(str(row), place, beside, color=_side(joint), fontsize=9, weight="bold",
                              ha="right" if left else "left")  # fmt: skip
        _label_crowds(axis, joints, places)
    axes[0, 0].text(8, 30, "person's right", color=ORANGE, fontsize=10)
    axes[0, 0].text(300, 30, "person's left", color=BLUE, fontsize=10)
    save(figure, "keypoints.png")


def _side(joint: str) -> str:
    return BLUE if joint.startswith("left") else ORANGE if joint.startswith("right") else "black"


def _crowded(place: list[float], places: list[list[float]], within: float = 26.0) -> bool:
    """Whether a joint of head or feet has no room for a number beside it."""
    ends = place[1] < 75 or place[1] > 300
    return ends and sum(math.dist(place, other) < within for other in places) > 2


def _label_crowds(axis: plt.Axes, joints: tuple[str, ...], places: list[list[float]]) -> None:
    """Numbers of joints that lie close together: in columns beside them, left of the body or right of it."""
    middle = places[0][0]
    rows = [row for row, place in enumerate(places) if _crowded(place, places)]
    for low, high in ((0, 160), (160, 390)):
        for side in (-1, 1):
            group = [
                row for row in rows if low <= places[row][1] < high and (_side(joints[row]) == ORANGE) == (side < 0)
            ]
            group.sort(key=lambda row: places[row][1])
            for number, row in enumerate(group):
                x, y = places[row]
                top = sum(places[one][1] for one in group) / len(group) - 7.5 * (len(group) - 1)
                text = (middle + side * (72 if low else 52), top + 15 * number)
                axis.annotate(str(row), (x, y), text, color=_side(joints[row]), fontsize=9, weight="bold", va="center",
                              ha="center", arrowprops={"arrowstyle": "-", "color": GREY, "lw": 0.6})  # fmt: skip


def bins() -> None:
    """The soft weights of the orientation bins over the z component of a limb's direction."""
    figure, axes = plt.subplots(1, 3, figsize=(9.6, 2.7), sharey=True)
    p = torch.linspace(-1, 1, 400)
    directions = torch.stack([torch.sqrt(1 - p**2), torch.zeros_like(p), p], -1)
    names = {2: ("away", "towards"), 3: ("in the plane", "away", "towards"), 4: tuple("0123")}
    for axis, (count, labels) in zip(axes, names.items(), strict=True):
        weights = orientation_weights(directions, count).numpy()
        for bin_, (label, colour) in enumerate(zip(labels, (BLUE, ORANGE, GREEN, RED), strict=False)):
            axis.plot(p, weights[:, bin_], color=colour, label=f"{bin_}: {label}" if count < 4 else label)
        axis.set(title=f"{count} bins", xlabel="p: z of the limb's direction")
        axis.set(ylim=(-0.05, 1.75), yticks=(0, 0.5, 1))
        axis.legend(fontsize=8, loc="upper center", framealpha=0, ncols=2 if count == 4 else 1)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("weight")
    save(figure, "bins.png")


def save(figure: plt.Figure, name: str) -> None:
    """Write a picture into docs/images/conventions."""
    OUT.mkdir(parents=True, exist_ok=True)
    figure.tight_layout()
    figure.savefig(OUT / name, dpi=110)
    plt.close(figure)


if __name__ == "__main__":
    torch.set_num_threads(1)
    body = AnnyBody()
    cameras(body)
    rotations(body)
    keypoints(body)
    bins()
    print(f"wrote {OUT}")
