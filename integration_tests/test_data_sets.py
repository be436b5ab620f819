"""The published folder tree, filled with miniatures: converted, checked and shown by the command alone."""

from __future__ import annotations

import json

import pytest

for package in ("scipy", "h5py", "cdflib"):
    pytest.importorskip(package)

from nbf_testing.miniatures import DATA_SETS, write_tree  # noqa: E402  (its formats need those)

FITS = {"h36m": "fits", "mpi-inf-3dhp": "MPI-INF-3DHP_SMPL_NeuralAnnot.json"}


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """The tree, its people having the free body, converted in one process."""
    from nbf_body_anny.body import AnnyBody
    from nbf_run.cli.main import run

    root = tmp_path_factory.mktemp("published")
    made = root / "data" / "preprocessed_datasets"
    for name, folder in write_tree(root, body=AnnyBody()).items():
        fits = ["--set", f"fits={FITS[name]}"] if name in FITS else []
        assert run(["data", "convert", name, str(folder), str(made), *fits]) == 0
    return root


def test_the_converted_tree_passes_the_check(tree, nbf_run):
    done = nbf_run("data", "check", tree, "--pictures", "--json")
    assert done.returncode == 0, done.stderr
    reports = json.loads(done.stdout)
    assert len(reports) >= 20 and all(report["usable"] and not report["problems"] for report in reports)
    assert {report["images"].rpartition("/")[2] for report in reports} == set(DATA_SETS.values())


def test_converting_says_what_it_did(tree, nbf_run, tmp_path):
    source = tree / "data" / "datasets" / DATA_SETS["3dpw"]
    done = nbf_run("data", "convert", "3dpw", source, tmp_path / "out.npz", "--set", "every=2")
    assert done.returncode == 0 and done.stderr == ""
    assert "out.npz: 31 samples" in done.stdout and "left out: 2 camera unknown" in done.stdout
    again = nbf_run("data", "convert", "3dpw", source, tmp_path / "out.npz")
    assert again.returncode == 1 and again.stderr.count("\n") == 1 and "--replace" in again.stderr
    wrong = nbf_run("data", "convert", "3dpw", source, tmp_path / "out.npz", "--set", "splt=test")
    assert wrong.returncode == 2 and "did you mean 'split'" in wrong.stderr
    broken = source / "sequenceFiles" / "test" / "flat_guitar_01.pkl"
    whole = broken.read_bytes()
    try:
        broken.write_bytes(whole[:100])
        some = nbf_run("data", "convert", "3dpw", source, tmp_path / "some.npz", "--json")
    finally:
        broken.write_bytes(whole)
    (said,) = json.loads(some.stdout)
    assert some.returncode == 3 and said["samples"] == 60 and "flat_guitar_01.pkl" in said["problems"][0]


def test_converters_are_listed_with_options(nbf_run):
    listed = nbf_run("data", "converters", "--json")
    names = [one["name"] for one in json.loads(listed.stdout)]
    assert set(DATA_SETS) < set(names)
    one = nbf_run("data", "converters", "h36m")
    assert "--set protocol=1" in one.stdout and "h36m_valid_protocol2.npz" in one.stdout
    assert nbf_run("data", "converters", "h37m").returncode == 2


def test_the_converted_tree_trains_the_published_second_stage(tree, tmp_path, monkeypatch):
    """Two tiny steps, on the free body in place of SMPL, from one step of the first stage."""
    from nbf_core.weights import read_weights
    from nbf_run.training import train

    monkeypatch.chdir(tree)
    settings = {
        "body.use": "anny", "regressor.backbone": "plain", "regressor.decoder": "shuffle", "regressor.channels": 16,
        "regressor.width": 32, "regressor.image_size": 64, "regressor.map_size": 32, "train.batch_size": 2,
        "train.workers": 0, "train.threads": 1, "train.validation_samples": 2,
    }  # fmt: skip
    first = settings | {"train.steps": 1, "data.image_size": 64, "data.map_size": 32}
    train("3dnbf-stage1", tmp_path / "one", list(first.items()))
    second = settings | {
        "train.steps": 2, "train.start_from": str(tmp_path / "one" / "last.ckpt"), "data.shared.image_size": 64,
        "data.shared.map_size": 32, "data.parts.h36m.path": "data/preprocessed_datasets/h36m_train.npz",
        "data.parts.mpi-inf-3dhp.path": "data/preprocessed_datasets/mpi_inf_3dhp_train.npz",
    }  # fmt: skip
    model = train("3dnbf-stage2", tmp_path / "two", list(second.items()))
    assert read_weights(model).metadata["steps"] == 2
