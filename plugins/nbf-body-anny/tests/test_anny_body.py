"""What the free body promises."""

from __future__ import annotations

from importlib.resources import files

import numpy as np
import pytest
import roma
import torch

from nbf_body_anny import body as body_module
from nbf_body_anny.body import AnnyBody
from nbf_body_anny.config import AnnyConfig
from nbf_core.contracts import BodyModel, SkinnedBodyModel
from nbf_core.conventions import KEYPOINT_SETS, LIMBS, OPENPOSE_25, SMPL_24, mirror_permutation
from nbf_core.errors import AssetError, NbfError, ShapeError
from nbf_core.types import BodyParams

FLIP = torch.tensor([-1.0, 1.0, 1.0], dtype=torch.float64)


@pytest.fixture(scope="module")
def body() -> AnnyBody:
    torch.set_num_threads(1)
    return AnnyBody(AnnyConfig()).double()


def random_params(*batch: int, seed: int = 0) -> BodyParams:
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*batch, *shape, generator=generator, dtype=torch.float64)

    return BodyParams(global_orient=draw(3), body_pose=draw(23, 3) * 0.4, betas=draw(10), transl=draw(3) + 2)


def neutral(*batch: int) -> BodyParams:
    return BodyParams.neutral(*batch, dtype=torch.float64)


def with_joint(name: str, rotvec: list[float]) -> BodyParams:
    params = neutral(1)
    params.body_pose[0, SMPL_24.index(name) - 1] = torch.tensor(rotvec, dtype=torch.float64)
    return params


def joint(output, name: str) -> torch.Tensor:
    return output.joints[0, SMPL_24.index(name)]


def test_fulfils_the_contract(body):
    assert isinstance(body, BodyModel)


def test_spec_is_consistent(body):
    spec = body.spec
    vertices = body.rest_vertices
    assert spec.joint_names == SMPL_24 and len(spec.parents) == 24
    assert all(parent < child for child, parent in enumerate(spec.parents))
    assert spec.faces.min() == 0 and spec.faces.max() == len(vertices) - 1
    assert spec.vertex_parts.shape == spec.vertex_kernels.shape == (len(vertices),)
    assert set(spec.vertex_parts.tolist()) == set(range(24))
    assert 850 <= spec.kernels <= 900 and len(set(spec.kernel_vertices.tolist())) == spec.kernels
    assert set(spec.kernel_limbs.tolist()) == set(range(len(LIMBS)))
    assert torch.equal(spec.kernel_rest, vertices[spec.kernel_vertices])
    own = spec.vertex_kernels[spec.kernel_vertices]
    assert torch.equal(own, torch.arange(spec.kernels))
    for name, names in KEYPOINT_SETS.items():
        weights = spec.keypoint_weights[name]
        assert weights.shape == (len(names), 24 + len(body.marker_names))
        torch.testing.assert_close(weights.sum(1), torch.ones(len(names)).to(weights))


def test_stands_upright_in_a_t_pose_facing_forward(body):
    output = body(neutral(1))
    size = output.vertices[0].amax(0) - output.vertices[0].amin(0)
    assert 1.65 < size[1] < 1.9 and 1.6 < size[0] < 1.95 and size[2] < 0.4
    torch.testing.assert_close(output.joints[0, 0], torch.zeros(3).double(), atol=1e-6, rtol=0)
    arm = torch.stack([joint(output, f"left_{part}") for part in ("shoulder", "elbow", "wrist")])
    assert (arm[:, 0].diff() > 0.2).all() and arm[:, 1].std() < 0.01
    markers = dict(zip(body.marker_names, output.markers[0], strict=True))
    assert markers["nose"][2] > markers["left_ear"][2] + 0.08
    assert markers["left_big_toe"][2] > markers["left_heel"][2] + 0.15
    assert markers["head_top"][1] > joint(output, "head")[1] > joint(output, "neck")[1]


def test_bending_left_elbow_and_right_knee_moves_those_only(body):
    rest = body(neutral(1))
    elbow = body(with_joint("left_elbow", [0.0, -1.5, 0.0]))
    assert joint(elbow, "left_wrist")[2] > joint(rest, "left_wrist")[2] + 0.2
    knee = body(with_joint("right_knee", [1.5, 0.0, 0.0]))
    assert joint(knee, "right_ankle")[2] < joint(rest, "right_ankle")[2] - 0.3
    moved = (knee.vertices - rest.vertices)[0].norm(dim=-1) > 1e-3
    assert (body.rest_vertices[moved, 0] < 0.0).all()
    assert (body.rest_vertices[moved, 1] < joint(rest, "right_hip")[1]).all()


def test_mesh_kernels_and_tables_are_mirror_symmetric(body):
    spec = body.spec
    mirror = body.vertex_mirror
    assert torch.equal(mirror[mirror], torch.arange(len(mirror)))
    torch.testing.assert_close(body.rest_vertices[mirror] * FLIP, body.rest_vertices, atol=0, rtol=0)
    swap = spec.kernel_mirror
    assert torch.equal(swap[swap], torch.arange(spec.kernels))
    assert torch.equal(spec.kernel_vertices[swap], mirror[spec.kernel_vertices])
    assert torch.equal(spec.kernel_adjacency[swap][:, swap], spec.kernel_adjacency)
    limbs = torch.tensor(mirror_permutation(LIMBS))
    sided = spec.kernel_rest[:, 0].abs() > 1e-4
    assert torch.equal(limbs[spec.kernel_limbs[swap]][sided], spec.kernel_limbs[sided])


def test_mirrored_parameters_give_the_mirrored_body(body):
    params = random_params(2)
    swap = torch.tensor(body.spec.mirror_joints)
    order = swap[1:] - 1
    sign = torch.tensor([1.0, -1.0, -1.0], dtype=torch.float64)
    mirrored = BodyParams(
        global_orient=params.global_orient * sign,
        body_pose=params.body_pose[:, order] * sign,
        betas=params.betas,
        transl=params.transl * FLIP,
    )
    one, two = body(params), body(mirrored)
    torch.testing.assert_close(two.vertices, one.vertices[:, body.vertex_mirror] * FLIP, atol=1e-6, rtol=0)
    torch.testing.assert_close(two.joints, one.joints[:, swap] * FLIP, atol=1e-6, rtol=0)
    for name, names in KEYPOINT_SETS.items():
        permuted = body.keypoints(one, name)[:, list(mirror_permutation(names))] * FLIP
        torch.testing.assert_close(body.keypoints(two, name), permuted, atol=1e-6, rtol=0)


def test_joints_are_linear_in_shape_and_the_pelvis_stays(body):
    def joints(betas):
        params = neutral(1)
        params.betas[:] = betas
        return body(params, vertices=False).joints

    a, b = torch.randn(2, 10, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    rest = joints(torch.zeros(10))
    torch.testing.assert_close(joints(a + 2 * b) - rest, joints(a) - rest + 2 * (joints(b) - rest))
    assert joints(a)[0, 0].norm() < 1e-5


def test_global_orientation_turns_about_the_root_before_translation(body):
    params = random_params(1)
    still = BodyParams(
        torch.zeros_like(params.global_orient),
        params.body_pose,
        params.betas,
        torch.zeros_like(params.transl),
    )
    turned, straight = body(params), body(still)
    rotation = roma.rotvec_to_rotmat(params.global_orient[0])
    root = straight.joints[:, :1]
    expected = (straight.vertices - root) @ rotation.T + root + params.transl[:, None]
    torch.testing.assert_close(turned.vertices, expected)


def test_cheap_path_equals_the_full_path(body):
    params = random_params(2, 3)
    full, cheap = body(params), body(params, vertices=False)
    assert cheap.vertices is None and full.vertices.shape[:2] == (2, 3)
    torch.testing.assert_close(cheap.kernels, full.kernels)
    torch.testing.assert_close(cheap.markers, full.markers)
    torch.testing.assert_close(full.kernels, full.vertices[..., body.spec.kernel_vertices, :])


def test_batches_equal_single_people(body):
    params = random_params(3)
    together = body(params, vertices=False).kernels
    torch.testing.assert_close(together[1], body(params[1], vertices=False).kernels)
    assert body(params[:0], vertices=False).kernels.shape == (0, body.spec.kernels, 3)


@pytest.mark.parametrize("scale", [0.0, 1.0])
def test_gradients_are_right_also_at_rest(body, scale):
    params = random_params(1)
    inputs = [
        (params.global_orient * scale).requires_grad_(),
        (params.body_pose * scale).requires_grad_(),
        params.betas.requires_grad_(),
        params.transl.requires_grad_(),
    ]
    mix = torch.randn(4, body.spec.kernels, generator=torch.Generator().manual_seed(2), dtype=torch.float64)

    def few(*values):
        return mix @ body(BodyParams(*values), vertices=False).kernels / 100

    assert torch.autograd.gradcheck(few, inputs, atol=1e-6)


def test_keypoint_sets_have_their_order_and_sides(body):
    output = body(neutral(1))
    points = dict(zip(OPENPOSE_25, body.keypoints(output, "openpose-25")[0], strict=True))
    for name, point in points.items():
        if name.startswith("left_"):
            assert point[0] > 0.02
        elif name.startswith("right_"):
            assert point[0] < -0.02
        else:
            assert abs(point[0]) < 1e-6
    heights = [points[name][1] for name in ("nose", "neck", "mid_hip", "left_knee", "left_ankle", "left_heel")]
    assert heights == sorted(heights, reverse=True)
    h36m = dict(zip(KEYPOINT_SETS["h36m-17"], body.keypoints(output, "h36m-17")[0], strict=True))
    # The published table of evaluated joints begins with rows 6, 5, 4: ankle, knee and hip of the right leg.
    assert [point[0] < -0.02 for point in body.keypoints(output, "h36m-17")[0, [6, 5, 4]]] == [True] * 3
    for name, point in h36m.items():
        assert point[0] > 0.02 or not name.startswith("left_")
        assert point[0] < -0.02 or not name.startswith("right_")
    heights = [h36m[name][1] for name in ("head_top", "jaw", "neck", "spine", "pelvis", "right_knee")]
    assert heights == sorted(heights, reverse=True)
    torch.testing.assert_close(body.keypoints(output, "smpl-24"), output.joints)


def test_kernel_neighbours_are_near_and_arms_do_not_touch_the_trunk(body):
    spec = body.spec
    adjacent = spec.kernel_adjacency
    assert torch.equal(adjacent, adjacent.T) and not adjacent.diagonal().any()
    assert (adjacent.sum(1) > 0).all() and 4.5 < adjacent.double().sum(1).mean() < 7
    distance = torch.cdist(spec.kernel_rest, spec.kernel_rest)
    assert distance[adjacent].max() < 0.12 and 0.04 < distance[adjacent].median() < 0.06
    torso, hand = LIMBS.index("torso"), LIMBS.index("left_lower_arm")
    assert not adjacent[spec.kernel_limbs == torso][:, spec.kernel_limbs == hand].any()
    # A surface point and its kernel are on the same or on touching limbs.
    far = (body.rest_vertices - spec.kernel_rest[spec.vertex_kernels]).norm(dim=-1)
    assert far.max() < 0.08 and far.mean() < 0.03


def test_moves_with_the_module():
    body = AnnyBody()
    assert body.spec.kernel_rest.dtype == torch.float32
    assert body(BodyParams.neutral(1)).vertices.dtype == torch.float32
    assert body.double().spec.kernel_rest.dtype == torch.float64
    assert not list(body.parameters()) and not body.state_dict()


def test_kernel_precision_comes_from_the_configuration():
    assert AnnyBody(AnnyConfig(kernel_precision=2000.0)).spec.kernel_precision == 2000.0


def test_wrong_shapes_and_names_are_one_clear_line(body):
    params = random_params(2)
    wrong = BodyParams(params.global_orient, params.body_pose, params.betas[:, :9], params.transl)
    with pytest.raises(ShapeError, match="betas.*10.*9"):
        body(wrong)
    with pytest.raises(NbfError, match="nonsense.*openpose-25"):
        body.keypoints(body(params, vertices=False), "nonsense")


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 cut short"])
def test_broken_data_file_is_named(monkeypatch, tmp_path, content):
    folder = tmp_path / "data"
    folder.mkdir()
    if content is not None:
        (folder / "anny.npz").write_bytes(content)
    monkeypatch.setattr(body_module, "files", lambda package: tmp_path)
    with pytest.raises(AssetError, match="anny.npz"):
        AnnyBody()


def test_data_file_is_small_plain_and_has_its_licences():
    data = files("nbf_body_anny") / "data"
    assert len((data / "anny.npz").read_bytes()) <= 3_000_000
    with np.load(data / "anny.npz", allow_pickle=False) as stored:
        assert all(stored[name].dtype != object for name in stored.files)
    assert "CC0" in (data / "LICENSES.md").read_text()


def test_plugin_offers_the_body():
    from nbf_body_anny import plugin

    (entry,) = plugin.nbf_body_models()
    assert entry.name == "anny" and entry.load() is AnnyBody and entry.load_config() is AnnyConfig


def test_skinning_poses_joints_kernels_and_markers_as_the_body_does(body):
    assert isinstance(body, SkinnedBodyModel)
    params, how = random_params(2), body.skinning()
    output = body(params)
    rotations = roma.rotvec_to_rotmat(torch.cat([params.global_orient[:, None], params.body_pose], 1))
    joints = how.joints + torch.einsum("jds,bs->bjd", how.joint_directions, params.betas)
    turned, placed = [rotations[:, 0]], [joints[:, 0] + params.transl]
    for j, parent in enumerate(how.parents[1:], 1):
        bone = joints[:, j] - joints[:, parent]
        placed.append(placed[parent] + (turned[parent] @ bone[..., None])[..., 0])
        turned.append(turned[parent] @ rotations[:, j])
    world, places = torch.stack(turned, 1), torch.stack(placed, 1)
    torch.testing.assert_close(places, output.joints)
    for name in ("kernel", "marker"):
        rest = getattr(how, f"{name}s") + torch.einsum("nds,bs->bnd", getattr(how, f"{name}_directions"), params.betas)
        local = rest[:, None] - joints[:, :, None]
        each = torch.einsum("bjde,bjne->bjnd", world, local) + places[:, :, None]
        points = torch.einsum("nj,bjnd->bnd", getattr(how, f"{name}_weights"), each)
        torch.testing.assert_close(points, getattr(output, f"{name}s"))
