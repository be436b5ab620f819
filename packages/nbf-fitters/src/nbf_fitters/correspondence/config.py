"""Configuration of the ``correspondence`` fitter. Imports no torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from nbf_core.config.base import Config

CorrespondenceStart = Literal["estimate", "two-sided", "parts", "parts-two-sided"]


class MatchingConfig(Config):
    """Finding the point of the body that a pixel shows.

    Pixels must resemble one of ``coarse`` classes more than clutter. A place between kernels is made of the
    ``neighbours`` kernels nearest to the best one. ``dtype`` is that of the large matrix product; ``auto`` takes
    bfloat16 where the processor multiplies it fast.
    """

    coarse: int = Field(128, ge=3)
    neighbours: int = Field(9, ge=1)
    clutter_centers: int = Field(1, ge=1)
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"


class ScheduleConfig(Config):
    """Stages of Levenberg-Marquardt: scales of the robust functions in pixels of a map of 80, steps at most.

    A stage ends before where a step lowers the energy by less than the share ``tolerance``.
    """

    pixel_scale: tuple[float, ...]
    keypoint_scale: tuple[float, ...]
    steps: tuple[int, ...]
    tolerance: float = Field(1e-3, ge=0)

    @model_validator(mode="after")
    def _lengths(self) -> ScheduleConfig:
        if not len(self.pixel_scale) == len(self.keypoint_scale) == len(self.steps) > 0:
            raise ValueError("pixel_scale, keypoint_scale and steps: one entry a stage in each")
        if min(*self.pixel_scale, *self.keypoint_scale) <= 0 or min(self.steps) < 0:
            raise ValueError("scales must be positive and steps not negative")
        return self


def _explore() -> ScheduleConfig:
    return ScheduleConfig(pixel_scale=(16.0, 6.0), keypoint_scale=(50.0, 20.0), steps=(4, 4), tolerance=1e-2)


def _polish() -> ScheduleConfig:
    return ScheduleConfig(pixel_scale=(3.0, 1.0), keypoint_scale=(10.0, 6.0), steps=(4, 8))


class CorrespondenceConfig(Config):
    """The ``correspondence`` fitter.

    Weights are inverse variances times ``gaussian-pose`` in ``priors``, the weight of the only prior that this fitter
    takes, so that the terms compare: ``pixel_weight`` of one pixel (1 / px^2), ``keypoint_weight`` of a keypoint of
    confidence 1 (both in pixels of a map of 80), ``limb_weight`` of a limb's direction outside the bin seen,
    ``anchor_weight`` of a joint's turn away from the start (1 / rad^2), ``root_weight`` of the root's,
    ``shape_anchor`` and ``shape_weight`` of a shape coefficient against the start's and the mean's, ``depth_weight``
    of the logarithm of the depth. Anchors are for a start with usual errors; each person's are scaled by how wrong the
    start proves to be, within ``start_error``: ratios of standard deviations to the usual ones.

    The fitter's trust, squared, multiplies what features weigh. Where trust is below ``features_alone``, keypoints are
    fitted first; then pixels are matched within the radii ``near`` of that fit, and both are fitted. Orientation
    bins count for nothing there, and priors ``unsure_prior`` times as much: what such pixels and keypoints say is wrong
    together, by whole limbs.

    ``flip_strain`` (energy): a person with a joint whose turn costs more is fitted again with the worst such joint
    turned over in depth; 0: nobody is.

    ``outline_weight`` (1 / px^2) pulls unseen limbs outside what is seen of a person into it, where little of the
    person is outside, in at most ``outline_rounds`` further fits.

    ``starts``: one after another is fitted by the schedule ``explore``, until the energy a pixel is below ``enough``
    (px^2, for noiseless features; 0 tries all); the one of least energy is fitted further by ``polish``.
    ``rematch`` gives the radii (pixels of a map of 80) within which pixels are matched again before a further
    ``polish``; it is left out for people whose feature noise (its squared length) is below ``rematch_noise``.
    ``features_alone``: people without usable keypoints are fitted where trust is at least that, and where
    ``min_pixels`` pixels agree with the fit.
    ``batch_size`` people are fitted at once, in each of ``threads`` threads: more than one pays where torch itself is
    set to one thread. ``solver`` takes the compiled one where numba is there and tensors are on the CPU.
    """

    matching: MatchingConfig = MatchingConfig()
    pixel_weight: float = Field(4.0, gt=0)
    keypoint_weight: float = Field(0.5, ge=0)
    keypoint_confidence: float = Field(0.2, ge=0, le=1)
    keypoint_count: int = Field(7, ge=1)
    limb_weight: float = Field(1000.0, ge=0)
    anchor_weight: float = Field(2.0, ge=0)
    root_weight: float = Field(2.0, ge=0)
    start_error: tuple[float, float] = (0.2, 2.0)
    flip_strain: float = Field(2.5, ge=0)
    outline_weight: float = Field(0.2, ge=0)
    outline_rounds: int = Field(2, ge=0)
    shape_anchor: float = Field(0.5, ge=0)
    shape_weight: float = Field(0.02, ge=0)
    depth_weight: float = Field(100.0, ge=0)
    priors: dict[str, float] = {"gaussian-pose": 0.2}
    unsure_prior: float = Field(2.55, gt=0)
    starts: tuple[CorrespondenceStart, ...] = Field(("estimate", "parts", "two-sided", "parts-two-sided"), min_length=1)
    enough: float = Field(0.02, ge=0)
    explore: ScheduleConfig = Field(default_factory=_explore)
    polish: ScheduleConfig = Field(default_factory=_polish)
    rematch: tuple[float, ...] = (6.0, 4.0, 3.0)
    rematch_noise: float = Field(0.3, ge=0)
    near: tuple[float, ...] = (4.0,)
    features_alone: float = Field(0.9, ge=0)
    min_pixels: int = Field(20, ge=1)
    batch_size: int = Field(8, ge=1)
    threads: int = Field(1, ge=1)
    solver: Literal["auto", "compiled", "reference"] = "auto"

    @model_validator(mode="after")
    def _priors(self) -> CorrespondenceConfig:
        for name in self.priors:
            if name != "gaussian-pose":
                raise ValueError(f"priors.{name}: this fitter takes no other prior than gaussian-pose")
        return self
