"""What the licensed bodies promise, on made-up bodies in their files."""

from __future__ import annotations

import os
import pickle
import sys
import time

import numpy as np
import pytest
import roma
import torch
from miniature import as_chumpy, make_arrays, make_regressors, write_tree

from nbf_body_models.body import SmplBody, SmplhBody, SmplxBody
from nbf_body_models.config import SmplConfig, SmplhConfig, SmplxConfig
from nbf_core.contracts import BodyModel, GenderedBodyModel, SkinnedBodyModel, TakesModelFiles
from nbf_core.conventions import CONVENTIONS, KEYPOINT_SETS, LIMBS, OPENPOSE_25, SMPL_24, mirror_permutation
from nbf_core.errors import AssetError, ConfigError, NbfError, PluginError, ShapeError
from nbf_core.types import BodyParams

BODIES = {"smpl": (SmplBody, SmplConfig), "smplh": (SmplhBody, SmplhConfig), "smplx": (SmplxBody, SmplxConfig)}
VARIANTS = {
    "smpl": ("smpl", {}),
    "smplh": ("smplh", {}),
    "smplh-fingers": ("smplh", {"joints": "all"}),
    "smplh-relaxed": ("smplh", {"joints": "all", "flat_hands": False}),
    "smplx": ("smplx", {}),
    "smplx-face": ("smplx", {"joints": "all", "expressions": 7}),
}


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A folder laid out as published, with regressors for SMPL's mesh alone."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("body_models")
    for kind in BODIES:
        arrays = make_arrays(kind, shapes=20 if kind == "smplx" else 10)
        write_tree(folder, kind, arrays, suffix=".pkl" if kind == "smpl" else ".npz")
        if kind == "smpl":
            for name, regressor in make_regressors(arrays["v_template"]).items():
                np.save(folder / f"J_regressor_{name}.npy", regressor)
    # SMPL-H's real mesh is SMPL's; the made-up one is not, so it is given regressors of its own.
    return folder


def build(tree, kind, **options):
    body, config = BODIES[kind]
    if kind == "smplh":
        arrays = make_arrays(kind)
        for name, regressor in make_regressors(arrays["v_template"]).items():
            path = tree / f"smplh_{name}.npy"
            if not path.exists():
                np.save(path, regressor)
            options.setdefault(f"regressor_{name}", path)
    return body(config(path=tree, kernel_count=options.pop("kernel_count", 120), **options))


@pytest.fixture(scope="module", params=VARIANTS)
def body(tree, request):
    kind, options = VARIANTS[request.param]
    return build(tree, kind, **options).double()


@pytest.fixture(scope="module")
def smpl(tree):
    return build(tree, "smpl").double()


def random_params(body, *batch: int, seed: int = 0) -> BodyParams:
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*batch, *shape, generator=generator, dtype=body.spec.kernel_rest.dtype)

    joints = len(body.spec.joint_names) - 1
    return BodyParams(draw(3), draw(joints, 3) * 0.4, draw(body.spec.shapes), draw(3) + 2)


def neutral(body, *batch: int) -> BodyParams:
    joints, shapes = len(body.spec.joint_names) - 1, body.spec.shapes
    return BodyParams.neutral(*batch, joints=joints, shapes=shapes, dtype=body.spec.kernel_rest.dtype)


def test_fulfils_the_contracts(body):
    for contract in (BodyModel, SkinnedBodyModel, GenderedBodyModel, TakesModelFiles):
        assert isinstance(body, contract)
    assert not list(body.parameters()) and not body.state_dict()


def test_spec_is_consistent(body):
    spec = body.spec
    count, kernels = len(body._vertex_template), spec.kernels
    assert len(spec.parents) == len(spec.joint_names) == len(spec.mirror_joints)
    assert spec.faces.min() >= 0 and spec.faces.max() < count
    assert spec.vertex_parts.shape == spec.vertex_kernels.shape == (count,)
    assert len(set(spec.kernel_vertices.tolist())) == kernels and 90 <= kernels <= 150
    assert set(spec.kernel_limbs.tolist()) == set(range(len(LIMBS)))
    assert torch.equal(spec.vertex_kernels[spec.kernel_vertices], torch.arange(kernels))
    assert torch.equal(spec.kernel_adjacency, spec.kernel_adjacency.T) and not spec.kernel_adjacency.diagonal().any()
    assert spec.kernel_adjacency.any(1).all() and len(spec.kernel_faces)
    swap, middle = spec.kernel_mirror, torch.tensor([-1.0, 1.0, 1.0]).double()
    assert torch.equal(swap[swap], torch.arange(kernels))
    torch.testing.assert_close(spec.kernel_rest[swap] * middle, spec.kernel_rest, atol=1e-6, rtol=0)
    limbs, sided = torch.tensor(mirror_permutation(LIMBS)), spec.kernel_rest[:, 0].abs() > 0.07
    assert torch.equal(limbs[spec.kernel_limbs[swap]][sided], spec.kernel_limbs[sided])
    for name, weights in spec.keypoint_weights.items():
        assert weights.shape[1] == len(spec.joint_names) + body(neutral(body, 1)).markers.shape[1]
        torch.testing.assert_close(weights.sum(1), torch.ones(len(weights)).double(), atol=1e-5, rtol=0)
        names = KEYPOINT_SETS.get(name) or CONVENTIONS[name].joints
        assert len(names) == len(weights)


@pytest.mark.parametrize("variant", VARIANTS)
def test_equals_smplx(tree, variant):
    """Vertices and joints as the package smplx has them, to a hundredth of a millimetre."""
    pytest.importorskip("smplx")
    from nbf_body_models.reference import Reference

    kind, options = VARIANTS[variant]
    body = build(tree, kind, **options)
    params = random_params(body, 3)
    if kind != "smpl" and options.get("joints") != "all":
        params.body_pose[:, 21:] = 0  # there is no joint in the file that turns a whole hand
    assert Reference(body, 3).largest_distance(params) < 1e-5


@pytest.mark.parametrize("kind", ["smplh", "smplx"])
def test_a_hand_without_fingers_turns_as_a_whole(tree, kind):
    whole, fingers = build(tree, kind).double(), build(tree, kind, joints="all").double()
    params = neutral(whole, 1)
    place = SMPL_24.index("left_hand") - 1
    params.body_pose[0, place] = torch.tensor([0.0, 0.3, 0.8])
    turned, rest = whole(params), whole(neutral(whole, 1))
    root = fingers(neutral(fingers, 1)).joints[0, fingers.spec.joint_names.index("left_middle1")]
    torch.testing.assert_close(turned.joints[0, place + 1], root)
    rotation = roma.rotvec_to_rotmat(params.body_pose[0, place])
    only = whole._vertex_weights[:, place + 1] > 1 - 1e-6
    assert only.sum() > 20
    torch.testing.assert_close(turned.vertices[0, only], (rest.vertices[0, only] - root) @ rotation.T + root)
    untouched = whole._vertex_weights[:, place + 1] == 0
    torch.testing.assert_close(turned.vertices[0, untouched], rest.vertices[0, untouched])


def test_cheap_path_equals_the_full_path(body):
    params = random_params(body, 2, 3)
    full, cheap = body(params), body(params, vertices=False)
    assert cheap.vertices is None and full.vertices.shape[:2] == (2, 3)
    torch.testing.assert_close(cheap.joints, full.joints)
    torch.testing.assert_close(cheap.kernels, full.kernels)
    torch.testing.assert_close(cheap.markers, full.markers)
    torch.testing.assert_close(full.kernels, full.vertices[..., body.spec.kernel_vertices, :])
    assert body(params[:0]).kernels.shape == (0, 3, body.spec.kernels, 3)
    torch.testing.assert_close(body(params[1, 2], vertices=False).kernels, full.kernels[1, 2])


def test_regressed_joints_are_those_of_the_posed_vertices(tree, smpl):
    """On the cheap path too: few points that hang on one joint each stand for all vertices of a regressor."""
    params = random_params(smpl, 4)
    full, cheap = smpl(params), smpl(params, vertices=False)
    for name, rows in (("h36m", slice(None)), ("extra", slice(-9, None))):
        regressor = torch.from_numpy(np.load(tree / f"J_regressor_{name}.npy"))
        expected = torch.einsum("jv,bvx->bjx", regressor, full.vertices)
        found = smpl.keypoints(cheap, {"h36m": "h36m-17", "extra": "smpl_54"}[name])[:, rows]
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_keypoint_sets_mean_what_they_say(smpl):
    output = smpl(random_params(smpl, 2))
    points = dict(zip(CONVENTIONS["smpl_54"].joints, smpl.keypoints(output, "smpl_54").unbind(1), strict=True))
    published = smpl.keypoints(output, "smpl_49")
    rows = (24, 12, 17, 19, 21, 16, 18, 20, 0, 2, 5, 8, 1, 4, 7, 25, 26, 27, 28)  # the published table begins so
    expected = torch.stack([list(points.values())[row] for row in rows], 1)
    torch.testing.assert_close(published[:, :19], expected)
    torch.testing.assert_close(smpl.keypoints(output, "smpl-24"), output.joints)
    detected = dict(zip(OPENPOSE_25, smpl.keypoints(output, "openpose-25").unbind(1), strict=True))
    torch.testing.assert_close(detected["neck"], (points["left_shoulder"] + points["right_shoulder"]) / 2)
    torch.testing.assert_close(detected["left_big_toe"], points["left_bigtoe"])
    torch.testing.assert_close(detected["right_hip"], points["right_hip"])
    torch.testing.assert_close(smpl.keypoints(output, "coco-17")[:, 11], points["left_hip_extra"])


def test_without_regressors_their_sets_are_missing(tmp_path):
    write_tree(tmp_path)
    body = SmplBody(SmplConfig(path=tmp_path))
    output = body(BodyParams.neutral(1))
    hips = body.keypoints(output, "coco-17")[0, 11]
    torch.testing.assert_close(hips, output.joints[0, SMPL_24.index("left_hip")])
    with pytest.raises(NbfError, match="'smpl' knows no keypoint set 'h36m-17'.*J_regressor_h36m.npy"):
        body.keypoints(output, "h36m-17")


def test_skinning_is_the_body_without_pose_blend_shapes(tree, tmp_path):
    arrays = make_arrays()
    arrays["posedirs"][:] = 0
    write_tree(tmp_path, arrays=arrays)
    body = SmplBody(SmplConfig(path=tmp_path, kernel_count=120)).double()
    params, how = random_params(body, 2), body.skinning()
    output = body(params)
    rotations = roma.rotvec_to_rotmat(torch.cat([params.global_orient[:, None], params.body_pose], 1))
    joints = how.joints + torch.einsum("jds,bs->bjd", how.joint_directions, params.betas)
    turned, placed = [rotations[:, 0]], [joints[:, 0] + params.transl]
    for j, parent in enumerate(how.parents[1:], 1):
        placed.append(placed[parent] + (turned[parent] @ (joints[:, j] - joints[:, parent])[..., None])[..., 0])
        turned.append(turned[parent] @ rotations[:, j])
    torch.testing.assert_close(torch.stack(placed, 1), output.joints)
    for name in ("kernel", "marker"):
        rest = getattr(how, f"{name}s") + torch.einsum("nds,bs->bnd", getattr(how, f"{name}_directions"), params.betas)
        local = rest[:, None] - joints[:, :, None]
        each = torch.einsum("bjde,bjne->bjnd", torch.stack(turned, 1), local) + torch.stack(placed, 1)[:, :, None]
        points = torch.einsum("nj,bjnd->bnd", getattr(how, f"{name}_weights"), each)
        torch.testing.assert_close(points, getattr(output, f"{name}s"))


@pytest.mark.parametrize("scale", [0.0, 1.0])
def test_gradients_are_right_also_at_rest(smpl, scale):
    params = random_params(smpl, 1)
    inputs = [
        (params.global_orient * scale).requires_grad_(),
        (params.body_pose * scale).requires_grad_(),
        params.betas.requires_grad_(),
        params.transl.requires_grad_(),
    ]
    mix = torch.randn(3, smpl.spec.kernels, generator=torch.Generator().manual_seed(2), dtype=torch.float64)

    def few(*values):
        return mix @ smpl(BodyParams(*values), vertices=False).kernels / 100

    assert torch.autograd.gradcheck(few, inputs, atol=1e-6)


def test_genders_share_kernels(tmp_path):
    for number, gender in enumerate(("neutral", "male", "female")):
        arrays = make_arrays()
        arrays["v_template"] = arrays["v_template"] * (1 + 0.05 * number) + 0.003 * np.sin(50 * arrays["v_template"])
        write_tree(tmp_path, arrays=arrays, gender=gender)
    body = SmplBody(SmplConfig(path=tmp_path, kernel_count=120))
    male = body.gendered("male")
    assert male is body.gendered("male") and body.gendered("neutral") is body
    assert torch.equal(male.spec.kernel_vertices, body.spec.kernel_vertices)
    assert not torch.equal(male.spec.kernel_rest, body.spec.kernel_rest)
    alone = SmplBody(SmplConfig(path=tmp_path, gender="male", kernel_count=120))
    assert torch.equal(alone.spec.kernel_vertices, body.spec.kernel_vertices)
    assert body.double().gendered("female").spec.kernel_rest.dtype == torch.float64
    with pytest.raises(ConfigError, match="no gender 'other'"):
        body.gendered("other")
    single = SmplBody(SmplConfig(path=tmp_path / "smpl" / "SMPL_MALE.pkl", kernel_count=120))
    with pytest.raises(ConfigError, match="SMPL_MALE.pkl: is one file"):
        single.gendered("female")


def test_published_kernels_come_from_their_file(tree, tmp_path):
    path = tmp_path / "sample.npz"
    np.savez(path, indices=np.arange(5, 800, 7), faces_downsampled=np.array([[0, 1, 2], [2, 3, 4]]))
    spec = build(tree, "smpl", kernels=path).spec
    assert torch.equal(spec.kernel_vertices, torch.arange(5, 800, 7))
    pairs = {(0, 1), (1, 2), (0, 2), (2, 3), (3, 4), (2, 4)}
    assert set(map(tuple, spec.kernel_adjacency.nonzero().tolist())) == pairs | {(b, a) for a, b in pairs}
    for content, says in (
        ({"faces": np.zeros(3)}, "lacks indices"),
        ({"indices": np.array([0, 0])}, "indices: a vertex is there twice"),
        ({"indices": np.array([0, 10**6])}, "indices: must name 0 to 863"),
        ({"indices": np.array([0.5])}, "indices: expected whole numbers"),
        ({"indices": np.arange(5), "faces_downsampled": np.array([[0, 1, 9]])}, "faces_downsampled: must name 0 to 4"),
    ):
        np.savez(path, **content)
        with pytest.raises(AssetError, match=f"sample.npz: .*{says}"):
            build(tree, "smpl", kernels=path)


def test_published_kernels_are_found_in_the_published_tree(published_size, tmp_path, monkeypatch, caplog):
    """For SMPL's mesh alone; without the file a line says that kernels were spread, once."""
    pytest.importorskip("smplx", reason="the published mesh's nose and toes are listed in smplx")
    from nbf_body_models import tables

    tables._say_once.cache_clear()
    config = SmplConfig(path=published_size, kernel_count=200)
    assert tables.make_tables(config, "smpl").choice.neighbours is None
    tables.make_tables(config, "smpl")
    (said,) = [record.getMessage() for record in caplog.records]
    assert "spread evenly" in said and "sample_data_8-2021-04-05.npz" in said and "body.kernels" in said
    path = published_size.parent / tables.PUBLISHED_KERNELS
    monkeypatch.setattr(tables, "PUBLISHED_KERNELS", tmp_path / path.name)
    np.savez(tmp_path / path.name, indices=np.arange(3, 6890, 8))
    assert (tables.make_tables(config, "smpl").choice.vertices == np.arange(3, 6890, 8)).all()
    monkeypatch.setattr(tables, "SMPL_VERTICES", 1)
    assert len(tables.make_tables(config, "smpl").choice.vertices) < 300


def test_expressions_follow_the_shapes(tree):
    body = build(tree, "smplx", shapes=4, expressions=3)
    arrays = make_arrays("smplx", shapes=20)
    params = neutral(body, 1)
    params.betas[0, 5] = 2.0
    moved = body(params).vertices - body(neutral(body, 1)).vertices
    np.testing.assert_allclose(moved[0].numpy(), 2 * arrays["shapedirs"][..., 11], atol=1e-6)
    for options, says in (({"shapes": 11}, "10 shapes, 11"), ({"expressions": 11}, "10 expressions, 11")):
        with pytest.raises(ConfigError, match=says):
            build(tree, "smplx", **options)
    with pytest.raises(ValueError, match="flat_hands"):
        SmplxConfig(flat_hands=False)


@pytest.mark.parametrize("protocol", [0, 2])
def test_original_pickles_are_read_without_chumpy(tmp_path, protocol):
    arrays = make_arrays()
    path = write_tree(tmp_path, arrays=arrays)
    plain = SmplBody(SmplConfig(path=path, kernel_count=120))
    path.write_bytes(as_chumpy(arrays, protocol))
    body = SmplBody(SmplConfig(path=path, kernel_count=120))
    params = random_params(body, 1)
    torch.testing.assert_close(body(params).vertices, plain(params).vertices, atol=0, rtol=0)


def test_conversion_keeps_the_body_and_drops_what_is_no_array(tmp_path):
    path = tmp_path / "basicModel.pkl"
    path.write_bytes(as_chumpy(make_arrays()))
    made = SmplBody.from_model_file(path)
    assert made.left_out == ("J", "bs_style") and SmplhBody.from_model_file(path) is None
    np.savez(tmp_path / "SMPL_NEUTRAL.npz", **made.arrays)
    with np.load(tmp_path / "SMPL_NEUTRAL.npz", allow_pickle=False) as stored:
        assert {"v_template", "shapedirs", "posedirs", "J_regressor", "weights", "kintree_table", "f"} <= set(stored)
    before = SmplBody(SmplConfig(path=path, kernel_count=120))
    after = SmplBody(SmplConfig(path=tmp_path, kernel_count=120))
    params = random_params(before, 2)
    torch.testing.assert_close(after(params).vertices, before(params).vertices, atol=1e-6, rtol=0)


class Exploit:
    def __reduce__(self):
        return os.system, ("touch ran",)


def test_an_exploit_is_refused_by_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "SMPL_NEUTRAL.pkl"
    path.write_bytes(pickle.dumps({**make_arrays(), "weights_prior": Exploit()}, 2))
    with pytest.raises(AssetError, match=rf"SMPL_NEUTRAL.pkl: .*{os.system.__module__}.system.*nothing in it was run"):
        SmplBody(SmplConfig(path=tmp_path))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"v_template": None}, "it lacks v_template"),
        ({"v_template": np.zeros((864, 2))}, r"v_template has shape \(864, 2\)"),
        ({"v_template": np.full((864, 3), np.nan)}, "v_template: holds numbers that are not finite"),
        ({"v_template": "text"}, "v_template: expected an array of numbers"),
        ({"v_template": np.zeros((0, 3))}, "v_template is empty"),
        ({"shapedirs": np.zeros((10, 3, 10))}, "shapedirs has shape"),
        ({"posedirs": np.zeros((864, 3, 9))}, r"posedirs has shape \(864, 3, 9\), expected \(864, 3, 207\)"),
        ({"J_regressor": np.zeros((24, 5))}, "J_regressor has shape"),
        ({"weights": np.zeros((864, 24))}, "weights: the weights of a vertex add up to 0.000"),
        ({"kintree_table": np.array([[0, 5, 0], [0, 1, 2]])}, "kintree_table: a joint must come after its parent"),
        ({"kintree_table": np.array([[0, 0, 0], [0, 1, 2]])}, "kintree_table has 3 joints, which are of no body"),
        ({"kintree_table": np.zeros(3)}, "kintree_table has shape"),
        ({"f": np.array([[0, 1, 864]])}, "f: faces must name vertices 0 to 863"),
        ({"marker_vertices": np.array([0, 1])}, "marker_vertices: one vertex"),
        ({"marker_names": None}, "v_template has 864 vertices; nobody lists the nose"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, change, says):
    arrays = make_arrays() | change
    arrays = {key: value for key, value in arrays.items() if value is not None}
    path = tmp_path / "SMPL_NEUTRAL.pkl"
    path.write_bytes(pickle.dumps(arrays, 2))
    with pytest.raises(AssetError, match=f"SMPL_NEUTRAL.pkl: .*{says}"):
        SmplBody(SmplConfig(path=tmp_path))


def test_a_cut_or_foreign_file_is_named(tmp_path):
    path = write_tree(tmp_path)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(AssetError, match="SMPL_NEUTRAL.pkl: .*cut short"):
        SmplBody(SmplConfig(path=tmp_path))
    path.write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(AssetError, match="SMPL_NEUTRAL.pkl: .*dictionary"):
        SmplBody(SmplConfig(path=tmp_path))
    write_tree(tmp_path, "smplh").replace(path)
    with pytest.raises(AssetError, match="SMPL_NEUTRAL.pkl: kintree_table has 52 joints, which are SMPL-H's"):
        SmplBody(SmplConfig(path=tmp_path))


def test_a_missing_file_says_where_it_was_looked_for(tmp_path):
    with pytest.raises(AssetError, match="smpl/SMPL_FEMALE.npz.*SMPL_FEMALE.pkl.*ask for it at https://smpl"):
        SmplBody(SmplConfig(path=tmp_path, gender="female"))
    (tmp_path / "smpl").mkdir()
    (tmp_path / "smpl" / "basicModel_neutral_lbs_10_207_0_v1.0.0.pkl").touch()
    with pytest.raises(AssetError, match="basicModel_neutral_lbs_10_207_0_v1.0.0.pkl has still its original name"):
        SmplBody(SmplConfig(path=tmp_path))


def test_regressors_that_do_not_fit_are_named(tree, tmp_path):
    for content, says in ((np.zeros((17, 5)), "is for 5 vertices"), (np.zeros((3, 864)), r"expected \(17, any\)")):
        np.save(tmp_path / "mine.npy", content)
        with pytest.raises(AssetError, match=f"mine.npy: .*{says}"):
            build(tree, "smpl", regressor_h36m=tmp_path / "mine.npy")


@pytest.fixture(scope="module")
def published_size(tmp_path_factory):
    """A folder with a body of as many vertices as SMPL has, which are not named in its file."""
    folder = tmp_path_factory.mktemp("published")
    arrays = make_arrays(vertices=6890)
    write_tree(folder, arrays=arrays, suffix=".npz")
    for name, regressor in make_regressors(arrays["v_template"]).items():
        np.save(folder / f"J_regressor_{name}.npy", regressor)
    return folder


def test_the_published_mesh_is_looked_up_in_smplx(published_size, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "smplx.vertex_ids", None)
        with pytest.raises(PluginError, match=r"pip install 'nbf-body-models\[smplx\]'"):
            SmplBody(SmplConfig(path=published_size))
    pytest.importorskip("smplx")
    body = SmplBody(SmplConfig(path=published_size))
    rest = body(BodyParams.neutral(1))
    torch.testing.assert_close(body.keypoints(rest, "coco-17")[0, 0], rest.vertices[0, 332])
    assert abs(body.spec.kernels - 858) <= 5


def test_the_cheap_path_is_cheap(published_size):
    """With SMPL's numbers of vertices and kernels, side by side, best of several."""
    pytest.importorskip("smplx")
    body = SmplBody(SmplConfig(path=published_size))
    params, times = random_params(body, 96), {True: [], False: []}
    with torch.no_grad():
        for _ in range(7):
            for vertices, seconds in times.items():
                start = time.process_time()
                body(params, vertices=vertices)
                seconds.append(time.process_time() - start)
    # Seven times as fast by itself; here shapes are checked, which takes its time on both paths.
    assert min(times[True]) > 4 * min(times[False])


def test_wrong_parameters_are_one_clear_line(smpl):
    params = random_params(smpl, 2)
    with pytest.raises(ShapeError, match="betas.*10.*9"):
        smpl(BodyParams(params.global_orient, params.body_pose, params.betas[:, :9], params.transl))


def test_plugin_offers_the_bodies():
    from nbf_body_models import plugin

    entries = {entry.name: entry for entry in plugin.nbf_body_models()}
    assert {name: (entry.load(), entry.load_config()) for name, entry in entries.items()} == BODIES


def test_the_mean_person_is_read(tree, smpl, tmp_path):
    path = tmp_path / "smpl_mean_params.npz"
    turn = roma.rotvec_to_rotmat(torch.tensor([0.3, -0.2, 0.9], dtype=torch.float64))
    pose = np.tile(turn[:, :2].reshape(-1).numpy(), 24).astype(np.float32)
    content = {"pose": pose, "shape": np.arange(10.0), "cam": np.array([0.9, 0, 0])}
    np.savez(path, **content)
    mean = smpl.mean_params(path)
    expected = torch.tensor([0.3, -0.2, 0.9], dtype=torch.float64)
    torch.testing.assert_close(mean.body_pose, expected.expand(23, 3), atol=1e-6, rtol=0)
    torch.testing.assert_close(mean.global_orient, expected, atol=1e-6, rtol=0)
    assert mean.betas.tolist() == list(range(10)) and smpl(mean).joints.shape == (24, 3)
    fingers = build(tree, "smplh", joints="all", shapes=4)
    assert not fingers.mean_params(path).body_pose[21:].any()
    for change in ({"pose": pose[:3]}, {"pose": pose * np.nan}, {"shape": np.array(["x"] * 10)}):
        np.savez(path, **content | change)
        with pytest.raises(AssetError, match=f"smpl_mean_params.npz: {next(iter(change))}: "):
            smpl.mean_params(path)
    with pytest.raises(AssetError, match="smpl_mean_params.npz: no such file"):
        smpl.mean_params()
