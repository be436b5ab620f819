"""The compiled renderer equals the published implementation, through what everybody may call."""

from pathlib import Path

import pytest
import torch
from torch.nn.functional import normalize

from nbf_core.types import Camera, Fragments, Kernels
from nbf_render_numba import NumbaConfig, NumbaRenderer
from nbf_renderers import clear_pixels, nearest_mask
from nbf_testing.golden import cases

HERE = Path(__file__).parent / "golden"
# Twice the published sigma: the published pipeline hands sigma = 2000 to a renderer that doubles it.
PIPELINE_PRECISION = 4000.0


def published_camera(case, batch):
    # Published rays go through integer pixel coordinates about res / 2: half a pixel from where ours go.
    res = case.scalar("res")
    focal = torch.full((batch, 2), case.scalar("focal"), dtype=torch.float64)
    return Camera(focal, torch.full_like(focal, res / 2 + 0.5), (res, res))


def published_kernels(case, requires_grad=False):
    verts = case.tensor("verts", requires_grad)
    means = verts + case.tensor("transl")[:, None]
    return verts, Kernels(means, torch.full_like(means[..., 0], PIPELINE_PRECISION))


def published_renderer(case):
    return NumbaRenderer(NumbaConfig(threshold=0.0, max_kernels=case.scalar("K"), threads=2))


@pytest.mark.parametrize("case", cases("render_pipeline", HERE), ids=str)
def test_golden_render_pipeline(case):
    verts, kernels = published_kernels(case, requires_grad=True)
    batch, count, _ = verts.shape
    renderer = published_renderer(case)
    parts = [case.tensor("features"), case.tensor("vert_orient_weights"), case.tensor("vert_part")]
    table = torch.cat([part.expand(batch, count, -1) for part in parts], dim=-1)
    output = renderer.render(kernels, published_camera(case, batch), table)
    split = output.attributes.permute(0, 3, 1, 2).split([part.shape[-1] for part in parts], dim=1)
    features, orientation, part = split

    case.check("projected_map", normalize(features, dim=1))
    case.check("pixel_orient_weights", orientation.softmax(1))
    case.check("pixel_part", part)
    case.check("pixel_part_argmax", part.argmax(1))
    case.check("mask", nearest_mask(output.fragments).double())
    case.check("mask_bp", output.silhouette)
    everywhere = torch.ones(*output.silhouette.shape, 1, dtype=torch.float64)
    case.check("vert_visibility", renderer.sample(output.fragments, everywhere, count)[1])
    (normalize(features, dim=1) * case.tensor("functional")).sum().backward()
    case.check("grad_verts", verts.grad)


def fragments_of(index, weight, count):
    """Fragments from the published dense ``[b, h, w, m]`` index (over the whole batch) and weight."""
    seen = (index >= 0).flatten(0, 2)
    pixel = seen[:, 0].nonzero().squeeze(1)
    kernel = torch.where(index >= 0, index % count, -1).long()
    rows = [value.flatten(0, 2)[pixel] for value in (kernel, weight)]
    nothing = torch.zeros_like(rows[1])
    return Fragments(pixel, *rows, nothing, torch.zeros_like(pixel), nothing[:, 0], tuple(index.shape[:3]))


@pytest.mark.parametrize("case", cases("sample_features", HERE), ids=str)
def test_golden_sample_features(case):
    image, weight = case.tensor("image", requires_grad=True), case.tensor("vert_weight", requires_grad=True)
    functional = case.tensor("functional")
    fragments = fragments_of(case.tensor("vert_index"), weight, functional.shape[1])
    mean, visible = NumbaRenderer().sample(fragments, image, functional.shape[1])

    case.check("vert_feat_norm", mean)
    sums = torch.tensor(case.outputs["sum_weight"])
    case.check("vert_feat", mean * (sums + 1e-8)[..., None])
    assert not (visible & (sums == 0)).any()
    (mean * functional).sum().backward()
    case.check("grad_image", image.grad)
    # The published kernel has a gradient for the weight of an empty slot as well; there is no such slot here.
    expected = torch.tensor(case.outputs["grad_vert_weight"])
    case.arrays["out__grad_vert_weight"] = torch.where(case.tensor("vert_index") >= 0, expected, 0.0).numpy()
    case.check("grad_vert_weight", weight.grad)


def published_patches(case, size):
    """The published rectangle: truncated, and its rows counted along the width."""
    covered = torch.zeros(len(case.inputs["have_occ"]), size, size, dtype=torch.bool)
    for b, (occluded, side, stride, (i, j)) in enumerate(
        zip(*(case.inputs[name] for name in ("have_occ", "occ_size", "occ_stride", "occ_idx")), strict=True)
    ):
        if occluded:
            side, stride = int(side * size / 224), int(stride * size / 224)
            covered[b, j * stride : j * stride + side, i * stride : i * stride + side] = True
    return covered


@pytest.mark.parametrize("case", cases("mask_and_visibility", HERE), ids=str)
def test_golden_mask_and_visibility(case):
    _, kernels = published_kernels(case)
    batch, count, _ = kernels.means.shape
    renderer = published_renderer(case)
    nothing = kernels.means.new_zeros(count, 0)
    fragments = renderer.render(kernels, published_camera(case, batch), nothing).fragments
    features = case.tensor("coke_features").permute(0, 2, 3, 1)

    case.check("mask", nearest_mask(fragments).double())
    case.check("vert_coke_features", renderer.sample(fragments, features, count)[0])
    open_pixels = clear_pixels(fragments, published_patches(case, case.scalar("res")))
    case.check("visibility", renderer.sample(open_pixels, features, count)[1])
