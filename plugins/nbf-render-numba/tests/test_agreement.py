"""The compiled renderer gives what the plain one gives: values, fragments, gradients, scores."""

import pytest
import torch

from nbf_core.types import Camera, Fragments, Kernels, Similarities
from nbf_render_numba import NumbaConfig, NumbaRenderer
from nbf_renderers import GaussianConfig, GaussianRenderer, render_dense, sample_pixels
from nbf_testing.scenes import kernel_scene

INPUTS = ("means", "precision", "focal", "center", "attributes")


def pair(**options):
    """The compiled renderer and the one that it must equal."""
    return NumbaRenderer(NumbaConfig(threads=2, **options)), GaussianRenderer(GaussianConfig(**options))


def leaves(scene):
    kernels, camera, table = scene
    values = (kernels.means, kernels.precision, camera.focal, camera.center, table)
    return [value.clone().requires_grad_() for value in values]


def drawn(renderer, inputs, size):
    means, precision, focal, center, table = inputs
    return renderer.render(Kernels(means, precision), Camera(focal, center, size), table)


def noise(like, seed):
    return torch.randn(like.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(like.dtype)


def pulled(output, seed=0):
    """A loss that pulls at everything that carries gradients."""
    fragments = output.fragments
    depth = fragments.depth.masked_fill(fragments.kernel < 0, 0.0)
    parts = (output.attributes, output.silhouette, fragments.weight, depth)
    return sum((part * noise(part, seed + i)).sum() for i, part in enumerate(parts))


def assert_same(first, second, **limits):
    for name in ("attributes", "silhouette"):
        torch.testing.assert_close(getattr(first, name), getattr(second, name), **limits)
    for name in ("pixel", "kernel", "truncated"):
        assert torch.equal(getattr(first.fragments, name), getattr(second.fragments, name)), name
    for name in ("weight", "depth", "lost"):
        torch.testing.assert_close(getattr(first.fragments, name), getattr(second.fragments, name), **limits)
    assert first.fragments.grid == second.fragments.grid


@pytest.mark.parametrize("anisotropic", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_equals_the_plain_renderer_in_values_and_gradients(anisotropic, seed):
    options = {
        "max_kernels": (1, 4, 7, 10, 60)[seed],
        "threshold": (0.0, 1e-4, 0.01, 0.2, 0.0)[seed],
        "absorptivity": (1.0, 0.5, 2.0, 0.0, 30.0)[seed],
    }
    scene = kernel_scene(batch=3, count=60, size=(11, 23), channels=5, anisotropic=anisotropic, seed=seed)
    found = []
    for renderer in pair(**options):
        inputs = leaves(scene)
        output = drawn(renderer, inputs, (11, 23))
        found.append((output, torch.autograd.grad(pulled(output), inputs)))
    (compiled, ours), (plain, theirs) = found
    assert_same(compiled, plain, rtol=1e-9, atol=1e-10)
    for name, value, expected in zip(INPUTS, ours, theirs, strict=True):
        limit = 1e-9 * float(expected.abs().max())
        torch.testing.assert_close(value, expected, rtol=0, atol=limit, msg=lambda m, n=name: f"{n}: {m}")


@pytest.mark.parametrize("anisotropic", [False, True])
@pytest.mark.parametrize("near", [0.0, 0.15, 0.5])
def test_kernels_about_the_camera_itself(anisotropic, near):
    kernels, camera, attributes = kernel_scene(anisotropic=anisotropic, seed=7, count=40)
    means = (kernels.means - torch.tensor([0.0, 0.0, 3.0])) * 0.6 + torch.tensor([0.0, 0.0, near])
    scene = (Kernels(means, kernels.precision), camera, attributes)
    compiled, plain = (renderer.render(*scene) for renderer in pair(max_kernels=40))
    assert_same(compiled, plain, rtol=1e-8, atol=1e-9)
    full = kernels.precision
    if not anisotropic:
        full = full[..., None, None] * torch.eye(3, dtype=full.dtype)
    image, silhouette = render_dense(means, full, camera.rays(), attributes, max_kernels=40)
    torch.testing.assert_close(compiled.attributes, image, rtol=1e-7, atol=1e-8)
    torch.testing.assert_close(compiled.silhouette, silhouette, rtol=1e-7, atol=1e-8)


def test_equally_deep_kernels_come_in_the_order_of_their_indices():
    kernels, camera, attributes = kernel_scene(count=12)
    twice = Kernels(kernels.means.repeat(1, 3, 1), kernels.precision.repeat(1, 3))
    scene = (twice, camera, attributes.repeat(1, 3, 1))
    for limit in (2, 5, 36):
        compiled, plain = (renderer.render(*scene, max_kernels=limit) for renderer in pair())
        assert_same(compiled, plain, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("broken", ["nan", "inf", "zero"])
def test_a_kernel_that_is_no_kernel_draws_nothing(broken):
    kernels, camera, attributes = kernel_scene()
    means = kernels.means.clone()
    means[0, 0] = {"nan": torch.nan, "inf": torch.inf, "zero": 0.0}[broken]
    compiled, plain = (renderer.render(Kernels(means, kernels.precision), camera, attributes) for renderer in pair())
    assert_same(compiled, plain, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize(("batch", "count"), [(2, 0), (0, 5)])
def test_nothing_to_draw(batch, count):
    _, camera, _ = kernel_scene(batch=batch)
    means = torch.zeros(batch, count, 3, dtype=torch.float64, requires_grad=True)
    kernels = Kernels(means, torch.ones(batch, count, dtype=torch.float64))
    renderer = NumbaRenderer()
    output = renderer.render(kernels, camera, torch.ones(count, 4, dtype=torch.float64))
    assert output.attributes.shape == (batch, *camera.size, 4) and not output.attributes.any()
    (output.attributes.sum() + output.silhouette.sum()).backward()
    assert means.grad.shape == means.shape
    mean, visible = renderer.sample(output.fragments, output.attributes.detach(), count)
    assert mean.shape == (batch, count, 4) and not visible.any()


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("channels", [0, 1, 2, 7, 40])
def test_any_number_of_channels(channels, shared):
    kernels, camera, _ = kernel_scene()
    attributes = noise(torch.empty(*([] if shared else [2]), 25, channels, dtype=torch.float64), 3)
    found = []
    for renderer in pair():
        table = attributes.clone().requires_grad_()
        output = renderer.render(kernels, camera, table)
        gradient = torch.autograd.grad(pulled(output), table, allow_unused=True)[0] if channels else table
        found.append((output.attributes, gradient))
    torch.testing.assert_close(found[0], found[1], rtol=1e-9, atol=1e-10)


def test_gradients_match_finite_differences():
    kernels, camera, attributes = kernel_scene(batch=1, count=6, size=(5, 6), anisotropic=True, channels=2)
    renderer = NumbaRenderer(NumbaConfig(threshold=0.0, max_kernels=6))

    def draw(means, precision, focal, center, table):
        precision = (precision + precision.mT) / 2
        output = renderer.render(Kernels(means, precision), Camera(focal, center, camera.size), table)
        return output.attributes, output.silhouette, output.fragments.weight

    inputs = (kernels.means, kernels.precision, camera.focal / 5, camera.center / 4, attributes)
    assert torch.autograd.gradcheck(draw, [v.clone().requires_grad_() for v in inputs], atol=1e-6)


def test_gradients_may_come_in_any_layout():
    kernels, camera, attributes = kernel_scene(channels=6)
    renderer = NumbaRenderer()

    def gradient(pull):
        means, table = kernels.means.clone().requires_grad_(), attributes.clone().requires_grad_()
        output = renderer.render(Kernels(means, kernels.precision), camera, table)
        return torch.autograd.grad(output.attributes, (means, table), pull(output.attributes))

    ones = gradient(torch.ones_like)
    torch.testing.assert_close(gradient(lambda image: torch.ones((), dtype=image.dtype).expand_as(image)), ones)
    plain = gradient(lambda image: noise(image, 5))
    torch.testing.assert_close(gradient(lambda image: noise(image, 5).mT.contiguous().mT), plain)
    # inputs that are no contiguous tensors of their own
    odd = Kernels(kernels.means.mT.contiguous().mT, kernels.precision[:1, :1].expand(2, 25))
    even = Kernels(kernels.means, kernels.precision[:1, :1].repeat(2, 25))
    view = attributes[:1].expand(2, -1, -1)
    first, second = (renderer.render(k, camera, a) for k, a in ((odd, view), (even, view.clone())))
    assert_same(first, second, rtol=0, atol=0)


def test_backward_twice_and_not_to_second_order():
    kernels, camera, attributes = kernel_scene()
    means = kernels.means.clone().requires_grad_()
    loss = NumbaRenderer().render(Kernels(means, kernels.precision), camera, attributes).silhouette.square().sum()
    first = torch.autograd.grad(loss, means, retain_graph=True)[0]
    assert torch.equal(first, torch.autograd.grad(loss, means, retain_graph=True)[0])
    again = torch.autograd.grad(loss, means, create_graph=True)[0]
    with pytest.raises(RuntimeError, match="once_differentiable|not require grad"):
        again.sum().backward()


def body_at(depth, dtype):
    """858 kernels on an ellipsoid of a person's size."""
    points = torch.randn(1, 858, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    points = points / points.norm(dim=-1, keepdim=True) * torch.tensor([0.25, 0.8, 0.15])
    means = (points + torch.tensor([0.1, -0.2, depth])).to(dtype)
    camera = Camera.from_field((80, 80), 1250.0 * depth / 40, 1, dtype=dtype)
    return Kernels(means, torch.full((1, 858), 4000.0, dtype=dtype)), camera


@pytest.mark.parametrize("depth", [4.0, 40.0, 160.0])
def test_float32_is_as_exact_as_its_inputs(depth):
    kernels, camera = body_at(depth, torch.float32)
    table = torch.rand(858, 9, generator=torch.Generator().manual_seed(1))
    renderer = NumbaRenderer(NumbaConfig(threads=2))
    found = []
    for dtype in (torch.float32, torch.float64):
        means = kernels.means.to(dtype).requires_grad_()
        output = renderer.render(Kernels(means, kernels.precision.to(dtype)), camera.to(dtype), table.to(dtype))
        assert output.attributes.dtype == output.fragments.depth.dtype == dtype
        gradient = torch.autograd.grad((output.attributes * noise(output.attributes, 2)).sum(), means)[0]
        found.append((output.attributes.double(), output.silhouette.double(), gradient.double()))
    for rough, exact in zip(*found, strict=True):
        assert (rough - exact).abs().max() < 2e-6 * exact.abs().max()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_sampling_equals_the_plain_one_in_values_and_gradients(dtype):
    kernels, camera, attributes = kernel_scene(dtype=dtype)
    renderer, _ = pair(max_kernels=5)
    fragments = renderer.render(kernels, camera, attributes).fragments
    features = noise(torch.empty(2, 14, 20, 33, dtype=dtype), 1)
    for layout in (lambda v: v, lambda v: v.permute(0, 3, 1, 2).contiguous().permute(0, 2, 3, 1)):
        found = []
        for sample in (renderer.sample, sample_pixels):
            image, weight = features.clone().requires_grad_(), fragments.weight.detach().clone().requires_grad_()
            fields = {**vars(fragments), "weight": weight}
            mean, visible = sample(Fragments(**fields), layout(image), 25)
            gradients = torch.autograd.grad((mean * noise(mean, 2)).sum(), (image, weight))
            # what an empty slot would weigh has no meaning
            found.append((mean, visible, gradients[0], gradients[1].masked_fill(fragments.kernel < 0, 0.0)))
        for value, expected in zip(*found, strict=True):
            limit = (1e-9 if dtype == torch.float64 else 1e-4) * float(expected.detach().double().abs().max())
            torch.testing.assert_close(value, expected, rtol=0, atol=limit)


def test_sampling_half_precision_features():
    kernels, camera, attributes = kernel_scene(dtype=torch.float32)
    fragments = NumbaRenderer().render(kernels, camera, attributes).fragments
    features = torch.rand(2, 14, 20, 8, generator=torch.Generator().manual_seed(0))
    mean, _ = NumbaRenderer().sample(fragments, features.bfloat16(), 25)
    assert mean.dtype == torch.bfloat16
    torch.testing.assert_close(mean.float(), sample_pixels(fragments, features, 25)[0], rtol=2e-2, atol=2e-2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("anisotropic", [False, True])
def test_scores_equal_the_plain_ones_in_values_and_gradients(anisotropic, dtype):
    scene = kernel_scene(channels=3, anisotropic=anisotropic, dtype=dtype, count=40)
    size = scene[1].size
    image = torch.nn.functional.normalize(noise(torch.empty(2, *size, 16, dtype=dtype), 1), dim=-1)
    bank = torch.nn.functional.normalize(noise(torch.empty(40, 3, 16, dtype=dtype), 2), dim=-1)
    similarities = Similarities.of(image, bank)
    for layout in (lambda v: v, lambda v: v.permute(2, 0, 1).contiguous().permute(1, 2, 0)):
        given = Similarities(similarities.table, layout(similarities.gram))
        found = []
        for renderer in pair(max_kernels=6):
            means, precision, focal, center, orientation = inputs = leaves(scene)
            scored = renderer.score(Kernels(means, precision), Camera(focal, center, size), orientation, given)
            weight = scored.fragments.weight
            parts = (scored.score, scored.silhouette, weight)
            loss = sum((part * noise(part, i)).sum() for i, part in enumerate(parts))
            found.append((scored.score, *torch.autograd.grad(loss, inputs)))
        for value, expected in zip(*found, strict=True):
            limit = (1e-9 if dtype == torch.float64 else 1e-4) * float(expected.detach().abs().max())
            torch.testing.assert_close(value, expected, rtol=0, atol=limit)


@pytest.mark.parametrize("name", [*INPUTS, "weight"])
def test_overwriting_what_the_way_back_needs_is_refused(name):
    scene = kernel_scene()
    inputs = leaves(scene)
    changed = [value * 1 for value in inputs]
    output = drawn(NumbaRenderer(), changed, scene[1].size)
    victim = output.fragments.weight if name == "weight" else changed[INPUTS.index(name)]
    with torch.no_grad():
        victim.mul_(2.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        output.silhouette.sum().backward()


def test_depths_too_close_for_their_difference_to_be_divided_by():
    _, camera, _ = kernel_scene(batch=1)
    means = torch.zeros(1, 400, 3, dtype=torch.float64)
    means[0, :, 2] = torch.arange(400) * 5e-324
    scene = (Kernels(means, torch.full((1, 400), 10.0, dtype=torch.float64)), camera, torch.ones(400, 1).double())
    compiled, plain = (renderer.render(*scene) for renderer in pair())
    torch.testing.assert_close(compiled.silhouette, plain.silhouette)


@pytest.mark.parametrize("value", [0.0, torch.nan, torch.inf, -torch.inf, -1.0, 5e-324, 1e200, -1e200, 1e308])
@pytest.mark.parametrize("name", ["means", "precision", "focal", "center"])
@pytest.mark.parametrize("anisotropic", [False, True])
def test_numbers_that_make_no_sense_harm_nobody_else(name, value, anisotropic):
    kernels, camera, attributes = kernel_scene(batch=2, anisotropic=anisotropic)
    inputs = leaves((kernels, camera, attributes))
    with torch.no_grad():
        inputs[INPUTS.index(name)][1] = value
    output = drawn(NumbaRenderer(NumbaConfig(threads=2)), inputs, camera.size)
    gradients = torch.autograd.grad(pulled(output), inputs)
    alone = leaves((kernels[:1], camera[:1], attributes[:1]))
    expected = drawn(NumbaRenderer(NumbaConfig(threads=1)), alone, camera.size)
    assert torch.equal(output.attributes[:1], expected.attributes)
    assert all(gradient[0].isfinite().all() for gradient in gradients)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_inputs_of_other_dtypes_give_results_in_that_of_the_means(dtype):
    kernels, camera, attributes = kernel_scene()
    means = kernels.means.float().requires_grad_()
    precision, focal, center, table = (
        value.to(dtype).requires_grad_() for value in (kernels.precision, camera.focal, camera.center, attributes)
    )
    inputs = (means, precision, focal, center, table)
    compiled, plain = (drawn(renderer, inputs, camera.size) for renderer in pair())
    assert_same(compiled, plain, rtol=1e-4, atol=1e-5)
    gradients = torch.autograd.grad(compiled.attributes.sum(), inputs)
    assert [g.dtype for g in gradients] == [torch.float32, *[dtype] * 4]
