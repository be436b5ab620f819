"""The contract of a body model."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from nbf_core.types.body import BodyOutput, BodyParams, BodySpec, Skinning


@runtime_checkable
class BodyModel(Protocol):
    """Turns parameters into a posed body: a ``torch.nn.Module`` (buffers move with ``.to``)."""

    spec: BodySpec

    def forward(self, params: BodyParams, vertices: bool = True) -> BodyOutput:
        """Pose the body. Without ``vertices`` only joints, markers and kernels are computed: the cheap path.

        Differentiable in every parameter; any leading batch, shared by all parameters.
        """
        ...

    def __call__(self, params: BodyParams, vertices: bool = True) -> BodyOutput: ...

    def keypoints(self, output: BodyOutput, name: str) -> Float[Tensor, "*b n 3"]:
        """The keypoint set ``name`` (a key of ``spec.keypoint_weights``) of a posed body, in metres."""
        ...


@runtime_checkable
class SkinnedBodyModel(BodyModel, Protocol):
    """A body that also tells how it is posed: an optional capability, for fitters with derivatives of their own.

    A fitter asks ``isinstance(body, SkinnedBodyModel)``.
    """

    def skinning(self) -> Skinning:
        """The rest positions, shape directions and skinning weights of joints, kernels and markers."""
        ...


@runtime_checkable
class GenderedBodyModel(BodyModel, Protocol):
    """A body of which there are several, one a gender: an optional capability, for data whose labels say which."""

    def gendered(self, gender: str) -> BodyModel:
        """The body of ``neutral``, ``male`` or ``female``: same kernels, joints and keypoint sets, same parameters.

        Raises ConfigError for another gender, AssetError where that body is not to be had.
        """
        ...
