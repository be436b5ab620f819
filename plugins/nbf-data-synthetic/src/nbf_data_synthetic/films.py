"""Films: one person who walks through one place, before a camera that stands still."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from nbf_core.contracts import BodyModel
from nbf_data_synthetic.config import SyntheticConfig, SyntheticFilmConfig
from nbf_data_synthetic.dataset import SyntheticPeople
from nbf_data_synthetic.placing import View, draw_view, fit_box, pose_body
from nbf_data_synthetic.rendering import Base, BaseRenderer
from nbf_data_synthetic.scenes import Stage, stage_of
from nbf_data_synthetic.turns import about, compose, matrix
from nbf_data_synthetic.walking import Gait, way

_FILM = 1 << 42
"""Random numbers from this index on are films': people of films are in no other data set."""

_MARGIN = 4
"""Frames before and after a film that its way is smoothed over."""

_KEPT = 4
"""Films that are held in memory."""


class Walk(NamedTuple):
    """A film before it is drawn: everything that its frames share, and where the person is in each."""

    view: View
    betas: np.ndarray  # [shapes]
    poses: np.ndarray  # [f, 24, 3], the root's in the camera's axes
    places: np.ndarray  # [f, 3]
    focal: float
    stage: Stage
    drawing: dict  # the state of the random numbers that clothes and place are drawn with


class FilmRenderer(BaseRenderer):
    """Draws the frames of films; sample ``film * frames + frame``."""

    def __init__(self, config: SyntheticConfig, body: BodyModel, frames: int, rate: float):
        super().__init__(config, body)
        self.frames, self.rate = frames, rate
        self._walks: OrderedDict[int, Walk] = OrderedDict()

    def __call__(self, index: int) -> Base:
        """Draw a frame, without the camera's noise."""
        film, frame = divmod(index, self.frames)
        walk = self.walk(film)
        rng = self.generator(_FILM + film)
        rng.bit_generator.state = walk.drawing
        pose, transl = walk.poses[frame], walk.places[frame]
        vertices, joints, keypoints = pose_body(self.body, pose, walk.betas)
        main = self.wardrobe.dressed(rng, vertices + transl.astype(np.float64), False)
        drawn = self._picture(rng, walk.view, main, walk.focal, walk.stage)
        return self._labelled(drawn, (pose, walk.betas, transl, walk.focal), joints, keypoints)

    def walk(self, film: int) -> Walk:
        """Film number ``film``."""
        if film not in self._walks:
            self._walks[film] = self._draw(film)
            while len(self._walks) > _KEPT:
                self._walks.popitem(last=False)
        return self._walks[film]

    def _draw(self, film: int) -> Walk:
        rng, size = self.generator(_FILM + film), self.config.image_size
        view, gait = draw_view(rng), Gait.draw(rng)
        betas = np.clip(rng.standard_normal(self.shapes), -2.5, 2.5).astype(np.float32)
        heading = about(1, 360.0 * rng.random())
        times = np.arange(-_MARGIN, self.frames + _MARGIN) / self.rate
        poses = [gait.pose(time) for time in times]
        bodies = [pose_body(self.body, pose, betas) for pose in poses]
        root = bodies[0][1][0]
        joints = np.stack([joints for _, joints, _ in bodies]) - root
        lowest = np.array([vertices[:, 1].min() - root[1] for vertices, _, _ in bodies])
        path = way(joints, lowest, np.stack([gait.carries(time) for time in times]))
        seen = compose(view.turns[1], compose(view.turns[0], heading))
        turn = matrix(seen)
        path = ((path - path[len(path) // 2]) @ turn.T)[_MARGIN:-_MARGIN]
        for pose in poses:
            pose[0] = compose(seen, pose[0])
        poses = np.stack(poses[_MARGIN:-_MARGIN]).astype(np.float32)
        bodies = [((v - root) @ turn.T + root + p) for (v, _, _), p in zip(bodies[_MARGIN:-_MARGIN], path, strict=True)]
        focal = float(np.float32(size * 1.5 * (8 / 1.5) ** rng.random()))
        share = 0.8 + 0.15 * rng.random()
        place = np.array([0.0, 0.0, 1.7 * focal / (share * size)])
        fit_box(np.concatenate(bodies), focal, share * size, np.zeros(2), place)
        farthest = max(bodies, key=lambda body: body[:, 2].mean())  # what stands around stands behind the whole way
        stage = stage_of(view.up, farthest + place, focal, size)
        places = np.round(path + place, 6).astype(np.float32)
        return Walk(view, betas, poses, places, focal, stage, rng.bit_generator.state)


class SyntheticFilms(SyntheticPeople):
    """Rendered films with exact labels, a frame a sample: one configuration gives the same frames on any machine."""

    def __init__(self, config: SyntheticFilmConfig, body: BodyModel):
        self.frames, self.rate = config.frames, config.rate
        names = ("seed", "image_size", "map_size", "keypoint_noise", "keypoint_drop", "keypoint_outlier", "noise")
        people = SyntheticConfig(
            split="test",
            size=config.films * config.frames,
            blur=0.0,
            others=0.0,
            **{name: getattr(config, name) for name in names},
        )
        super().__init__(people, body, FilmRenderer(people, body, config.frames, config.rate))

    @property
    def films(self) -> Sequence[range]:
        """The samples of each film."""
        return tuple(range(first, first + self.frames) for first in range(0, len(self), self.frames))

    def describe(self, index: int) -> str:
        """A frame's name."""
        film, frame = divmod(index, self.frames)
        return f"film-{film + 1}/{frame:04d}"
