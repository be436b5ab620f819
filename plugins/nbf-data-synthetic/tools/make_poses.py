"""Makes data/poses.npz and the fitters' pose_gaussian.npz from the clips of an installed pybullet package.

Only derived samples are written: interpolated, mirrored and varied. Run it where pybullet is installed:

    python tools/make_poses.py [--seed 0]
"""

from __future__ import annotations

import argparse
import importlib.util
from pathlib import Path

import numpy as np
from clips import between_frames, read_clips, smpl_matrices
from rotations import matrix_from_rotvec, rotvec_from_matrix
from variation import MIRROR, broad, mirrored, vary

HERE = Path(__file__).resolve().parent
POSES = HERE.parent / "src" / "nbf_data_synthetic" / "data" / "poses.npz"
GAUSSIAN = HERE.parents[2] / "packages" / "nbf-fitters" / "src" / "nbf_fitters" / "data" / "pose_gaussian.npz"

# Whole clips are held out; the lists are weights: everyday motion counts more in training.
SPLITS = {
    "train": {
        "walk": 4, "run": 3, "spin": 3, "punch": 3, "spinkick": 2, "backflip": 1, "crawl": 1,
        "getup_facedown": 1.5, "getup_faceup": 1.5, "roll": 1,
    },
    "val": {"dance_a": 1},
    "test": {"cartwheel": 1, "dance_b": 1.5, "kick": 1, "jump": 1.5},
}  # fmt: skip
COUNTS = {"train": 6000, "val": 300, "test": 600}
BROAD = 0.55  # share of the training poses whose limbs are drawn apart


def draw(clips: dict[str, np.ndarray], weights: dict[str, float], count: int, rng, broad_share: float):
    """Axis-angle poses [count, 24, 3]."""
    names = list(weights)
    share = np.array([weights[name] for name in names], float)
    chosen = rng.choice(len(names), count, p=share / share.sum())
    poses = []
    for index in chosen:
        frames = clips[names[index]]
        rotations = smpl_matrices(between_frames(frames, rng.uniform(0, len(frames) - 1, 1)))[0]
        if rng.random() < 0.5:
            rotations = mirrored(rotations)
        if rng.random() < broad_share:
            rotations = broad(rotations, rng)
        poses.append(vary(rotations, rng, 0.7 if rng.random() < 0.5 else 1.2))
    return rotvec_from_matrix(np.stack(poses))


def gaussian(poses: np.ndarray) -> dict[str, np.ndarray]:
    """Mean [69] and covariance [69, 69] of body poses [n, 24, 3] and their mirror images."""
    both = np.concatenate([poses, rotvec_from_matrix(mirrored(matrix_from_rotvec(poses)))])
    flat = both[:, 1:].reshape(len(both), -1)
    return {"mean": flat.mean(0).astype(np.float32), "covariance": np.cov(flat.T).astype(np.float32)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    seed = parser.parse_args().seed
    found = importlib.util.find_spec("pybullet_data")
    if found is None:
        raise SystemExit("pybullet is not installed here: pip install pybullet")
    clips = read_clips(Path(found.origin).parent / "data" / "motions")
    poses = {}
    for number, (split, weights) in enumerate(SPLITS.items()):
        rng = np.random.default_rng([seed, number])
        poses[split] = draw(clips, weights, COUNTS[split], rng, BROAD if split == "train" else 0.0)
    assert len(MIRROR) == poses["train"].shape[1]
    POSES.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(POSES, **{name: value.astype(np.float16) for name, value in poses.items()})
    GAUSSIAN.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(GAUSSIAN, **gaussian(poses["train"]))
    for path in (POSES, GAUSSIAN):
        print(f"{path.name}: {path.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
