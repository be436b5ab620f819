"""Who is in the miniatures: people before a camera, drawn as coloured sticks with white joints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import roma
import torch
from PIL import Image, ImageDraw

from nbf_core.contracts import BodyModel
from nbf_core.conventions import convention
from nbf_core.types import BodyParams
from nbf_testing.miniatures import figure

SIZE = 64
"""Width and height of most pictures."""

FOCAL = 76.0


@dataclass(frozen=True)
class Person:
    """A person in the axes of the camera (x right, y down, z forward; metres): SMPL's parameters and the joints.

    ``rest`` [3] is the pelvis of the body before it is posed; ``inner`` [3, 3] the camera's matrix.
    """

    pose: np.ndarray
    betas: np.ndarray
    transl: np.ndarray
    joints: np.ndarray
    rest: np.ndarray
    inner: np.ndarray
    size: tuple[int, int]

    def places(self, names: Sequence[str] | str) -> np.ndarray:
        """Keypoints [n, 3] of a convention, or by their names in the common vocabulary."""
        names = convention(names).joints if isinstance(names, str) else names
        return figure.points_of(names, self.joints, figure.rotations(self.pose))

    def pixels(self, names: Sequence[str] | str) -> np.ndarray:
        """The same in the picture, [n, 2]."""
        return project(self.places(names), self.inner)

    def box(self) -> np.ndarray:
        """x, y, width and height around the joints."""
        points = self.pixels("smpl")
        low, high = points.min(0) - 2, points.max(0) + 2
        return np.concatenate([low, high - low])

    def world(self, rotation: np.ndarray, shift: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Joints [24, 3], pose [24, 3] and translation [3] in a world that these two take to the camera."""
        joints = (self.joints - shift) @ rotation
        turned = torch.from_numpy(rotation.T) @ roma.rotvec_to_rotmat(torch.from_numpy(self.pose[0]))
        pose = np.concatenate([roma.rotmat_to_rotvec(turned).numpy()[None], self.pose[1:]])
        return joints, pose, joints[0] - self.rest

    def draw(self, path: Path) -> None:
        """Write the picture with this person alone."""
        draw([self], path)


class Crowd:
    """Makes people, the same for the same seed. ``body`` is the body model that labels are of, a figure by default."""

    def __init__(self, seed: int = 0, body: BodyModel | None = None) -> None:
        self.rng = np.random.default_rng(seed)
        self._body = body

    def person(self, size: tuple[int, int] = (SIZE, SIZE)) -> Person:
        """Someone who stands upright in the middle of a picture of ``size``, turned at will."""
        rng, focal = self.rng, FOCAL * min(size) / SIZE
        upright = np.array([[1.0, 0, 0], [0, -1, 0], [0, 0, -1]])
        turn = roma.rotvec_to_rotmat(torch.tensor([0.0, rng.uniform(-np.pi, np.pi), 0.0], dtype=torch.float64)).numpy()
        pose = rng.normal(0, 0.15, (24, 3))
        pose[16:18, 2] += [-1.0, 1.0]  # arms down, nearly
        pose[0] = roma.rotmat_to_rotvec(torch.from_numpy(upright @ turn)).numpy()
        betas = rng.normal(0, 0.5, 10)
        transl = np.array([rng.uniform(-0.2, 0.2), rng.uniform(-0.1, 0.1), rng.uniform(2.6, 3.2)])
        inner = np.array([[focal, 0, size[0] / 2 + 1.0], [0, focal, size[1] / 2 - 1.0], [0, 0, 1]])
        joints, rest = self._joints(pose, betas, transl)
        return Person(pose, betas, transl, joints, rest, inner, size)

    def camera(self) -> tuple[np.ndarray, np.ndarray]:
        """A rotation and a shift from some world to the camera."""
        rotation = self._rotation()
        return rotation, self.rng.uniform(-2, 2, 3)

    def _rotation(self) -> np.ndarray:
        vector = torch.from_numpy(self.rng.normal(size=3))
        return roma.rotvec_to_rotmat(vector).numpy()

    def _joints(self, pose: np.ndarray, betas: np.ndarray, transl: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if self._body is None:
            return figure.joints_of(pose, transl), figure.REST[0]
        posed, still = (self._posed(one, betas, place) for one, place in ((pose, transl), (0 * pose, 0 * transl)))
        return posed, still[0]

    def _posed(self, pose: np.ndarray, betas: np.ndarray, transl: np.ndarray) -> np.ndarray:
        values = (pose[0], pose[1:], betas, transl)
        params = BodyParams(*(torch.from_numpy(np.asarray(value, np.float32))[None] for value in values))
        with torch.inference_mode():
            return self._body(params, vertices=False).joints[0].double().numpy()


def project(points: np.ndarray, inner: np.ndarray) -> np.ndarray:
    """Places [..., 3] before a camera as pixels [..., 2]."""
    seen = points @ inner.T
    return seen[..., :2] / seen[..., 2:]


def draw(people: Sequence[Person], path: Path, seed: int = 0) -> None:
    """Write a picture of people: noise, a stick of its own colour for each bone, and a white dot for each joint."""
    width, height = people[0].size
    rng = np.random.default_rng(seed)
    image = Image.fromarray(rng.integers(60, 130, (height, width, 3), dtype=np.uint8))
    pen = ImageDraw.Draw(image)
    for person in people:
        points = person.pixels("smpl")
        for joint, parent in enumerate(figure.PARENTS[1:], 1):
            colour = tuple(int(value) for value in 127 + 120 * np.cos(joint + np.arange(3) * 2.1))
            pen.line([tuple(points[parent]), tuple(points[joint])], fill=colour, width=max(2, width // 24))
        for x, y in points:
            pen.ellipse([x - 1.5, y - 1.5, x + 1.5, y + 1.5], fill=(255, 255, 255))
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, quality=90)
