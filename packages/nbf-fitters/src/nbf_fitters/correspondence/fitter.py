"""The ``correspondence`` fitter: pixels matched to kernels, then robust Gauss-Newton from several starts."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import ModuleType

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from nbf_core.contracts import BodyModel, FeatureBank, Prior, Renderer, SkinnedBodyModel
from nbf_core.errors import ConfigError, ShapeError
from nbf_core.types import BodyParams, FitResult, Observation
from nbf_fitters.correspondence import _compile, reference
from nbf_fitters.correspondence.appearance import draw
from nbf_fitters.correspondence.chunk import ChunkFit, Setting
from nbf_fitters.correspondence.confidence import joint_confidence
from nbf_fitters.correspondence.config import CorrespondenceConfig
from nbf_fitters.correspondence.hidden import JOINTS
from nbf_fitters.correspondence.problem import to_params
from nbf_fitters.correspondence.tables import Tables
from nbf_fitters.priors import GaussianPosePrior
from nbf_fitters.records import finite_people, pick, prepared, unfitted
from nbf_fitters.terms import usable_keypoints
from nbf_fitters.variables import nearest_depth

ROWS = ("loss", "start_loss", "kept", "silhouette", "occlusion", "confidence", "object_score", "clutter_score")
"""Fields of a result with one row a person."""


class CorrespondenceFitter:
    """Fits people to features and keypoints, independently of one another.

    Needs a body that is a :class:`~nbf_core.contracts.SkinnedBodyModel`; ``renderer`` draws the silhouette of the
    result alone. The square of ``trust`` in [0, 1] multiplies the weight of the features; at 0 the fit is by keypoints.
    ``FitResult.confidence`` is :func:`~nbf_fitters.correspondence.confidence.joint_confidence`; ``trace`` holds the
    energy (``total``) after each step from the start that was chosen. Raises ConfigError where the body cannot tell
    how it is posed, where a prior that is weighed was not handed over, and where the compiled solver is demanded
    without numba.
    """

    def __init__(
        self,
        config: CorrespondenceConfig,
        body: BodyModel,
        renderer: Renderer,
        bank: FeatureBank,
        priors: Mapping[str, Prior] | None = None,
        trust: float = 1.0,
    ):
        if not isinstance(body, SkinnedBodyModel):
            raise ConfigError(
                f"fitter: correspondence needs a body that tells its skinning, {body.spec.name!r} does not"
            )
        self.config, self.body, self.renderer, self.bank, self.trust = config, body, renderer, bank, trust
        self._gaussian = _pose_gaussian(config, dict(priors or {}), sound=trust >= config.features_alone)
        self._compiled = _compiled_solver(config.solver)
        self._made: tuple[object, Tables] | None = None

    def fit(self, observation: Observation, start: BodyParams) -> FitResult:
        """Fit ``b`` people. Whoever cannot be fitted comes back as the start, with ``kept`` false.

        So does everybody where the camera is that of another map than the features. Raises ShapeError where the
        batch sizes of observation and start differ, or the features' channels are not the bank's.
        """
        size = tuple(observation.features.shape[-2:])
        fits = tuple(observation.camera.size) == size
        observation, start = prepared(replace(observation, camera=replace(observation.camera, size=size)), start)
        channels = self.bank.features.shape[-1]
        if observation.features.shape[1] != channels:
            raise ShapeError(f"channels differ: features {observation.features.shape[1]}, bank {channels}")
        result = unfitted(observation, start)
        blank = torch.zeros_like(result.silhouette)
        confidence = blank.new_zeros(len(blank), len(self.body.spec.parents))
        result = replace(result, confidence=confidence, object_score=blank, clutter_score=blank)
        usable, keypoints = self._usable(observation, start)
        people = (usable & fits).nonzero()[:, 0]
        chunks = people.split(self.config.batch_size) if len(people) else ()
        if not chunks:
            return result
        self.tables(observation.features.device)  # made once, before threads ask for it

        def one(rows: slice | Tensor) -> FitResult:
            return self._fit(observation[rows], start[rows], keypoints[rows])

        rows = [_rows(chunk) for chunk in chunks]
        if self.config.threads > 1 and len(rows) > 1:
            with ThreadPoolExecutor(self.config.threads) as pool:
                parts = list(pool.map(one, rows))
        else:
            parts = [one(each) for each in rows]
        return _joined(result, parts, people)

    def _usable(self, observation: Observation, start: BodyParams) -> tuple[Bool[Tensor, "b"], Bool[Tensor, "b"]]:
        """Whose observation and start are complete, and who has keypoints that count."""
        # A sum is finite where all of its terms are, and is had in one pass over the largest tensor.
        usable = observation.features.flatten(1).sum(1).isfinite()
        usable &= finite_people(replace(observation, features=observation.features[:, :0]), start)
        usable &= (observation.camera.focal > 0).all(-1)
        usable &= start.transl[:, 2] >= nearest_depth(observation.camera)
        keypoints = torch.zeros_like(usable)
        if observation.keypoints is not None and self.config.keypoint_weight > 0:
            limits = (self.config.keypoint_confidence, self.config.keypoint_count)
            keypoints = usable_keypoints(observation.keypoints, observation.keypoint_set, *limits)
        alone = self.trust > 0 and self.trust >= self.config.features_alone
        return usable & (keypoints | alone), keypoints

    def _setting(self, observation: Observation) -> Setting:
        device = observation.features.device
        here = self._compiled is not None and device.type == "cpu"
        spec = self.body.spec
        return Setting(
            config=self.config,
            tables=self.tables(device),
            solver=self._compiled if here else reference,
            gaussian=self._gaussian,
            trust=self.trust,
            threads=1 if self.config.threads > 1 else torch.get_num_threads(),
            mirror_joints=spec.mirror_joints,
            keypoint_weights=spec.keypoint_weights,
            hidden=tuple(spec.joint_names.index(name) for name in JOINTS if name in spec.joint_names),
        )

    def tables(self, device: torch.device) -> Tables:
        """Bank and body together on a device; made anew when the bank's features have changed."""
        features = self.bank.features
        key = (features.data_ptr(), features._version, device)
        if self._made is None or self._made[0] != key:
            config, clutter = self.config.matching, self.bank.clutter(self.config.matching.clutter_centers)
            handed = (features.to(device), clutter.to(device), self.body.spec, self.body.skinning())
            self._made = (key, Tables.of(*handed, config.neighbours, config.coarse, self._surface()))
        return self._made[1]

    def _surface(self) -> Float[Tensor, "v 3"] | None:
        """The body's vertices at rest."""
        how = self.body.skinning()
        size = {"joints": len(how.parents) - 1, "shapes": how.joint_directions.shape[-1]}
        neutral = BodyParams.neutral(1, **size, dtype=how.joints.dtype, device=how.joints.device)
        with torch.no_grad():
            vertices = self.body(neutral).vertices
        return None if vertices is None else vertices[0]

    @torch.no_grad()
    def _fit(self, observation: Observation, given: BodyParams, keypoints: Bool[Tensor, "b"]) -> FitResult:
        """People whose observation is usable, all at once."""
        setting = self._setting(observation)
        work = ChunkFit(setting, observation, given, keypoints)
        problem, solution = work.run()
        schedule = work.schedule(self.config.polish)
        matrix = setting.solver.normal_matrix(problem, solution.state, schedule, setting.threads)
        confidence = joint_confidence(problem, solution.state, schedule, matrix)
        start_energy = work.energy(problem, work.start)
        kept = solution.energy.isfinite() & (solution.energy < start_energy)
        kept &= keypoints | (work.agreeing(problem, solution.state) >= self.config.min_pixels)
        fitted = to_params(solution.state, given)
        params = pick(kept, fitted, given)
        drawn = draw(self.body, self.renderer, params, observation, setting.tables)
        like = given.transl
        numbers = {
            "loss": torch.where(kept, solution.energy, start_energy),
            "start_loss": start_energy,
            "silhouette": drawn.silhouette,
            "object_score": drawn.body,
            "clutter_score": drawn.clutter,
            "confidence": torch.where(kept[:, None], confidence, 0),
        }
        return FitResult(
            params=params,
            start=given,
            kept=kept,
            occlusion=drawn.hidden,
            trace={"total": _finite(solution.trace).to(like)},
            **{name: _finite(value).to(like) for name, value in numbers.items()},
        )


def _rows(people: Int[Tensor, "n"]) -> slice | Tensor:
    """An index that copies nothing where the people stand next to one another."""
    first, last = int(people[0]), int(people[-1])
    return slice(first, last + 1) if last - first + 1 == len(people) else people


def _joined(result: FitResult, parts: list[FitResult], people: Int[Tensor, "n"]) -> FitResult:
    """``result`` with the parts, one after another, in the rows ``people``; shorter traces stand still at the end."""
    steps = max(len(part.trace["total"]) for part in parts)

    def put(whole: Tensor, rows: list[Tensor], dim: int = 0) -> Tensor:
        return whole.index_copy(dim, people, torch.cat(rows, dim).to(whole.dtype))

    changes = {name: put(getattr(result, name), [getattr(part, name) for part in parts]) for name in ROWS}
    names = ("global_orient", "body_pose", "betas", "transl")
    for record in ("params", "start"):
        old, new = getattr(result, record), [getattr(part, record) for part in parts]
        changes[record] = BodyParams(**{n: put(getattr(old, n), [getattr(one, n) for one in new]) for n in names})
    rows = [part.trace["total"] for part in parts]
    rows = [torch.cat([row, row[-1:].expand(steps - len(row), -1)]) for row in rows]
    trace = put(rows[0].new_zeros(steps, len(result.loss)), rows, 1)
    return replace(result, trace={"total": trace}, **changes)


def _finite(values: Tensor) -> Tensor:
    return torch.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)


def _pose_gaussian(config: CorrespondenceConfig, priors: dict[str, Prior], sound: bool) -> tuple[Tensor, Tensor] | None:
    """Mean and weighted precision of the pose prior, where it is weighed."""
    for name, weight in config.priors.items():
        if weight <= 0:
            continue
        if name not in priors:
            there = ", ".join(priors) or "none"
            raise ConfigError(f"fitter.priors.{name}: this prior was not handed to the fitter; there are: {there}")
        prior = priors[name]
        if not isinstance(prior, GaussianPosePrior):
            raise ConfigError(f"fitter.priors.{name}: expected a Gaussian over poses, got {type(prior).__name__}")
        weight = weight if sound else weight * config.unsure_prior
        return prior.mean.double(), weight * (prior.factor.double().mT @ prior.factor.double())
    return None


def _compiled_solver(wanted: str) -> ModuleType | None:
    """The compiled solver, or None where the reference is to be used."""
    if wanted == "reference":
        return None
    if not _compile.AVAILABLE:
        if wanted == "compiled":
            raise ConfigError("fitter.solver: the compiled solver needs numba, which is not installed")
        return None
    from nbf_fitters.correspondence import compiled

    return compiled
