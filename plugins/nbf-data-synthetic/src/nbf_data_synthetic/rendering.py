"""One base sample: the picture without camera noise or patch occluders, and its labels."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nbf_core.contracts import BodyModel
from nbf_data_synthetic import backgrounds, photos, scenes
from nbf_data_synthetic.config import SyntheticConfig
from nbf_data_synthetic.people import Dressed, Wardrobe
from nbf_data_synthetic.placing import View, draw_person, draw_place, draw_view, pose_body
from nbf_data_synthetic.shading import compose, draw_lights
from nbf_data_synthetic.shadows import cast, no_shadow
from nbf_raster import RasterResult, rasterise, vertex_normals

GENERATOR = 2
"""Version of what is drawn: it changes whenever the same seed gives another picture."""

SPLITS = ("train", "val", "test")
_SCENE, _PAINTED = 0.6, 0.32  # shares of the kinds of background; the rest are photographs
_HIDDEN = 0.45  # no more of a person than this may be behind others


class Base(NamedTuple):
    """A rendered person. ``keypoints`` and ``joints`` are in image pixels; ``keypoints_free`` and ``joints_free`` are 1
    where nothing stands before them. ``kernel_map`` is -1 off the body, -2 where somebody or something hides it."""

    image: np.ndarray  # uint8 [3, h, w]
    kernel_map: np.ndarray  # int16 [mh, mw]
    pose: np.ndarray  # float32 [24, 3]
    betas: np.ndarray  # float32 [10]
    transl: np.ndarray  # float32 [3]
    focal: np.ndarray  # float32 []
    keypoints: np.ndarray  # float32 [25, 2]
    joints: np.ndarray  # float32 [24, 2]
    keypoints_free: np.ndarray  # uint8 [25]
    joints_free: np.ndarray  # uint8 [24]


class BaseRenderer:
    """Draws base samples by index: everything follows from (seed, split, index)."""

    def __init__(self, config: SyntheticConfig, body: BodyModel):
        self.config = config
        self.wardrobe = Wardrobe(body)
        self.body, self.shapes = self.wardrobe.body, self.wardrobe.shapes
        self.rest, self.vertex_kernels = self.wardrobe.rest, self.wardrobe.vertex_kernels

    def generator(self, index: int, *more: int) -> np.random.Generator:
        """The random numbers of a sample; ``more`` names what they are for."""
        key = [self.config.seed, SPLITS.index(self.config.split), index, *more]
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence(key)))

    def __call__(self, index: int) -> Base:
        """Draw the base sample ``index``."""
        config = self.config
        rng = self.generator(index)
        view = draw_view(rng)
        pose, betas = draw_person(rng, config.split, self.shapes, view)
        vertices, joints, keypoints = pose_body(self.body, pose, betas)
        focal, transl = draw_place(rng, config.split, vertices, config.image_size)
        main = self.wardrobe.dressed(rng, vertices + transl.astype(np.float64), config.colours == "parts")
        drawn = self._picture(rng, view, main, focal)
        return self._labelled(drawn, (pose, betas, transl, focal), joints, keypoints)

    def _labelled(self, drawn, person, joints: np.ndarray, keypoints: np.ndarray) -> Base:
        """What was drawn of a ``person`` (pose, shape, place, focal length) with its points, local to the place."""
        (image, kernel_map, seen, away), (pose, betas, transl, focal) = drawn, person
        free, points, size = [], [], self.config.image_size
        for local in (keypoints, joints):
            moved = local + transl.astype(np.float64)
            pixels = moved[:, :2] / np.maximum(moved[:, 2:], 1e-3) * focal + size / 2
            points.append(pixels.astype(np.float32))
            free.append(self._free(seen, away, pixels, moved[:, 2]))
        return Base(image, kernel_map, pose, betas, transl, np.float32(focal), *points, *free)

    def _picture(
        self, rng: np.random.Generator, view: View, main: Dressed, focal: float, stage: scenes.Stage | None = None
    ):
        """The picture, the kernel map, what each pixel sees of people, and how far objects are away there.

        ``stage`` is where it is, unless it is to be built around the person.
        """
        config, size, wardrobe = self.config, self.config.image_size, self.wardrobe
        front = config.split == "train"  # held-out people stand free, so that patches alone hide them
        stage = stage or scenes.stage_of(view.up, main.vertices, focal, size)
        lights = draw_lights(rng, view.up)
        count = 1 + int(rng.random() < 0.35) if rng.random() < config.others else 0
        crowd = [main] + [wardrobe.other(rng, config.split, view, stage, front) for _ in range(count)]
        style = rng.random()
        scene = None
        if style < _SCENE:
            scene = scenes.draw_scene(rng, stage, front and rng.random() < 0.3)
        soft, strength = 0.8 + 3.0 * rng.random() ** 2, 0.6 + 0.4 * rng.random()
        state = rng.bit_generator.state
        for attempt in range(2):
            rng.bit_generator.state = state
            if attempt:  # too little was seen: the same without what stands before
                crowd = crowd[:1]
                scene = scene._replace(front=scene.front[:0]) if scene else None
            people = self._joined(crowd)
            seen = rasterise(*people, (focal,) * 2, (size / 2,) * 2, (size, size), cull=True)
            shadow = cast(*people, lights[1, :3], soft, strength) if lights[1, 3] > 0.12 else no_shadow()
            background, away = self._background(rng, style, scene, (stage, lights, shadow))
            kernel_map, hidden = self._kernel_map(main.vertices, focal, seen, away)
            if hidden < _HIDDEN:
                break
        normals = np.concatenate([vertex_normals(person.vertices, wardrobe.faces) for person in crowd])
        look = (normals, np.stack([p.outfit for p in crowd]), np.stack([p.textures for p in crowd]))
        mesh = (wardrobe.faces, wardrobe.rest, wardrobe.parts, wardrobe.marks)
        return compose(seen, mesh, look, (background, away, lights, shadow), focal), kernel_map, seen, away

    def _joined(self, crowd: list[Dressed]) -> tuple[np.ndarray, np.ndarray]:
        """Vertices and faces of all people, one after the other."""
        count = len(self.rest)
        faces = [self.wardrobe.faces + k * count for k in range(len(crowd))]
        return np.concatenate([person.vertices for person in crowd]), np.concatenate(faces)

    def _background(self, rng: np.random.Generator, style: float, scene, place):
        """A picture [size, size, 3] and the depth of its objects [size, size]."""
        size = self.config.image_size
        if scene is not None:
            return scenes.paint(scene, place[0], place[1], place[2], size)
        nothing = np.full((size, size), np.inf)
        if style < _SCENE + _PAINTED:
            return backgrounds.paint(rng, size), nothing
        return photos.paint(rng, size), nothing

    def _kernel_map(self, vertices: np.ndarray, focal: float, seen: RasterResult, away: np.ndarray):
        """The kernel nearest to the surface point in the middle of each cell, and the share of them that is hidden."""
        cells, faces = self.config.map_size, self.wardrobe.faces
        scale = cells / self.config.image_size
        own = rasterise(vertices, faces, (focal * scale,) * 2, (cells / 2,) * 2, (cells, cells), cull=True)
        hit = own.triangle >= 0
        vertex = faces[np.maximum(own.triangle, 0), own.barycentric.argmax(-1)]
        middle = ((np.arange(cells) + 0.5) / scale).astype(int)
        pixel = np.ix_(middle, middle)
        others = (seen.triangle[pixel] >= len(faces)) & (seen.depth[pixel] < own.depth)
        hidden = hit & (others | (away[pixel] < own.depth))
        labels = np.where(hit, self.vertex_kernels[vertex], np.int16(-1))
        return np.where(hidden, np.int16(-2), labels), hidden.sum() / max(int(hit.sum()), 1)

    def _free(self, seen: RasterResult, away: np.ndarray, pixels: np.ndarray, depth: np.ndarray) -> np.ndarray:
        """1 where no other person or object is nearer than points at ``pixels`` [n, 2] and ``depth`` [n], uint8."""
        size = self.config.image_size
        inside = ((pixels >= 0) & (pixels < size)).all(1)
        column, row = np.clip(pixels, 0, size - 1).astype(int).T
        behind = (seen.triangle[row, column] >= len(self.wardrobe.faces)) & (seen.depth[row, column] < depth)
        behind |= (away[row, column] < depth) & (away[row, column] < seen.depth[row, column])
        return (~(behind & inside)).astype(np.uint8)
