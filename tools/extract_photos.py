"""Make the demo's photos again from the packages that they come from.

    pip install pose2sim==0.10.49 scikit-image opencv-python-headless pillow     (an environment of its own)
    python tools/extract_photos.py OUT

Pose2Sim's code is not imported, so ``pip install --no-deps pose2sim==0.10.49`` will do.
Licences and credits stand in CREDITS.md beside the photos.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from pathlib import Path

import cv2
from PIL import Image

# Camera and frame of Demo_SinglePerson, and what the photo shows.
FRAMES = {
    "walk_front": (1, 10),
    "lean_front": (1, 30),
    "kick_front": (2, 40),
    "arms_wide": (2, 90),
    "stand_back": (3, 0),
    "bend_back": (3, 40),
    "kick_back": (4, 40),
}
LONGEST_SIDE = 1280
QUALITY = 88


def package_folder(name: str) -> Path:
    """Where an installed package lies, without importing it."""
    found = importlib.util.find_spec(name)
    if found is None or not found.submodule_search_locations:
        sys.exit(f"{name} is not installed; see the head of this script")
    return Path(next(iter(found.submodule_search_locations)))


def read_frame(video: Path, index: int) -> Image.Image:
    """Frame ``index`` of a video, decoded from its start (seeking may land on a key frame)."""
    capture = cv2.VideoCapture(str(video))
    for _ in range(index + 1):
        good, frame = capture.read()
        if not good:
            sys.exit(f"{video}: has no frame {index}")
    return Image.fromarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))


def save(image: Image.Image, path: Path) -> None:
    """Shrink to the longest side and save without metadata."""
    image.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.LANCZOS)
    image.save(path, quality=QUALITY, optimize=True)
    print(f"{path}: {image.width} x {image.height}, {path.stat().st_size / 1000:.0f} kB")


def main() -> None:
    """Write all photos into a folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="folder for the photos")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    videos = package_folder("Pose2Sim") / "Demo_SinglePerson" / "videos"
    for name, (camera, index) in FRAMES.items():
        save(read_frame(videos / f"cam{camera:02d}.mp4", index), out / f"{name}.jpg")
    astronaut = Image.open(package_folder("skimage") / "data" / "astronaut.png")
    save(astronaut.convert("RGB"), out / "astronaut.jpg")


if __name__ == "__main__":
    main()
