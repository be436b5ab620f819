"""The energy of one person and its Gauss-Newton system, compiled.

``E = 1/2 (pixels + keypoints + limbs + pose + anchor + shape + depth)``, each a sum of weighted squares or, for pixels
and keypoints, of their Geman-McClure counterparts ``s^2 r^2 / (s^2 + r^2)``.
"""

from __future__ import annotations

import numpy as np

from nbf_fitters.correspondence._compile import compiled
from nbf_fitters.correspondence._geometry import (
    add_point,
    add_row,
    add_two_rows,
    clear,
    fill_row,
    gather,
    left_inverse,
    locate,
    product,
    product_transposed,
    rotation_log,
)


@compiled
def robust(square, scale):
    """Geman-McClure: value and the weight of the least squares problem with the same gradient."""
    share = scale * scale / (scale * scale + square)
    return share * square, share * share


@compiled
def pixel_energy(view, evidence, scale, betas, world, work):
    """Matched points against their pixels; infinite where one is not before the camera."""
    point, total = work.point, 0.0
    for i in range(len(evidence.place)):
        if evidence.trust[i] <= 0.0:
            continue
        locate(evidence.rest[i], evidence.directions[i], evidence.weights[i], betas, world, point)
        if point[2] < view.nearest:
            return np.inf
        x = view.focal[0] * point[0] / point[2] + view.center[0] - evidence.place[i, 0]
        y = view.focal[1] * point[1] / point[2] + view.center[1] - evidence.place[i, 1]
        value, _ = robust(x * x + y * y, scale)
        total += evidence.trust[i] * value
    return 0.5 * total


@compiled
def _add_projected(view, x, y, weight, work):
    """One 2D point whose position and levers are in ``work.lever``, with residual (x, y)."""
    lever, point = work.lever, work.lever.point
    fx, fy = view.focal[0] / point[2], view.focal[1] / point[2]
    work.row[:] = 0.0
    work.other_row[:] = 0.0
    fill_row(fx, 0.0, -fx * point[0] / point[2], lever, work.row, work.active)
    count = fill_row(0.0, fy, -fy * point[1] / point[2], lever, work.other_row, work.active)
    work.vector[0], work.vector[1] = x, y
    add_two_rows(work.row, work.other_row, work.active, count, work.vector, weight, work.system)


@compiled
def pixel_system(body, view, evidence, scale, betas, world, work):
    """Add the pixels' share of the system."""
    lever = work.lever
    for i in range(len(evidence.place)):
        if evidence.trust[i] <= 0.0:
            continue
        clear(lever)
        add_point(1.0, evidence.rest[i], evidence.directions[i], evidence.weights[i], betas, world, lever)
        point = lever.point
        x = view.focal[0] * point[0] / point[2] + view.center[0] - evidence.place[i, 0]
        y = view.focal[1] * point[1] / point[2] + view.center[1] - evidence.place[i, 1]
        _, weight = robust(x * x + y * y, scale)
        gather(body, world, lever)
        _add_projected(view, x, y, weight * evidence.trust[i], work)


@compiled
def _combine(body, combination, row, betas, world, lever):
    """The keypoint ``row`` of ``combination`` (weights over joints and markers) in ``lever``."""
    clear(lever)
    for m in range(combination.shape[1]):
        if combination[row, m] != 0.0:
            add_point(
                combination[row, m],
                body.base_rest[m],
                body.base_directions[m],
                body.base_weights[m],
                betas,
                world,
                lever,
            )


@compiled
def keypoint_terms(body, view, points, scale, betas, world, work, build):
    """Detected keypoints: the energy, and with ``build`` their share of the system."""
    lever, total = work.lever, 0.0
    for i in range(len(points.place)):
        trust = points.trust[i]
        if trust <= 0.0:
            continue
        _combine(body, points.combination, i, betas, world, lever)
        point = lever.point
        if point[2] < view.nearest:
            return np.inf
        x = view.focal[0] * point[0] / point[2] + view.center[0] - points.place[i, 0]
        y = view.focal[1] * point[1] / point[2] + view.center[1] - points.place[i, 1]
        value, weight = robust(x * x + y * y, scale)
        total += trust * value
        if build:
            gather(body, world, lever)
            _add_projected(view, x, y, trust * weight, work)
    return 0.5 * total


@compiled
def limb_terms(body, view, limbs, betas, world, work, build):
    """Limbs whose direction along the central ray leaves the range seen: the energy, and their share of the system."""
    lever, total = work.lever, 0.0
    for i in range(len(limbs.trust)):
        if limbs.trust[i] <= 0.0:
            continue
        _combine(body, limbs.combination, i, betas, world, lever)
        d = lever.point
        length = np.sqrt(d[0] * d[0] + d[1] * d[1] + d[2] * d[2])
        if length < 1e-9:
            continue
        p = (d[0] * view.ray[0] + d[1] * view.ray[1] + d[2] * view.ray[2]) / length
        residual = min(p - limbs.low[i], 0.0) + max(p - limbs.high[i], 0.0)
        total += limbs.trust[i] * residual * residual
        if build and residual != 0.0:
            gather(body, world, lever)
            work.row[:] = 0.0
            a0 = (view.ray[0] - p * d[0] / length) / length
            a1 = (view.ray[1] - p * d[1] / length) / length
            a2 = (view.ray[2] - p * d[2] / length) / length
            count = fill_row(a0, a1, a2, lever, work.row, work.active)
            # A difference of two points: it does not move with the body.
            for k in range(3):
                work.row[3 * len(body.parents) + k] = 0.0
            add_row(work.row, work.active, count, residual, limbs.trust[i], work.system)
    return 0.5 * total


@compiled
def anchor_terms(body, prior, rotations, world, work, build):
    """How far each joint has turned from the start."""
    total, joints = 0.0, len(body.parents)
    matrix, gradient = work.system.matrix, work.system.gradient
    for j in range(joints):
        weight = prior.anchor[j]
        product_transposed(rotations[j], prior.rotations[j], work.turn)
        rotation_log(work.turn, work.vector)
        v = work.vector
        total += weight * (v[0] * v[0] + v[1] * v[1] + v[2] * v[2])
        if build:
            _joint_jacobian(body, j, v, world, work)
            a = work.jacobian
            for k in range(3):
                gradient[3 * j + k] += weight * (a[0, k] * v[0] + a[1, k] * v[1] + a[2, k] * v[2])
                for m in range(k, 3):
                    matrix[3 * j + k, 3 * j + m] += weight * (a[0, k] * a[0, m] + a[1, k] * a[1, m] + a[2, k] * a[2, m])
    return 0.5 * total


@compiled
def _joint_jacobian(body, j, vector, world, work):
    """``work.jacobian``: the derivative of the logarithm ``vector`` of a relative rotation by the world increment."""
    if body.parents[j] < 0:
        left_inverse(vector, work.jacobian)
    else:
        left_inverse(vector, work.turn)
        product_transposed(work.turn, world.turn[body.parents[j]], work.jacobian)


@compiled
def pose_terms(body, prior, rotations, world, work, build):
    """Squared Mahalanobis distance of the axis-angle body pose to the population's Gaussian."""
    n = len(prior.mean)
    if n == 0:
        return 0.0
    offset, pull = work.offset, work.pull
    for j in range(1, len(body.parents)):
        rotation_log(rotations[j], work.vector)
        for d in range(3):
            offset[3 * j - 3 + d] = work.vector[d] - prior.mean[3 * j - 3 + d]
        if build:
            _joint_jacobian(body, j, work.vector, world, work)
            work.jacobians[j - 1] = work.jacobian
    total = 0.0
    for i in range(n):
        value = 0.0
        for k in range(n):
            value += prior.precision[i, k] * offset[k]
        pull[i] = value
        total += value * offset[i]
    if build:
        _add_pose(body, prior, work)
    return 0.5 * total


@compiled
def _add_pose(body, prior, work):
    matrix, gradient = work.system.matrix, work.system.gradient
    for i in range(1, len(body.parents)):
        a = work.jacobians[i - 1]
        for k in range(3):
            for d in range(3):
                gradient[3 * i + k] += a[d, k] * work.pull[3 * i - 3 + d]
        for j in range(i, len(body.parents)):
            block = prior.precision[3 * i - 3 : 3 * i, 3 * j - 3 : 3 * j]
            product(block, work.jacobians[j - 1], work.turn)
            for k in range(3):
                for m in range(3):
                    if 3 * j + m >= 3 * i + k:
                        matrix[3 * i + k, 3 * j + m] += (
                            a[0, k] * work.turn[0, m] + a[1, k] * work.turn[1, m] + a[2, k] * work.turn[2, m]
                        )


@compiled
def shape_terms(prior, shift, betas, joints, work, build):
    """Shape against the start's and the mean's, depth against the start's."""
    total, first = 0.0, 3 * joints
    matrix, gradient = work.system.matrix, work.system.gradient
    for s in range(len(betas)):
        difference = betas[s] - prior.betas[s]
        total += prior.shape_anchor * difference * difference + prior.shape * betas[s] * betas[s]
        if build:
            gradient[first + 3 + s] += prior.shape_anchor * difference + prior.shape * betas[s]
            matrix[first + 3 + s, first + 3 + s] += prior.shape_anchor + prior.shape
    for d in range(3):
        difference = shift[d] - prior.shift[d]
        total += prior.shift_anchor[d] * difference * difference
        if build:
            gradient[first + d] += prior.shift_anchor[d] * difference
            matrix[first + d, first + d] += prior.shift_anchor[d]
    return 0.5 * total
