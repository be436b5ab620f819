"""The published folder tree, filled with miniatures."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from nbf_core.contracts import BodyModel
from nbf_testing.miniatures import films, stills
from nbf_testing.miniatures.people import Crowd

DATA_SETS: Mapping[str, str] = {
    "3dpw": "pw3d",
    "3doh50k": "3doh50k",
    "h36m": "h36m",
    "mpi-inf-3dhp": "mpi_inf_3dhp",
    "mpii": "mpii",
    "lsp": "lsp",
    "lspet": "lspet",
    "coco": "coco",
    "folder": "photos",
}
"""The folder of each data set in ``data/datasets``, by the name of its converter."""


def _photos(folder: Path, crowd: Crowd) -> None:
    for number in range(2):
        crowd.person().draw(folder / f"part{number}" / f"{number}.jpg")


_WRITERS = {
    "3dpw": films.pw3d,
    "3doh50k": stills.oh50k,
    "h36m": films.h36m,
    "mpi-inf-3dhp": films.mpi_inf_3dhp,
    "mpii": stills.mpii,
    "lsp": stills.lsp,
    "lspet": stills.lspet,
    "coco": stills.coco,
    "folder": _photos,
}


def write_tree(
    root: Path, names: Collection[str] = tuple(DATA_SETS), seed: int = 0, body: BodyModel | None = None
) -> dict[str, Path]:
    """Write ``root/data/datasets`` with the originals of the data sets ``names``; their folders by name.

    Labels are of ``body``, so that what is trained on them with that body can fit; of a stick figure by default. Needs
    scipy, h5py and cdflib for the data sets that use their formats.
    """
    folders = {}
    for number, name in enumerate(DATA_SETS):
        if name in names:
            folders[name] = Path(root) / "data" / "datasets" / DATA_SETS[name]
            folders[name].mkdir(parents=True, exist_ok=True)
            _WRITERS[name](folders[name], Crowd(seed * 1000 + number, body))
    return folders
