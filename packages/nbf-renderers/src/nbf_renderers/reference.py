"""The renderer once more, dense and short: every formula as it is written, every kernel in every pixel.

For reading and for holding faster renderers against; memory is pixels times kernels (times ``max_kernels``).
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor


def render_dense(
    means: Float[Tensor, "b k 3"],
    precision: Float[Tensor, "b k 3 3"],
    rays: Float[Tensor, "b h w 3"],
    attributes: Float[Tensor, "b k c"],
    max_kernels: int = 10,
    threshold: float = 1e-4,
    absorptivity: float = 1.0,
    keep_behind: bool = False,
) -> tuple[Float[Tensor, "b h w c"], Float[Tensor, "b h w"]]:
    """Attribute map and silhouette along unit ``rays``. VoGE (ICLR 2023), section 3; use float64."""
    S = precision[:, None, None]  # [b, 1, 1, k, 3, 3]
    mu = means[:, None, None]  # [b, 1, 1, k, 3]
    d = rays[:, :, :, None]  # [b, h, w, 1, 3]

    # Along the ray: the density's peak l, its height exp(-a) and its sharpness q.
    Sd = (S @ d[..., None])[..., 0]
    q = (d * Sd).sum(-1)
    l = (mu * Sd).sum(-1) / q  # noqa: E741
    a = ((S @ mu[..., None])[..., 0] * mu).sum(-1) - l * l * q

    # The nearest max_kernels that count.
    counts = a < -math.log(threshold + 1e-10)
    if not keep_behind:
        counts = counts & (l > 0)
    order = torch.where(counts, l, torch.inf).argsort(dim=-1, stable=True)[..., :max_kernels]
    a, l, q, counts = (value.gather(-1, order) for value in (a, l, q, counts))  # noqa: E741

    # Occlusion D and weight w.
    density = torch.where(counts, torch.exp(-a), 0.0)
    ahead = torch.erf((l[..., :, None] - l[..., None, :]) * torch.sqrt(q + 1e-10)[..., None, :]) + 1
    D = (density[..., None, :] * ahead).sum(-1) / 2
    w = torch.exp(-absorptivity * D) * density / math.exp(-0.5)

    batch = torch.arange(len(means), device=means.device)[:, None, None, None]
    image = (w[..., None] * attributes[batch, order]).sum(-2)
    return image, w.sum(-1).clamp(max=1)
