"""One base sample: the picture without camera noise or occluders, and its labels."""

from __future__ import annotations

from copy import deepcopy
from typing import NamedTuple

import numpy as np

from nbf_core.contracts import BodyModel
from nbf_data_synthetic import clothes
from nbf_data_synthetic.backgrounds import paint
from nbf_data_synthetic.config import SyntheticConfig
from nbf_data_synthetic.placing import draw_person, draw_place, pose_body
from nbf_data_synthetic.shading import compose, draw_lights
from nbf_raster import rasterise, vertex_normals

GENERATOR = 1
"""Version of what is drawn: it changes whenever the same seed gives another picture."""

SPLITS = ("train", "val", "test")
_FINE = 2  # raster pixels along an image pixel


class Base(NamedTuple):
    """A rendered person. ``keypoints`` and ``joints`` are in image pixels, ``kernel_map`` -1 off the body."""

    image: np.ndarray  # uint8 [3, h, w]
    kernel_map: np.ndarray  # int16 [mh, mw]
    pose: np.ndarray  # float32 [24, 3]
    betas: np.ndarray  # float32 [10]
    transl: np.ndarray  # float32 [3]
    focal: np.ndarray  # float32 []
    keypoints: np.ndarray  # float32 [25, 2]
    joints: np.ndarray  # float32 [24, 2]


class BaseRenderer:
    """Draws base samples by index: everything follows from (seed, split, index)."""

    def __init__(self, config: SyntheticConfig, body: BodyModel):
        self.config = config
        self.body = deepcopy(body).cpu().double().eval()
        spec = self.body.spec
        self.shapes = spec.shapes
        self.faces = spec.faces.numpy().astype(np.int32)
        self.parts = spec.vertex_parts.numpy().astype(np.int64)
        self.vertex_kernels = spec.vertex_kernels.numpy().astype(np.int16)
        still = np.zeros((24, 3)), np.zeros(self.shapes)
        vertices, joints, keypoints = pose_body(self.body, *still)
        self.rest = np.round(vertices, 6)
        self.marks = clothes.landmarks(np.round(joints, 6), np.round(keypoints, 6))

    def generator(self, index: int, *more: int) -> np.random.Generator:
        """The random numbers of a sample; ``more`` names what they are for."""
        key = [self.config.seed, SPLITS.index(self.config.split), index, *more]
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence(key)))

    def __call__(self, index: int) -> Base:
        """Draw the base sample ``index``."""
        config, size = self.config, self.config.image_size
        rng = self.generator(index)
        pose, betas = draw_person(rng, config.split, self.shapes)
        vertices, joints, keypoints = pose_body(self.body, pose, betas)
        focal, transl = draw_place(rng, vertices, size)
        # Rounding takes away the last bits in which machines differ.
        vertices = np.round(vertices + transl.astype(np.float64), 5)
        outfit = clothes.draw_cuts(rng, self.marks)
        textures = clothes.draw_textures(rng, config.colours == "parts")
        dressed = np.empty_like(vertices)
        clothes.dress(
            vertices, vertex_normals(vertices, self.faces), self.rest, self.parts, outfit, self.marks, dressed
        )
        lights, background = draw_lights(rng), paint(rng, size)
        fine = rasterise(
            dressed, self.faces, (focal * _FINE,) * 2, (size * _FINE / 2,) * 2, (size * _FINE,) * 2, cull=True
        )
        image = np.empty((3, size, size), np.uint8)
        normals = vertex_normals(dressed, self.faces)
        surface = (self.faces, self.rest, normals, self.parts)
        look = (outfit, self.marks, textures, lights)
        compose(fine.triangle, fine.barycentric, surface, look, background, image)

        def project(points: np.ndarray) -> np.ndarray:
            moved = points + transl.astype(np.float64)
            return (moved[:, :2] / np.maximum(moved[:, 2:], 1e-3) * focal + size / 2).astype(np.float32)

        return Base(
            image=image,
            kernel_map=self._kernel_map(dressed, focal),
            pose=pose,
            betas=betas,
            transl=transl,
            focal=np.float32(focal),
            keypoints=project(keypoints),
            joints=project(joints),
        )

    def _kernel_map(self, dressed: np.ndarray, focal: float) -> np.ndarray:
        """The kernel nearest to the surface point in the middle of each cell."""
        cells = self.config.map_size
        scale = cells / self.config.image_size
        seen = rasterise(dressed, self.faces, (focal * scale,) * 2, (cells / 2,) * 2, (cells, cells), cull=True)
        corner = seen.barycentric.argmax(-1)
        hit = seen.triangle >= 0
        vertex = self.faces[np.maximum(seen.triangle, 0), corner]
        return np.where(hit, self.vertex_kernels[vertex], np.int16(-1))
