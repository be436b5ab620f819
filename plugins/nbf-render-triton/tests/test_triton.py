"""What the kernels compute: run on a CUDA device, or anywhere in Triton's interpreter (TRITON_INTERPRET=1)."""

import importlib.util
import os

import pytest
import torch

from nbf_core.contracts import ScoringRenderer
from nbf_core.errors import NbfError, ShapeError
from nbf_core.types import Camera, Fragments, Kernels, Similarities
from nbf_renderers import GaussianConfig, GaussianRenderer
from nbf_testing.renderers import RendererConformance
from nbf_testing.scenes import kernel_scene

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
DEVICE = "cpu" if INTERPRETED else "cuda"


def missing() -> str:
    """Why no kernel can run here; empty where one can."""
    if importlib.util.find_spec("triton") is None:
        return "triton is not installed (Linux: pip install 'nbf-render-triton[gpu]')"
    if not INTERPRETED and not torch.cuda.is_available():
        return "neither a CUDA device nor Triton's interpreter (TRITON_INTERPRET=1) is at hand"
    return ""


pytestmark = pytest.mark.skipif(bool(missing()), reason=missing() or "can run")


def triton_renderer(**options):
    from nbf_render_triton import TritonConfig, TritonRenderer

    return TritonRenderer(TritonConfig(**options))


class TestConformance(RendererConformance):
    devices = (DEVICE,)

    def make_renderer(self, **options):
        return triton_renderer(**options)


def scene(**options):
    return kernel_scene(device=DEVICE, **options)


def around_the_camera(**options):
    """Wide kernels beside the camera, across its plane and behind it."""
    kernels, camera, attributes = scene(**options)
    means = (kernels.means - kernels.means.new_tensor([0.0, 0.0, 3.0])) * 0.6
    return Kernels(means + means.new_tensor([0.0, 0.0, 0.15]), kernels.precision), camera, attributes


def on_one_another(**options):
    """Every kernel twice, in the same place."""
    kernels, camera, attributes = scene(**options)
    half = kernels.means.shape[1] // 2
    return kernels.map(lambda v: torch.cat([v[:, :half], v[:, :half]], 1)), camera, attributes


SCENES = {
    "isotropic": (scene, {}, {}),
    "anisotropic": (scene, {"anisotropic": True, "seed": 1}, {"absorptivity": 0.7}),
    "few-slots": (scene, {"count": 40, "size": (9, 35), "seed": 2}, {"max_kernels": 3, "absorptivity": 2.5}),
    "published-threshold": (scene, {"anisotropic": True, "size": (20, 7), "seed": 3}, {"threshold": 0.0}),
    "high-threshold": (scene, {"seed": 4}, {"threshold": 0.2, "absorptivity": 0.0}),
    # more than are kept in registers at a time, and more than those
    "many-slots": (scene, {"count": 150, "size": (6, 8), "seed": 5, "batch": 1}, {"max_kernels": 20}),
    "around-the-camera": (around_the_camera, {"count": 40, "seed": 6}, {"max_kernels": 40}),
    "across-anisotropic": (around_the_camera, {"anisotropic": True, "seed": 7}, {"max_kernels": 5}),
    "on-one-another": (on_one_another, {"count": 30, "seed": 8}, {"max_kernels": 4}),
    "one-pixel": (scene, {"size": (1, 1), "seed": 9}, {}),
    "one-kernel": (scene, {"count": 1, "batch": 1, "seed": 10}, {}),
}


def drawn(renderer, kernels, camera, attributes, pull):
    """Everything that is drawn, and the gradients of a random sum of it."""
    inputs = [kernels.means, kernels.precision, camera.focal, camera.center, attributes]
    means, precision, focal, center, table = (v.detach().clone().requires_grad_() for v in inputs)
    output = renderer.render(Kernels(means, precision), Camera(focal, center, camera.size), table)
    fragments = output.fragments
    seen = fragments.kernel >= 0
    factor = torch.cos(fragments.pixel)[:, None] + torch.sin(fragments.kernel)
    loss = (output.attributes * pull).sum() + (output.silhouette * pull[..., 0]).sum()
    loss = loss + (fragments.weight * factor)[seen].sum() + (fragments.depth * factor.sin())[seen].sum()
    gradients = torch.autograd.grad(loss, [means, precision, focal, center, table])
    found = dict(zip(("means", "precision", "focal", "center", "table"), gradients, strict=True))
    if precision.dim() == 4:
        found["precision"] = found["precision"] + found["precision"].mT
    return {"attributes": output.attributes, "silhouette": output.silhouette, **found}, fragments


def assert_same_fragments(found: Fragments, expected: Fragments):
    slots = expected.kernel.shape[1]
    assert found.grid == expected.grid
    assert torch.equal(found.pixel, expected.pixel)
    assert torch.equal(found.kernel[:, :slots], expected.kernel) and (found.kernel[:, slots:] == -1).all()
    assert torch.equal(found.truncated, expected.truncated)
    torch.testing.assert_close(found.weight[:, :slots], expected.weight)
    torch.testing.assert_close(found.depth[:, :slots], expected.depth)
    torch.testing.assert_close(found.lost, expected.lost)
    assert not found.weight[:, slots:].any() and torch.isinf(found.depth[:, slots:]).all()


@pytest.mark.parametrize("name", SCENES)
def test_it_equals_the_plain_renderer(name):
    make, how, options = SCENES[name]
    kernels, camera, attributes = make(**how)
    pull = torch.randn(len(attributes), *camera.size, 3, generator=torch.Generator().manual_seed(1)).to(attributes)
    found, fragments = drawn(triton_renderer(**options), kernels, camera, attributes, pull)
    expected, plain = drawn(GaussianRenderer(GaussianConfig(**options)), kernels, camera, attributes, pull)
    assert_same_fragments(fragments, plain)
    if name == "many-slots":
        assert plain.truncated.any(), "this scene shall overflow the second round"
    for key, value in expected.items():
        scale = max(1.0, float(value.detach().abs().max()))
        torch.testing.assert_close(
            found[key], value, rtol=1e-7, atol=1e-9 * scale, msg=lambda text, key=key: f"{key}: {text}"
        )


def test_blocks_of_the_size_used_on_a_gpu(monkeypatch):
    from nbf_render_triton._scene import Blocks

    kernels, camera, attributes = scene(batch=1, channels=150, anisotropic=True)
    pull = torch.randn(1, *camera.size, 150, generator=torch.Generator().manual_seed(1)).to(attributes)
    expected, plain = drawn(GaussianRenderer(), kernels, camera, attributes, pull)
    monkeypatch.setattr(Blocks, "of", staticmethod(lambda device: Blocks()))
    found, fragments = drawn(triton_renderer(), kernels, camera, attributes, pull)
    assert_same_fragments(fragments, plain)
    for key, value in expected.items():
        torch.testing.assert_close(found[key], value, rtol=1e-7, atol=1e-8)


def test_gradients_repeat_to_the_last_bit():
    kernels, camera, attributes = scene(dtype=torch.float32)
    pull = torch.ones(2, *camera.size, 3, device=DEVICE)
    first, second = (drawn(triton_renderer(), kernels, camera, attributes, pull)[0] for _ in range(2))
    for key, value in first.items():
        assert torch.equal(value, second[key]), key


@pytest.mark.skipif(DEVICE != "cuda", reason="only a GPU can be waited for")
def test_nothing_waits_for_the_gpu():
    kernels, camera, attributes = scene(dtype=torch.float32)
    renderer = triton_renderer()
    means = kernels.means.requires_grad_()

    def step():
        output = renderer.render(kernels, camera, attributes)
        (output.attributes.sum() + output.silhouette.sum()).backward(inputs=[means])

    step()  # compiles
    torch.cuda.set_sync_debug_mode("error")
    try:
        step()
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("anisotropic", [False, True])
def test_scores_equal_the_plain_renderers(anisotropic):
    kernels, camera, attributes = scene(anisotropic=anisotropic)
    draw = torch.Generator().manual_seed(2)
    features = torch.nn.functional.normalize(torch.randn(2, *camera.size, 8, generator=draw), dim=-1).to(attributes)
    bank = torch.nn.functional.normalize(torch.randn(25, 3, 8, generator=draw), dim=-1).to(attributes)
    similarities = Similarities.of(features, bank)
    pull = torch.randn(2, *camera.size, generator=draw).to(attributes)
    results = []
    for renderer in (triton_renderer(max_kernels=6), GaussianRenderer(GaussianConfig(max_kernels=6))):
        assert isinstance(renderer, ScoringRenderer)
        inputs = [kernels.means, kernels.precision, camera.focal, camera.center, attributes]
        means, precision, focal, center, orientation = leaves = [v.clone().requires_grad_() for v in inputs]
        output = renderer.score(
            Kernels(means, precision), Camera(focal, center, camera.size), orientation, similarities
        )
        loss = (output.score * pull).sum() + output.silhouette.sum()
        gradients = list(torch.autograd.grad(loss, leaves))
        gradients[1] = gradients[1] + gradients[1].mT if anisotropic else gradients[1]
        results.append((output.score, output.silhouette, *gradients))
        assert_same_fragments(output.fragments, output.fragments)
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-7, atol=1e-9)


def test_fragments_are_made_when_looked_at():
    kernels, camera, attributes = scene()
    kernels = Kernels(kernels.means.requires_grad_(), kernels.precision)
    output = triton_renderer().render(kernels, camera, attributes)
    assert isinstance(output.fragments, Fragments) and type(output.fragments) is not Fragments
    with torch.no_grad():
        assert len(output.fragments.pixel)
    assert type(output.fragments) is Fragments
    assert output.fragments.weight.requires_grad, "looking without gradients must not cut them"
    for use in (lambda f: f.detach(), lambda f: f.map(torch.clone), lambda f: f.person, repr, lambda f: f.grid):
        untouched = triton_renderer().render(kernels, camera, attributes).fragments
        use(untouched)
        assert type(untouched) is Fragments
    with pytest.raises(AttributeError, match="colour"):
        _ = triton_renderer().render(kernels, camera, attributes).fragments.colour


@pytest.mark.parametrize("count, channels", [(0, 3), (5, 0)])
def test_no_kernels_or_no_channels_are_no_error(count, channels):
    kernels, camera, _ = scene()
    kernels = Kernels(kernels.means[:, :count].clone().requires_grad_(), kernels.precision[:, :count])
    table = torch.zeros(count, channels, dtype=torch.float64, device=DEVICE, requires_grad=True)
    output = triton_renderer().render(kernels, camera, table)
    assert output.attributes.shape == (2, *camera.size, channels) and not output.attributes.any()
    (output.attributes.sum() + output.silhouette.sum()).backward()
    assert kernels.means.grad.shape == (2, count, 3) and table.grad.shape == (count, channels)


def test_what_it_cannot_draw_is_refused_in_one_line():
    kernels, camera, attributes = scene()
    with pytest.raises(NbfError, match="float16"):
        triton_renderer().render(kernels.to(torch.float16), camera, attributes)
    with pytest.raises(NbfError, match="meta"):
        triton_renderer().render(kernels.to("meta"), camera, attributes)
    with pytest.raises(ShapeError, match="too many"):
        large = Camera(camera.focal, camera.center, (20000, 20000))
        triton_renderer().render(kernels, large, attributes)
