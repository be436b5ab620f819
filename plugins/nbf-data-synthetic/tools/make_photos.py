"""Makes data/photos.npz from photographs of an installed scikit-image, all in the public domain (CC0).

    python tools/make_photos.py     (needs scikit-image and Pillow)

Brick, grass and gravel are CC0 textures; coffee (Rachel Michetti), chelsea (Stefan van der Walt) and rocket (SpaceX)
are CC0 or dedicated to the public domain: see the package's documentation of `skimage.data`.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
from PIL import Image

OUT = Path(__file__).resolve().parents[1] / "src" / "nbf_data_synthetic" / "data" / "photos.npz"
SIDE, HEIGHT, WIDTH = 160, 176, 256


def main() -> None:
    found = importlib.util.find_spec("skimage")
    if found is None or found.origin is None:
        raise SystemExit("scikit-image is not installed here: pip install scikit-image")
    folder = Path(found.origin).parent / "data"
    surfaces = []
    for name in ("brick", "grass", "gravel"):
        grey = np.asarray(Image.open(folder / f"{name}.png").convert("L").resize((SIDE, SIDE), Image.LANCZOS), float)
        grey = (grey - grey.mean()) / grey.std() * 40 + 128
        surfaces.append(np.clip(np.round(grey), 0, 255).astype(np.uint8))
    pictures = []
    for name in ("coffee.png", "chelsea.png", "rocket.jpg"):
        picture = Image.open(folder / name).convert("RGB")
        scale = max(WIDTH / picture.width, HEIGHT / picture.height)
        picture = picture.resize((round(picture.width * scale), round(picture.height * scale)), Image.LANCZOS)
        pictures.append(np.asarray(picture)[:HEIGHT, :WIDTH])
    np.savez_compressed(OUT, surfaces=np.stack(surfaces), pictures=np.stack(pictures))
    print(f"{OUT.name}: {OUT.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
