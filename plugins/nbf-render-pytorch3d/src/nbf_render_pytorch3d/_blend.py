"""How much each face weighs in a pixel."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from nbf_render_pytorch3d._raster import Hits
from nbf_render_pytorch3d._surface import Surface
from nbf_render_pytorch3d.config import PyTorch3DConfig


@dataclass(frozen=True)
class Blend:
    """Weights of the faces ``[n, s]``, their sum ``cover`` ``[n]``, and a bound ``lost`` ``[n]`` of what is missing.

    ``lost`` is 0 and ``more`` ``[n]`` False where no face was left out for lack of slots.
    """

    weight: Tensor
    cover: Tensor
    more: Tensor
    lost: Tensor


def blend(hits: Hits, surface: Surface, config: PyTorch3DConfig, faces: int) -> Blend:
    """Weights of the faces in ``hits``; ``faces`` is how many a mesh has."""
    more = hits.rest < torch.inf
    if config.form == "hard":
        cover = torch.ones_like(surface.depth[:, 0])
        return Blend(cover[:, None], cover, more, torch.zeros_like(cover))
    return _soft(hits, surface, config, faces, more)


def _soft(hits: Hits, surface: Surface, config: PyTorch3DConfig, faces: int, more: Tensor) -> Blend:
    """SoftRas (Liu et al., ICCV 2019), section 3.2, its colour weighted by its silhouette.

    With ``D_j = sigmoid(-outside_j / sigma)`` a pixel is covered by ``S = 1 - prod_j (1 - D_j)``, and face ``j``
    takes ``S D_j exp(-z_j / gamma) / sum_k D_k exp(-z_k / gamma)``, so that the weights sum to the silhouette.
    """
    reach = surface.outside / config.sigma
    # Depths relative to the nearest face: exp(-z / gamma) itself would vanish in rounding.
    near = surface.depth.detach()[:, :1]
    score = torch.where(hits.there, logsigmoid(-reach) - (surface.depth - near) / config.gamma, -torch.inf)
    cover = -torch.expm1(torch.where(hits.there, logsigmoid(reach), 0.0).sum(1))
    # What is missing is at most all other faces, each as near as it can be and wholly over the pixel.
    others = math.log(max(faces - config.blended, 1))
    missing = others - (hits.rest.to(near.dtype) - near[:, 0]) / config.gamma
    lost = torch.sigmoid(missing - score.detach().logsumexp(1))
    return Blend(cover[:, None] * score.softmax(1), cover, more, lost)
