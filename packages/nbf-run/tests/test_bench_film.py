"""A benchmark on films: movement is measured, a film is one person, and its frames may be fitted together."""

from __future__ import annotations

from dataclasses import replace

import bench_fakes
import pytest
import torch
from bench_setting import HOMES, PIPELINE, cell, manager, method, write_pipeline

from nbf_core.plugins import ComponentEntry, hookimpl
from nbf_core.types import BodyParams
from nbf_run.bench import bench, compare_runs
from nbf_run.bench.files import read_table


class Films(bench_fakes.Data):
    """Two films of five frames in which a joint moves back and forth, and the truth does not."""

    @property
    def films(self):
        return (range(0, 5), range(5, 10))

    def __getitem__(self, index):
        sample = super().__getitem__(index)
        return replace(sample, visible_joints=torch.ones(24))


class FilmFitter(bench_fakes.Fitter):
    """Alone, every other frame is pushed; together, none."""

    together: list = []

    def fit(self, observation, start):
        result = super().fit(observation, start)
        columns = (observation.keypoints[:, 0, 0] * 1).round().long()
        pushed = start.body_pose + (columns % 2).view(-1, 1, 1) * torch.tensor([0.1, 0, 0])
        return replace(result, params=BodyParams(start.global_orient, pushed, start.betas, start.transl))

    def fit_sequence(self, observation, start, before=None):
        FilmFitter.together.append(len(start.transl))
        return super().fit(observation, start)


class Plugin:
    """Films, and a fitter of films."""

    NBF_CONTRACT = 1

    @hookimpl
    def nbf_datasets(self):
        config = "bench_fakes:DataConfig"
        yield ComponentEntry(name="films", target="test_bench_film:Films", config=config, summary="")

    @hookimpl
    def nbf_fitters(self):
        config = "bench_fakes:FitterConfig"
        yield ComponentEntry(name="together", target="test_bench_film:FilmFitter", config=config, summary="")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The benchmark of a start and of a fitter alone and together: its folder, and its report."""
    import sys

    sys.modules.setdefault("test_bench_film", sys.modules[__name__])
    folder = tmp_path_factory.mktemp("films")
    text = PIPELINE.replace('[data]\nuse = "dots"', '[data]\nuse = "films"\nsize = 10')
    text = text.replace("samples = 4", 'samples = 10\nmetrics = ["acceleration", "mpjpe", "pckh"]')
    text = text.partition("[bench.methods.start]")[0]
    text += """
[bench.protocols.grid]
sizes = [80]
stride = 72
positions = 2
[bench.methods.start]
fit = false
[bench.methods.alone]
set = { "fitter.use" = "together" }
[bench.methods.film]
film = true
set = { "fitter.use" = "together" }
"""
    found = manager(Plugin())
    FilmFitter.together.clear()
    with pytest.MonkeyPatch.context() as patch:
        for module in HOMES:
            patch.setattr(f"{module}.get_plugin_manager", lambda: found)
        patch.setattr("nbf_run.bench.page.write_page", lambda *args: "index.html")
        report = bench(write_pipeline(folder, text), folder / "out")
    return folder / "out", report


def test_movement_is_measured_where_there_is_some(run):
    _, report = run
    values = {name: method(report, "clean", name)["metrics"]["acceleration"] for name in ("start", "alone", "film")}
    # Frames that jump by 10 cm in turn have second differences of 4 times 5 cm, less the joint that stands still.
    assert values["start"]["all"]["mean"] == pytest.approx(0, abs=1e-3)
    assert values["film"]["all"]["mean"] == pytest.approx(0, abs=1e-3)
    assert values["alone"]["all"]["mean"] > 50
    assert "visible" in values["alone"]


def test_a_film_is_one_person(run):
    folder, report = run
    found = cell(report, "clean")
    assert (found["people"], found["frames"]) == (2, 10)
    assert found["methods"][0]["metrics"]["mpjpe"]["all"]["n"] == 2
    assert report["sets"][0]["films"] == 2
    assert any("a person is a film" in note for note in report["notes"])
    table = read_table(folder / "samples.parquet")
    assert set(table["person"]) == {0, 5}


def test_the_first_and_the_last_frame_have_no_acceleration(run):
    table = read_table(run[0] / "samples.parquet")
    clean = [i for i, name in enumerate(table["protocol"]) if name == "clean"]
    known = {table["sample"][i] for i in clean if table["acceleration"][i] is not None}
    assert known == {1, 2, 3, 6, 7, 8}


def test_films_are_fitted_together_where_the_method_says_so(run):
    # Two films whole, twice behind another patch, and once for each metric that chooses patches.
    assert FilmFitter.together and set(FilmFitter.together) == {5}


def test_a_patch_stays_where_it_is_through_a_film(run):
    table = read_table(run[0] / "samples.parquet")
    grid = [i for i, name in enumerate(table["protocol"]) if name == "grid" and table["method"][i] == "start"]
    places: dict[int, set] = {}
    for i in grid:
        places.setdefault(table["person"][i], set()).add((table["patch_x0"][i], table["patch_y0"][i]))
    assert {len(found) for found in places.values()} == {2}
    assert method(run[1], "grid 80 px", "alone")["metrics"]["acceleration"]["all"]["n"] == 2


def test_searched_patches_choose_frame_by_frame_and_leave_movement_out(run):
    found = method(run[1], "adversarial 80 px", "start")["metrics"]
    assert found["mpjpe"]["all"]["n"] == 2 and "acceleration" not in found


def test_two_runs_are_compared_film_by_film(run):
    result = compare_runs([run[0], run[0]])
    values = [one["metrics"]["acceleration"] for one in result["compared"][0]["cells"] if one["title"] == "clean"]
    assert {value["n"] for value in values} == {2}
