"""Dressed people: the one in the middle, and others who stand behind, beside or before."""

from __future__ import annotations

from copy import deepcopy
from typing import NamedTuple

import numpy as np

from nbf_core.contracts import BodyModel
from nbf_data_synthetic import clothes
from nbf_data_synthetic.placing import View, draw_person, pose_body
from nbf_data_synthetic.scenes import Stage
from nbf_raster import vertex_normals


class Dressed(NamedTuple):
    """A person in camera coordinates: dressed vertices [V, 3], outfit and textures."""

    vertices: np.ndarray
    outfit: np.ndarray
    textures: np.ndarray


class Wardrobe:
    """The body at rest, and what is put on it."""

    def __init__(self, body: BodyModel):
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

    def dressed(self, rng: np.random.Generator, vertices: np.ndarray, parts: bool) -> Dressed:
        """Clothes drawn for a posed body [V, 3]; ``parts``: one fixed colour per part instead of patterns."""
        # Rounding takes away the last bits in which machines differ.
        vertices = np.round(vertices, 5)
        outfit = clothes.draw_cuts(rng, self.marks)
        textures = clothes.draw_textures(rng, parts, outfit)
        out = np.empty_like(vertices)
        normals = vertex_normals(vertices, self.faces)
        clothes.dress(vertices, normals, self.rest, self.parts, outfit, self.marks, out)
        return Dressed(out, outfit, textures)

    def other(self, rng: np.random.Generator, split: str, view: View, stage: Stage, front: bool) -> Dressed:
        """A person around the one of ``stage``; before that one only where ``front`` allows it."""
        u = rng.random
        pose, betas = draw_person(rng, split, self.shapes, view)
        vertices = pose_body(self.body, pose, betas)[0]
        where, reach = u(), stage.reach
        side, far, near = u() - 0.5, u(), u()
        if where < 0.22:  # beside
            right, ahead = (0.3 + 0.5 * far) * (1 if side > 0 else -1), 0.8 * (near - 0.5 if front else near)
        elif where < 0.42 and front:
            right, ahead = (0.12 + 0.45 * far) * (1 if side > 0 else -1), -0.35 - 0.15 * near * stage.distance
        else:
            ahead = 0.4 + 5.0 * far * far
            right = side * reach * (stage.distance + ahead) * 1.1
        right_axis, up, ahead_axis = stage.turn
        if stage.distance + ahead < 1.2:
            ahead = -ahead
        middle = np.array([0.0, 0.0, stage.distance])
        place = middle + right * right_axis + ahead * ahead_axis
        place = place + (stage.ground - ((vertices + place) @ up).min()) * up
        return self.dressed(rng, vertices + place, False)
