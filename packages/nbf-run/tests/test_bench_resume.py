"""A benchmark that is ended at any moment, and gone on with, ends like one that never stopped."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from bench_fakes import Fitter, Regressor
from bench_setting import HOMES, PIPELINE, manager, read_report, timeless, write_pipeline

from nbf_core.errors import ConfigError
from nbf_run.bench import bench, rebuild
from nbf_run.bench.files import read_table
from nbf_run.bench.measuring import run_item
from nbf_run.bench.store import Store

COMMAND = "from nbf_run.cli import main; main()"


@pytest.fixture
def pipeline(tmp_path, monkeypatch):
    found = manager()
    for module in HOMES:
        monkeypatch.setattr(f"{module}.get_plugin_manager", lambda: found)
    monkeypatch.setattr("nbf_run.bench.page.write_page", lambda *args: "index.html")
    Fitter.seen.clear()
    return write_pipeline(tmp_path)


def rows(folder: Path) -> dict:
    table = read_table(folder / "samples.parquet")
    table.pop("seconds")
    return table


def test_nothing_finished_is_done_again_whatever_the_moment(pipeline, tmp_path, monkeypatch):
    whole = bench(pipeline, tmp_path / "whole")
    fits = len(Fitter.seen)
    for stop in range(4):
        out, done = tmp_path / f"stopped-{stop}", 0
        Fitter.seen.clear()

        def some(*arguments, stop=stop):
            nonlocal done
            if done == stop:
                raise KeyboardInterrupt
            done += 1
            run_item(*arguments)

        with monkeypatch.context() as patch:
            patch.setattr("nbf_run.bench.schedule.run_item", some)
            with pytest.raises(KeyboardInterrupt):
                bench(pipeline, out)
        assert not (out / "report.json").exists()
        assert timeless(bench(None, resume=out)) == timeless(whole)
        assert len(Fitter.seen) == fits
        assert rows(out) == rows(tmp_path / "whole")


def test_an_item_that_was_half_done_keeps_its_finished_methods(pipeline, tmp_path, monkeypatch):
    whole = bench(pipeline, tmp_path / "whole")
    put = Store.put
    count = 0

    def broken(self, *arguments):
        nonlocal count
        count += 1
        if count == 3:
            raise KeyboardInterrupt
        put(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Store, "put", broken)
        with pytest.raises(KeyboardInterrupt):
            bench(pipeline, tmp_path / "out")
    Fitter.seen.clear()
    assert timeless(bench(None, resume=tmp_path / "out")) == timeless(whole)
    # Of the first item's three fits one was kept: three items with three fits and one with two are left.
    assert len(Fitter.seen) == 3 * 3 + 2


@pytest.mark.parametrize("kind", ["result", "search"])
def test_a_damaged_or_half_written_file_is_made_again(pipeline, tmp_path, kind):
    whole = bench(pipeline, tmp_path / "out")
    shards = sorted((tmp_path / "out" / "samples").rglob("*.safetensors"))
    about = {one: json.loads(one.with_name("about.json").read_text()) for one in shards}
    shards = [one for one in shards if about[one].get("search", False) == (kind == "search")]
    assert len(shards) > 1
    shards[0].write_bytes(shards[0].read_bytes()[:40])
    shards[-1].unlink()
    shards[-1].with_name(f"{shards[-1].name}.7.partial").write_bytes(b"half")
    assert timeless(bench(None, resume=tmp_path / "out")) == timeless(whole)


def test_a_finished_run_costs_nothing_to_repeat_and_a_new_method_only_itself(pipeline, tmp_path):
    bench(pipeline, tmp_path / "out")
    Fitter.seen.clear()
    Regressor.looked = 0
    bench(None, resume=tmp_path / "out")
    assert not Fitter.seen and not Regressor.looked
    bench(None, overrides=[("bench.methods.far", {"set": {"fitter.push": 0.1}})], resume=tmp_path / "out")
    assert {push for _, _, push in Fitter.seen} == {0.1}


def test_changed_settings_are_never_mixed_with_old_results(pipeline, tmp_path):
    bench(pipeline, tmp_path / "out")
    Fitter.seen.clear()
    changed = bench(None, overrides=[("fitter.push", 0.03)], resume=tmp_path / "out")
    assert {push for _, _, push in Fitter.seen} == {0.03}
    assert timeless(changed) == timeless(bench(pipeline, tmp_path / "new", [("fitter.push", 0.03)]))


def test_what_failed_is_tried_again(pipeline, tmp_path):
    report = bench(pipeline, tmp_path / "out", [("data.bad", [1])])
    assert report["failed"] == 2
    Fitter.seen.clear()
    assert bench(None, resume=tmp_path / "out")["failed"] == 2
    assert Fitter.seen


def test_a_run_is_not_overwritten_by_a_new_one(pipeline, tmp_path):
    bench(pipeline, tmp_path / "out")
    with pytest.raises(ConfigError, match="holds a run already; go on with --resume"):
        bench(pipeline, tmp_path / "out")
    with pytest.raises(ConfigError, match="holds no benchmark"):
        bench(None, resume=tmp_path)
    with pytest.raises(ConfigError, match="--out DIR"):
        bench(pipeline)


def test_an_unfinished_run_has_a_report_of_what_is_there(pipeline, tmp_path, monkeypatch):
    done = 0

    def some(*arguments):
        nonlocal done
        done += 1
        if done == 3:
            raise KeyboardInterrupt
        run_item(*arguments)

    monkeypatch.setattr("nbf_run.bench.schedule.run_item", some)
    with pytest.raises(KeyboardInterrupt):
        bench(pipeline, tmp_path / "out")
    report = rebuild(tmp_path / "out")
    assert not report["complete"] and report["done"] == {"items": 8, "of": 16}
    assert report["cells"][0]["people"] == 4 and report["cells"][1]["people"] == 0


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The fakes as an installed distribution, for processes of their own, with slow fits."""
    folder = tmp_path_factory.mktemp("installed")
    info = folder / "bench_fakes-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: bench-fakes\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[nbf]\nfakes = bench_fakes\n")
    text = PIPELINE.replace("samples = 4\nbatch = 3", "samples = 6\nbatch = 1").replace(
        "push = 0.02", "push = 0.02\nnap = 0.04"
    )
    path = write_pipeline(folder, text.replace('[data]\nuse = "dots"', '[data]\nuse = "dots"\nsize = 6\nbad = [4]'))
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(folder), str(Path(__file__).parent)]),
        "NBF_LOAD_PLUGINS": "bench-fakes,nbf-metrics,nbf-datasets",
        "OMP_NUM_THREADS": "1",
    }

    def start(*arguments, **variables):
        command = [sys.executable, "-c", COMMAND, "bench", *map(str, arguments)]
        # A shell that runs the tests in the background lets them ignore Ctrl-C, and their children with them.
        return subprocess.Popen(
            command, env=environment | variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )  # fmt: skip

    return path, start


@pytest.mark.parametrize(
    ("kills", "devices"),
    [(2, 1), pytest.param(10, 1, marks=pytest.mark.slow), pytest.param(10, 2, marks=pytest.mark.slow)],
)
def test_killed_at_random_moments_it_ends_like_an_undisturbed_one(installed, tmp_path, kills, devices):
    pipeline, start = installed
    more = ["--set", f"bench.devices={['cpu'] * devices}", "--set", "bench.pictures=0"]
    whole = start(pipeline, "--out", tmp_path / "whole", *more)
    assert whole.wait(300) == 3, whole.stderr.read()  # one sample is bad
    out, moments = tmp_path / "killed", random.Random(kills + devices)
    running, kept = start(pipeline, "--out", out, *more), {}
    for _ in range(kills):
        deadline = time.monotonic() + moments.uniform(0.0, 2.0)
        before = shards(out)
        # Count from when it has begun to finish something, or it would die while importing, every time.
        while running.poll() is None and (shards(out) == before or time.monotonic() < deadline):
            time.sleep(0.02)
        running.send_signal(signal.SIGKILL)
        running.communicate()
        # The fourth sample is bad, and what failed is tried again.
        kept |= {path: path.stat().st_mtime_ns for path in finished(out) if path.stem != "000004"}
        running = start("--resume", out)
    assert running.wait(300) == 3, running.stderr.read()
    running.communicate()
    assert timeless(read_report(out)) == timeless(read_report(tmp_path / "whole"))
    assert rows(out) == rows(tmp_path / "whole")
    assert kept and kept == {path: path.stat().st_mtime_ns for path in kept}


def shards(folder: Path) -> int:
    return len(finished(folder))


def finished(folder: Path) -> list[Path]:
    return list((folder / "samples").rglob("*.safetensors"))


def test_two_processes_find_what_one_finds(installed, tmp_path):
    pipeline, start = installed
    for name, devices in (("one", 1), ("two", 2)):
        more = ["--set", f"bench.devices={['cpu'] * devices}", "--set", "bench.pictures=0"]
        done = start(pipeline, "--out", tmp_path / name, *more)
        assert done.wait(300) == 3, done.stderr.read()
        done.communicate()
    assert timeless(read_report(tmp_path / "one")) == timeless(read_report(tmp_path / "two"))


def test_the_end_of_a_worker_is_an_error_that_says_how_to_go_on(installed, tmp_path):
    pipeline, start = installed
    running = start(pipeline, "--out", tmp_path / "out", "--set", "bench.devices=['cpu','cpu']")
    while running.poll() is None and not finished(tmp_path / "out"):
        time.sleep(0.02)
    children = Path(f"/proc/{running.pid}/task/{running.pid}/children")
    if not children.is_file():
        running.kill()
        running.communicate()
        pytest.skip("this system does not list the children of a process")
    os.kill(int(children.read_text().split()[0]), signal.SIGKILL)
    _, said = running.communicate(timeout=120)
    assert running.returncode == 1
    assert "ended with code -9" in said and "--resume" in said


def test_ctrl_c_leaves_a_folder_to_go_on_with(installed, tmp_path):
    pipeline, start = installed
    # Fits so slow that the run cannot end before it is stopped, however busy the machine.
    running = start(pipeline, "--out", tmp_path / "out", "--set", "fitter.nap=1")
    while running.poll() is None and not finished(tmp_path / "out"):
        time.sleep(0.02)
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=120)
    assert running.returncode == 130
    assert f"go on with --resume {tmp_path / 'out'}" in said
