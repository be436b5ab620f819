"""What the kernels of one pixel hide of one another, what each weighs, and the gradient of that.

With ``e = exp(-a)``: ``D_m = sum_k e_k (1 + erf((l_m - l_k) s_k)) / 2``, light ``exp(-absorptivity D_m)``, weight
``w_m = light_m e_m / exp(-1/2)``, ``s = sqrt(q)``. Arrays are of one pixel, nearest kernel first. Source: VoGE (Wang
et al., ICLR 2023), section 3.
"""

from __future__ import annotations

import math

from nbf_render_numba._compile import piece
from nbf_render_numba._special import FAR, erf_and_slope, erf_positive, exp_minus

# A lone kernel seen through its centre weighs 1: it hides half of itself.
LONE_KERNEL = math.exp(-0.5)


@piece
def weigh_pixel(density, depth, sharp, absorptivity, hidden, weight):
    """Fill ``weight`` and ``hidden`` (``D``) from density ``e``, depth ``l`` and sharpness ``s``."""
    reach = FAR / _bluntest(sharp)
    before = 0.0  # sum of the densities before m
    for m in range(len(density)):
        half, here, s = 0.5 * density[m], depth[m], sharp[m]
        total, rest = half, before
        for k in range(m - 1, -1, -1):
            gap = here - depth[k]
            if gap >= reach:
                break
            ahead = erf_positive(gap * sharp[k])
            behind = ahead if sharp[k] == s else erf_positive(gap * s)
            total += 0.5 * density[k] * (1.0 + ahead)
            hidden[k] += half * (1.0 - behind)
            rest -= density[k]
        # those farther ahead lie before this one entirely, and this one hides nothing of them
        hidden[m] = total + max(rest, 0.0)
        before += density[m]
    for m in range(len(density)):
        weight[m] = exp_minus(absorptivity * hidden[m]) * density[m] / LONE_KERNEL


@piece
def weigh_pixel_backward(values, to_weight, absorptivity, hide, to_a, to_l, to_s):
    """Overwrite ``to_a``, ``to_l``, ``to_s`` with gradients; ``values`` are density, depth, sharpness, weight."""
    density, depth, sharp, weight = values
    reach = FAR / _bluntest(sharp)
    for m in range(len(density)):
        e, here, s = density[m], depth[m], sharp[m]
        hide_m = -0.5 * absorptivity * to_weight[m] * weight[m]
        hide[m] = hide_m
        sum_e, sum_l, sum_s = hide_m, 0.0, 0.0
        k = m - 1
        while k >= 0:
            gap = here - depth[k]
            if gap >= reach:
                break
            ahead, slope_k = erf_and_slope(gap * sharp[k])
            behind, slope_m = ahead, slope_k
            if sharp[k] != s:
                behind, slope_m = erf_and_slope(gap * s)
            to_a[k] += hide_m * (1.0 + ahead)
            sum_e += hide[k] * (1.0 - behind)
            front = hide_m * density[k] * slope_k
            back = hide[k] * e * slope_m
            move = front * sharp[k] - back * s
            sum_l += move
            to_l[k] -= move
            to_s[k] += front * gap
            sum_s -= back * gap
            k -= 1
        while k >= 0:
            to_a[k] += 2.0 * hide_m
            k -= 1
        to_a[m], to_l[m], to_s[m] = sum_e, sum_l, sum_s
    for m in range(len(density)):
        # until here to_a was the gradient of e = exp(-a) through what it hides
        to_a[m] = -density[m] * to_a[m] - to_weight[m] * weight[m]


@piece
def _bluntest(sharp):
    """The smallest of the sharpnesses."""
    least = sharp[0]
    for m in range(1, len(sharp)):
        least = min(least, sharp[m])
    return least
