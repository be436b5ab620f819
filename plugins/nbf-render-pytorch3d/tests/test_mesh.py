"""Pictures of meshes: against our own z-buffer, against PyTorch3D's own numbers, and where the forms meet."""

import numpy as np
import pytest
import torch

pytest.importorskip(
    "pytorch3d", reason="PyTorch3D is not installed here; these run by: python3 tools/dev.py env nbf-render-pytorch3d"
)

import nbf_raster
from nbf_body_anny.body import AnnyBody
from nbf_core.errors import ShapeError
from nbf_core.types import Camera, Kernels
from nbf_render_pytorch3d import PyTorch3DConfig, PyTorch3DRenderer
from nbf_render_pytorch3d._raster import _normalised, rasterise
from nbf_render_pytorch3d._surface import locate

# size, focal length, principal point, depth of the body: far away, and beyond the edges of an oblong picture
VIEWS = {
    "far": ((80, 80), (1250.0, 1250.0), (40.0, 40.0), 40.0),
    "wide": ((60, 96), (120.0, 100.0), (41.3, 35.2), 3.0),
    "tall": ((96, 60), (120.0, 100.0), (21.3, 50.2), 3.0),
}


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def spec():
    return AnnyBody().spec


@pytest.fixture(params=VIEWS)
def view(request):
    return request.param


def scene(spec, view, dtype=torch.float64):
    """The body at rest before a camera, and attributes."""
    size, focal, center, depth = VIEWS[view]
    rest = (spec.kernel_rest - spec.kernel_rest.mean(0)).to(dtype)
    turn = torch.linalg.qr(torch.tensor([[1.0, 0.2, 0.3], [0.1, -1.0, 0.2], [0.2, 0.1, -1.0]], dtype=dtype))[0]
    turn = turn * torch.sign(torch.diagonal(turn) * turn.new_tensor([1.0, -1.0, -1.0]))
    means = rest @ turn.T + rest.new_tensor([0.05, 0.02, depth])
    attributes = torch.rand(len(rest), 6, generator=torch.Generator().manual_seed(0), dtype=dtype)
    kernels = Kernels(means[None], torch.ones(1, len(rest), dtype=dtype), spec.kernel_faces[None])
    return kernels, Camera(means.new_tensor([focal]), means.new_tensor([center]), size), attributes


def renderer(**options):
    return PyTorch3DRenderer(PyTorch3DConfig(**options))


def sheets(depths, **kwargs):
    """Triangles of their own corners before the whole of a small picture, one behind the other."""
    corners = torch.tensor([[-2.0, -1.5, 1.0], [2.0, -1.5, 1.0], [0.0, 3.0, 1.0]], **kwargs)
    means = (torch.tensor(depths, **kwargs)[:, None, None] * corners).flatten(0, 1)
    faces = torch.arange(len(means)).view(1, -1, 3)
    return Kernels(means[None], torch.ones(1, len(means), **kwargs), faces)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
def test_hard_equals_our_z_buffer(spec, view, dtype):
    kernels, camera, attributes = scene(spec, view, dtype)
    output = renderer().render(kernels, camera, attributes)
    faces = spec.kernel_faces.numpy()
    seen = nbf_raster.rasterise(kernels.means[0].numpy(), faces, *VIEWS[view][1:3], camera.size)
    expected = nbf_raster.interpolate(seen, faces, attributes.numpy())
    assert (seen.triangle >= 0).sum() > 500
    np.testing.assert_array_equal(output.silhouette[0].numpy(), seen.triangle >= 0)
    np.testing.assert_allclose(
        output.attributes[0].numpy(), expected, rtol=0, atol=3e-5 if dtype.itemsize == 4 else 1e-6
    )


def test_every_person_has_a_camera(spec):
    kernels, first, attributes = scene(spec, "wide")
    second = Camera(first.focal * 0.8, first.center + 7.0, first.size)
    both = Camera(torch.cat([first.focal, second.focal]), torch.cat([first.center, second.center]), first.size)
    together = renderer().render(kernels.map(lambda value: value.expand(2, *value.shape[1:])), both, attributes)
    for person, camera in enumerate((first, second)):
        alone = renderer().render(kernels, camera, attributes)
        torch.testing.assert_close(together.attributes[person], alone.attributes[0])


@pytest.mark.parametrize("form", ["hard", "soft"])
def test_surface_equals_what_pytorch3d_says(spec, view, form):
    """Coordinates, depth and distance are computed anew; PyTorch3D's own, in float32, must agree."""
    from pytorch3d.renderer.mesh.rasterize_meshes import rasterize_meshes
    from pytorch3d.structures import Meshes

    kernels, camera, _ = scene(spec, view)
    config = PyTorch3DConfig(form=form, faces_per_pixel=8)
    hits = rasterise(kernels, camera, config)
    surface = locate(hits, kernels, camera, beside=form == "soft")
    scale = 2 / min(camera.size)
    _, depth, share, distance = (
        value.flatten(0, 2)[hits.pixel][:, : hits.corner.shape[1]].double()
        for value in rasterize_meshes(
            Meshes(_normalised(kernels.means, camera), kernels.faces),
            image_size=camera.size,
            blur_radius=config.blur_radius * scale**2,
            faces_per_pixel=config.blended,
            perspective_correct=True,
            clip_barycentric_coords=form == "soft",
        )
    )
    inside = hits.there & (distance < 0)
    # Beside a face PyTorch3D takes another point of the rim: there the distance alone is the same.
    close = {"rtol": 0, "atol": 2e-3}  # for slivers; the median is below 1e-5
    torch.testing.assert_close(surface.share[inside], share[inside], **close)
    torch.testing.assert_close(surface.depth[inside], depth[inside], **close)
    assert (surface.share[inside] - share[inside]).abs().median() < 1e-5
    if form == "soft":
        torch.testing.assert_close(surface.outside[hits.there], distance[hits.there] / scale**2, rtol=1e-3, atol=1e-4)
        assert (surface.share[hits.there] >= 0).all()
        torch.testing.assert_close(surface.share.sum(-1), torch.ones_like(surface.depth))


def test_hard_gradient_equals_pytorch3d_s_own(spec):
    from pytorch3d.renderer.mesh.rasterize_meshes import rasterize_meshes
    from pytorch3d.structures import Meshes

    kernels, camera, attributes = scene(spec, "wide", torch.float32)
    pull = torch.randn(*camera.size, 6, generator=torch.Generator().manual_seed(1))

    def ours(means):
        return renderer().render(Kernels(means, kernels.precision, kernels.faces), camera, attributes).attributes[0]

    def theirs(means):
        mesh = Meshes(_normalised(means, camera), kernels.faces)
        found, _, share, _ = rasterize_meshes(mesh, camera.size, faces_per_pixel=1, perspective_correct=True)
        corners = attributes[kernels.faces[0]][found[0, ..., 0].clamp_min(0)]
        return ((share[0, ..., 0, :, None] * corners).sum(-2)).where(found[0] >= 0, 0.0)

    gradients = []
    for draw in (ours, theirs):
        means = kernels.means.clone().requires_grad_()
        gradients.append(torch.autograd.grad((draw(means) * pull).sum(), means)[0])
    difference = (gradients[0] - gradients[1]).norm() / gradients[0].norm()
    assert difference < 1e-3


@pytest.mark.parametrize("form", ["hard", "soft"])
@pytest.mark.parametrize("name", ["means", "focal", "center", "attributes"])
def test_gradient_of_a_body_equals_finite_differences(spec, form, name):
    kernels, camera, attributes = scene(spec, "wide")
    inputs = {"means": kernels.means, "focal": camera.focal, "center": camera.center, "attributes": attributes}
    draw = renderer(form=form, faces_per_pixel=100)
    generator = torch.Generator().manual_seed(2)
    pull = torch.randn(*camera.size, 6, generator=generator, dtype=torch.float64)
    step = torch.randn(*inputs[name].shape, generator=generator, dtype=torch.float64)

    def picture(value):
        given = {**inputs, name: value}
        mesh = Kernels(given["means"], kernels.precision, kernels.faces)
        return draw.render(mesh, Camera(given["focal"], given["center"], camera.size), given["attributes"])

    def loss(output):
        return (output.attributes[0] * pull * away).sum() + (form == "soft") * output.silhouette.square().sum()

    # In the hard form, away from edges: there a pixel jumps from face to face.
    fragments = picture(inputs[name]).fragments
    steady = torch.ones(*camera.size, dtype=torch.float64)
    if form == "hard":
        least = torch.zeros(steady.numel(), dtype=torch.float64)
        least[fragments.pixel] = fragments.weight.amin(1)
        steady = (least > 1e-3).double().view_as(steady)
    away = steady[..., None]
    value = inputs[name].clone().requires_grad_()
    gradient = torch.autograd.grad(loss(picture(value)), value)[0]
    length = 1e-7
    with torch.no_grad():
        numeric = (loss(picture(value + length * step)) - loss(picture(value - length * step))) / (2 * length)
    assert steady.sum() > 400
    torch.testing.assert_close((gradient * step).sum(), numeric, rtol=1e-5, atol=1e-6)


def test_hard_silhouette_has_no_gradient(spec):
    kernels, camera, attributes = scene(spec, "wide")
    means = kernels.means.clone().requires_grad_()
    output = renderer().render(Kernels(means, kernels.precision, kernels.faces), camera, attributes)
    (gradient,) = torch.autograd.grad(output.silhouette.sum() + 0.0 * output.attributes.sum(), means)
    assert not gradient.any()


def test_soft_gradient_stays_of_the_size_of_the_hard_one(spec):
    """A face seen edge-on makes PyTorch3D's own gradient 180,000 times larger here."""
    sizes = {}
    for form in ("hard", "soft"):
        kernels, camera, attributes = scene(spec, "tall", torch.float32)
        means = kernels.means.clone().requires_grad_()
        output = renderer(form=form).render(Kernels(means, kernels.precision, kernels.faces), camera, attributes)
        sizes[form] = torch.autograd.grad(output.attributes.sum(), means)[0].abs().max()
    assert sizes["soft"] < 10 * sizes["hard"]


def test_soft_tends_to_hard(spec, view):
    kernels, camera, attributes = scene(spec, view)
    hard = renderer().render(kernels, camera, attributes)
    errors = []
    for fineness in (1e-1, 1e-3, 1e-5):
        soft = renderer(form="soft", sigma=fineness, gamma=0.1 * fineness, faces_per_pixel=64)
        output = soft.render(kernels, camera, attributes)
        errors.append((output.attributes - hard.attributes).abs().mean() / hard.attributes.mean())
    assert errors[0] > 5 * errors[1] > 25 * errors[2]
    assert errors[2] < 5e-3


def test_soft_weights_sum_to_the_silhouette(spec, view):
    kernels, camera, attributes = scene(spec, view)
    output = renderer(form="soft").render(kernels, camera, attributes)
    fragments = output.fragments
    torch.testing.assert_close(fragments.weight.sum(1), output.silhouette.flatten()[fragments.pixel])
    rows = fragments.kernel.sort(1).values
    assert not ((rows[:, 1:] == rows[:, :-1]) & (rows[:, 1:] >= 0)).any(), "each corner is listed once"


@pytest.mark.parametrize("gamma", [0.05, 0.5, 5.0])
def test_faces_beyond_the_limit_are_told_and_bounded(gamma):
    kernels = sheets([2.0, 2.1, 2.2, 2.3, 2.4, 2.5], dtype=torch.float64)
    camera, attributes = Camera.from_field((4, 6), 8.0, 1, dtype=torch.float64), torch.ones(18, 1).double()
    every = renderer(form="soft", gamma=gamma).render(kernels, camera, attributes).fragments
    assert not every.truncated.any() and not every.lost.any()
    some = renderer(form="soft", gamma=gamma, faces_per_pixel=4).render(kernels, camera, attributes).fragments
    left_out = (every.weight * (every.kernel >= 12)).sum(1)
    assert (some.truncated == 1).all()
    assert (some.lost >= left_out).all() and (left_out > 0).all() and (some.lost < 1).all()


def test_corners_beyond_the_limit_are_told_and_bounded(spec, view):
    kernels, camera, attributes = scene(spec, view)
    output = renderer().render(kernels, camera, attributes, max_kernels=2)
    assert (output.fragments.truncated == 1).all()
    rest = 1 - output.silhouette.flatten()[output.fragments.pixel]
    torch.testing.assert_close(output.fragments.lost, rest)


def test_the_nearest_face_is_listed_by_its_corners_depth_along_the_ray():
    kernels = sheets([2.0], dtype=torch.float64)
    camera = Camera.from_field((2, 3), 4.0, 1, dtype=torch.float64)
    fragments = renderer().render(kernels, camera, torch.ones(3, 1).double()).fragments
    rays = camera.rays().view(-1, 3)
    expected = (rays[fragments.pixel][:, None] * kernels.means[0][fragments.kernel]).sum(-1)
    assert len(expected) == 6
    torch.testing.assert_close(fragments.depth, expected)


@pytest.mark.parametrize("form", ["hard", "soft"])
def test_a_face_that_reaches_the_camera_is_left_out(form):
    kernels = sheets([2.0, 1.0], dtype=torch.float32)
    means = kernels.means.clone()
    means[0, 3, 2] = -0.5
    means.requires_grad_()
    camera = Camera.from_field((4, 6), 8.0, 1)
    output = renderer(form=form).render(Kernels(means, kernels.precision, kernels.faces), camera, torch.eye(6))
    assert output.silhouette.min() > 0.4 and not output.attributes[..., 3:].any()
    output.attributes.square().sum().backward()
    assert torch.isfinite(means.grad).all() and means.grad[:, :3].any()


def test_faces_seen_from_behind_can_be_left_out(spec, view):
    kernels, camera, attributes = scene(spec, view)
    both, front = (renderer(cull=cull).render(kernels, camera, attributes) for cull in (False, True))
    assert (both.attributes - front.attributes).abs().mean() < 1e-3, "a closed body shows its front"
    seen = nbf_raster.rasterise(
        kernels.means[0].numpy(), spec.kernel_faces.numpy(), *VIEWS[view][1:3], camera.size, cull=True
    )
    np.testing.assert_array_equal(front.silhouette[0].numpy(), seen.triangle >= 0)


@pytest.mark.parametrize("form", ["hard", "soft"])
def test_no_faces_are_an_empty_picture(form):
    kernels = sheets([2.0], dtype=torch.float32)
    means = kernels.means.clone().requires_grad_()
    none = Kernels(means, kernels.precision, kernels.faces[:, :0])
    output = renderer(form=form).render(none, Camera.from_field((4, 6), 8.0, 1), torch.ones(3, 2))
    assert not output.silhouette.any() and output.fragments.pixel.numel() == 0
    (output.attributes.sum() + output.silhouette.sum()).backward()


def test_a_mesh_is_asked_for():
    kernels, camera = sheets([2.0], dtype=torch.float32), Camera.from_field((4, 6), 8.0, 1)
    without = Kernels(kernels.means, kernels.precision)
    with pytest.raises(ShapeError, match="kernels.faces: this renderer draws a mesh and needs triangles"):
        renderer().render(without, camera, torch.ones(3, 2))
    beyond = Kernels(kernels.means, kernels.precision, kernels.faces + 1)
    with pytest.raises(ShapeError, match="kernels.faces: an index lies outside 0 to 2"):
        renderer().render(beyond, camera, torch.ones(3, 2))
    with pytest.raises(ShapeError, match="max_kernels: expected at least 1, got 0"):
        renderer().render(kernels, camera, torch.ones(3, 2), max_kernels=0)


@pytest.mark.wrong_shapes
def test_faces_of_the_wrong_shape_are_refused():
    kernels, camera = sheets([2.0], dtype=torch.float32), Camera.from_field((4, 6), 8.0, 1)
    with pytest.raises(ShapeError, match=r"kernels.faces: expected shape \[1, f, 3\], got \[1, 3\]"):
        renderer().render(Kernels(kernels.means, kernels.precision, kernels.faces[0]), camera, torch.ones(3, 2))
