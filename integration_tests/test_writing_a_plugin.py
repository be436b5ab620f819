"""docs/writing-a-plugin.md, block by block, as a reader follows it; the finished code beside it is the same."""

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[1] / "docs"
FINISHED = DOCS / "examples" / "nbf-render-discs"
BLOCK = re.compile(r"(?:\*\*`([^`]+)`\*\*\n\n)?```(\w+)\n(.*?)```", re.DOTALL)
BLOCKS = [(path, kind, text) for path, kind, text in BLOCK.findall((DOCS / "writing-a-plugin.md").read_text("utf-8"))]


def test_the_page_and_the_finished_code_are_the_same():
    files = {path: text for path, kind, text in BLOCKS if kind == "python"}
    assert len(files) == 4 and "" not in files
    for path, text in files.items():
        assert (FINISHED / path).read_text(encoding="utf-8") == text, path


@pytest.fixture(scope="module")
def short(untrained):
    """Settings that make the page's fits and benchmarks short."""
    from nbf_run.options import read_pipeline

    side = read_pipeline("demo").section("regressor").config.image_size  # the untrained one's, whatever the demo's are
    stages = {f"fitter.stages.{stage}.steps": 1 for stage in (0, 1)}
    both = {"fitter.starts": '["estimate"]', **stages, "regressor.weights": untrained}
    bench = {"bench.samples": 1, "bench.pictures": 0, "bench.resamples": 10, "data.image_size": side}
    own = {"fit": {"fit.max_people": 1}, "bench": bench}
    return {
        command: [part for key, value in {**both, **more}.items() for part in ("--set", f"{key}={value}")]
        for command, more in own.items()
    }


def test_every_block_runs(tmp_path, photos, short):
    if importlib.util.find_spec("nbf_render_discs"):
        pytest.skip("nbf-render-discs is installed here: new-plugin would refuse the name")
    package = tmp_path / "nbf-render-discs"
    shutil.copy(photos / "walk_front.jpg", tmp_path / "PHOTO.jpg")
    environment = os.environ | {
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": f"{package / 'src'}{os.pathsep}{tmp_path / 'site'}",
    }
    ran = []
    for path, kind, text in BLOCKS:
        if kind == "sh":
            for line in text.splitlines():
                ran.append(shlex.split(line))
                follow(shlex.split(line), tmp_path, environment, short)
        elif kind == "toml":
            (tmp_path / path).write_text(text, encoding="utf-8")
        else:
            assert (package / path).is_file(), f"the page changes {path}, which new-plugin has not written"
            (package / path).write_text(text, encoding="utf-8")
    assert [words[:2] for words in ran].count(["nbf-run", "fit"]) == 1
    assert [words[0] for words in ran].count("pytest") == 2


def follow(words, folder, environment, short):
    """Run one command of the page."""
    if words[0] == "pip":  # what an editable installation leaves: the entry point; the sources are found anyway
        site = folder / "site" / "nbf_render_discs-0.1.0.dist-info"
        site.mkdir(parents=True)
        (site / "METADATA").write_text("Metadata-Version: 2.1\nName: nbf-render-discs\nVersion: 0.1.0\n")
        (site / "entry_points.txt").write_text("[nbf]\ndiscs = nbf_render_discs.plugin\n")
        return
    words = [word.replace("PHOTO", "PHOTO.jpg") for word in words] + short.get(words[1], [])
    program = {
        "nbf-run": ["-c", "from nbf_run.cli import main; main()"],
        "pytest": ["-m", "pytest", "-q", "-p", "no:cacheprovider"],
    }[words[0]]
    done = subprocess.run(
        [sys.executable, *program, *words[1:]], cwd=folder, env=environment, capture_output=True, text=True, timeout=500
    )
    assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
