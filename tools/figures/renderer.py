"""Draws the pictures of docs/renderer.md with the renderer itself: python tools/figures/renderer.py

Needs matplotlib and the packages nbf-renderers and nbf-body-anny. Writes docs/images/renderer/*.png.
"""

from __future__ import annotations

import math
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.patches import Ellipse

from nbf_body_anny.body import AnnyBody
from nbf_core.conventions import LIMBS
from nbf_core.types import BodyParams, Camera, Kernels, RenderOutput
from nbf_renderers import GaussianConfig, GaussianRenderer

OUT = Path(__file__).resolve().parents[2] / "docs" / "images" / "renderer"
BLUE, ORANGE, GREEN, GREY = "#3b6fb6", "#d9822b", "#4a9a5b", "#8a8f98"
PIXELS, FOCAL, DEPTH = 80, 1250.0, 40.0


def erf(values: np.ndarray) -> np.ndarray:
    """The error function."""
    return torch.erf(torch.from_numpy(values)).numpy()


def ray_through_a_kernel() -> None:
    """Depth l, activation a and sharpness q of one kernel on one ray, in the plane of both."""
    figure, (scene, profile) = plt.subplots(1, 2, figsize=(9.6, 3.3), width_ratios=(1.25, 1))
    mean, sigma = np.array([2.6, 0.36]), np.array([0.42, 0.24])
    direction = np.array([1.0, 0.26]) / np.hypot(1.0, 0.26)
    precision = 1 / sigma**2
    q = (direction**2 * precision).sum()
    depth = (mean * precision * direction).sum() / q
    peak = depth * direction
    rest = mean - peak
    activation = (rest**2 * precision).sum()
    for width, alpha in ((1, 0.35), (2, 0.22), (3, 0.12)):
        scene.add_patch(Ellipse(mean, *(2 * width * sigma), color=BLUE, alpha=alpha, lw=0))
    end = 4.2 * direction
    scene.annotate("", end, (0, 0), arrowprops={"arrowstyle": "->", "color": GREY, "lw": 1.4})
    scene.plot(*zip(mean, peak, strict=True), color=ORANGE, lw=1.6)
    scene.plot(*mean, "o", color=BLUE)
    scene.plot(*peak, "o", color=ORANGE)
    scene.plot(0, 0, "s", color="black")
    for text, place in (
        ("camera", (-0.1, -0.3)), ("ray  $d$", (3.75, 0.72)), (r"$\mu$", (2.66, 0.16)), (r"$l\,d$", (2.42, 0.76)),
        (r"$r = \mu - l\,d$", (2.75, 0.52)),
    ):  # fmt: skip
        scene.text(*place, text, fontsize=11)
    scene.set(xlim=(-0.3, 4.4), ylim=(-0.75, 1.45), aspect="equal", title="One kernel, one ray")
    scene.axis("off")

    t = np.linspace(1.2, 4.2, 400)
    density = np.exp(-activation - q * (t - depth) ** 2)
    profile.fill_between(t, density, color=BLUE, alpha=0.3)
    profile.plot(t, density, color=BLUE)
    profile.axvline(depth, color=ORANGE, lw=1)
    profile.axhline(math.exp(-activation), color=ORANGE, lw=1, ls=":")
    profile.text(depth + 0.05, 0.04, "$l$", color=ORANGE, fontsize=12)
    profile.text(1.25, math.exp(-activation) + 0.02, r"$e^{-a}$", color=ORANGE, fontsize=12)
    profile.set(xlabel="distance along the ray", ylabel="density", ylim=(0, 1.08), title="What the ray meets")
    save(figure, "ray.png")


def two_kernels() -> None:
    """How two kernels share a ray as one moves through the other."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.6, 3.3))
    q, t = 400.0, np.linspace(-0.3, 0.3, 500)
    for centre, colour, name in ((-0.06, BLUE, "near"), (0.06, ORANGE, "far")):
        density = np.exp(-q * (t - centre) ** 2)
        left.fill_between(100 * t, density, color=colour, alpha=0.25)
        left.plot(100 * t, density, color=colour, label=f"density of the {name} one")
    passed = 0.5 * (erf((t + 0.06) * math.sqrt(q)) + 1) + 0.5 * (erf((t - 0.06) * math.sqrt(q)) + 1)
    left.plot(100 * t, np.exp(-passed), color="black", lw=1.4, label=r"light left, $e^{-D}$")
    left.set(xlabel="along the ray (cm)", title="Two kernels 12 cm apart", ylim=(0, 1.42))
    left.legend(frameon=False, fontsize=8, loc="upper right")

    gap = torch.linspace(-0.3, 0.3, 241)
    means = torch.stack([torch.stack([torch.zeros(2), torch.zeros(2), torch.tensor([4.0, 4.0 + g])], -1) for g in gap])
    camera = Camera.from_field((1, 1), 100.0, len(gap))
    output = GaussianRenderer().render(Kernels(means, torch.full((len(gap), 2), q)), camera, torch.eye(2))
    for index, (colour, name) in enumerate(((BLUE, "first"), (ORANGE, "second"))):
        right.plot(100 * gap, output.attributes[:, 0, 0, index], color=colour, label=f"weight of the {name}")
    right.plot(100 * gap, output.silhouette[:, 0, 0], color=GREY, ls="--", label="silhouette")
    right.set(
        xlabel="the second one's place behind the first (cm)", title="Weights as one passes the other", ylim=(0, 1.42)
    )
    right.legend(frameon=False, fontsize=8, loc="upper right", ncols=3)
    save(figure, "two_kernels.png")


def body() -> tuple[Kernels, torch.Tensor]:
    """The free body's kernels in a walking pose before the camera, and each kernel's limb."""
    model = AnnyBody()
    params = BodyParams.neutral(1)
    params.body_pose[0, [15, 16], 2] = torch.tensor([-1.1, 0.9])
    params.body_pose[0, [17, 18], 1] = torch.tensor([-0.9, 0.7])
    params.body_pose[0, [0, 1], 0] = torch.tensor([-0.5, 0.35])
    params.body_pose[0, 3, 0] = 0.3
    params.global_orient[0] = torch.tensor([2.9, 0.0, 1.0])  # upright, turned a little
    params.transl[0] = torch.tensor([0.0, -0.02, DEPTH])
    points = model(params, vertices=False).kernels.detach()
    spec = model.spec
    return Kernels(points, torch.full(points.shape[:2], spec.kernel_precision)), spec.kernel_limbs


def camera(zoom: float = 1.55) -> Camera:
    """The workload's camera, a little longer so that the person fills the picture."""
    return Camera.from_field((PIXELS, PIXELS), FOCAL * zoom / 1.25, 1)


def spread(output: RenderOutput, values: torch.Tensor) -> np.ndarray:
    """A value of each pixel in the fragments as a picture, NaN elsewhere."""
    picture = torch.full((PIXELS * PIXELS,), torch.nan)
    picture[output.fragments.pixel] = values.float()
    return picture.view(PIXELS, PIXELS).numpy()


def rendered_body() -> None:
    """What one call gives: attributes, silhouette, fragments."""
    kernels, limbs = body()
    colours = torch.tensor(plt.get_cmap("tab10").colors, dtype=torch.float32)[: len(LIMBS)]
    output = GaussianRenderer(GaussianConfig(max_kernels=20)).render(kernels, camera(), colours[limbs])
    fragments = output.fragments
    figure, axes = plt.subplots(1, 5, figsize=(12.5, 3.3), layout="constrained")
    place = camera().project(kernels.means)[0]
    axes[0].scatter(*place.T, c=colours[limbs].numpy(), s=5, lw=0)
    axes[0].set(aspect="equal", title="kernels (means)")
    silhouette = output.silhouette[0]
    over_white = output.attributes[0].clamp(0, 1) + (1 - silhouette[..., None])
    axes[1].imshow(over_white.clamp(0, 1).numpy())
    axes[1].set_title("attributes: limbs")
    axes[2].imshow(silhouette.numpy(), cmap="gray_r", vmin=0, vmax=1)
    axes[2].set_title("silhouette")
    shown = axes[3].imshow(spread(output, fragments.depth[:, 0] - DEPTH) * 100, cmap="viridis_r")
    axes[3].set_title("depth of the nearest (cm)")
    figure.colorbar(shown, ax=axes[3], shrink=0.7)
    count = (fragments.kernel >= 0).sum(1) + fragments.truncated
    shown = axes[4].imshow(spread(output, count), cmap="magma_r")
    axes[4].set_title("kernels a pixel sees")
    figure.colorbar(shown, ax=axes[4], shrink=0.7)
    for axis in axes:
        axis.set(xticks=[], yticks=[], xlim=(15, 65), ylim=(78, 2))
        axis.spines[:].set_visible(False)
    save(figure, "body.png")


def truncation() -> None:
    """The weight that max_kernels cuts off, and the bound of it that fragments carry."""
    kernels, _ = body()
    nothing = torch.zeros(kernels.means.shape[1], 0)
    full = GaussianRenderer(GaussianConfig(max_kernels=200)).render(kernels, camera(), nothing).fragments
    limits = list(range(1, 13))
    worst, bounds = [], []
    for limit in limits:
        cut = GaussianRenderer(GaussianConfig(max_kernels=limit)).render(kernels, camera(), nothing).fragments
        worst.append(full.weight[:, limit:].sum(1))
        bounds.append(cut.lost)
    figure, axis = plt.subplots(figsize=(6.4, 3.2))
    for values, colour, name in ((worst, ORANGE, "weight cut off"), (bounds, BLUE, "bound in the fragments")):
        axis.semilogy(
            limits, [v.max().clamp_min(1e-6) for v in values], "o-", color=colour, label=f"{name}, worst pixel"
        )
        axis.semilogy(
            limits, [v.mean().clamp_min(1e-6) for v in values], "s--", color=colour, label=f"{name}, mean", ms=4
        )
    axis.set(xlabel="max_kernels", title="What truncation loses (a body at 40 m)", xticks=limits, ylim=(1e-3, 8))
    axis.legend(frameon=False, fontsize=8)
    save(figure, "truncation.png")


def float32_error() -> None:
    """Error of the silhouette in float32, by the published formula and from the perpendicular offset."""
    kernels, _ = body()
    depths = [2.0, 5.0, 10.0, 20.0, 40.0, 80.0]
    ours, theirs = [], []
    for depth in depths:
        # the same picture from any distance: the focal length grows with the depth
        moved = Kernels(kernels.means + torch.tensor([0.0, 0.0, depth - DEPTH]), kernels.precision)
        eye = Camera.from_field((PIXELS, PIXELS), FOCAL * 1.24 * depth / DEPTH, 1)
        nothing = torch.zeros(kernels.means.shape[1], 0)
        config = GaussianConfig(max_kernels=20)
        exact = GaussianRenderer(config).render(moved.to(dtype=torch.float64), eye.to(dtype=torch.float64), nothing)
        rough = GaussianRenderer(config).render(moved, eye, nothing)
        ours.append((exact.silhouette - rough.silhouette).abs().max().item())
        theirs.append(published_error(moved, eye, exact))
    figure, axis = plt.subplots(figsize=(6.4, 3.2))
    axis.loglog(depths, theirs, "o-", color=ORANGE, label=r"$\mu'S\mu - (\mu'Sd)^2/q$ (published)")
    axis.loglog(depths, ours, "o-", color=BLUE, label=r"$r'Sr$ (here)")
    axis.set(xlabel="distance of the body (m)", ylabel="largest error", title="Silhouette in float32 against float64")
    axis.set_xticks(depths, [f"{d:g}" for d in depths])
    axis.minorticks_off()
    axis.legend(frameon=False, fontsize=9)
    save(figure, "float32.png")


def published_error(kernels: Kernels, eye: Camera, exact: RenderOutput) -> float:
    """Largest error of the silhouette where only the activation is computed the published way, in float32."""
    fragments = exact.fragments
    kernel = fragments.kernel.clamp_min(0)
    means = kernels.means[0, kernel]
    ray = eye.rays()[0].view(-1, 3)[fragments.pixel][:, None]
    precision = kernels.precision[0, kernel]
    along = precision * (means * ray).sum(-1)
    q = precision * (ray * ray).sum(-1)
    rough = precision * (means * means).sum(-1) - along * along / q
    exact_ray = eye.to(dtype=torch.float64).rays()[0].view(-1, 3)[fragments.pixel][:, None]
    double = means.double()
    offset = double - (double * exact_ray).sum(-1, keepdim=True) * exact_ray
    true = precision * (offset * offset).sum(-1)
    # the occlusion of both is the exact one: only the densities differ
    silhouette = (fragments.weight * torch.exp(true - rough)).sum(1).clamp(max=1)
    return (silhouette - fragments.weight.sum(1).clamp(max=1)).abs().max().item()


def save(figure: plt.Figure, name: str) -> None:
    """Write one picture."""
    for axis in figure.axes:
        axis.spines[["top", "right"]].set_visible(False)
    if figure.get_layout_engine() is None:
        figure.tight_layout()
    figure.savefig(OUT / name, dpi=130)
    plt.close(figure)
    print(OUT / name)


if __name__ == "__main__":
    OUT.mkdir(parents=True, exist_ok=True)
    for draw in (ray_through_a_kernel, two_kernels, rendered_body, truncation, float32_error):
        draw()
