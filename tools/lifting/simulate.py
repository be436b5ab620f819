"""People whose evidence is simulated: posed, projected, partly hidden, matched with errors. No picture is drawn."""

from __future__ import annotations

import math
from dataclasses import dataclass

import roma
import torch
from lifting.anatomy import ARM, LEG
from torch import Tensor

from nbf_core.contracts import BodyModel
from nbf_core.types import BodyParams
from nbf_fitters.lift.evidence import Surface, moments

GRID = 56
"""Cells along the crop of the coarse depth map that decides which kernels are hidden by the body itself."""

THICKNESS = 0.08
"""Metres by which a kernel may lie behind the nearest one in its cell and still be seen."""


@dataclass(frozen=True)
class People:
    """Evidence of ``b`` people, and the truth.

    ``focal`` in half sides of the crop, ``joints`` about the root (m), ``image`` the joints in the crop.
    """

    moments: Tensor
    keypoints: Tensor
    view: Tensor
    focal: Tensor
    rotations: Tensor
    betas: Tensor
    joints: Tensor
    image: Tensor

    def tensors(self) -> tuple[Tensor, ...]:
        return tuple(vars(self).values())


class Simulator:
    """Draws people of ``body`` in poses [n, 24, 3], whose roots' turns are relative to a world with y up.

    Limbs are ``taken`` from other poses (joints, share), and turned further, far more widely than poses in pictures:
    what evidence says of a limb is to be read from it, not to be remembered with a motion.
    """

    def __init__(self, body: BodyModel, poses: Tensor, taken: tuple[tuple[tuple[int, ...], float], ...]):
        self.body, self.poses, self.taken = body, poses, taken
        spec = body.spec
        rest = body(BodyParams.neutral(1, joints=len(spec.parents) - 1, shapes=spec.shapes), vertices=False)
        self.joints = rest.joints[0]
        self.surface = Surface.of(spec, self.joints)
        self.mirror = spec.kernel_mirror.long()
        self.sides = _side_groups(spec, self.surface.part)

    def draw_poses(self, count: int, rng: torch.Generator) -> Tensor:
        """Rotation matrices [b, 24, 3, 3], the root's seen by a camera held as a photographer would."""

        order, side = list(self.body.spec.mirror_joints), self.poses.new_tensor([1.0, -1.0, -1.0])

        def some() -> Tensor:
            drawn = self.poses[torch.randint(len(self.poses), (count,), generator=rng)]
            flip = torch.rand(count, 1, 1, generator=rng) < 0.5
            return torch.where(flip, drawn[:, order] * side, drawn)

        pose = some()
        for joints, share in self.taken:
            there = torch.zeros(pose.shape[1], dtype=torch.bool)
            there[list(joints)] = True
            other = torch.rand(count, 1, generator=rng) < share
            pose = torch.where((other & there)[..., None], some(), pose)
        u = torch.rand(count, 1, 1, generator=rng)
        further = torch.where(u < 0.5, 0.05, torch.where(u < 0.8, 0.15, 0.3))
        pose[:, 1:] += further * torch.randn(pose[:, 1:].shape, generator=rng)
        rotations = roma.rotvec_to_rotmat(pose)
        steep = torch.where(torch.rand(count, generator=rng) < 0.2, 40.0, 15.0)
        pitch = torch.deg2rad((torch.randn(count, generator=rng) * steep).clamp(-85, 85) + 180)
        roll = torch.deg2rad(torch.randn(count, generator=rng) * 15)
        turn = torch.rand(count, generator=rng) * 2 * math.pi
        camera = about(2, roll) @ about(0, pitch) @ about(1, turn)
        rotations[:, 0] = camera @ rotations[:, 0]
        return rotations

    @torch.no_grad()
    def __call__(self, count: int, rng: torch.Generator) -> People:
        rotations = self.draw_poses(count, rng)
        betas = torch.randn(count, self.body.spec.shapes, generator=rng).clamp(-2.5, 2.5)
        axis = roma.rotmat_to_rotvec(rotations)
        params = BodyParams(axis[:, 0], axis[:, 1:], betas, torch.zeros(count, 3))
        posed = self.body(params, vertices=False)
        openpose = self.body.keypoints(posed, "openpose-25")
        focal = 2 * 1.5 * (8 / 1.5) ** torch.rand(count, 1, generator=rng)
        place = _placed(posed.kernels, focal, rng)
        kernels, image = _project(posed.kernels + place, focal), _project(posed.joints + place, focal)
        points = _project(openpose + place, focal)
        seen, area = self._seen(rotations, posed.kernels + place, kernels, focal)
        hidden = _Patch.draw(count, rng)
        seen &= ~hidden.holds(kernels)
        return People(
            moments=self._matched(kernels, seen, area, rng),
            keypoints=_detected(points, ~hidden.holds(points), rng),
            view=torch.log(focal) - 2 + 0.1 * torch.randn(focal.shape, generator=rng),
            focal=focal,
            rotations=rotations,
            betas=betas,
            joints=posed.joints - posed.joints[:, :1],
            image=image,
        )

    def _seen(self, rotations: Tensor, points: Tensor, image: Tensor, focal: Tensor) -> tuple[Tensor, Tensor]:
        """Which kernels face the camera with nothing of the body before them, and the area each covers in the crop."""
        world = [rotations[:, 0]]
        for joint in range(1, len(self.body.spec.parents)):
            world.append(world[self.body.spec.parents[joint]] @ rotations[:, joint])
        turned = torch.stack(world, 1)[:, self.surface.part]
        normal = (turned @ self.surface.normal[..., None])[..., 0]
        facing = -(normal * points / points.norm(dim=-1, keepdim=True)).sum(-1)
        depth = points[..., 2]
        inside = (image.abs() < 1).all(-1)
        cell = ((image + 1) / 2 * GRID).long().clamp(0, GRID - 1)
        index = cell[..., 1] * GRID + cell[..., 0]
        front = depth.new_full((len(depth), GRID * GRID), 1e9)
        front.scatter_reduce_(1, index, torch.where(facing > 0, depth, 1e9), "amin")
        nearest = -torch.nn.functional.max_pool2d(-front.view(-1, 1, GRID, GRID), 3, 1, 1).flatten(1)
        seen = inside & (facing > 0.05) & (depth < nearest.gather(1, index) + THICKNESS + 0.1 * (1 - facing))
        return seen, self.surface.area * facing.clamp_min(0) * (focal / depth) ** 2

    def _matched(self, image: Tensor, seen: Tensor, area: Tensor, rng: torch.Generator) -> Tensor:
        """Moments of the kernels seen, some taken for others, some not found."""
        count, kernels = seen.shape

        def u(*shape: int) -> Tensor:
            return torch.rand(*shape, generator=rng)

        quality = u(count, 1)  # people differ in how well they are matched
        label = torch.arange(kernels).expand(count, -1)
        # Left for right: a limb as a whole, or pixels of it.
        confused = (u(count, self.sides.max() + 1) < 0.2 * quality).float() * u(count, self.sides.max() + 1)
        swap = u(count, kernels) < 0.04 + 0.9 * confused[:, self.sides]
        label = torch.where(swap, self.mirror[label], label)
        other = torch.randint(kernels, label.shape, generator=rng)
        label = torch.where(u(count, kernels) < 0.06 * quality, other, label)
        seen = seen & (u(count, kernels) > 0.3 * u(count, 1))
        noise = 0.03 * quality[..., None] * torch.randn(*image.shape, generator=rng)
        person, kernel = seen.nonzero(as_tuple=True)
        dressed = 0.9 + 0.5 * u(count)  # clothes and hair make people larger
        weight = area[person, kernel] * (0.7 + 0.6 * u(len(person))) * dressed[person]
        place = (image + noise)[person, kernel]
        joints = len(self.body.spec.parents)
        found = moments(self.surface, joints, count, person, label[person, kernel], place, weight)
        return found * (u(count, 1, 1) > 0.06)  # some are seen by keypoints alone


def _detected(points: Tensor, shown: Tensor, rng: torch.Generator) -> Tensor:
    """What a detector says: a few pixels off, some far off, some missing, seldom all of them."""
    count, number = points.shape[:2]

    def u(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=rng)

    noise = torch.randn(count, number, 2, generator=rng) * (0.008 + 0.03 * u(count, 1, 1) ** 2)
    noise = torch.where(u(count, number, 1) < 0.03, 3 * noise, noise)
    inside = (points.abs() < 1).all(-1)
    seen = shown & inside & (u(count, number) > 0.2 * u(count, 1)) & (u(count, 1) > 0.07)
    seen = seen[..., None].float()
    return torch.cat([(points + noise) * seen, seen], -1)


@dataclass(frozen=True)
class _Patch:
    """A square before each person, or none: two opposite corners."""

    low: Tensor
    high: Tensor

    @classmethod
    def draw(cls, count: int, rng: torch.Generator) -> _Patch:
        middle = torch.rand(count, 1, 2, generator=rng) * 1.8 - 0.9
        side = torch.rand(count, 1, 2, generator=rng) * 0.9
        side = side * (torch.rand(count, 1, 1, generator=rng) < 0.4)
        return cls(middle - side / 2, middle + side / 2)

    def holds(self, points: Tensor) -> Tensor:
        return ((points > self.low) & (points < self.high)).all(-1)


def _project(points: Tensor, focal: Tensor) -> Tensor:
    return points[..., :2] / points[..., 2:].clamp_min(0.1) * focal[:, None]


def _placed(points: Tensor, focal: Tensor, rng: torch.Generator) -> Tensor:
    """Translations [b, 1, 3] that put bodies into their crops: half of it or more is filled, one in eight is cut."""
    count = len(points)

    def u(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=rng)

    share = 0.5 + 0.45 * u(count, 1)
    shift = (u(count, 2) - 0.5) * 2 * (1 - share)
    cut = u(count, 1) < 0.125
    wide = 0.95 + 0.7 * u(count, 1)
    shift = torch.where(cut, (u(count, 2) - 0.5) * torch.tensor([0.8, 1.4]) * wide, shift)
    share = torch.where(cut, wide, share)
    place = torch.cat([torch.zeros(count, 2), 1.7 * focal / (2 * share)], 1)
    for _ in range(5):
        seen = _project(points + place[:, None], focal)
        low, high = seen.amin(1), seen.amax(1)
        side = (high - low).amax(1, keepdim=True) / 2
        nearest = points[..., 2].amin(1, keepdim=True)
        depth = torch.maximum(place[:, 2:] * side / share, 0.5 - nearest)
        xy = place[:, :2] + (shift - (low + high) / 2) * depth / focal
        place = torch.cat([xy, depth], 1)
    return place[:, None]


def about(axis: int, angle: Tensor) -> Tensor:
    vector = torch.zeros(len(angle), 3)
    vector[:, axis] = angle
    return roma.rotvec_to_rotmat(vector)


def _side_groups(spec, part: Tensor) -> Tensor:
    """Of each kernel the group that is taken for its mirror image together: arms, legs, the rest."""
    groups = []
    for name in spec.joint_names:
        arm = name.endswith(ARM)
        leg = name.endswith(LEG)
        groups.append(0 if arm else 1 if leg else 2)
    return torch.tensor(groups)[part]
