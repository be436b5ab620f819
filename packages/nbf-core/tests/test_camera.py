"""Cameras: projection, rays, resizing and cropping agree with one another."""

import math
from pathlib import Path

import pytest
import roma
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nbf_core.errors import ShapeError
from nbf_core.geometry.camera import central_ray_rotation, translation_to_weak, weak_to_translation
from nbf_core.types import Camera
from nbf_testing.golden import cases

HERE = Path(__file__).parent / "golden"

sizes = st.tuples(st.integers(1, 40), st.integers(1, 40))
focals = st.floats(10, 2000)
shifts = st.floats(-300, 300)


@st.composite
def cameras(draw):
    """Off-centre cameras with two focal lengths, in float64."""
    height, width = draw(sizes)
    focal = torch.tensor([draw(focals), draw(focals)], dtype=torch.float64)
    center = torch.tensor([draw(shifts), draw(shifts)], dtype=torch.float64)
    return Camera(focal=focal, center=center, size=(height, width))


def points(seed, n=16):
    generator = torch.Generator().manual_seed(seed)
    xyz = torch.randn(n, 3, generator=generator, dtype=torch.float64)
    return torch.cat([xyz[:, :2], xyz[:, 2:].abs() + 0.5], dim=-1)


@settings(max_examples=30, deadline=None)
@given(cameras())
def test_points_along_a_ray_project_to_its_pixels_centre(camera):
    rays = camera.rays()
    height, width = camera.size
    torch.testing.assert_close(rays.norm(dim=-1), torch.ones(height, width, dtype=torch.float64))
    x, y = torch.meshgrid(torch.arange(width) + 0.5, torch.arange(height) + 0.5, indexing="xy")
    pixels = camera.project((3.7 * rays).reshape(-1, 3)).reshape(height, width, 2)
    torch.testing.assert_close(pixels, torch.stack([x, y], dim=-1).double(), atol=1e-6, rtol=1e-9)


@settings(max_examples=30, deadline=None)
@given(cameras(), sizes, st.integers(0, 99))
def test_a_resized_camera_sees_the_resampled_picture(camera, size, seed):
    scale = torch.tensor([size[1] / camera.size[1], size[0] / camera.size[0]], dtype=torch.float64)
    resized = camera.resized(size)
    assert resized.size == size
    torch.testing.assert_close(resized.project(points(seed)), camera.project(points(seed)) * scale)
    back = resized.resized(camera.size)
    torch.testing.assert_close(back.focal, camera.focal)
    torch.testing.assert_close(back.center, camera.center)


@settings(max_examples=30, deadline=None)
@given(cameras(), sizes, shifts, shifts, st.floats(1, 100), st.floats(1, 100), st.integers(0, 99))
def test_a_cropped_camera_sees_the_crop(camera, size, x, y, width, height, seed):
    box = torch.tensor([x, y, x + width, y + height], dtype=torch.float64)
    cropped = camera.cropped(box, size)
    scale = torch.tensor([size[1] / width, size[0] / height], dtype=torch.float64)
    expected = (camera.project(points(seed)) - box[:2]) * scale
    torch.testing.assert_close(cropped.project(points(seed)), expected)


def test_cropping_to_the_whole_picture_is_resizing():
    camera = Camera.from_field((30, 40), 50.0, 2, dtype=torch.float64)
    box = torch.tensor([0.0, 0.0, 40.0, 30.0], dtype=torch.float64).expand(2, 4)
    for name in ("focal", "center"):
        torch.testing.assert_close(
            getattr(camera.cropped(box, (15, 20)), name), getattr(camera.resized((15, 20)), name)
        )


def test_a_centred_camera_looks_along_z_through_the_middle():
    camera = Camera.from_field(size=(80, 60), focal=400.0)
    torch.testing.assert_close(camera.project(torch.tensor([[0.0, 0.0, 5.0]])), torch.tensor([[30.0, 40.0]]))
    # x right and y down: a point to the right and below lands right and below.
    right_below = camera.project(torch.tensor([[0.1, 0.1, 5.0]]))[0]
    assert right_below[0] > 30 and right_below[1] > 40


def test_each_camera_of_a_batch_has_its_own_picture():
    camera = Camera(
        focal=torch.tensor([[10.0, 20.0], [30.0, 40.0]]),
        center=torch.tensor([[1.0, 2.0], [3.0, 4.0]]),
        size=(3, 5),
    )
    rays, xyz = camera.rays(), torch.rand(2, 7, 3) + 1
    assert rays.shape == (2, 3, 5, 3)
    for i in range(2):
        torch.testing.assert_close(rays[i], camera[i].rays())
        torch.testing.assert_close(camera.project(xyz)[i], camera[i].project(xyz[i]))


def test_points_behind_the_camera_give_no_nan():
    assert Camera.from_field((8, 8), 10.0).project(torch.tensor([[1.0, 1.0, 0.0], [1.0, 1.0, -2.0]])).isfinite().all()


def test_projection_is_differentiable():
    xyz = points(0, 4).requires_grad_()
    focal = torch.tensor([50.0, 60.0], dtype=torch.float64, requires_grad=True)
    center = torch.tensor([5.0, 6.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, f, c: Camera(f, c, (10, 12)).project(x), (xyz, focal, center))


@pytest.mark.parametrize("field", ["focal", "center"])
@pytest.mark.wrong_shapes
def test_a_camera_with_one_number_is_refused_by_name(field):
    values = {"focal": torch.ones(2), "center": torch.ones(2)} | {field: torch.ones(3)}
    with pytest.raises(ShapeError, match=rf"camera {field}: expected shape \[..., 2\], got \(3,\)"):
        Camera(**values, size=(4, 4))


@settings(max_examples=30, deadline=None)
@given(cameras())
def test_the_central_ray_rotation_is_the_smallest_to_the_middle_of_the_picture(camera):
    rotation = central_ray_rotation(camera)
    torch.testing.assert_close(rotation @ rotation.mT, torch.eye(3, dtype=torch.float64))
    ray = rotation[:, 2]
    middle = torch.tensor([camera.size[1] / 2, camera.size[0] / 2], dtype=torch.float64)
    torch.testing.assert_close(camera.project(ray[None])[0], middle, atol=1e-6, rtol=1e-9)
    # The smallest rotation's angle is the angle between the axis and the ray.
    angle = torch.arccos(((rotation.trace() - 1) / 2).clamp(-1, 1))
    torch.testing.assert_close(angle, torch.arccos(ray[2].clamp(-1, 1)), atol=1e-6, rtol=1e-6)


@settings(max_examples=30, deadline=None)
@given(st.floats(0.1, 2), st.floats(-1, 1), st.floats(-1, 1), shifts, shifts)
def test_weak_perspective_and_translation_are_inverse(s, tx, ty, cx, cy):
    camera = Camera(
        focal=torch.full((2,), 500.0, dtype=torch.float64),
        center=torch.tensor([cx, cy], dtype=torch.float64),
        size=(224, 224),
    )
    weak = torch.tensor([s, tx, ty], dtype=torch.float64)
    torch.testing.assert_close(translation_to_weak(weak_to_translation(weak, camera), camera), weak)


def test_a_weak_camera_places_the_body_where_it_says():
    camera = Camera.from_field((224, 224), 500.0, dtype=torch.float64)
    translation = weak_to_translation(torch.tensor([0.5, 0.2, -0.1], dtype=torch.float64), camera)
    assert translation[2].item() == pytest.approx(2 * 500 / (224 * 0.5))
    # u = s (x + tx), in units of half the picture.
    u = (camera.project(translation[None])[0] - 112) / 112
    torch.testing.assert_close(u, torch.tensor([0.5 * 0.2, 0.5 * -0.1], dtype=torch.float64))
    assert math.isfinite(weak_to_translation(torch.zeros(3, dtype=torch.float64), camera).sum().item())


@pytest.mark.parametrize("case", cases("camera_math", HERE), ids=str)
def test_cameras_and_rotations_equal_the_published_ones(case):
    """On the optical axis, where nothing is turned. Published pixels count from the image's centre."""
    side = int(case.scalar("res"))
    weak, joints = case.tensor("cam").double(), case.tensor("joints").double()
    camera = Camera.from_field((side, side), case.scalar("focal"), len(weak), dtype=torch.float64)
    translation = weak_to_translation(weak, camera)
    case.check("perspective", translation)
    case.check("weak_back", translation_to_weak(translation, camera))
    case.check("projected", camera.project(joints + translation[:, None]) - side / 2)
    case.check("rot6d_rotmat", roma.special_gramschmidt(case.tensor("rot6d").double().view(-1, 3, 2)))
    root = roma.rotvec_to_rotmat(case.tensor("pose").double()[:, :3])
    case.check("rodrigues", root)
    angle = torch.tensor([0.0, math.radians(case.scalar("angle")), 0.0], dtype=torch.float64)
    case.check("rotate_aroundy_rotmat", root @ roma.rotvec_to_rotmat(angle))
