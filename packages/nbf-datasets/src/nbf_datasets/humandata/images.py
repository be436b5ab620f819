"""Where the images of a HumanData file are, and which of them are there."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path, PurePosixPath

import numpy as np

from nbf_core.errors import InputError
from nbf_datasets.humandata.data import HumanData


def plain_path(text: str) -> PurePosixPath:
    """A path from a file, as parts below the images' folder. Raises InputError where it would leave that folder."""
    parts = PurePosixPath(text.replace("\\", "/")).parts
    if not parts or parts[0].startswith("/") or ":" in parts[0] or ".." in parts or "\0" in text:
        raise InputError(f"{ascii(text)} is no path below the images' folder")
    return PurePosixPath(*parts)


def find_images(data: HumanData, given: Path | None = None) -> Path:
    """The folder that the paths of ``data`` are relative to.

    ``given`` is taken as it is. Otherwise that one of these which holds the first of the images that is found at
    all: the file's own folder; ``datasets/NAME`` beside it or beside its folder (the published tree: labels in
    ``data/preprocessed_datasets``, images in ``data/datasets/NAME``), those first whose NAME is in the file's name
    or the data set's. The file's own folder where none does.
    """
    if given is not None:
        return given
    own = (data.path or Path("x")).parent
    samples = [text for text in data.image_path[:: max(1, len(data) // 16)]]
    for folder in (own, *_published(own, data)):
        if any(_there(folder, text) for text in samples):
            return folder
    return own


def missing_images(data: HumanData, folder: Path) -> dict[int, str]:
    """What is wrong with the path of each sample whose image is not there, by sample. Images are not opened."""
    wrong, by_path = {}, {}
    for number, text in enumerate(data.image_path.tolist()):
        if text not in by_path:
            by_path[text] = _wrong(folder, text)
        if by_path[text]:
            wrong[number] = by_path[text]
    return wrong


def _wrong(folder: Path, text: str) -> str:
    try:
        path = plain_path(text)
    except InputError as error:
        return str(error)
    return "" if path.name in _names(str(folder / path.parent)) else f"no such image: {folder / path}"


@lru_cache(maxsize=4096)
def _listed(folder: str, changed: int) -> frozenset[str]:
    with os.scandir(folder) as entries:
        return frozenset(entry.name for entry in entries)


def _names(folder: str) -> frozenset[str]:
    """The names in a folder: one look at it is much cheaper than one at each of its files."""
    try:
        return _listed(folder, os.stat(folder).st_mtime_ns)
    except OSError:
        return frozenset()


def _there(folder: Path, text: str) -> bool:
    try:
        return (folder / plain_path(text)).is_file()
    except (InputError, OSError, ValueError):
        return False


def _published(own: Path, data: HumanData) -> list[Path]:
    stem, named = (data.path.stem if data.path else "").lower().replace("-", "_"), data.config.lower()
    found: list[Path] = []
    for datasets in (own / "datasets", own.parent / "datasets"):
        if datasets.is_dir():
            found += sorted(entry for entry in datasets.iterdir() if entry.is_dir())
    likely = [folder.name.lower().replace("-", "_") in (named, *_pieces(stem)) for folder in found]
    order = np.argsort(np.array([not one for one in likely], dtype=bool), kind="stable") if found else []
    return [found[i] for i in order]


def _pieces(stem: str) -> set[str]:
    """All runs of words in a name such as ``spin_mpi_inf_3dhp_train``."""
    words = stem.split("_")
    return {"_".join(words[i:j]) for i in range(len(words)) for j in range(i + 1, len(words) + 1)}
