"""Base samples on disk, one memory-mapped file per chunk: an interrupted run goes on where it stopped."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch

from nbf_core.errors import AssetError
from nbf_data_synthetic.rendering import GENERATOR, Base, BaseRenderer

CHUNK = 512
logger = logging.getLogger(__name__)


def row_type(renderer: BaseRenderer) -> np.dtype:
    """How a base sample lies in a file."""
    size, cells = renderer.config.image_size, renderer.config.map_size
    return np.dtype(
        [
            ("image", "u1", (3, size, size)),
            ("kernel_map", "<i2", (cells, cells)),
            ("pose", "<f4", (24, 3)),
            ("betas", "<f4", (renderer.shapes,)),
            ("transl", "<f4", (3,)),
            ("focal", "<f4"),
            ("keypoints", "<f4", (25, 2)),
            ("joints", "<f4", (24, 2)),
            ("keypoints_free", "u1", (25,)),
            ("joints_free", "u1", (24,)),
        ]
    )


def cache_folder(renderer: BaseRenderer, directory: Path) -> Path:
    """The folder of all base samples that equal this renderer's, whatever their number."""
    config = renderer.config
    about = {
        "generator": GENERATOR,
        "body": hashlib.sha256(renderer.rest.astype("<f4").tobytes() + renderer.vertex_kernels.tobytes()).hexdigest(),
        **{name: getattr(config, name) for name in ("split", "seed", "image_size", "map_size", "colours", "others")},
    }
    key = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:12]
    return Path(directory) / f"{config.split}-{config.image_size}-{key}"


def _chunks(size: int) -> list[tuple[int, int]]:
    return [(start, min(start + CHUNK, size)) for start in range(0, size, CHUNK)]


def _find(folder: Path, start: int, stop: int) -> Path | None:
    """A finished file that holds the rows from start to at least stop."""
    for path in sorted(folder.glob(f"{start:07d}-*.npy")):
        if int(path.stem.split("-")[1]) >= stop:
            return path
    return None


def _write(renderer: BaseRenderer, folder: Path, start: int, stop: int) -> Path:
    """Render a chunk; the file gets its final name when it is complete."""
    torch.set_num_threads(1)
    rows = np.empty(stop - start, row_type(renderer))
    for index in range(start, stop):
        for name, value in renderer(index)._asdict().items():
            rows[name][index - start] = value
    path = folder / f"{start:07d}-{stop:07d}.npy"
    partial = path.with_suffix(f".{os.getpid()}.partial")
    with partial.open("wb") as file:
        np.save(file, rows, allow_pickle=False)
    partial.replace(path)
    return path


def fill(renderer: BaseRenderer, directory: Path, workers: int = 1) -> None:
    """Render all samples that are not on disk yet, in ``workers`` processes (0 or 1: in this one)."""
    folder = cache_folder(renderer, directory)
    folder.mkdir(parents=True, exist_ok=True)
    missing = [chunk for chunk in _chunks(renderer.config.size) if _find(folder, *chunk) is None]
    if not missing:
        return
    logger.info("rendering %d chunks of %d samples into %s", len(missing), CHUNK, folder)
    if workers <= 1:
        threads = torch.get_num_threads()
        try:
            for chunk in missing:
                _write(renderer, folder, *chunk)
        finally:
            torch.set_num_threads(threads)
    else:
        with ProcessPoolExecutor(workers, mp_context=get_context("fork")) as pool:
            jobs = [pool.submit(_write, renderer, folder, *chunk) for chunk in missing]
            for number, job in enumerate(jobs, 1):
                job.result()
                logger.info("chunk %d of %d done", number, len(jobs))
    (folder / "finished.json").write_text(json.dumps({"samples": renderer.config.size, "generator": GENERATOR}))


class BaseCache:
    """Reads base samples from a folder that :func:`fill` has finished."""

    def __init__(self, renderer: BaseRenderer, directory: Path):
        folder = cache_folder(renderer, directory)
        self.maps = []
        for start, stop in _chunks(renderer.config.size):
            path = _find(folder, start, stop)
            if path is None:
                raise AssetError(f"cache {folder}: samples {start} to {stop} are missing; call prepare")
            try:
                rows = np.load(path, mmap_mode="r", allow_pickle=False)
            except (OSError, ValueError, EOFError) as error:
                raise AssetError(f"cache file {path}: {error}; delete it and call prepare") from error
            if rows.dtype != row_type(renderer):
                raise AssetError(f"cache file {path}: it holds other fields; delete it and call prepare")
            self.maps.append(rows)

    @classmethod
    def open(cls, renderer: BaseRenderer, directory: Path) -> BaseCache | None:
        """The cache, or None where samples are missing."""
        folder = cache_folder(renderer, directory)
        complete = all(_find(folder, *chunk) for chunk in _chunks(renderer.config.size))
        return cls(renderer, directory) if complete else None

    def __call__(self, index: int) -> Base:
        """The base sample ``index``; its image and map are views of the file."""
        row = self.maps[index // CHUNK][index % CHUNK]
        return Base(*(row[name] for name in Base._fields))
