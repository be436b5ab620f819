"""Photos in, pages out, through the command; and what is wrong with an input is said in one line."""

import json

import numpy as np
import pytest
from PIL import Image

BAD = {
    "empty.jpg": "the file is empty",
    "corrupt.jpg": "corrupt",
    "text.png": "not a picture",
    "pixel.png": "too small",
    "nobody.png": "no person found",
    "missing.jpg": "no such file",
}
GOOD = ("grey16.png", "grey.png", "cmyk.jpg", "turned.jpg")


@pytest.fixture(scope="module")
def batch(photos, tmp_path_factory):
    """Every kind of odd photo beside good ones of the same scene."""
    folder = tmp_path_factory.mktemp("batch")
    photo = Image.open(photos / "walk_front.jpg").convert("RGB")
    (folder / "empty.jpg").write_bytes(b"")
    whole = (photos / "walk_front.jpg").read_bytes()
    (folder / "corrupt.jpg").write_bytes(whole[: len(whole) // 3])
    (folder / "text.png").write_text("no picture")
    Image.new("RGB", (1, 1)).save(folder / "pixel.png")
    noise = np.random.default_rng(0).integers(100, 130, (256, 256, 3), dtype=np.uint8)
    Image.fromarray(noise).save(folder / "nobody.png")
    grey = np.asarray(photo.convert("L"))
    Image.fromarray(grey.astype(np.uint16) * 257).save(folder / "grey16.png")
    photo.convert("L").save(folder / "grey.png")
    photo.convert("CMYK").save(folder / "cmyk.jpg", quality=95)
    exif = Image.Exif()
    exif[0x0112] = 6  # shown upright after a quarter turn clockwise, so stored turned the other way
    photo.transpose(Image.Transpose.ROTATE_90).save(folder / "turned.jpg", exif=exif, quality=95)
    return folder


@pytest.fixture(scope="module")
def finished(nbf_run, batch, quick, tmp_path_factory):
    out = tmp_path_factory.mktemp("run") / "out"
    done = nbf_run("fit", "demo", *(batch / name for name in (*BAD, *GOOD)), "--out", out, "--json", *quick)
    return done, out


def test_a_batch_with_bad_inputs_finishes_and_says_so(finished):
    done, _ = finished
    assert done.returncode == 3, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("nbf-run: ")]
    assert len(lines) == len(BAD)
    for name, reason in BAD.items():
        (line,) = [line for line in lines if name in line]
        assert reason in line
    entries = {entry["image"].rpartition("/")[2]: entry for entry in json.loads(done.stdout)["images"]}
    assert {name for name, entry in entries.items() if entry["status"] == "failed"} == set(BAD)
    assert {name for name, entry in entries.items() if entry["status"] == "ok"} == set(GOOD)


def test_the_good_ones_have_all_their_files(finished):
    _, out = finished
    assert (out / "index.html").is_file()
    report = json.loads((out / "report.json").read_text())
    assert report["summary"]["people"] == len(GOOD)
    meshes, arrays = ([path for path in out.rglob(pattern) if path.stat().st_size] for pattern in ("*.glb", "*.npz"))
    assert len(meshes) >= len(GOOD) and len(arrays) >= len(GOOD)
    resolved = json.loads((out / "run.json").read_text())
    assert resolved["pipeline"]["table"]["renderer"]["use"] == "gaussian"


def test_the_page_needs_no_network(finished):
    _, out = finished
    page = (out / "index.html").read_text(encoding="utf-8")
    for attribute in ('src="http', "src='http", 'href="http://', "@import", "url(http", 'src="//'):
        assert attribute not in page
    assert "<script src" not in page


def test_a_single_bad_input_is_a_failure(nbf_run, batch, quick, tmp_path):
    done = nbf_run("fit", "demo", batch / "empty.jpg", "--out", tmp_path / "out", *quick)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [f"nbf-run: {batch / 'empty.jpg'}: the file is empty"]


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("rendere.use=gaussian", "rendere: unknown key; did you mean 'renderer'?"),
        ("renderer.max_kernel=3", "renderer.max_kernel: unknown key; did you mean 'max_kernels'?"),
        ("renderer.use=gausian", "did you mean 'gaussian'?"),
        ("fit.batch=0", "fit.batch: "),
        ("nonsense", "expected KEY=VALUE"),
    ],
)
def test_wrong_settings_end_with_2_and_name_the_key(nbf_run, setting, words):
    done = nbf_run("config", "check", "demo", "--set", setting)
    assert done.returncode == 2
    assert words in done.stderr and len(done.stderr.splitlines()) == 1


def test_a_fit_with_a_wrong_setting_does_not_begin(nbf_run, photos, tmp_path):
    done = nbf_run("fit", "demo", photos / "walk_front.jpg", "--out", tmp_path / "out", "--set", "renderer.use=gausian")
    assert done.returncode == 2
    assert "did you mean 'gaussian'?" in done.stderr and len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_a_model_file_cut_short_is_named(nbf_run, photos, tmp_path, untrained):
    short = tmp_path / "short.safetensors"
    short.write_bytes(untrained.read_bytes()[:-1000])
    done = nbf_run(
        "fit",
        "demo",
        photos / "walk_front.jpg",
        "--out",
        tmp_path / "out",
        "--set",
        f"regressor.weights={short}",
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"nbf-run: {short}: not a readable model file")
    assert len(done.stderr.splitlines()) == 1


def test_the_shipped_model_fits_a_shipped_photo_better_than_its_start(nbf_run, photos, tmp_path):
    done = nbf_run("fit", "demo", photos / "walk_front.jpg", "--out", tmp_path / "out", "--json")
    assert done.returncode == 0, done.stderr
    (entry,) = json.loads(done.stdout)["images"]
    error = entry["people"][0]["keypoint_error_percent"]
    assert error["fit"] < error["start"]
