"""``bench`` on made-up components: what is measured, what is written, what one bad sample costs."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import torch
from bench_fakes import Fitter, Regressor
from bench_setting import HOMES, cell, manager, method, read_report, timeless, write_pipeline

from nbf_core.errors import ConfigError, InputError, PluginError
from nbf_core.plugins import ComponentEntry, hookimpl
from nbf_run.bench import bench, print_report, rebuild
from nbf_run.bench.files import read_table
from nbf_run.bench.tables import missing_lines
from nbf_run.trust import trust

OFF = 23 / 24  # the pelvis does not move


@pytest.fixture
def use(monkeypatch):
    """Make a manager the one that everybody asks."""

    def install(*plugins):
        found = manager(*plugins)
        for module in HOMES:
            monkeypatch.setattr(f"{module}.get_plugin_manager", lambda: found)
        return found

    return install


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A whole run: its report and its folder."""
    folder, found = tmp_path_factory.mktemp("bench"), manager()
    with pytest.MonkeyPatch.context() as patch:
        for module in HOMES:
            patch.setattr(f"{module}.get_plugin_manager", lambda: found)
        return bench(write_pipeline(folder), folder / "out"), folder / "out"


@pytest.fixture
def whole(tmp_path, use):
    """The pipeline file, and all that is written."""
    use()
    Fitter.seen.clear()
    return write_pipeline(tmp_path)


@pytest.fixture
def pipeline(whole, monkeypatch):
    """The same without pages, which take longer than all the rest."""
    monkeypatch.setattr("nbf_run.bench.page.write_page", lambda *args: "index.html")
    return whole


def test_methods_are_measured_under_every_case(finished):
    report, _ = finished
    assert [one["title"] for one in report["cells"]] == ["clean", "adversarial 80 px"]
    for name, distance in {"start": 50, "both": 30, "features only": 10, "from truth": 20}.items():
        found = method(report, "clean", name)["metrics"]["mpjpe"]["all"]
        assert found["n"] == 4
        assert found["mean"] == pytest.approx(distance * OFF, rel=1e-4)
        assert found["low"] == pytest.approx(found["high"])
    assert report["complete"]


def test_the_worst_occluder_is_found_for_each_metric(finished):
    report, out = finished
    worst = cell(report, "adversarial 80 px")
    start = method(report, "adversarial 80 px", "start")["metrics"]
    assert set(start) == {"mpjpe", "pckh"}
    # 11 of 32 px wide, at the right edge of the grid: the sum of the columns' weights there.
    assert start["mpjpe"]["all"]["mean"] > method(report, "clean", "start")["metrics"]["mpjpe"]["all"]["mean"]
    places = worst["starts"][0]["places"]["mpjpe"]
    assert start["mpjpe"]["all"]["mean"] == pytest.approx(max(places), rel=1e-4)
    rows = read_table(out / "samples.parquet")
    chosen = {x for x, by in zip(rows["patch_x0"], rows["chosen_by"], strict=True) if "mpjpe" in by}
    assert len(chosen) == 1


def test_methods_of_one_start_share_the_search_and_the_look(pipeline, tmp_path):
    Regressor.looked = 0
    report = bench(pipeline, tmp_path / "out", [("bench.samples", 3), ("bench.metrics", ["mpjpe"])])
    places = cell(report, "adversarial 80 px")["candidates"]
    assert places == 16
    assert Regressor.looked == 3 + 3 * places + 3  # clean, the search, what was chosen: whatever the methods


def test_visible_joints_are_told_apart(finished):
    report, _ = finished
    metrics = method(report, "adversarial 80 px", "start")["metrics"]
    assert set(metrics["mpjpe"]) == {"all", "visible"}
    assert set(method(report, "clean", "start")["metrics"]["pve"]) == {"all"}


def test_each_method_gets_what_it_asks_for(pipeline, tmp_path):
    bench(pipeline, tmp_path / "out", [("bench.samples", 1), ("bench.matrix", [{"protocols": ["clean"]}])])
    deserved = pytest.approx(trust({"correct_side": 0.825}))
    assert Fitter.seen == [(deserved, True, 0.02), (1.0, False, 0.04), (deserved, True, 0.02)]


def test_fits_are_compared_with_their_start_person_by_person(finished):
    report, _ = finished
    found = method(report, "clean", "both")
    assert found["reference"] == "start"
    against = found["against_reference"]["mpjpe"]["all"]
    assert against["mean"] == pytest.approx(-20 * OFF, rel=1e-4)
    assert (against["better"], against["verdict"]) == (1, "better")
    assert against["relative"] == pytest.approx(-0.4)
    assert "against_reference" not in method(report, "clean", "from truth")


def test_the_answer_is_a_sentence_with_its_numbers(finished):
    answer = finished[0]["answer"]
    assert (answer["method"], answer["against"], answer["metric"]) == ("both", "start", "mpjpe")
    assert answer["sentences"][0].startswith("Yes: fitting helps under occlusion, in the one condition")
    assert "by 19.2 mm (-40 %), from 47.9 to 28.8" in answer["sentences"][2]


def test_correspondence_quality_is_reported(finished):
    quality = finished[0]["cells"][0]["starts"][0]["correspondence"]
    assert quality["correct_side"] == quality["within_10cm"] == quality["body_found"] == 1


def test_everything_is_written_for_programs_and_for_people(finished, capsys):
    report, out = finished
    assert read_report(out) == report
    rows = read_table(out / "samples.parquet")
    assert len(rows["sample"]) >= 2 * 4 * 4
    assert rows["mpjpe"][0] == pytest.approx(50 * OFF, abs=1e-3)
    words = (out / "report.md").read_text()
    for part in ("## data: clean", "| features only | 9.6 [9.6, 9.6] |", "Visible joints only", "Correspondence"):
        assert part in words
    page = (out / "index.html").read_text()
    assert report["answer"]["sentences"][0] in page and "cannot be compared with published" in page
    for attribute in ('src="http', "@import", "<script src"):
        assert attribute not in page
    for name in ("gains.svg", "places.svg", "time.svg"):
        assert (out / "charts" / name).read_text().startswith("<?xml")
    assert len(list((out / "cases").glob("*.jpg"))) >= 4
    print_report(report)
    assert "features only" in capsys.readouterr().out


def test_keypoints_are_written_as_published(finished):
    _, out = finished
    found = json.loads((out / "results/data/clean/both/result_keypoints.json").read_text())
    assert list(found) == ["keypoints", "poses", "betas", "transl", "image_path", "sample"]
    assert torch.tensor(found["keypoints"]).shape == (4, 17, 3)
    assert torch.tensor(found["poses"]).shape == (4, 24, 3, 3)
    assert torch.tensor(found["betas"]).shape == (4, 10)
    assert found["sample"] == [0, 1, 2, 3] and len(found["image_path"]) == 4
    assert (out / "results/data/adversarial-80-px/both/pckh/result_keypoints.json").is_file()


def test_what_was_searched_can_be_put_over_people_again(pipeline, tmp_path):
    first = bench(pipeline, tmp_path / "first")
    (folder,) = {(tmp_path / "first" / name).parent for name in first["files"]["occluders"]}
    again = bench(
        pipeline,
        tmp_path / "again",
        [("bench.protocols", {"file": {"folder": str(folder), "metrics": ["mpjpe"]}})],
    )
    for name in ("start", "both"):
        ours, theirs = method(again, "file mpjpe", name), method(first, "adversarial 80 px", name)
        assert ours["metrics"]["mpjpe"]["all"]["mean"] == pytest.approx(theirs["metrics"]["mpjpe"]["all"]["mean"])


def test_a_bad_sample_costs_only_itself(pipeline, tmp_path):
    report = bench(pipeline, tmp_path / "out", [("data.bad", [1]), ("data.untrue", [2])])
    for one in report["cells"]:
        assert [failure["sample"] for failure in one["failed"]] == [1, 2]
        assert "the disk is full" in one["failed"][0]["reason"]
        assert "a black picture" in one["failed"][1]["reason"]
        assert {m["metrics"]["mpjpe"]["all"]["n"] for m in one["methods"]} == {2}
    assert report["failed"] == 4


def test_a_fit_that_breaks_costs_one_person_of_one_method(pipeline, tmp_path):
    report = bench(pipeline, tmp_path / "out", [("bench.methods.both.set", {"fitter.bad": [1]})])
    counts = {m["name"]: m["metrics"]["mpjpe"]["all"]["n"] for m in cell(report, "clean")["methods"]}
    assert counts == {"start": 4, "both": 3, "features only": 4, "from truth": 4}
    assert "I cannot fit this" in cell(report, "clean")["failed"][0]["reason"]


def test_nothing_usable_is_an_error_with_its_reason(pipeline, tmp_path):
    with pytest.raises(InputError, match="no sample could be used; the first: sample 0: OSError: the disk is full"):
        bench(pipeline, tmp_path / "out", [("data.bad", [0, 1, 2, 3])])


def test_progress_is_told(pipeline, tmp_path):
    heard = []
    bench(pipeline, tmp_path / "out", progress=lambda *step: heard.append(step))
    assert heard[0][0] == "beginning" and heard[-1][1] == heard[-1][2]
    assert [what for what, _, _ in heard[1:]] == ["data, clean"] * 2 + ["data, adversarial 80 px"] * 2
    assert all(a[1] < b[1] for a, b in zip(heard[:-1], heard[1:], strict=True))


def test_positions_are_drawn_for_each_person_alike_in_every_run(pipeline, tmp_path):
    changes = [("bench.protocols", {"grid": {"sizes": [80], "stride": 24, "positions": 2}})]
    tables = []
    for name in ("a", "b"):
        bench(pipeline, tmp_path / name, changes)
        tables.append(read_table(tmp_path / name / "samples.parquet"))
    rows = tables[0]
    assert [r["patch_x0"] for r in tables] and tables[0]["patch_x0"] == tables[1]["patch_x0"]
    assert rows["method"].count("start") == 2 * 4
    assert len(set(zip(rows["patch_x0"], rows["patch_y0"], strict=True))) > 2


def test_optional_sets_and_methods_that_are_not_there_are_said_to_be_missing(whole, tmp_path):
    report = bench(
        whole,
        tmp_path / "out",
        [
            (
                "bench.sets",
                {"data": {}, "licensed": {"optional": True, "set": {"data.use": "moonwalks", "data.path": "gone.npz"}}},
            ),
            ("bench.methods.both.optional", True),
            ("bench.methods.both.set", {"regressor.weights": "nowhere.safetensors"}),
        ],
    )
    missing = {(one["kind"], one["name"]): one["reason"] for one in report["missing"]}
    assert "moonwalks" in missing["set", "licensed"] and "gone.npz: no such file" in missing["set", "licensed"]
    assert "nowhere.safetensors" in missing["method", "both"]
    assert {one["set"] for one in report["cells"]} == {"data"}
    assert "gone.npz" in (tmp_path / "out" / "index.html").read_text()


def test_what_is_not_optional_must_be_there(pipeline, tmp_path):
    with pytest.raises(PluginError, match="moonwalks"):
        bench(pipeline, tmp_path / "out", [("bench.sets", {"licensed": {"set": {"data.use": "moonwalks"}}})])
    assert not (tmp_path / "out").exists()


class Strangers:
    """Somebody else's plugin: a fitter and a regressor."""

    NBF_CONTRACT = 1

    @hookimpl
    def nbf_fitters(self):
        yield ComponentEntry(name="oracle", target="bench_fakes:Fitter", config="bench_fakes:FitterConfig", summary="")

    @hookimpl
    def nbf_regressors(self):
        yield ComponentEntry(
            name="steady", target="bench_fakes:Regressor", config="bench_fakes:RegressorConfig", summary=""
        )


def test_methods_of_somebody_elses_plugin_appear_in_every_table(whole, tmp_path, use):
    use(Strangers())
    changes = [
        ("bench.methods.oracle", {"set": {"fitter.use": "oracle", "fitter.push": 0.05}}),
        (
            "bench.methods.steady",
            {"fit": False, "set": {"regressor.use": "steady", "regressor.weights": _weights(whole)}},
        ),
    ]
    report = bench(whole, tmp_path / "out", changes)
    assert method(report, "clean", "oracle")["metrics"]["mpjpe"]["all"]["mean"] == pytest.approx(0, abs=1e-2)
    # It does not mind patches, and its search is its own.
    assert method(report, "adversarial 80 px", "steady")["metrics"]["mpjpe"]["all"]["mean"] == pytest.approx(50 * OFF)
    assert len(cell(report, "adversarial 80 px")["starts"]) == 2
    for text in ((tmp_path / "out" / name).read_text() for name in ("index.html", "report.md")):
        assert "oracle" in text and "steady" in text
    assert {"oracle", "steady"} <= set(read_table(tmp_path / "out" / "samples.parquet")["method"])


def _weights(pipeline):
    return str(pipeline.with_suffix(".safetensors"))


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("bench.metrics", ["mpjpee"], "mpjpe"),
        ("bench.samples", 0, "bench.samples"),
        ("bench.sampels", 4, "samples"),
        ("bench.sets", {"a": {"set": {"train.use": "other"}}}, "train.use: only keys of data"),
        ("bench.methods.both.set", {"data.use": "other"}, "data.use: only keys of fitter"),
        ("bench.methods.both.set", {"fitter.psuh": 3}, "fitter.psuh: unknown key"),
        ("bench.matrix", [{"methods": ["nobody"]}], "no method named 'nobody'"),
        ("bench.matrix", [{"protocols": ["adversarial"], "cases": ["90 px"]}], "no case '90 px'; it has 80 px"),
        ("bench.answer.method", "nobody", "no method named 'nobody'"),
        ("bench.protocols.adversarial.strid", 3, "bench.protocols.adversarial.strid: unknown key"),
        ("bench.protocols", {"moons": {}}, "no protocol named 'moons'"),
        ("bench.published", ["table9"], "no table named 'table9'"),
        ("bench.devices", ["abacus"], "abacus"),
    ],
)
def test_mistakes_in_the_section_are_named_before_anything_runs(pipeline, tmp_path, key, value, message):
    with pytest.raises((ConfigError, PluginError), match=message):
        bench(pipeline, tmp_path / "out", [(key, value)])
    assert not Fitter.seen


def test_published_tables_stand_beside_and_say_that_they_are_not_comparable(whole, tmp_path):
    changes = [
        ("bench.published", ["table1-methods"]),
        ("bench.columns", {"clean": "3DPW", "adversarial 80 px": "AdvOcc@80"}),
    ]
    bench(whole, tmp_path / "out", changes)
    page = (tmp_path / "out" / "index.html").read_text()
    for part in ("HMR-EFT", "140.7 / 71.8 / 85.0", "ICCV 2023", "Do not compare", "not comparable"):
        assert part in page


def test_the_built_in_pipelines_ask_for_what_exists():
    from nbf_run.bench.published import published_tables
    from nbf_run.options import read_pipeline

    tables = published_tables()
    for name in ("bench", "table1-methods", "table2-fitters", "table3-ablations", "evaluation"):
        options = read_pipeline(name, needs=()).options["bench"]
        assert options.samples == 200
        assert "synthetic" in options.sets and not options.sets["synthetic"].optional
        assert all(entry.optional for key, entry in options.sets.items() if key != "synthetic")
        assert set(options.published) <= set(tables)
        columns = {column for table in options.published for column in tables[table]["columns"]}
        assert {"AdvOcc@80"} <= columns or not columns
    assert [p for p in read_pipeline("bench", needs=()).options["bench"].protocols] == [
        "clean", "grid", "adversarial", "varying",
    ]  # fmt: skip
    film = read_pipeline("film", needs=()).options["bench"]
    assert film.metrics[0] == "acceleration" and film.methods["together"].film
    every = read_pipeline("all", needs=()).options["bench"].include
    assert every == ("bench", "film", "table1-methods", "table2-fitters", "table3-ablations", "evaluation")


def test_published_tables_hold_a_cell_for_every_column():
    from nbf_run.bench.published import published_tables

    for name, table in published_tables().items():
        assert table["source"] and table["settings"], name
        for row, cells in table["rows"]:
            assert len(cells) == len(table["columns"]), (name, row)
            assert all(len(values) == len(table["metrics"]) for values in cells), (name, row)


def test_the_section_is_read_without_torch():
    code = "import sys, nbf_run.bench.config, nbf_run.cli.bench; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_what_is_missing_is_said_once_for_all_whom_it_concerns():
    missing = [
        {"kind": "set", "name": "a", "set": None, "reason": "no body; a.npz: no such file"},
        {"kind": "set", "name": "b", "set": None, "reason": "no body; b.npz: no such file"},
        {"kind": "method", "name": "m", "set": "c", "reason": "no plugin"},
    ]
    assert missing_lines(missing) == [
        "set a, b: no body", "set a: a.npz: no such file", "set b: b.npz: no such file", "method m on c: no plugin",
    ]  # fmt: skip


def test_several_benchmarks_share_what_they_have_in_common(pipeline, tmp_path, capsys):
    other = tmp_path / "other.toml"
    other.write_text(
        f'extends = "{pipeline.name}"\nschema = 1\nname = "other"\n[[bench.matrix]]\nprotocols = ["clean"]\n'
    )
    every = tmp_path / "every.toml"
    included = [str(pipeline), str(other), str(tmp_path / "gone.toml")]
    every.write_text(f"schema = 1\nname = 'every'\n[bench]\ninclude = {json.dumps(included)}\n")
    report = bench(every, tmp_path / "out", [("bench.samples", 3)])
    assert [one["name"] for one in report["runs"]] == ["dots", "other"]
    assert [one["name"] for one in report["missing"]] == ["gone"]
    assert read_report(tmp_path / "out") == report
    print_report(report)
    said = " ".join(capsys.readouterr().out.split())
    assert "dots: " in said and "missing: pipeline gone: " in said
    with pytest.raises(ConfigError, match="holds several benchmarks; name one of them: .*dots"):
        rebuild(tmp_path / "out")
    fits = len(Fitter.seen)
    assert fits == 3 * 2  # three fits in two conditions; nothing again for the other
    again = bench(None, resume=tmp_path / "out")
    assert len(Fitter.seen) == fits and timeless(again) == timeless(report)
    assert "gone.toml" in (tmp_path / "out" / "index.html").read_text()
