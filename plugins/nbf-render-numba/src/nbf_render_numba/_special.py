"""The exponential and the error function from tables of polynomials: to 1e-15, at a quarter of the C library's cost.

Each table holds Taylor coefficients about the middles of equal intervals; the first term left out is below 1e-16. One
line of cache holds one polynomial of the error function, and gives the function and exactly that function's derivative.
"""

from __future__ import annotations

import math

import numpy as np

from nbf_render_numba._compile import piece

# Intervals per unit, and where the tables end: from there on erf is 1 to the last bit of float64.
_ERF_STEPS, FAR = 32, 6.0
_EXP_STEPS, _EXP_FAR = 16, 64.0


def _erf_table() -> np.ndarray:
    """Coefficients ``[intervals, 8]``. For ``y = erf(x)`` and n > 0: ``y^(n+1) = -2 x y^(n) - 2 (n - 1) y^(n-1)``."""
    table = np.empty((int(FAR * _ERF_STEPS), 8))
    for i in range(len(table)):
        x = (i + 0.5) / _ERF_STEPS
        derivatives = [math.erf(x), 2 / math.sqrt(math.pi) * math.exp(-x * x)]
        for n in range(1, 7):
            before = derivatives[n - 1] if n > 1 else 0.0
            derivatives.append(-2 * x * derivatives[n] - 2 * (n - 1) * before)
        table[i] = [d / math.factorial(n) for n, d in enumerate(derivatives)]
    return table


_ERF = _erf_table()
_EXP = np.exp(-(np.arange(int(_EXP_FAR * _EXP_STEPS)) + 0.5) / _EXP_STEPS)


@piece(fastmath={"contract"})
def exp_minus(x):
    """``exp(-x)``."""
    if not (x >= 0.0 and x < _EXP_FAR):
        return math.exp(-x)
    i = int(x * _EXP_STEPS)
    d = (i + 0.5) / _EXP_STEPS - x
    series = 1 / 24 + d * (1 / 120 + d * (1 / 720 + d * (1 / 5040)))
    return _EXP[i] * (1.0 + d * (1.0 + d * (0.5 + d * (1 / 6 + d * series))))


@piece(fastmath={"contract"})
def erf_positive(x):
    """``erf(x)`` for ``x >= 0``."""
    if not x < FAR:
        return 1.0
    i = int(x * _ERF_STEPS)
    d = x - (i + 0.5) / _ERF_STEPS
    c = _ERF[i]
    return c[0] + d * (c[1] + d * (c[2] + d * (c[3] + d * (c[4] + d * (c[5] + d * (c[6] + d * c[7]))))))


@piece(fastmath={"contract"})
def erf_and_slope(x):
    """``erf(x)`` and ``2 / sqrt(pi) exp(-x^2)`` for ``x >= 0``."""
    if not x < FAR:
        return 1.0, 0.0
    i = int(x * _ERF_STEPS)
    d = x - (i + 0.5) / _ERF_STEPS
    c = _ERF[i]
    value = c[0] + d * (c[1] + d * (c[2] + d * (c[3] + d * (c[4] + d * (c[5] + d * (c[6] + d * c[7]))))))
    third = 3.0 * c[3] + d * (4.0 * c[4] + d * (5.0 * c[5] + d * (6.0 * c[6] + d * (7.0 * c[7]))))
    return value, c[1] + d * (2.0 * c[2] + d * third)
