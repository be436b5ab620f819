"""What must hold for any scene: symmetries of space and of cameras, and the bound on what is cut off."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nbf_core.types import Camera, Kernels
from nbf_renderers import GaussianConfig, GaussianRenderer
from nbf_testing.scenes import body, kernel_scene

some = settings(max_examples=25, deadline=None, derandomize=True)
seeds = st.integers(0, 10_000)
sizes = st.tuples(st.integers(1, 16), st.integers(1, 16))
close = torch.testing.assert_close


@st.composite
def scenes(draw):
    """Any number of kernels of any kind, before cameras that differ, in a picture of any size."""
    return kernel_scene(
        batch=draw(st.integers(1, 3)),
        count=draw(st.integers(1, 40)),
        size=draw(sizes),
        anisotropic=draw(st.booleans()),
        seed=draw(seeds),
    )


def render(kernels, camera, attributes, **options):
    return GaussianRenderer(GaussianConfig(**options)).render(kernels, camera, attributes)


def turned(kernels, matrix):
    """The kernels rotated or reflected by ``matrix``."""
    matrix = torch.tensor(matrix, dtype=torch.float64)
    precision = kernels.precision
    if precision.dim() == 4:
        precision = matrix @ precision @ matrix.T
    return Kernels(kernels.means @ matrix.T, precision)


@some
@given(scenes())
def test_a_quarter_turn_about_the_optical_axis_turns_the_picture(scene):
    kernels, camera, attributes = scene
    height, width = camera.size
    # x right, y down: a quarter turn clockwise takes x to y and y to -x, columns to rows and rows, counted from below
    quarter = turned(kernels, [[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    center = torch.stack([height - camera.center[:, 1], camera.center[:, 0]], -1)
    before = render(kernels, camera, attributes)
    after = render(quarter, Camera(camera.focal.flip(-1), center, (width, height)), attributes)
    close(after.attributes, torch.rot90(before.attributes, -1, dims=(1, 2)))
    close(after.silhouette, torch.rot90(before.silhouette, -1, dims=(1, 2)))


@some
@given(scenes())
def test_a_mirrored_scene_gives_a_mirrored_picture(scene):
    kernels, camera, attributes = scene
    mirrored = turned(kernels, [[-1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    center = torch.stack([camera.size[1] - camera.center[:, 0], camera.center[:, 1]], -1)
    before = render(kernels, camera, attributes)
    after = render(mirrored, Camera(camera.focal, center, camera.size), attributes)
    close(after.attributes, before.attributes.flip(2))


@some
@given(scenes(), st.floats(-3, 3))
def test_scaling_the_world_changes_depths_alone(scene, exponent):
    kernels, camera, attributes = scene
    scale = 10.0**exponent
    scaled = Kernels(kernels.means * scale, kernels.precision / scale**2)
    before, after = (render(each, camera, attributes, max_kernels=3) for each in (kernels, scaled))
    close(after.attributes, before.attributes)
    close(after.silhouette, before.silhouette)
    close(after.fragments.lost, before.fragments.lost)
    close(after.fragments.depth, before.fragments.depth * scale)
    assert torch.equal(after.fragments.kernel, before.fragments.kernel)


@some
@given(scenes(), st.data())
def test_a_cropped_camera_draws_the_crop(scene, data):
    kernels, camera, attributes = scene
    height, width = camera.size
    top, left = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    bottom, right = data.draw(st.integers(top + 1, height)), data.draw(st.integers(left + 1, width))
    box = torch.tensor([left, top, right, bottom], dtype=torch.float64).expand(len(attributes), 4)
    whole = render(kernels, camera, attributes).attributes
    part = render(kernels, camera.cropped(box, (bottom - top, right - left)), attributes).attributes
    close(part, whole[:, top:bottom, left:right])


@some
@given(scenes(), st.sampled_from([3, 5]))
def test_a_finer_picture_has_the_same_middles(scene, times):
    kernels, camera, attributes = scene
    fine = camera.resized((camera.size[0] * times, camera.size[1] * times))
    middle = times // 2
    close(
        render(kernels, fine, attributes).attributes[:, middle::times, middle::times],
        render(kernels, camera, attributes).attributes,
    )


@some
@given(scenes(), st.integers(1, 5), st.floats(0, 4))
def test_lost_bounds_what_is_cut_off(scene, max_kernels, absorptivity):
    kernels, camera, attributes = scene
    count = kernels.means.shape[1]
    options = {"absorptivity": absorptivity, "threshold": 0.0}
    everything = render(kernels, camera, attributes, max_kernels=count, **options).fragments
    few = render(kernels, camera, attributes, max_kernels=max_kernels, **options).fragments
    assert torch.equal(few.pixel, everything.pixel)
    assert not everything.truncated.any() and not everything.lost.any()
    cut = everything.weight[:, max_kernels:]
    assert torch.equal(few.truncated, (everything.kernel[:, max_kernels:] >= 0).sum(1))
    assert (few.lost >= cut.sum(1) * (1 - 1e-12)).all()
    assert torch.equal(few.lost > 0, few.truncated > 0)
    # and what is kept changes by no more than that: those cut off hide a little of it
    kept = everything.weight[:, : few.weight.shape[1]]
    assert (few.weight >= kept * (1 - 1e-12)).all()


def test_the_bound_is_close_for_a_person():
    kernels, camera = body(40.0)
    attributes = torch.ones(858, 1)
    everything = render(kernels, camera, attributes, max_kernels=40).fragments
    few = render(kernels, camera, attributes, max_kernels=4).fragments
    cut = few.truncated > 0
    true, bound = everything.weight[cut, 4:].sum(), few.lost[cut].sum()
    share = cut.double().mean()
    print(f"cut in {share:.0%} of the pixels: {true:.0f} of {everything.weight.sum():.0f}, bound {bound:.0f}")
    assert true > 1
    assert bound < 2 * true


@some
@given(scenes())
def test_isotropic_is_a_special_case_of_anisotropic(scene):
    kernels, camera, attributes = scene
    if kernels.precision.dim() == 4:
        kernels = Kernels(kernels.means, kernels.precision.diagonal(dim1=-2, dim2=-1).mean(-1))
    matrices = Kernels(kernels.means, kernels.precision[..., None, None] * torch.eye(3, dtype=torch.float64))
    first, second = (render(each, camera, attributes) for each in (kernels, matrices))
    close(first.attributes, second.attributes)
    assert torch.equal(first.fragments.kernel, second.fragments.kernel)
