"""Rotations, the posed skeleton and the derivatives of points that hang on it, compiled.

Increments of joint rotations are rotation vectors about the camera's axes: ``G_j`` and all below it become
``exp(w) G_j``. A point ``x`` then moves by ``w`` cross the sum over the joints ``i`` below ``j`` of
``W_i (x_i - T_j)``, with ``x_i`` the point as joint ``i`` alone would carry it.
"""

from __future__ import annotations

import numpy as np

from nbf_fitters.correspondence._compile import compiled


@compiled
def rotation_exp(vector, out):
    """Rodrigues' formula."""
    x, y, z = vector[0], vector[1], vector[2]
    square = x * x + y * y + z * z
    angle = np.sqrt(square)
    if angle < 1e-6:
        a, b = 1.0 - square / 6.0, 0.5 - square / 24.0
    else:
        a, b = np.sin(angle) / angle, (1.0 - np.cos(angle)) / square
    out[0, 0], out[0, 1], out[0, 2] = 1.0 - b * (y * y + z * z), b * x * y - a * z, b * x * z + a * y
    out[1, 0], out[1, 1], out[1, 2] = b * x * y + a * z, 1.0 - b * (x * x + z * z), b * y * z - a * x
    out[2, 0], out[2, 1], out[2, 2] = b * x * z - a * y, b * y * z + a * x, 1.0 - b * (x * x + y * y)


@compiled
def rotation_log(matrix, out):
    """The rotation vector, by way of the quaternion with its largest component first."""
    m = matrix
    trace = m[0, 0] + m[1, 1] + m[2, 2]
    if trace >= m[0, 0] and trace >= m[1, 1] and trace >= m[2, 2]:
        w, x, y, z = 1.0 + trace, m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1]
    elif m[0, 0] >= m[1, 1] and m[0, 0] >= m[2, 2]:
        w, x = m[2, 1] - m[1, 2], 1.0 + 2.0 * m[0, 0] - trace
        y, z = m[0, 1] + m[1, 0], m[0, 2] + m[2, 0]
    elif m[1, 1] >= m[2, 2]:
        w, y = m[0, 2] - m[2, 0], 1.0 + 2.0 * m[1, 1] - trace
        x, z = m[0, 1] + m[1, 0], m[1, 2] + m[2, 1]
    else:
        w, z = m[1, 0] - m[0, 1], 1.0 + 2.0 * m[2, 2] - trace
        x, y = m[0, 2] + m[2, 0], m[1, 2] + m[2, 1]
    if w < 0.0:
        w, x, y, z = -w, -x, -y, -z
    length = np.sqrt(x * x + y * y + z * z)
    # For small angles both numbers are nearly exact: angle / sin(half) tends to 2 / w.
    factor = 2.0 / w if length < 1e-9 * w else 2.0 * np.arctan2(length, w) / length
    out[0], out[1], out[2] = factor * x, factor * y, factor * z


@compiled
def left_inverse(vector, out):
    """``d log(exp(w) exp(v)) / dw`` at ``w = 0``: the inverse of the left Jacobian of SO(3)."""
    x, y, z = vector[0], vector[1], vector[2]
    square = x * x + y * y + z * z
    if square < 1e-6:
        c = 1.0 / 12.0 + square / 720.0
    else:
        angle = np.sqrt(square)
        c = 1.0 / square - (1.0 + np.cos(angle)) / (2.0 * angle * max(np.sin(angle), 1e-9))
    out[0, 0], out[0, 1], out[0, 2] = 1.0 - c * (y * y + z * z), c * x * y + 0.5 * z, c * x * z - 0.5 * y
    out[1, 0], out[1, 1], out[1, 2] = c * x * y - 0.5 * z, 1.0 - c * (x * x + z * z), c * y * z + 0.5 * x
    out[2, 0], out[2, 1], out[2, 2] = c * x * z + 0.5 * y, c * y * z - 0.5 * x, 1.0 - c * (x * x + y * y)


@compiled
def product(a, b, out):
    """``a b`` of two 3 x 3 matrices."""
    for i in range(3):
        for j in range(3):
            out[i, j] = a[i, 0] * b[0, j] + a[i, 1] * b[1, j] + a[i, 2] * b[2, j]


@compiled
def product_transposed(a, b, out):
    """``a b'`` of two 3 x 3 matrices."""
    for i in range(3):
        for j in range(3):
            out[i, j] = a[i, 0] * b[j, 0] + a[i, 1] * b[j, 1] + a[i, 2] * b[j, 2]


@compiled
def pose(body, rotations, shift, betas, world):
    """World rotations, joints and offsets, with the derivatives of the latter two by the shape.

    ``rotations`` [j, 3, 3] are relative to the parent, ``shift`` [3] is the translation. Fills ``world``: a point
    carried by joint ``j`` lies at ``turn_j rest + offset_j``.
    """
    shapes = len(betas)
    rest = world.rest
    for j in range(len(body.parents)):
        for d in range(3):
            value = body.joints[j, d]
            for s in range(shapes):
                value += body.joint_directions[j, d, s] * betas[s]
            rest[j, d] = value
    for j in range(len(body.parents)):
        parent = body.parents[j]
        if parent < 0:
            world.turn[j] = rotations[j]
            for d in range(3):
                world.place[j, d] = rest[j, d] + shift[d]
                for s in range(shapes):
                    world.place_shape[j, d, s] = body.joint_directions[j, d, s]
        else:
            up = world.turn[parent]
            product(up, rotations[j], world.turn[j])
            for d in range(3):
                value = world.place[parent, d]
                for e in range(3):
                    value += up[d, e] * (rest[j, e] - rest[parent, e])
                world.place[j, d] = value
                for s in range(shapes):
                    slope = world.place_shape[parent, d, s]
                    for e in range(3):
                        slope += up[d, e] * (body.joint_directions[j, e, s] - body.joint_directions[parent, e, s])
                    world.place_shape[j, d, s] = slope
        turn = world.turn[j]
        for d in range(3):
            world.offset[j, d] = world.place[j, d] - (
                turn[d, 0] * rest[j, 0] + turn[d, 1] * rest[j, 1] + turn[d, 2] * rest[j, 2]
            )
            for s in range(shapes):
                slope = world.place_shape[j, d, s]
                for e in range(3):
                    slope -= turn[d, e] * body.joint_directions[j, e, s]
                world.offset_shape[j, d, s] = slope


@compiled
def locate(rest, directions, weights, betas, world, out):
    """Where a skinned point is; ``out`` [3]."""
    p0, p1, p2 = rest[0], rest[1], rest[2]
    for s in range(len(betas)):
        p0 += directions[0, s] * betas[s]
        p1 += directions[1, s] * betas[s]
        p2 += directions[2, s] * betas[s]
    out[0] = out[1] = out[2] = 0.0
    for j in range(len(weights)):
        w = weights[j]
        if w != 0.0:
            turn, offset = world.turn[j], world.offset[j]
            for d in range(3):
                out[d] += w * (turn[d, 0] * p0 + turn[d, 1] * p1 + turn[d, 2] * p2 + offset[d])


@compiled
def add_point(scale, rest, directions, weights, betas, world, lever):
    """Add ``scale`` times a skinned point, its moments and its shape derivatives to ``lever``.

    ``lever.moment`` and ``lever.share`` are per joint alone here; :func:`gather` sums them over the tree.
    ``lever.used`` marks the joints that matter: the shares of a difference of points sum to zero although it turns.
    """
    shapes = len(betas)
    p0, p1, p2 = rest[0], rest[1], rest[2]
    for s in range(shapes):
        p0 += directions[0, s] * betas[s]
        p1 += directions[1, s] * betas[s]
        p2 += directions[2, s] * betas[s]
    blend = lever.blend
    blend[:] = 0.0
    for j in range(len(weights)):
        w = scale * weights[j]
        if w == 0.0:
            continue
        turn, offset = world.turn[j], world.offset[j]
        lever.share[j] += w
        lever.used[j] = True
        for d in range(3):
            value = w * (turn[d, 0] * p0 + turn[d, 1] * p1 + turn[d, 2] * p2 + offset[d])
            lever.moment[j, d] += value
            lever.point[d] += value
            for e in range(3):
                blend[d, e] += w * turn[d, e]
            for s in range(shapes):
                lever.by_shape[d, s] += w * world.offset_shape[j, d, s]
    for d in range(3):
        for e in range(3):
            value = blend[d, e]
            for s in range(shapes):
                lever.by_shape[d, s] += value * directions[e, s]


@compiled
def clear(lever):
    """Forget the point."""
    lever.moment[:] = 0.0
    lever.share[:] = 0.0
    lever.used[:] = False
    lever.point[:] = 0.0
    lever.by_shape[:] = 0.0


@compiled
def gather(body, world, lever):
    """Sum moments up the tree and make them lever arms about each joint."""
    for j in range(len(body.parents) - 1, 0, -1):
        if lever.used[j]:
            parent = body.parents[j]
            lever.used[parent] = True
            lever.share[parent] += lever.share[j]
            for d in range(3):
                lever.moment[parent, d] += lever.moment[j, d]
    for j in range(len(body.parents)):
        if lever.used[j]:
            for d in range(3):
                lever.moment[j, d] -= lever.share[j] * world.place[j, d]


@compiled
def fill_row(a0, a1, a2, lever, row, active):
    """The derivative of ``a`` times the point by every variable, in ``row``; returns how many are not zero.

    ``active`` lists those. Others in ``row`` must be zero already.
    """
    count, joints, shapes = 0, len(lever.share), lever.by_shape.shape[1]
    for j in range(joints):
        if not lever.used[j]:
            continue
        v0, v1, v2 = lever.moment[j, 0], lever.moment[j, 1], lever.moment[j, 2]
        row[3 * j] = v1 * a2 - v2 * a1
        row[3 * j + 1] = v2 * a0 - v0 * a2
        row[3 * j + 2] = v0 * a1 - v1 * a0
        for d in range(3):
            active[count] = 3 * j + d
            count += 1
    first = 3 * joints
    row[first], row[first + 1], row[first + 2] = a0, a1, a2
    for s in range(shapes):
        row[first + 3 + s] = a0 * lever.by_shape[0, s] + a1 * lever.by_shape[1, s] + a2 * lever.by_shape[2, s]
    for i in range(first, first + 3 + shapes):
        active[count] = i
        count += 1
    return count


@compiled
def add_row(row, active, count, residual, weight, system):
    """Add ``weight row row'`` to the upper half of the normal matrix and ``weight residual row`` to the gradient."""
    # Unsigned numbers: numba need not look for indices that count from the end, so the inner loop is vectorised.
    n = np.uint64(len(row))
    matrix = system.matrix
    for k in range(count):
        i = np.uint64(active[k])
        value = weight * row[i]
        system.gradient[i] += value * residual
        for j in range(i, n):
            matrix[i, j] += value * row[j]


@compiled
def add_two_rows(first, second, active, count, residual, weight, system):
    """The same for two rows at once, with residuals ``residual`` [2]; both have the same ``active`` variables."""
    n = np.uint64(len(first))
    matrix = system.matrix
    for k in range(count):
        i = np.uint64(active[k])
        one, two = weight * first[i], weight * second[i]
        system.gradient[i] += one * residual[0] + two * residual[1]
        for j in range(i, n):
            matrix[i, j] += one * first[j] + two * second[j]
