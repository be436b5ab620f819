"""SMPL's way through everything, on files that are free: the free body exported as SMPL, SMPL-H and SMPL-X."""

import json

import numpy as np
import pytest
import torch

from nbf_body_anny.body import AnnyBody
from nbf_body_models.body import SmplBody, SmplhBody, SmplxBody
from nbf_body_models.config import SmplConfig, SmplhConfig, SmplxConfig
from nbf_core.types import BodyParams

BODIES = {"smpl": (SmplBody, SmplConfig), "smplh": (SmplhBody, SmplhConfig), "smplx": (SmplxBody, SmplxConfig)}


@pytest.fixture(scope="module")
def body_models(nbf_run, tmp_path_factory):
    """The folder body_models as published, with the free body in it."""
    folder = tmp_path_factory.mktemp("data") / "body_models"
    for layout in BODIES:
        done = nbf_run("model", "export", "anny", folder, "--layout", layout)
        assert done.returncode == 0, done.stderr
    return folder


def people(spread: float = 0.4) -> BodyParams:
    generator = torch.Generator().manual_seed(0)

    def draw(*shape):
        return torch.randn(2, *shape, generator=generator)

    return BodyParams(draw(3), spread * draw(23, 3), draw(10), draw(3))


@pytest.mark.parametrize("kind", BODIES)
def test_the_exported_body_is_the_body(body_models, kind):
    params, (made, config) = people(), BODIES[kind]
    if kind != "smpl":
        params.body_pose[:, 21:] = 0  # other joints turn these hands
    expected, found = AnnyBody()(params), made(config(path=body_models))(params)
    torch.testing.assert_close(found.vertices, expected.vertices, atol=1e-5, rtol=0)
    torch.testing.assert_close(found.joints[:, :22], expected.joints[:, :22], atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", BODIES)
def test_smplx_poses_the_exported_body_alike(body_models, kind):
    pytest.importorskip("smplx")
    from nbf_body_models.reference import Reference

    made, config = BODIES[kind]
    body = made(config(path=body_models))
    params = people()
    if kind != "smpl":
        params.body_pose[:, 21:] = 0
    assert Reference(body, 2).largest_distance(params) < 1e-5


def test_genders_differ_and_share_their_kernels(body_models):
    body = SmplBody(SmplConfig(path=body_models, kernels=body_models / "kernels.npz"))
    male, female = body.gendered("male"), body.gendered("female")
    height = [float(np.ptp(one(people(0.0)).vertices[0, :, 1].numpy())) for one in (female, male)]
    assert height[1] > height[0] + 0.02
    assert torch.equal(male.spec.kernel_vertices, female.spec.kernel_vertices)
    assert torch.equal(male.spec.kernel_vertices, AnnyBody().spec.kernel_vertices)


def test_photos_are_fitted_with_smpl_from_a_converted_file(nbf_run, body_models, photos, tmp_path, quick):
    """The demo's pipeline with SMPL in place of the free body: its weights fit, as the kernels are the same."""
    model = tmp_path / "SMPL_NEUTRAL.npz"
    done = nbf_run("model", "convert", body_models / "smpl" / "SMPL_NEUTRAL.pkl", model, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["pipeline"] == {"body": {"use": "smpl", "path": model.as_posix()}}
    smpl = [
        *("--set", "body.use=smpl"),
        *("--set", f"body.path={model}"),
        *("--set", f"body.kernels={body_models / 'kernels.npz'}"),
    ]
    done = nbf_run("config", "check", "demo", *smpl)
    assert done.returncode == 0, done.stderr
    done = nbf_run("fit", "demo", photos / "walk_front.jpg", "--out", tmp_path / "out", "--json", *quick, *smpl)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "index.html").is_file()


def test_the_published_pipeline_is_valid_and_says_what_it_lacks(nbf_run, tmp_path):
    done = nbf_run("config", "check", "3dnbf-stage1")
    assert "smpl" not in done.stderr
    empty = tmp_path / "body_models"
    empty.mkdir()
    done = nbf_run("fit", "demo", tmp_path, "--set", "body.use=smpl", "--set", f"body.path={empty}")
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1
    assert "SMPL_NEUTRAL.pkl" in done.stderr and "ask for it at" in done.stderr
