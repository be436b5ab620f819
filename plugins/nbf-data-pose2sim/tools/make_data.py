"""Make this package's data again: pictures, calibration and keypoints, from the package ``pose2sim``.

    pip install --no-deps pose2sim==0.10.49        (or --wheel FILE)
    pip install opencv-python-headless
    python tools/make_data.py src/nbf_data_pose2sim/data

It needs this package and nbf-detect-blazepose. Pose2Sim's code is not imported. Licence and credit stand in
CREDITS.md beside the data.
"""

from __future__ import annotations

import argparse
import importlib.util
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image

from nbf_core.types import Camera, Person, View
from nbf_data_pose2sim.calibration import Calibrated, read_calibration
from nbf_data_pose2sim.consensus import GROUPS, agree
from nbf_data_pose2sim.dataset import picture_name
from nbf_detect_blazepose.config import BlazePoseConfig
from nbf_detect_blazepose.detector import BlazePoseDetector
from nbf_detect_blazepose.openpose import SOURCES

EVERY = 4
"""Every so many of the 100 frames are kept: 25 moments, a fifteenth of a second apart."""

ROOM = 1.4
"""Side of the part that is kept, in longer sides of the person's box, as far as the picture goes."""

LONGEST_SIDE, QUALITY = 512, 82


def demo_folder(wheel: Path | None, scratch: Path) -> Path:
    """Where Demo_SinglePerson lies: in the installed package, or unpacked from a wheel."""
    if wheel is not None:
        with zipfile.ZipFile(wheel) as archive:
            names = [name for name in archive.namelist() if name.startswith("Pose2Sim/Demo_SinglePerson/")]
            archive.extractall(scratch, names)
        return scratch / "Pose2Sim" / "Demo_SinglePerson"
    found = importlib.util.find_spec("Pose2Sim")
    if found is None or not found.submodule_search_locations:
        sys.exit("Pose2Sim is not installed; see the head of this script")
    return Path(next(iter(found.submodule_search_locations))) / "Demo_SinglePerson"


def frames(video: Path) -> Iterator[tuple[int, np.ndarray]]:
    """Every so many frames of a video as RGB, decoded one after the other (seeking may land elsewhere)."""
    capture = cv2.VideoCapture(str(video))
    number = 0
    while True:
        good, frame = capture.read()
        if not good:
            return
        if number % EVERY == 0:
            yield number, cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
        number += 1


def undistorted(frame: np.ndarray, camera: Calibrated) -> np.ndarray:
    """The frame as a lens without distortion would have shown it, with the same focal length and centre."""
    middle = camera.center - 0.5  # OpenCV counts from the middle of the first pixel
    matrix = np.array([[camera.focal[0], 0, middle[0]], [0, camera.focal[1], middle[1]], [0, 0, 1]])
    return cv2.undistort(frame, matrix, camera.distortion)


def window(box: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The part (x0, y0, x1, y1; whole pixels) of a frame of ``size`` (height, width) that is kept around a box."""
    middle, half = (box[:2] + box[2:]) / 2, ROOM * (box[2:] - box[:2]).max() / 2
    low = np.maximum(np.floor(middle - half), 0)
    high = np.minimum(np.ceil(middle + half), (size[1], size[0]))
    return np.concatenate([low, high]).astype(np.int32)


def own_3d(person: Person) -> np.ndarray:
    """BlazePose's world landmarks as OpenPose-25 [25, 4]: metres, and the confidence of the keypoint."""
    landmarks, out = person.extras["landmarks_3d"], np.zeros((25, 4), np.float32)
    sure = person.extras["landmarks_2d"][:, 2]
    for target, sources in SOURCES.items():
        out[target] = [*landmarks[list(sources)].mean(0), sure[list(sources)].min()]
    return out


def keep(frame: np.ndarray, box: np.ndarray, path: Path) -> np.ndarray:
    """Save the part of a frame around a person; the part."""
    part = window(box, frame.shape[:2])
    picture = Image.fromarray(frame[part[1] : part[3], part[0] : part[2]])
    picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.LANCZOS)
    picture.save(path, quality=QUALITY, optimize=True)
    return part


def look(demo: Path, cameras: tuple[Calibrated, ...], pictures: Path) -> dict[str, Any]:
    """Undistort, detect and save every view; arrays [camera, moment, ...]."""
    detector = BlazePoseDetector(BlazePoseConfig(max_people=2))
    found: dict[str, list[Any]] = {name: [] for name in ("frames", "size", "window", "box", "detected", "own", "score")}
    for number, camera in enumerate(cameras):
        rows: dict[str, list[Any]] = {name: [] for name in found}
        for moment, (frame_number, frame) in enumerate(frames(demo / "videos" / f"{camera.name}.mp4")):
            frame = undistorted(frame, camera)
            person = detector.detect(frame)[0]
            part = keep(frame, person.box, pictures / picture_name(moment, number))
            values = (frame_number, frame.shape[:2], part, person.box, person.keypoints, own_3d(person), person.score)
            for name, value in zip(rows, values, strict=True):
                rows[name].append(value)
        for name, values in rows.items():
            found[name].append(values)
        print(f"{camera.name}: {len(rows['frames'])} moments")
    return {name: np.array(values) for name, values in found.items()}


def main() -> None:
    """Write ``sequence.npz`` and the pictures into a folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="the package's data folder")
    parser.add_argument("--wheel", type=Path, help="the wheel of pose2sim, instead of the installed package")
    arguments = parser.parse_args()
    pictures = arguments.out / "images"
    shutil.rmtree(pictures, ignore_errors=True)
    pictures.mkdir(parents=True)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        demo = demo_folder(arguments.wheel, Path(scratch))
        cameras = read_calibration(demo / "calibration" / "Calib.qca.txt")
        found = look(demo, cameras, pictures)
    rig = {name: np.stack([getattr(camera, name) for camera in cameras]) for name in _RIG}
    tensors = {name: torch.from_numpy(value) for name, value in rig.items()}
    camera = Camera(tensors["focal"], tensors["center"], (0, 0))
    count = len(cameras)
    view = View(tensors["rotation"], tensors["translation"], torch.zeros(count).long(), torch.arange(count))
    detected = torch.from_numpy(found["detected"]).double()
    agreed = [agree(detected[:, moment], camera, view) for moment in range(detected.shape[1])]
    for moment, consensus in enumerate(agreed):
        for number, group in consensus.swapped.nonzero().tolist():
            print(f"moment {moment}: {cameras[number].name} has the sides of the {GROUPS[group]} swapped")
    small = {name: np.float32 for name in ("box", "detected", "own", "score")}
    np.savez_compressed(
        arguments.out / "sequence.npz",
        frames=found["frames"][0].astype(np.int32),
        size=found["size"][:, 0].astype(np.int32),
        window=found["window"].swapaxes(0, 1),
        keypoints=torch.stack([consensus.keypoints for consensus in agreed]).numpy().astype(np.float32),
        world=torch.stack([consensus.world for consensus in agreed]).numpy().astype(np.float32),
        swapped=torch.stack([consensus.swapped for consensus in agreed]).numpy(),
        **{name: found[name].swapaxes(0, 1).astype(kind) for name, kind in small.items()},
        **rig,
    )
    total = sum(path.stat().st_size for path in arguments.out.rglob("*") if path.is_file())
    print(f"{arguments.out}: {total / 1e6:.2f} MB")


_RIG = ("focal", "center", "rotation", "translation")


if __name__ == "__main__":
    main()
