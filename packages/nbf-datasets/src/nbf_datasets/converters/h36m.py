"""Human3.6M (Ionescu et al., PAMI 2014).

``S1/MyPoseFeatures/D2_Positions/Directions 1.54138969.cdf`` (pixels), ``D3_Positions_mono`` (millimetres in the
camera), ``D3_Positions/Directions 1.cdf`` (in the world), and frames that were taken out of the videos, as
``S1/images/S1_Directions_1.54138969/S1_Directions_1.54138969_000001.jpg``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from nbf_core.conventions import convention
from nbf_core.errors import AssetError
from nbf_datasets.converters.boxes import around, with_confidence
from nbf_datasets.converters.config import H36mOptions
from nbf_datasets.converters.neuralannot import Fits
from nbf_datasets.converters.poses import rigid
from nbf_datasets.converters.rows import Rows, Step
from nbf_datasets.converters.source import find_file, missing, numbers, read_json

SUBJECTS = {"train": ("S1", "S5", "S6", "S7", "S8"), "valid": ("S9", "S11")}
FRONTAL = "60457274"
"""The camera of protocol 2."""

# Of the 32 joints that the files hold, those of the convention "h36m", whose left leg comes first.
OF_32 = (0, 6, 7, 8, 1, 2, 3, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27)

PLACES = ("{subject}/images/{sequence}", "{subject}/{sequence}", "images/{subject}/{sequence}", "images/{sequence}")


@dataclass(frozen=True)
class Sequence:
    """One camera's view of a subject doing something: "Directions 1", say, which is also the name of its files."""

    subject: str
    action: str
    camera: str

    @property
    def name(self) -> str:
        """As extracted frames are called."""
        return f"{self.subject}_{self.action.replace(' ', '_')}.{self.camera}"


def convert(source: Path, options: H36mOptions, rows: Rows, step: Step) -> None:
    """Every ``every``-th video frame. Boxes are drawn around the keypoints, not around the silhouettes."""
    joints = convention("h36m").joints
    rows.joints("keypoints2d", joints)
    rows.joints("keypoints3d", joints)
    files = [
        (path, subject)
        for subject in SUBJECTS[options.split]
        for path in sorted((source / subject / "MyPoseFeatures" / "D3_Positions_mono").glob("*.cdf"))
        if not path.stem.startswith("_ALL") and (options.protocol == 1 or path.stem.endswith(f".{FRONTAL}"))
    ]
    if not files:
        subjects = ", ".join(SUBJECTS[options.split])
        raise AssetError(f"{source}: no SUBJECT/MyPoseFeatures/D3_Positions_mono/*.cdf of {subjects}")
    names = _actions(find_file(source, None, "metadata.xml")) if options.fits is not None else {}
    for done, (path, subject) in enumerate(files, 1):
        action, _, camera = path.stem.rpartition(".")
        with rows.part():
            _sequence(source, path, Sequence(subject, action, camera), options, names, rows)
        step("sequences", done, len(files))


def _sequence(source: Path, path: Path, sequence: Sequence, options: H36mOptions, names, rows: Rows) -> None:
    mono = _poses(path, 3) / 1000
    points = _poses(path.parent.parent / "D2_Positions" / path.name, 2)
    if len(points) != len(mono):
        raise AssetError(f"{path}: Pose: {len(mono)} frames, those of D2_Positions are {len(points)}")
    frames = _frames(rows, sequence, options.spacing, len(mono), path)
    wanted = [frame for frame in sorted(frames) if frame % options.every == 0]
    rows.skip("frame without labels", sum(frame >= len(mono) for frame in wanted))
    wanted = [frame for frame in wanted if frame < len(mono)]
    if not wanted:
        return
    body = None
    if options.fits is not None:
        world = _poses(path.parent.parent / "D3_Positions" / f"{sequence.action}.cdf", 3) / 1000
        if len(world) != len(mono):
            raise AssetError(f"{path}: Pose: {len(mono)} frames, those of D3_Positions are {len(world)}")
        # The same joints in world and camera give the camera's place to the millimetre, whatever metadata is at hand.
        rotation, _ = rigid(world[wanted].reshape(-1, 3), mono[wanted].reshape(-1, 3))
        body = _fits(source, sequence, options.fits, names).body(wanted, rotation)
    chosen = with_confidence(points[wanted][:, OF_32])
    labels = {"keypoints2d": chosen, "keypoints3d": with_confidence(mono[wanted][:, OF_32])}
    rows.add([frames[frame] for frame in wanted], around(chosen), labels, body)


def _frames(rows: Rows, sequence: Sequence, spacing: int | None, count: int, path: Path) -> dict[int, str]:
    """The extracted frames by the number of their video frame, from 0."""
    places = [place.format(subject=sequence.subject, sequence=sequence.name) for place in PLACES]
    found = next((images for place in places if (images := rows.images.numbered(place))), {})
    if not found:
        raise AssetError(f"{rows.source / places[0]}: no extracted frames (for {path.name})")
    highest = max(found)
    if spacing is None:
        # Frames that were taken at 10 a second are numbered as if there were no others.
        guesses = [one for one in (1, 5) if abs(-(-count // one) - highest) <= max(1, 0.03 * count / one)]
        if not guesses:
            text = (
                f"numbered up to {highest}, {count} are labelled: which did you take out? Set spacing (1: every frame)"
            )
            raise AssetError(f"{rows.source / Path(found[highest]).parent}: frames are {text}")
        spacing = guesses[0]
    return {(number - 1) * spacing: image for number, image in found.items() if number >= 1}


def _poses(path: Path, size: int) -> np.ndarray:
    """The variable ``Pose`` of a CDF file, [n, 32, size]. Raises AssetError naming the file."""
    try:
        import cdflib
    except ImportError as error:
        raise missing("cdflib") from error
    if not path.is_file():
        raise AssetError(f"{path}: no such file")
    try:
        held = cdflib.CDF(path).varget("Pose")
    except Exception as error:  # of a damaged file its parser complains in many ways
        raise AssetError(
            f"{path}: Pose: no CDF file with this variable, or cut short ({type(error).__name__})"
        ) from error
    held = np.asarray(held)
    held = held[0] if held.ndim == 3 and len(held) == 1 else held
    return numbers(held, (-1, 32 * size), path, "Pose").reshape(-1, 32, size)


def _fits(source: Path, sequence: Sequence, folder: Path, names: dict) -> Fits:
    path = find_file(source, folder / f"Human36M_subject{sequence.subject[1:]}_smpl_param.json")
    number = names.get((sequence.subject, sequence.action))
    return Fits({}) if number is None else Fits.of(_read(path), number, path)


@lru_cache(maxsize=1)
def _read(path: Path):
    return read_json(path)


def _actions(path: Path) -> dict[tuple[str, str], tuple[str, str]]:
    """The numbers of action and trial by (subject, name of its files), from the data set's own table."""
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError) as error:
        raise AssetError(f"{path}: no XML, or cut short ({error})") from error
    table = root.find("mapping")
    lines = [[(cell.text or "").strip() for cell in line] for line in (table if table is not None else [])]
    if not lines or len(lines[0]) < 3:
        raise AssetError(f"{path}: mapping: this table is missing")
    _, _, *subjects = lines[0]
    return {
        (subject, name): (line[0], line[1])
        for line in lines[1:]
        for subject, name in zip(subjects, line[2:], strict=False)
        if name
    }
