"""The published folder tree, filled with miniatures: converted, checked and shown by the command alone."""

from __future__ import annotations

import json

import pytest

for package in ("scipy", "h5py", "cdflib"):
    pytest.importorskip(package)

from nbf_testing import world  # noqa: E402  (its formats need those)
from nbf_testing.miniatures import DATA_SETS  # noqa: E402


def in_process(folder, arguments):
    """``nbf-run`` in this process, in a folder: no seconds go by in imports."""
    from nbf_run.cli.main import run

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return run([*map(str, arguments)])


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """The published tree with the free body in SMPL's files, its people having that body, all converted."""
    root = tmp_path_factory.mktemp("published")
    assert in_process(root, ["model", "export", "anny", "data/body_models", "--layout", "smpl"]) == 0
    world.write_originals(root)
    for command in world.conversions():
        assert in_process(root, command) == 0, command
    return root


@pytest.fixture(scope="module")
def trained(tree):
    """The same after two steps of both published stages, the model lying where benchmarks look for it."""
    for command in world.trainings(ablations=False):
        assert in_process(tree, command) == 0, command
    world.place_models(tree)
    return tree


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


def test_both_published_stages_train_on_smpl(trained):
    from nbf_core.weights import read_weights

    metadata = read_weights(trained / "3dnbf-stage2" / "model.safetensors").metadata
    assert metadata["steps"] == 2 and metadata["table"]["body"]["use"] == "smpl" and metadata["kernels"]
    assert metadata["quality"]["start_mpjpe"] > 0  # measured on what is kept apart


def cells_of(folder):
    """The cells of a benchmark's report, by set and title."""
    report = json.loads((folder / "report.json").read_text())
    return report, {(cell["set"], cell["title"]): cell for cell in report["cells"]}


def assert_measured(cell, *metrics):
    for method in cell["methods"]:
        for metric in metrics:
            values = method["metrics"][metric]
            assert all(values[which]["mean"] is not None for which in values), (cell["set"], cell["title"], metric)


def test_it_is_evaluated_on_all_published_test_sets(trained):
    sets = ("3dpw", "3dpw-occ", "3doh50k", "h36m", "mpi-inf-3dhp")
    matrix = f'[{{sets={list(sets)}, protocols=["clean"], methods=["start", "3DNBF as published"]}}]'
    (command,) = world.benchmarks(["evaluation"])
    assert in_process(trained, [*command, "--set", f"bench.matrix={matrix}"]) == 0
    report, cells = cells_of(trained / "evaluation")
    assert not report["missing"] and [name for name, _ in cells] == list(sets)
    for name in sets:
        bodies = ("pve", "pckh") if name not in ("h36m", "mpi-inf-3dhp") else ()
        assert_measured(cells[name, "clean"], "mpjpe", "pa-mpjpe", "3dpck", "3dpck-auc", *bodies)
        assert not cells[name, "clean"]["failed"]


@pytest.mark.slow
def test_benchmarks_fill_every_column_of_the_published_tables(trained):
    """Beside clean ones the columns under patches of 40 and 80 px, on a grid and where they are worst."""
    from nbf_run.bench.published import published_tables

    for command in list(world.trainings())[2:]:
        assert in_process(trained, command) == 0, command
    world.place_models(trained)
    for name in ("table1-methods", "table2-fitters", "table3-ablations"):
        (command,) = world.benchmarks([name])
        assert in_process(trained, command) == 0, command
        report, cells = cells_of(trained / name)
        assert {one["kind"] for one in report["missing"]} <= {"method"}
        assert {one["set"] for one in report["missing"]} <= {"synthetic"}  # models of table 3 are for SMPL's kernels
        filled = {cell["published"] for cell in cells.values() if cell["set"] != "synthetic"}
        assert filled >= set(published_tables()[name]["columns"])
        for cell in cells.values():
            assert_measured(cell, "mpjpe", "pa-mpjpe", "pckh")
        if name != "table3-ablations":
            patches = {f"{kind} {size} px" for kind in ("grid", "adversarial") for size in (40, 80)}
            assert {title for known, title in cells if known == "3dpw"} == {"clean", *patches}
        rows = {method["name"] for method in cells["3dpw", "adversarial 80 px"]["methods"]}
        expected = {row for row, _ in published_tables()["table3-ablations"]["rows"][1:6]}
        assert name != "table3-ablations" or expected <= rows
