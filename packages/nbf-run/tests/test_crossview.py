"""Cross-view scoring: a right body scores fully however it is seen, and each fault costs what it should."""

from __future__ import annotations

import csv
import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import roma
import torch

from nbf_core.config import Config
from nbf_core.config.pipeline import check
from nbf_core.conventions import OPENPOSE_25, mirror_permutation
from nbf_core.errors import ConfigError, InputError
from nbf_core.plugins import ComponentEntry, get_plugin_manager, hookimpl
from nbf_core.types import Camera, Sample, View, collate
from nbf_run.cli.main import run
from nbf_run.crossview import crossview, pictures
from nbf_run.crossview.config import CrossviewOptions
from nbf_run.crossview.methods import detector_points
from nbf_run.crossview.placing import place
from nbf_run.crossview.scene import SCORED, SCORED_INDEX, read_scene, trunk_length
from nbf_run.crossview.score import hits, others, score
from nbf_run.crossview.summary import summarise

NBF_CONTRACT = 1
RIG = "nbf_run_crossview_rig"
sys.modules[RIG] = sys.modules[__name__]
MIRROR = list(mirror_permutation(OPENPOSE_25))


class RigConfig(Config):
    """What is wrong with the data."""

    moments: int = 3
    views: int = 3
    swapped: tuple[int, ...] = ()
    blind: bool = False
    lone: bool = False


class Rig:
    """A person made of random points who walks past cameras that stand around them."""

    def __init__(self, config: RigConfig | None = None, body=None):
        self.config = config or RigConfig()
        random = torch.Generator().manual_seed(0)
        self.person = 0.35 * torch.randn(25, 3, generator=random, dtype=torch.float64)
        self.turn = 0.2 * torch.randn(self.config.moments, 3, generator=random, dtype=torch.float64)

    def __len__(self):
        return self.config.moments * self.config.views

    def world(self, moment):
        """The person's points at a moment."""
        walked = torch.tensor([0.3 * moment, 0.0, 0.1], dtype=torch.float64)
        return self.person @ roma.rotvec_to_rotmat(self.turn[moment]).mT + walked

    def __getitem__(self, index):
        moment, number = divmod(index, self.config.views)
        angle = 2 * math.pi * number / self.config.views
        rotation = roma.rotvec_to_rotmat(torch.tensor([0.0, angle, 0.0], dtype=torch.float64))
        world = self.world(moment)
        view = View(
            rotation=rotation.float(), translation=torch.tensor([0.1, -0.1, 4.0]), moment=torch.tensor(10 + moment),
            number=torch.tensor(number + (self.config.lone and moment == 1)),
            keypoints=torch.cat([world, torch.ones(25, 1, dtype=torch.float64)], 1).float(),
        )  # fmt: skip
        camera = Camera.from_field((64, 64), 70.0)
        local = view.to_camera(view.keypoints[:, :3])
        keypoints = torch.cat([camera.project(local), torch.ones(25, 1)], 1)
        detected = keypoints[MIRROR] if index in self.config.swapped else keypoints
        looks_straight = local - local.mean(0, keepdim=True)
        return Sample(
            image=torch.full((3, 64, 64), 90, dtype=torch.uint8), camera=camera, index=torch.tensor(index),
            keypoints=None if self.config.blind else keypoints, detected=detected, view=view,
            detected_3d=torch.cat([looks_straight, torch.ones(25, 1)], 1),
        )  # fmt: skip


@hookimpl
def nbf_datasets():
    yield ComponentEntry(name="rig", target=f"{RIG}:Rig", config=f"{RIG}:RigConfig", summary="made-up people")


@pytest.fixture(scope="module", autouse=True)
def rig():
    """The made-up data set, known to the process's plugin manager."""
    get_plugin_manager().register(sys.modules[__name__], "crossview-rig")


@pytest.fixture
def scene():
    return read_scene(Rig(), None, 0.3)


@pytest.fixture
def true_points(scene):
    """The true person before each camera."""
    moments, views = scene.shape
    return scene.view.to_camera(scene.world[:, None, :, :3].expand(-1, views, -1, -1).reshape(moments * views, 25, 3))


def pckh(scores, alignment, limit=0.05):
    found, there = hits(scores.misses[alignment], limit)
    return found / there


def test_the_scene_is_read_as_moments_and_cameras(scene):
    assert scene.shape == (3, 3) and scene.moments.tolist() == [10, 11, 12] and scene.cameras.tolist() == [0, 1, 2]
    assert scene.known.all() and scene.known.shape == (3, 3, len(SCORED)) and not scene.swapped.any()
    assert scene.trunk == pytest.approx(float(trunk_length(Rig().person)), rel=1e-5)


def test_the_true_body_is_right_everywhere(scene, true_points):
    scores = score(scene, true_points)
    for name in scores.misses:
        assert scores.misses[name].max() < 1e-4
    assert scores.mpjpe.max() < 0.1 and scores.pa_mpjpe.max() < 0.1
    assert scores.between.nan_to_num(0).max() < 0.1 and scores.between.diagonal(dim1=1, dim2=2).isnan().all()
    torch.testing.assert_close(scores.size, torch.ones(3, 3, dtype=torch.float64), atol=0.01, rtol=0)


def test_a_body_too_far_away_is_wrong_until_moved(scene, true_points):
    away = true_points + torch.tensor([0.0, 0.0, 0.8], dtype=torch.float64)
    scores = score(scene, away)
    cross = ~torch.eye(3, dtype=torch.bool)
    assert pckh(scores, "as-is")[:, cross].max() < 0.5
    assert scores.misses["moved"].max() < 1e-4 and scores.mpjpe.max() < 0.1


def test_a_body_of_the_wrong_size_is_wrong_until_scaled(scene, true_points):
    """The one thing that a picture cannot tell: a person half as large at half the distance looks the same."""
    scores = score(scene, 0.5 * true_points)
    diagonal = scores.misses["as-is"].diagonal(dim1=1, dim2=2)
    assert diagonal.max() < 1e-4
    cross = ~torch.eye(3, dtype=torch.bool)
    assert scores.misses["as-is"][:, cross].median() > 0.5 and scores.misses["moved"][:, cross].median() > 0.05
    assert scores.misses["scaled"].max() < 1e-4
    assert scores.pa_mpjpe.max() < 0.1
    torch.testing.assert_close(scores.size, torch.full((3, 3), 0.5, dtype=torch.float64), atol=0.01, rtol=0)


def test_a_flat_body_is_right_in_its_own_picture_only(scene, true_points):
    """Every point on its ray, at the distance of the trunk: what a picture alone shows."""
    depth = true_points[:, :, 2:].mean(1, keepdim=True)
    scores = score(scene, true_points / true_points[..., 2:] * depth)
    own, cross = torch.eye(3, dtype=torch.bool), ~torch.eye(3, dtype=torch.bool)
    for name in ("as-is", "scaled"):
        assert scores.misses[name][:, own].max() < 1e-4
        assert scores.misses[name][:, cross].median() > 0.1
    assert scores.between.nanmean() > 50 and scores.pa_mpjpe.mean() > 50


def test_misses_are_metres_at_the_persons_distance(scene, true_points):
    moved = true_points.clone()
    moved[:, SCORED_INDEX[3], 0] += 0.10
    own = score(scene, moved).misses["as-is"].diagonal(dim1=1, dim2=2)[:, 3]
    assert (own - 0.10).abs().max() < 0.03 and own.std() > 0  # a point nearer than the trunk moves a little farther


def test_what_is_behind_a_camera_is_missed_and_what_is_not_placed_unknown(scene, true_points):
    wrong = true_points.clone()
    wrong[0, :, 2] -= 50
    wrong[1] = torch.nan
    misses = score(scene, wrong).misses
    assert misses["as-is"][0, 0, 0].isinf().all() and misses["scaled"][0, 0].isnan().all()
    found, there = hits(misses["as-is"], 0.1)
    assert found[0, 0, 0] == 0 and there[0, 0, 0] == 13 and there[0, 1].sum() == 0
    assert score(scene, wrong).pa_mpjpe[0, 1].isnan()


def test_keypoints_that_are_not_known_do_not_count(true_points):
    scene = read_scene(Rig(), None, 0.3)
    scene.samples.keypoints[0, SCORED_INDEX[0], 2] = 0.2
    again = replace(scene, known=(scene.samples.keypoints[:, list(SCORED_INDEX), 2] >= 0.3).reshape(3, 3, -1))
    misses = score(again, true_points).misses["as-is"]
    assert misses[0, :, 0, 0].isnan().all() and misses.isnan().sum() == 3


def test_others_are_the_truths_own_noise():
    rig = Rig()
    samples = [rig[index] for index in range(len(rig))]
    noisy = samples[4].keypoints.clone()
    noisy[SCORED_INDEX[5], 0] += 7 / 4  # of 70 px per metre at 4 m: 10 cm
    scene = read_scene([*samples[:4], replace(samples[4], keypoints=noisy), *samples[5:]], None, 0.3)
    floor = others(scene)
    assert floor[1, 1, 5] == pytest.approx(0.10, abs=0.01)
    rest = floor.clone()
    rest[1, :, 5] = 0
    assert rest.max() < 1e-4


def test_a_detectors_own_points_are_placed_before_the_camera(scene, true_points):
    # They come as of a camera that looks straight at the person: here the crop's middle is the optical axis.
    placed = detector_points(scene.samples)
    torch.testing.assert_close(placed, true_points, atol=2e-2, rtol=0)
    without = replace(scene.samples, detected_3d=None)
    with pytest.raises(InputError, match="detected_3d"):
        detector_points(without)


def test_swapped_sides_are_noticed():
    scene = read_scene(Rig(RigConfig(swapped=(1, 6))), None, 0.3)
    assert scene.swapped.nonzero().tolist() == [[0, 1], [2, 0]]


def test_placement_is_the_same_for_points_and_surface(scene, true_points):
    placement = place(scene, 0.7 * true_points, "scaled")
    some = true_points[:, :7]
    torch.testing.assert_close(placement(0.7 * some), scene.view.to_world(some), atol=1e-4, rtol=0)


def test_intervals_and_paired_differences(scene, true_points):
    torch.manual_seed(0)
    bad = true_points + 0.2 * torch.randn_like(true_points)
    both = {"bad": score(scene, bad), "good": score(scene, true_points)}
    numbers = summarise(scene, both, 0.1, ["bad"], (0.95, 200, 0))
    assert summarise(scene, both, 0.1, ["bad"], (0.95, 200, 0)) == numbers
    good = numbers["good"]["all"]["pckh scaled"]
    assert good["mean"] == good["low"] == good["high"] == 100
    change = good["against"]["bad"]
    assert 0 < change["low"] <= change["mean"] <= change["high"]
    assert change["mean"] == pytest.approx(100 - numbers["bad"]["all"]["pckh scaled"]["mean"])
    assert numbers["bad"]["all"]["pckh scaled"]["against"] == {}
    assert numbers["good"]["all"]["distance moved"]["median"] < 0.01


@pytest.mark.parametrize(
    ("config", "message"),
    [(RigConfig(blind=True), "sample 0: cross-view"), (RigConfig(lone=True), "same cameras"),
     (RigConfig(views=1), "two or more")],
)  # fmt: skip
def test_data_that_is_not_of_several_views_is_refused(config, message):
    with pytest.raises(InputError, match=message):
        read_scene(Rig(config), None, 0.3)


def test_the_first_moments_can_be_taken():
    assert read_scene(Rig(), 2, 0.3).shape == (2, 3)
    assert collate([Rig()[0]]).lacks == ("params", "visible_joints", "kernel_map", "part_map")


PIPELINE = """
[crossview]
resamples = 20
pictures = 1
reference = "start"
[crossview.methods.start]
kind = "start"
[crossview.methods.fit]
[crossview.methods."no keypoints"]
keypoints = false
trust = 0.5
[crossview.methods.detector]
kind = "detector"
"""


@pytest.fixture
def rig_pipeline(pipeline: Path) -> Path:
    text = pipeline.read_text().replace('use = "grey"', 'use = "rig"\nswapped = [1]').replace("samples = [0, 2]", "")
    pipeline.write_text(text + PIPELINE)
    return pipeline


def test_a_run_writes_report_tables_pictures_and_page(rig_pipeline, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(pictures, "SIDE", 48)
    out = tmp_path / "out"
    assert run(["crossview", str(rig_pipeline), "--out", str(out), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    report = json.loads((out / "report.json").read_text())
    assert printed["methods"][0]["results"] == report["methods"][0]["results"]
    assert [method["name"] for method in report["methods"]] == ["start", "fit", "no keypoints", "detector"]
    assert report["data"]["pictures"] == {"all": 9, "sides right": 8} and report["data"]["noise"]["pckh"] == 100
    detector = report["methods"][3]
    assert detector["seconds"] is None and detector["results"]["all"]["pckh moved"]["mean"] > 80
    assert report["methods"][2]["trust"] == 0.5 and report["methods"][1]["kept"] == 1.0
    assert len(report["methods"][1]["views"]) == 3
    page = (out / "index.html").read_text()
    for name in ["curves.png", *(f"moment-11-{name}.jpg" for name in ("keypoints", "start", "fit", "detector"))]:
        assert (out / name).is_file() and name in page
    assert "Difference to start" in page and "not motion capture" in page
    pairs = list(csv.DictReader((out / "pairs.csv").open()))
    assert len(pairs) == 4 * 3 * 27 and set(pairs[0]) >= {"fitted", "judge", "hits", "keypoints"}
    assert len(list(csv.DictReader((out / "bodies.csv").open()))) == 4 * 9
    assert "| fit |" in (out / "report.md").read_text() and (out / "run.json").is_file()


def test_the_terminal_shows_a_column_a_method(rig_pipeline, tmp_path, capsys):
    arguments = ["--set", "crossview.pictures=0", "--set", "crossview.moments=2"]
    assert run(["crossview", str(rig_pipeline), "--out", str(tmp_path / "out"), *arguments]) == 0
    text = capsys.readouterr().out
    assert "every picture: 6" in text and "PCKh % scaled" in text and "no keypoints" in text and "page:" in text


def test_two_runs_give_the_same_numbers(rig_pipeline, tmp_path):
    reports = [crossview(rig_pipeline, tmp_path / name, [("crossview.pictures", 0)]) for name in "ab"]
    assert reports[0]["methods"][1]["results"] == reports[1]["methods"][1]["results"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"reference": "nobody"}, "nobody"),
        ({"methods": {"fit": {"set": {"data.split": "test"}}}}, "only keys of fitter"),
        ({"methods": {"fit": {"kind": "magic"}}}, "crossview.methods.fit.kind"),
    ],
)
def test_wrong_options_are_named(values, message):
    with pytest.raises(ConfigError, match=message):
        check(CrossviewOptions, values, "crossview", "somewhere")


def test_data_without_views_is_one_clear_line(pipeline, tmp_path, capsys):
    assert run(["crossview", str(pipeline), "--out", str(tmp_path / "out")]) == 1
    assert "needs view" in capsys.readouterr().err


def test_cells_do_not_depend_on_numpy_state(scene, true_points):
    first = pictures.chosen(scene, 2)
    np.random.seed(1)
    assert pictures.chosen(scene, 2) == first and len(first) <= 2
