"""What the sparse renderer does: the dense formulas, in any dtype, whatever the order and the company."""

import pytest
import torch

from nbf_core.errors import ShapeError
from nbf_core.types import Camera, Kernels
from nbf_renderers import (
    GaussianConfig,
    GaussianRenderer,
    clear_pixels,
    nearest_mask,
    render_dense,
    render_rays,
)
from nbf_renderers._volume import peak
from nbf_testing.renderers import RendererConformance
from nbf_testing.scenes import body, kernel_scene


class TestConformance(RendererConformance):
    def make_renderer(self, **options):
        return GaussianRenderer(GaussianConfig(**options))


def full_precision(precision):
    """Isotropic precision as matrices."""
    if precision.dim() == 4:
        return precision
    return precision[..., None, None] * torch.eye(3, dtype=precision.dtype)


def dense(kernels, camera, attributes, config):
    precision = full_precision(kernels.precision)
    return render_dense(
        kernels.means,
        precision,
        camera.rays(),
        attributes,
        config.max_kernels,
        config.threshold,
        config.absorptivity,
    )


@pytest.mark.parametrize("anisotropic", [False, True])
@pytest.mark.parametrize("near", [0.0, 0.15, 0.5])
def test_boxes_miss_no_pixel_near_the_camera(anisotropic, near):
    # Wide kernels about the camera itself: beside it, across its plane, behind it.
    kernels, camera, attributes = kernel_scene(anisotropic=anisotropic, seed=7, count=40)
    means = (kernels.means - torch.tensor([0.0, 0.0, 3.0])) * 0.6 + torch.tensor([0.0, 0.0, near])
    kernels = Kernels(means, kernels.precision)
    config = GaussianConfig(max_kernels=40)
    output = GaussianRenderer(config).render(kernels, camera, attributes)
    image, silhouette = dense(kernels, camera, attributes, config)
    torch.testing.assert_close(output.silhouette, silhouette)
    torch.testing.assert_close(output.attributes, image)


def test_camera_and_ray_paths_agree():
    kernels, camera, attributes = kernel_scene(anisotropic=True, seed=3)
    config = GaussianConfig()
    first = GaussianRenderer(config).render(kernels, camera, attributes)
    second = render_rays(kernels, camera.rays(), attributes, config)
    torch.testing.assert_close(first.attributes, second.attributes)
    assert torch.equal(first.fragments.kernel, second.fragments.kernel)
    torch.testing.assert_close(first.fragments.depth, second.fragments.depth)


def test_large_candidate_sets_are_tested_in_chunks(monkeypatch):
    kernels, camera, attributes = kernel_scene(seed=5)
    whole = GaussianRenderer().render(kernels, camera, attributes)
    monkeypatch.setattr("nbf_renderers._candidates._CHUNK", 100)
    pieces = GaussianRenderer().render(kernels, camera, attributes)
    assert torch.equal(whole.attributes, pieces.attributes)
    assert torch.equal(whole.fragments.kernel, pieces.fragments.kernel)
    rays = render_rays(kernels, camera.rays(), attributes)
    torch.testing.assert_close(whole.attributes, rays.attributes)


@pytest.mark.parametrize("channels", [0, 3, 40])
def test_any_number_of_channels_with_gradients(channels):
    kernels, camera, _ = kernel_scene()
    attributes = torch.randn(kernels.means.shape[1], channels, dtype=torch.float64, requires_grad=True)
    output = GaussianRenderer().render(kernels, camera, attributes)
    assert output.attributes.shape == (2, 14, 20, channels)
    shared = dense(kernels, camera, attributes.expand(2, -1, -1), GaussianConfig())[0]
    torch.testing.assert_close(output.attributes, shared)
    pull = torch.randn_like(shared)
    if channels:
        found = torch.autograd.grad((output.attributes * pull).sum(), attributes)[0]
        expected = torch.autograd.grad((shared * pull).sum(), attributes)[0]
        torch.testing.assert_close(found, expected)


def test_a_lone_kernel_weighs_one_in_its_centre():
    camera = Camera.from_field((9, 9), 20.0, 1, dtype=torch.float64)
    kernels = Kernels(torch.tensor([[[0.0, 0.0, 5.0]]]).double(), torch.tensor([[8.0]]).double())
    silhouette = GaussianRenderer().render(kernels, camera, torch.ones(1, 1)).silhouette
    assert silhouette[0, 4, 4].item() == pytest.approx(1.0)
    assert silhouette.argmax().item() == 4 * 9 + 4


@pytest.mark.parametrize("depth", [4.0, 40.0, 160.0])
def test_float32_is_accurate_at_a_distance(depth):
    outputs = []
    for dtype in (torch.float32, torch.float64):
        kernels, camera = (part.to(dtype=dtype) for part in body(depth))
        outputs.append(GaussianRenderer().render(kernels, camera, torch.ones(858, 1)))
    error = (outputs[0].silhouette.double() - outputs[1].silhouette).abs()
    # a float32 depth of 160 m is rounded by 8 micrometres, where kernels are 16 mm wide
    assert error.max() < 0.01 * max(1, depth / 40)
    assert error.mean() < 1e-4


def test_float32_activation_at_forty_metres():
    kernels, camera = body(40.0)
    fragments = GaussianRenderer(GaussianConfig(threshold=0.0)).render(kernels, camera, torch.ones(858, 1)).fragments
    # Each pixel's nearest kernel, its activation from inputs rounded to float32, against float64.
    pixel, kernel = fragments.pixel, fragments.kernel[:, 0]
    ray = camera.rays()[0].reshape(-1, 3)[pixel].T
    mean = kernels.means[0, kernel].T
    precision = kernels.precision[0, kernel]
    exact = peak(mean, precision, ray, mean[2])[1]
    rough = peak(*(v.float() for v in (mean, precision, ray / ray[2])), mean[2].float())[1]
    # the published formula: mu' S mu - (mu' S d)^2 / d' S d
    mu, S, d = mean.float(), precision.float(), ray.float()
    published = S * (mu * mu).sum(0) - (S * (mu * d).sum(0)) ** 2 / (S * (d * d).sum(0))
    errors = [(value.double() - exact).abs() for value in (rough, published)]
    for name, error in zip(("ours", "published"), errors, strict=True):
        print(f"float32 activation at 40 m, {name}: off by {error.max():.1e} at most, {error.mean():.1e} on average")
    assert errors[0].max() < 2e-3
    assert errors[1].max() > 1


def test_gradients_match_finite_differences():
    kernels, camera, attributes = kernel_scene(batch=1, count=6, size=(5, 6), anisotropic=True, channels=2)
    renderer = GaussianRenderer(GaussianConfig(threshold=0.0, max_kernels=6))

    def draw(means, precision, focal, center, table):
        precision = (precision + precision.mT) / 2
        output = renderer.render(Kernels(means, precision), Camera(focal, center, camera.size), table)
        return output.attributes, output.silhouette

    inputs = (kernels.means, kernels.precision, camera.focal / 5, camera.center / 4, attributes)
    assert torch.autograd.gradcheck(draw, [v.clone().requires_grad_() for v in inputs], atol=1e-6)


def test_ray_gradients_match_finite_differences():
    kernels, camera, attributes = kernel_scene(batch=1, count=5, size=(4, 5), channels=2)
    rays = camera.rays().clone().requires_grad_()
    config = GaussianConfig(threshold=0.0)
    assert torch.autograd.gradcheck(lambda r: render_rays(kernels, r, attributes, config).attributes, [rays], atol=1e-6)


@pytest.mark.parametrize("broken", ["nan", "inf", "zero"])
def test_a_kernel_that_is_no_kernel_draws_nothing(broken):
    kernels, camera, attributes = kernel_scene()
    means = kernels.means.clone()
    means[0, 0] = {"nan": torch.nan, "inf": torch.inf, "zero": 0.0}[broken]
    without = Kernels(kernels.means[:1, 1:], kernels.precision[:1, 1:])
    output = GaussianRenderer().render(Kernels(means, kernels.precision), camera, attributes)
    expected = GaussianRenderer().render(without, camera.map(lambda v: v[:1]), attributes[:1, 1:])
    torch.testing.assert_close(output.attributes[:1], expected.attributes)


def test_published_renderer_keeps_kernels_behind_the_camera_and_ours_does_not():
    kernels, camera, attributes = kernel_scene()
    behind = Kernels(-kernels.means, kernels.precision)
    assert GaussianRenderer().render(behind, camera, attributes).silhouette.max() == 0
    assert render_rays(behind, camera.rays(), attributes).silhouette.max() == 0
    assert render_rays(behind, camera.rays(), attributes, keep_behind=True).silhouette.max() > 0


def test_clearing_pixels_hides_what_was_seen_only_there():
    kernels, camera, _ = kernel_scene()
    renderer = GaussianRenderer()
    fragments = renderer.render(kernels, camera, torch.ones(25, 1)).fragments
    covered = torch.zeros(2, 14, 20, dtype=torch.bool)
    covered[:, :, :10] = True
    left = clear_pixels(fragments, covered)
    assert torch.equal(nearest_mask(left), nearest_mask(fragments) & ~covered)
    features = torch.rand(2, 14, 20, 4, dtype=torch.float64)
    assert (renderer.sample(left, features, 25)[1] <= renderer.sample(fragments, features, 25)[1]).all()
    everything = clear_pixels(fragments, torch.ones_like(covered))
    mean, visible = renderer.sample(everything, features, 25)
    assert not visible.any() and not mean.any()
    with pytest.raises(ShapeError, match="covered"):
        clear_pixels(fragments, covered[:, 1:])


def test_rays_of_the_wrong_shape_are_refused():
    kernels, camera, attributes = kernel_scene()
    with pytest.raises(ShapeError, match="rays"):
        render_rays(kernels, camera.rays()[:1], attributes[0])


def test_results_are_in_the_dtype_of_the_means():
    kernels, camera, attributes = kernel_scene()
    output = GaussianRenderer().render(Kernels(kernels.means.float(), kernels.precision), camera, attributes)
    fragments = output.fragments
    values = (output.attributes, output.silhouette, fragments.weight, fragments.depth, fragments.lost)
    assert {value.dtype for value in values} == {torch.float32}


def test_a_negative_focal_length_mirrors_the_picture():
    kernels, camera, attributes = kernel_scene(batch=1)
    height, width = camera.size
    flip = torch.tensor([-1.0, 1.0], dtype=camera.focal.dtype)
    center = torch.stack([width - camera.center[:, 0], camera.center[:, 1]], -1)
    mirrored = GaussianRenderer().render(kernels, Camera(camera.focal * flip, center, camera.size), attributes)
    expected = GaussianRenderer().render(kernels, camera, attributes)
    torch.testing.assert_close(mirrored.attributes.flip(2), expected.attributes)
