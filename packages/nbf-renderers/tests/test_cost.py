"""Memory follows the pairs that matter, and the code is ready for devices that lack some operations."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from nbf_core.types import Camera, Kernels, Similarities
from nbf_renderers import GaussianConfig, GaussianRenderer, render_dense
from nbf_testing.scenes import body, kernel_scene


class Largest(TorchDispatchMode):
    """Notes the largest tensor that any operation gives, in elements of memory of its own."""

    def __init__(self):
        super().__init__()
        self.elements = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for value in tree_leaves(result):
            if isinstance(value, torch.Tensor):
                self.elements = max(self.elements, value.untyped_storage().nbytes() // value.element_size())
        return result


def largest(run):
    with Largest() as seen:
        run()
    return seen.elements


def drawing(kernels, camera, channels=3, **options):
    def run():
        means = kernels.means.clone().requires_grad_()
        attributes = torch.ones(means.shape[1], channels, dtype=means.dtype, requires_grad=True)
        output = GaussianRenderer(GaussianConfig(**options)).render(
            Kernels(means, kernels.precision), camera, attributes
        )
        (output.attributes.sum() + output.silhouette.sum()).backward()

    return run


@pytest.mark.parametrize("anisotropic", [False, True])
def test_nothing_is_as_large_as_pixels_times_kernels(anisotropic):
    kernels, camera = body(40.0)
    if anisotropic:
        kernels = Kernels(kernels.means, kernels.precision[..., None, None] * torch.eye(3, dtype=torch.float64))
    pixels, count = 80 * 80, kernels.means.shape[1]
    elements = largest(drawing(kernels, camera))
    print(f"largest tensor: {elements} elements, {pixels * count / elements:.0f} times fewer than pixels x kernels")
    assert elements < pixels * count / 20


def test_the_dense_reference_is():
    """What is measured would show it."""
    kernels, camera, attributes = kernel_scene()
    precision = kernels.precision[..., None, None] * torch.eye(3, dtype=torch.float64)
    elements = largest(lambda: render_dense(kernels.means, precision, camera.rays(), attributes))
    assert elements >= camera.size[0] * camera.size[1] * kernels.means.shape[1]


def test_empty_pixels_cost_their_output_alone():
    kernels, camera = body(40.0)
    size = (400, 500)
    wide = Camera(camera.focal, camera.center + 200, size)
    assert largest(drawing(kernels, wide)) <= max(3 * size[0] * size[1], largest(drawing(kernels, camera)))


def test_memory_grows_with_pairs():
    """Four times the pixels, four times the pairs; not more than that."""
    kernels, camera = body(40.0)
    few = largest(drawing(kernels, camera))
    many = largest(drawing(kernels, camera.resized((160, 160))))
    assert many <= 5 * few


def test_candidates_are_looked_at_in_pieces():
    """A thousand kernels across the camera's plane: each might be seen anywhere, none is."""
    kernels, camera, _ = kernel_scene(batch=1, count=1000, size=(40, 40))
    beside = Kernels(kernels.means * 0.1 + torch.tensor([2.0, 0.0, -0.2]), torch.full((1, 1000), 40.0).double())
    assert largest(drawing(beside, camera)) < 40 * 40 * 1000


@pytest.fixture
def incomplete(monkeypatch):
    """A device without embedding bags and index_copy, as MPS is for torch 2.6."""
    monkeypatch.setattr("nbf_renderers._mix._complete", lambda device: False)


def everything(channels):
    """All that a renderer gives, with all gradients, in one list."""
    kernels, camera, _ = kernel_scene(seed=4)
    draw = torch.Generator().manual_seed(0)
    means = kernels.means.clone().requires_grad_()
    attributes = torch.randn(25, channels, dtype=torch.float64, generator=draw).requires_grad_()
    features = torch.randn(2, *camera.size, channels, dtype=torch.float64, generator=draw).requires_grad_()
    renderer = GaussianRenderer()
    output = renderer.render(Kernels(means, kernels.precision), camera, attributes)
    mean, visible = renderer.sample(output.fragments, features, 25)
    bank = torch.randn(25, 2, 6, dtype=torch.float64, generator=draw)
    similarities = Similarities.of(torch.randn(2, *camera.size, 6, dtype=torch.float64, generator=draw), bank)
    orientation = torch.rand(2, 25, 2, dtype=torch.float64, generator=draw)
    score = renderer.score(Kernels(means, kernels.precision), camera, orientation, similarities).score
    loss = output.attributes.square().sum() + mean.square().sum() + score.sum()
    return [output.attributes, mean, visible, score, *torch.autograd.grad(loss, [means, attributes, features])]


@pytest.mark.parametrize("channels", [2, 40])
def test_a_device_that_lacks_operations_gives_the_same(channels, request):
    expected = everything(channels)
    request.getfixturevalue("incomplete")
    for value, reference in zip(everything(channels), expected, strict=True):
        torch.testing.assert_close(value, reference)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_needles_and_discs_lose_no_pixel(dtype):
    """Boxes come from inverted matrices; those of thin kernels are hard to invert in float32."""
    kernels, camera, attributes = kernel_scene(anisotropic=True, seed=9)
    turn = torch.linalg.eigh(kernels.precision).eigenvectors
    shapes = torch.tensor([[30.0, 30.0, 3e5], [30.0, 3e5, 3e5]], dtype=torch.float64)[torch.arange(25) % 2]
    precision = turn @ torch.diag_embed(shapes).expand(2, 25, 3, 3) @ turn.mT
    thin = Kernels(kernels.means, (precision + precision.mT) / 2)
    exact, _ = render_dense(thin.means, thin.precision, camera.rays(), attributes, max_kernels=25)
    config = GaussianConfig(max_kernels=25)
    output = GaussianRenderer(config).render(thin.to(dtype=dtype), camera.to(dtype), attributes.to(dtype))
    limit = 1e-9 if dtype == torch.float64 else 2e-2
    torch.testing.assert_close(output.attributes.double(), exact, rtol=0, atol=limit)
