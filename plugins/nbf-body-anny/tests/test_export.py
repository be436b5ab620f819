"""The free body in other bodies' files: complete, of the published sizes and names, and the same body."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nbf_body_anny.body import AnnyBody, load_arrays
from nbf_core.contracts import ExportsModel
from nbf_core.types import BodyParams

JOINTS = {"smpl": 24, "smplh": 52, "smplx": 55}


@pytest.fixture(scope="module")
def body():
    torch.set_num_threads(1)
    return AnnyBody()


@pytest.fixture(scope="module", params=JOINTS)
def exported(body, request):
    return request.param, body.model_files(request.param)


def neutral_of(layout, files):
    return next(content for name, content in files.items() if f"{layout.upper()}_NEUTRAL" in name)


def test_files_lie_as_published(body, exported):
    layout, files = exported
    suffix = "pkl" if layout == "smpl" else "npz"
    expected = {f"{layout}/{layout.upper()}_{gender}.{suffix}" for gender in ("NEUTRAL", "MALE", "FEMALE")}
    shared = {"J_regressor_extra.npy", "J_regressor_h36m.npy", "smpl_mean_params.npz"} if layout == "smpl" else set()
    assert set(files) == expected | shared | {"kernels.npz"}
    assert isinstance(body, ExportsModel) and layout in body.layouts


def test_arrays_fit_together(exported):
    layout, files = exported
    model, count = neutral_of(layout, files), JOINTS[layout]
    vertices = len(model["v_template"])
    assert model["shapedirs"].shape == (vertices, 3, 20 if layout == "smplx" else 10)
    assert model["posedirs"].shape == (vertices, 3, 9 * (count - 1)) and not model["posedirs"].any()
    assert model["J_regressor"].shape == (count, vertices) and model["weights"].shape == (vertices, count)
    np.testing.assert_allclose(model["J_regressor"].sum(1), 1, atol=1e-9)
    np.testing.assert_allclose(model["weights"].sum(1), 1, atol=1e-9)
    assert (model["weights"] >= 0).all() and model["f"].max() == vertices - 1
    parents = model["kintree_table"][0]
    assert parents[0] == 2**32 - 1 and all(parents[joint] < joint for joint in range(1, count))
    assert len(model["marker_names"]) == len(set(model["marker_names"])) == len(model["marker_vertices"]) == 21


def test_joints_are_those_of_the_body_for_every_shape(exported):
    layout, files = exported
    model, arrays = neutral_of(layout, files), load_arrays()
    betas = np.random.default_rng(0).normal(size=10)
    vertices = model["v_template"] + model["shapedirs"][..., :10] @ betas
    joints = arrays["joints"] + arrays["joint_shape_directions"] @ betas
    np.testing.assert_allclose((model["J_regressor"] @ vertices)[:22], joints[:22], atol=1e-6)


def test_fingers_lie_in_their_order_on_both_hands(body):
    model = neutral_of("smplh", body.model_files("smplh"))
    joints = model["J_regressor"] @ model["v_template"]
    left, right = joints[22:37].reshape(5, 3, 3), joints[37:].reshape(5, 3, 3)
    np.testing.assert_allclose(left * [-1, 1, 1], right, atol=1e-4)
    roots = dict(zip(("index", "middle", "pinky", "ring", "thumb"), left[:, 0], strict=True))
    order = [roots[finger][2] for finger in ("thumb", "index", "middle", "ring", "pinky")]
    assert order == sorted(order, reverse=True)  # from front to back, palms down
    along = np.linalg.norm(left - joints[20], axis=-1)
    assert (np.diff(along, axis=1) > 0.005).all()  # each finger leads away from the wrist
    assert ((model["weights"][:, 22:] > 0.5).sum(0) > 10).all()


def test_regressors_hold_in_any_pose(body):
    files = body.model_files("smpl")
    generator = torch.Generator().manual_seed(5)
    params = BodyParams.neutral(8)
    params.body_pose[:] = 0.3 * torch.randn(8, 23, 3, generator=generator)
    params.betas[:] = torch.randn(8, 10, generator=generator)
    output = body(params)
    found = np.einsum("jv,bvx->bjx", files["J_regressor_h36m.npy"], output.vertices.double().numpy())
    apart = np.linalg.norm(found - body.keypoints(output, "h36m-17").numpy(), axis=-1)
    assert apart.mean() < 0.008 and apart.max() < 0.05
    assert files["J_regressor_extra.npy"].shape == (9, len(body.rest_vertices))
    assert {name: value.shape for name, value in files["smpl_mean_params.npz"].items()} == {
        "pose": (144,), "shape": (10,), "cam": (3,),
    }  # fmt: skip
    assert files["kernels.npz"]["indices"].tolist() == body.spec.kernel_vertices.tolist()
