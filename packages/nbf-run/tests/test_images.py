"""Photos of every kind are read upright as RGB; what cannot be used is one line that names the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nbf_core.errors import InputError
from nbf_run import images
from nbf_run.images import find_images, read_image


@pytest.fixture
def ramp() -> np.ndarray:
    """A picture whose every corner differs, [40, 60, 3]."""
    y, x = np.mgrid[0:40, 0:60]
    return np.stack([4 * x, 6 * y, np.full_like(x, 90)], -1).astype(np.uint8)


def test_rgb_is_read_exactly(tmp_path: Path, ramp: np.ndarray):
    Image.fromarray(ramp).save(tmp_path / "a.png")
    assert np.array_equal(read_image(tmp_path / "a.png"), ramp)


@pytest.mark.parametrize(("orientation", "turn"), [(3, 2), (6, 3), (8, 1)])
def test_exif_rotation_is_applied(tmp_path: Path, ramp: np.ndarray, orientation: int, turn: int):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(ramp).save(tmp_path / "a.png", exif=exif)
    assert np.array_equal(read_image(tmp_path / "a.png"), np.rot90(ramp, turn))


def test_broken_exif_is_no_reason_to_refuse(tmp_path: Path, ramp: np.ndarray):
    Image.fromarray(ramp).save(tmp_path / "a.jpg", exif=b"Exif\0\0II*\0\xff\xff\xff\xff rubbish")
    assert read_image(tmp_path / "a.jpg").shape == ramp.shape


def test_sixteen_bit_grey_is_scaled(tmp_path: Path):
    grey = np.linspace(0, 65535, 40 * 40).reshape(40, 40).astype(np.uint16)
    Image.fromarray(grey).save(tmp_path / "a.png")
    read = read_image(tmp_path / "a.png")
    assert read.shape == (40, 40, 3)
    assert np.abs(read[..., 0] - grey / 257).max() <= 0.5 + 1e-6


@pytest.mark.parametrize("mode", ["L", "1", "P", "CMYK", "YCbCr", "HSV", "LAB", "LA", "RGBA"])
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_every_mode_becomes_rgb(tmp_path: Path, ramp: np.ndarray, mode: str, suffix: str):
    image = Image.fromarray(ramp).convert("RGB" if mode != "LAB" else "RGB")
    path = tmp_path / f"a.{suffix}"
    try:
        image.convert(mode).save(path)
    except (OSError, ValueError):
        pytest.skip(f"Pillow writes no {mode} as {suffix}")
    read = read_image(path)
    assert read.shape == (40, 60, 3)
    assert read.dtype == np.uint8


def test_cmyk_keeps_its_colours(tmp_path: Path, ramp: np.ndarray):
    Image.fromarray(ramp).convert("CMYK").save(tmp_path / "a.tif")
    assert np.abs(read_image(tmp_path / "a.tif").astype(int) - ramp).max() <= 2


def test_alpha_is_laid_over_white(tmp_path: Path):
    Image.new("RGBA", (40, 40), (200, 0, 0, 0)).save(tmp_path / "a.png")
    assert (read_image(tmp_path / "a.png") == 255).all()


def test_float_images_are_scaled(tmp_path: Path):
    Image.fromarray(np.full((40, 40), 0.5, np.float32)).save(tmp_path / "a.tif")
    assert (read_image(tmp_path / "a.tif") == 128).all()


@pytest.mark.parametrize("size", [(1, 1), (31, 100), (100, 31)])
def test_too_small(tmp_path: Path, size: tuple[int, int]):
    Image.new("RGB", size).save(tmp_path / "tiny.png")
    with pytest.raises(InputError, match=r"tiny\.png: .*too small"):
        read_image(tmp_path / "tiny.png")


def test_too_large_is_refused_before_decoding(tmp_path: Path, ramp: np.ndarray, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(images, "MAX_PIXELS", 1000)
    Image.fromarray(ramp).save(tmp_path / "huge.png")
    with pytest.raises(InputError, match=r"huge\.png: 60 x 40 pixels is too large"):
        read_image(tmp_path / "huge.png")


def test_a_file_that_claims_to_be_gigantic(tmp_path: Path, ramp: np.ndarray, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    Image.fromarray(ramp).save(tmp_path / "bomb.png")
    with pytest.raises(InputError, match=r"bomb\.png: claims more than"):
        read_image(tmp_path / "bomb.png")


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif", "gif"])
def test_cut_short(tmp_path: Path, suffix: str):
    noise = np.random.default_rng(0).integers(0, 255, (80, 80, 3), dtype=np.uint8)
    path = tmp_path / f"short.{suffix}"
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
    with pytest.raises(InputError, match=rf"short\.{suffix}: ") as caught:
        read_image(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "empty"), (b"hello, I am a text", "not a picture"), (b"\x89PNG\r\n\x1a\n", "")],
)
def test_no_picture(tmp_path: Path, content: bytes, reason: str):
    path = tmp_path / "odd.png"
    path.write_bytes(content)
    with pytest.raises(InputError, match=rf"odd\.png: .*{reason}"):
        read_image(path)


def test_missing_and_folders(tmp_path: Path):
    with pytest.raises(InputError, match=r"nowhere\.jpg: no such file"):
        read_image(tmp_path / "nowhere.jpg")
    with pytest.raises(InputError, match="a folder without pictures"):
        read_image(tmp_path)


def test_folders_stand_for_their_pictures(tmp_path: Path, ramp: np.ndarray):
    for name in ("b.png", "a.JPG"):
        Image.fromarray(ramp).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no")
    assert find_images([tmp_path, "x.jpg"]) == [tmp_path / "a.JPG", tmp_path / "b.png", Path("x.jpg")]
