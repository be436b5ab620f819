"""Reading photos: whatever a camera, a scanner or a web page gives, as upright 8-bit RGB."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps, UnidentifiedImageError

from nbf_core.errors import InputError

MIN_SIDE = 32
"""A person of fewer pixels than this cannot be seen."""

MAX_PIXELS = 100_000_000
"""Larger pictures are refused before they are decoded: a small file can claim to hold terabytes."""

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif")


def read_image(path: str | Path) -> UInt8[np.ndarray, "h w 3"]:
    """The picture in a file, turned as its EXIF data says; alpha over white, 16 bits scaled to 8.

    Raises InputError with one line that names the file.
    """
    path = Path(path)
    _check_file(path)
    try:
        with warnings.catch_warnings():
            # Pillow warns of large pictures; the limit below is ours and an error.
            warnings.simplefilter("ignore")
            with Image.open(path) as image:
                _check_size(path, image.size)
                image.load()
                return _to_rgb(_upright(image))
    except InputError:
        raise
    except UnidentifiedImageError as error:
        raise InputError(f"{path}: not a picture in a known format, or corrupt") from error
    except Image.DecompressionBombError as error:
        raise InputError(f"{path}: claims more than {MAX_PIXELS // 1_000_000} million pixels") from error
    except MemoryError as error:
        raise InputError(f"{path}: too large for this machine's memory") from error
    except Exception as error:  # decoders raise whatever they like on broken files; the other inputs must go on
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{path}: cannot be decoded, corrupt? ({reason[:120]})") from error


def find_images(paths: Iterable[str | Path]) -> list[Path]:
    """Files as given, folders as the pictures directly inside them, sorted by name.

    Missing files stay in the list: reading them says so. A folder without pictures stays too, for the same
    reason.
    """
    found: list[Path] = []
    for path in map(Path, paths):
        inside = sorted(p for p in path.iterdir() if p.suffix.lower() in SUFFIXES) if path.is_dir() else []
        found.extend(inside or [path])
    return found


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise InputError(f"{path}: a folder without pictures ({', '.join(SUFFIXES)})")
    try:
        size = path.stat().st_size
    except OSError as error:
        raise InputError(f"{path}: {(error.strerror or str(error)).lower()}") from error
    if size == 0:
        raise InputError(f"{path}: the file is empty")


def _check_size(path: Path, size: tuple[int, int]) -> None:
    width, height = size
    if min(size) < MIN_SIDE:
        raise InputError(f"{path}: {width} x {height} pixels is too small; at least {MIN_SIDE} x {MIN_SIDE} are needed")
    if width * height > MAX_PIXELS:
        limit = MAX_PIXELS // 1_000_000
        raise InputError(f"{path}: {width} x {height} pixels is too large; at most {limit} million are read")


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # broken EXIF data; the picture itself is fine
        return image


def _to_rgb(image: Image.Image) -> UInt8[np.ndarray, "h w 3"]:
    if image.mode.startswith(("I", "F")):
        grey = _eight_bits(np.asarray(image))
        return np.repeat(grey[..., None], 3, axis=-1)
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        colour = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", colour.size, "white"), colour)
    # A copy: a view of Pillow's memory would not be writable.
    return np.array(image.convert("RGB"))


def _eight_bits(values: np.ndarray) -> UInt8[np.ndarray, "h w"]:
    """Grey values of 16 or 32 bits or floats, scaled by the range that they use.

    1, 255, 65535 or their maximum.
    """
    values = np.nan_to_num(values.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0).clip(0)
    top = values.max()
    if top <= 1 and not np.array_equal(values, np.round(values)):
        full = 1.0
    else:
        full = next((limit for limit in (255.0, 65535.0) if top <= limit), top)
    return (values * (255 / full)).round().astype(np.uint8)
