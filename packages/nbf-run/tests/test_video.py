"""Videos: read upright and whole, fitted like frames, written so that players take them; one line for bad ones."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nbf_core.errors import InputError, PluginError
from nbf_run.cli.main import run
from nbf_run.frames import Cut, Film
from nbf_run.video import VideoReader, VideoWriter

av = pytest.importorskip("av", reason="PyAV (nbf-run[video]) is not installed")


def picture(number: int, size: tuple[int, int] = (96, 64)) -> np.ndarray:
    """Bright, with a bar that tells the number."""
    frame = np.full((*size, 3), 110, np.uint8)
    frame[:, 4 * number : 4 * number + 4] = (250, 40, 40)
    return frame


def bar(frame: np.ndarray) -> int:
    """The number that a frame tells."""
    return int((frame[..., 0].astype(int) - frame[..., 2]).mean(0).reshape(-1, 4).mean(1).argmax())


@pytest.fixture
def film(tmp_path: Path) -> Path:
    with VideoWriter(tmp_path / "a film.mp4", 30) as video:
        for number in range(12):
            video.add(picture(number))
    return tmp_path / "a film.mp4"


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".mkv"])
def test_what_is_written_is_read_again(tmp_path: Path, suffix: str):
    path = tmp_path / f"film{suffix}"
    with VideoWriter(path, 30) as video:
        for number in range(6):
            video.add(picture(number, (97, 64)))  # an odd row is cut off
        assert not path.exists()
    reader = VideoReader(path)
    frames = list(reader.frames())
    assert [bar(frame) for frame in frames] == list(range(6))
    assert frames[0].shape == (96, 64, 3) and frames[0].dtype == np.uint8
    assert reader.rate == pytest.approx(30, rel=0.01)
    assert reader.total == pytest.approx(6, abs=1)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the cores of a process cannot be chosen here")
@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".mkv"])
def test_the_bytes_do_not_depend_on_the_cores(tmp_path: Path, suffix: str):
    cores = os.sched_getaffinity(0)
    noise = np.random.default_rng(0).integers(0, 255, (24, 20, 3), dtype=np.uint8).repeat(20, 0).repeat(20, 1)
    files = [tmp_path / f"{name}{suffix}" for name in ("all", "one")]
    try:
        for file, use in zip(files, (cores, {min(cores)}), strict=True):
            os.sched_setaffinity(0, use)
            with VideoWriter(file, 25) as video:
                for number in range(12):
                    video.add(np.roll(noise, 3 * number, 1))
    finally:
        os.sched_setaffinity(0, cores)
    assert files[0].read_bytes() == files[1].read_bytes()


def test_nothing_is_left_of_a_video_that_broke_off(tmp_path: Path):
    with pytest.raises(InputError, match="another size"), VideoWriter(tmp_path / "film.mp4", 30) as video:
        video.add(picture(0))
        video.add(picture(0, (32, 32)))
    assert not list(tmp_path.iterdir())


def test_parts_of_a_film(film: Path):
    numbers = [bar(frame) for frame in VideoReader(film).frames(2, 11, 3)]
    assert numbers == [2, 5, 8]
    cut = Film([film], Cut(2, 11, 3))
    assert cut.total == 3 and cut.rate == pytest.approx(10)
    assert [name for name, _ in cut.frames()] == ["a film-000002", "a film-000005", "a film-000008"]
    assert [bar(frame) for _, frame in cut.frames(done=1)] == [5, 8]


def test_films_of_phones_are_turned_upright(film: Path, tmp_path: Path):
    """A phone stores a note that the picture is to be turned."""
    turned = tmp_path / "turned.mp4"
    with av.open(str(film)) as source, av.open(str(turned), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        try:
            stream.set_display_rotation(90)
        except AttributeError:
            pytest.skip("this PyAV cannot write the note")
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    assert next(iter(VideoReader(turned).frames())).shape == (64, 96, 3)


def test_the_note_is_obeyed():
    from nbf_run.video import _upright

    class Frame:
        rotation = 90

        def to_ndarray(self, format):
            return picture(3)

    turned = _upright(Frame())
    assert turned.shape == (64, 96, 3)
    assert np.array_equal(turned, np.rot90(picture(3)))  # anticlockwise


@pytest.mark.parametrize(
    ("content", "words"), [(b"", "the file is empty"), (b"no video at all" * 99, "not a video that can be read")]
)
def test_bad_files(tmp_path: Path, content: bytes, words: str):
    path = tmp_path / "bad.mp4"
    path.write_bytes(content)
    with pytest.raises(InputError, match=words) as error:
        VideoReader(path)
    assert str(path) in str(error.value)
    with pytest.raises(InputError, match="no such file"):
        VideoReader(tmp_path / "gone.mp4")


def test_a_file_with_sound_only(tmp_path: Path):
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=48000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 48000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with pytest.raises(InputError, match="holds no video"):
        VideoReader(path)


def test_without_pyav_a_line_says_what_to_install(film: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(PluginError, match=r"pip install 'nbf-run\[video\]'"):
        VideoReader(film)


def test_a_video_is_fitted_as_a_film(film: Path, pipeline: Path, tmp_path: Path):
    out = tmp_path / "out"
    settings = ["--set", "fit.frames=1:9:2", "--set", "fit.window=4"]
    assert run(["fit", str(pipeline), str(film), "--out", str(out), *settings]) == 0
    report = json.loads((out / "report.json").read_text())
    assert [entry["image"] for entry in report["images"]] == [f"a film-{n:06d}" for n in (1, 3, 5, 7)]
    assert report["tracks"][0]["frames"] == 4
    assert report["rate"] == pytest.approx(15)
    assert VideoReader(out / report["film"]).rate == pytest.approx(15)
    assert '<video class="film" src="film.mp4"' in (out / "index.html").read_text()
    stored = np.asarray(Image.open(out / "a-film-000003" / "input.jpg"))
    assert bar(stored) == 3


def test_a_video_cut_short_gives_what_it_has(film: Path, pipeline: Path, tmp_path: Path, capsys):
    with av.open(str(film)) as source, av.open(str(tmp_path / "b.mkv"), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    path = tmp_path / "b.mkv"
    path.write_bytes(path.read_bytes()[:-300])
    code = run(["fit", str(pipeline), str(path), "--out", str(tmp_path / "out")])
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert 4 < report["summary"]["people"] <= 12
    assert code in (0, 3)
    path.write_bytes(path.read_bytes()[:400])
    capsys.readouterr()
    assert run(["fit", str(pipeline), str(path), "--out", str(tmp_path / "none")]) == 1
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and "b" in lines[0]


def test_one_video_at_a_time(film: Path, photo: Path, pipeline: Path, tmp_path: Path, capsys):
    assert run(["fit", str(pipeline), str(film), str(photo), "--out", str(tmp_path / "out")]) == 1
    assert f"{film}: a video is fitted by itself" in capsys.readouterr().err
