import numpy as np
import pytest

from nbf_raster import interpolate, lambert, rasterise, vertex_normals


def test_a_known_triangle_covers_the_pixels_whose_centres_it_holds():
    # At depth 1 with focal 1 and centre 0 camera coordinates are pixels.
    vertices = np.array([[0.0, 0, 1], [4, 0, 1], [0, 4, 1]])
    seen = rasterise(vertices, [[0, 1, 2]], (1, 1), (0, 0), (4, 5))
    expected = np.array([[1, 1, 1, 1, 0], [1, 1, 1, 0, 0], [1, 1, 0, 0, 0], [1, 0, 0, 0, 0]], bool)
    assert ((seen.triangle >= 0) == expected).all()
    np.testing.assert_allclose(seen.barycentric[0, 0], [0.75, 0.125, 0.125], atol=1e-7)
    assert np.isinf(seen.depth[3, 4]) and seen.triangle[3, 4] == -1
    assert seen.triangle.dtype == np.int32 and seen.barycentric.dtype == np.float32


@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
def test_the_nearer_face_hides_the_other(order):
    far = np.array([[-9.0, -9, 8], [9, -9, 8], [0, 9, 8]])
    near = np.array([[-0.5, -0.5, 4], [0.5, -0.5, 4], [0, 0.5, 4]])
    faces = np.array([[0, 1, 2], [3, 4, 5]])[order]
    seen = rasterise(np.concatenate([far, near]), faces, (32, 32), (16, 16), (32, 32))
    assert order[seen.triangle[16, 16]] == 1 and seen.depth[16, 16] == 4
    assert order[seen.triangle[2, 16]] == 0 and seen.depth[2, 16] == 8


def _ray_hit(origin_direction, corners):
    """Moeller-Trumbore by a linear solve: (barycentric of corners 1 and 2, distance)."""
    a, b, c = corners
    return np.linalg.solve(np.stack([b - a, c - a, -origin_direction], 1), -a)


def test_weights_and_depth_equal_ray_intersection():
    rng = np.random.default_rng(0)
    focal, center, size = np.array([40.0, 44]), np.array([15.0, 17]), (32, 30)
    for _ in range(20):
        corners = rng.normal(size=(3, 3)) * [1, 1, 1.5] + [0, 0, 5]
        seen = rasterise(corners, [[0, 1, 2]], focal, center, size)
        for y, x in np.argwhere(seen.triangle >= 0)[::17]:
            direction = np.append((np.array([x, y]) + 0.5 - center) / focal, 1.0)
            u, v, distance = _ray_hit(direction, corners)
            np.testing.assert_allclose(seen.barycentric[y, x], [1 - u - v, u, v], atol=1e-5)
            np.testing.assert_allclose(seen.depth[y, x], distance, rtol=1e-5)


def test_no_pixel_is_lost_between_neighbours():
    rng = np.random.default_rng(1)
    grid = np.stack(np.meshgrid(np.arange(9.0), np.arange(9.0)), -1).reshape(-1, 2) * 4
    inner = (grid % 32 != 0).all(1)
    grid[inner] += rng.uniform(-1.5, 1.5, (inner.sum(), 2))
    cell = (np.arange(8)[:, None] * 9 + np.arange(8)).ravel()[:, None]
    faces = np.concatenate([cell + [0, 1, 10], cell + [0, 10, 9]])
    vertices = np.concatenate([grid, np.ones((81, 1))], 1)
    assert (rasterise(vertices, faces, (1, 1), (0, 0), (32, 32)).triangle >= 0).all()


def test_faces_behind_the_near_plane_are_left_out():
    vertices = np.array([[-1.0, -1, 4], [1, -1, 4], [0, 1, -0.1]])
    assert (rasterise(vertices, [[0, 1, 2]], (20, 20), (8, 8), (16, 16)).triangle == -1).all()


def test_culling_keeps_faces_that_run_counter_clockwise_from_outside():
    vertices = np.array([[-1.0, -1, 4], [1, -1, 4], [0, 1, 4]])
    toward = [[0, 2, 1]]
    assert vertex_normals(vertices, [[0, 1, 2]])[0, 2] > 0
    normal = vertex_normals(vertices, toward)[0]
    assert normal[2] < 0 and lambert(normal) > lambert(-normal)
    assert (rasterise(vertices, toward, (20, 20), (8, 8), (16, 16), cull=True).triangle == 0).any()
    assert (rasterise(vertices, [[0, 1, 2]], (20, 20), (8, 8), (16, 16), cull=True).triangle == -1).all()


def test_interpolating_positions_gives_the_surface_point():
    vertices = np.array([[-1.0, -1, 4], [1, -1, 4], [0, 1, 6]])
    faces = np.array([[0, 1, 2]])
    seen = rasterise(vertices, faces, (20, 20), (8, 8), (16, 16))
    inside = seen.triangle >= 0
    points = interpolate(seen, faces, vertices)
    np.testing.assert_allclose(points[inside][:, 2], seen.depth[inside], rtol=1e-5)


def test_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match="faces"):
        rasterise(np.zeros((3, 3)), [[0, 1, 3]], (1, 1), (0, 0), (4, 4))
    with pytest.raises(ValueError, match="vertices"):
        rasterise(np.zeros((3, 2)), [[0, 1, 2]], (1, 1), (0, 0), (4, 4))
