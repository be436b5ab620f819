"""``report``: one run's report anew, or runs against one another; through the command."""

from __future__ import annotations

import json

import pytest
from bench_setting import HOMES, manager, method, write_pipeline

from nbf_core.errors import ConfigError, InputError
from nbf_run.bench import bench, compare_runs
from nbf_run.cli.main import run


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two runs, of which the second pushes further and knows fewer people."""
    folder, found = tmp_path_factory.mktemp("runs"), manager()
    with pytest.MonkeyPatch.context() as patch:
        for module in HOMES:
            patch.setattr(f"{module}.get_plugin_manager", lambda: found)
        patch.setattr("nbf_run.bench.page.write_page", lambda *args: "index.html")
        path = write_pipeline(folder)
        bench(path, folder / "a")
        bench(path, folder / "b", [("fitter.push", 0.03), ("bench.samples", 3), ("bench.methods.new", {})])
        bench(path, folder / "other", [("bench.sets", {"others": {}}), ("bench.samples", 1)])
        yield folder


def found(result, title, name, metric="mpjpe"):
    (cell,) = [c for c in result["compared"][0]["cells"] if (c["title"], c["method"]) == (title, name)]
    return cell["metrics"][metric]


def test_differences_are_those_of_the_people_both_have(runs):
    result = compare_runs([runs / "a", runs / "b"])
    value = found(result, "clean", "both")
    assert value["n"] == 3
    assert value["mean"] == pytest.approx(-10 * 23 / 24, rel=1e-3)
    assert value["reference"] == pytest.approx(30 * 23 / 24, rel=1e-3)
    assert (value["better"], value["verdict"]) == (1, "better")
    assert found(result, "clean", "start")["mean"] == 0
    assert {c["method"] for c in result["compared"][0]["cells"]} == {"start", "both", "features only", "from truth"}


def test_what_patches_chose_counts_for_their_metric_alone(runs):
    result = compare_runs([runs / "a", runs / "b"])
    report = json.loads((runs / "a" / "report.json").read_text())
    people = method(report, "adversarial 80 px", "both")["metrics"]["mpjpe"]["all"]["mean"]
    assert found(result, "adversarial 80 px", "both")["reference"] == pytest.approx(people, rel=1e-3)
    (cell,) = [c for c in result["compared"][0]["cells"] if (c["title"], c["method"]) == ("adversarial 80 px", "both")]
    assert set(cell["metrics"]) == {"mpjpe", "pckh"}


def test_a_page_and_a_report_are_written(runs, tmp_path):
    result = compare_runs([runs / "a", runs / "b"], tmp_path / "out")
    page = (tmp_path / "out" / result["page"]).read_text()
    assert "features only" in page and "differences-1.svg" in page
    assert json.loads((tmp_path / "out" / "report.json").read_text()) == result


def test_the_command_prints_and_writes(runs, tmp_path, capsys):
    assert run(["report", str(runs / "a"), str(runs / "b"), "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert "features only" in said and "-9.6" in said and "page: " in said
    assert run(["report", str(runs / "a"), str(runs / "b"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["kind"] == "bench-comparison"


def test_what_cannot_be_compared_is_said(runs, tmp_path):
    with pytest.raises(ConfigError, match="holds no report of a benchmark"):
        compare_runs([runs / "a", tmp_path])
    with pytest.raises(InputError, match="shares no people, method and condition"):
        compare_runs([runs / "a", runs / "other"])


def test_the_report_of_one_run_is_made_anew(runs, capsys):
    (runs / "a" / "report.json").unlink()
    assert run(["report", str(runs / "a")]) == 0
    assert "page: " in capsys.readouterr().out
    assert json.loads((runs / "a" / "report.json").read_text())["complete"]


def test_bench_says_what_it_needs(tmp_path, capsys):
    assert run(["bench", "bench"]) == 2
    assert "--out DIR" in capsys.readouterr().err
    assert run(["bench", "--out", str(tmp_path / "out")]) == 2
    assert "PIPELINE" in capsys.readouterr().err
    assert run(["bench", "--resume", str(tmp_path)]) == 2
    assert "holds no benchmark" in capsys.readouterr().err
