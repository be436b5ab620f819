"""The conformance suite of fitters: subclass :class:`FitterConformance` in a test file, pytest does the rest."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from nbf_core.contracts import BodyModel, FeatureBank, Fitter, Renderer, SequenceFitter
from nbf_core.errors import NbfError
from nbf_core.types import BodyParams, FitResult, Observation
from nbf_testing.claims import Suite, one_line, skip_where_impossible
from nbf_testing.fake_networks import FakeBank
from nbf_testing.fakes import FakeRenderer
from nbf_testing.fitting import MISHAPS, UNUSABLE, everything_finite, fit_scene, spoiled
from nbf_testing.people import PARAMETERS
from nbf_testing.stick_body import StickBody

SIZE = 24


class FitterConformance(Suite):
    """What every fitter must do. A plugin's test file is::

        class TestMine(FitterConformance):
            def make_fitter(self, **parts):  # body, renderer, bank, priors, trust
                return MyFitter(MyConfig(steps=10), **parts)

    Give it few steps. The people are of sticks, their pictures drawn by a renderer of one pixel a kernel, their
    features ideal; ``priors`` is empty, so a fitter that needs some adds its own.

    ``needs_keypoints``
        True for a fitter that does nothing for people without detected keypoints.
    ``independence``
        how far (m, rad) a person's result may depend, by rounding, on who else is in the batch.
    """

    needs_keypoints: bool = False
    independence: float = 1e-4

    def make_fitter(self, **parts) -> Fitter:
        """The fitter under test, newly built from ``body``, ``renderer``, ``bank``, ``priors`` and ``trust``."""
        raise NotImplementedError("a conformance test must say how its fitter is made")

    def make_body(self) -> BodyModel:
        """The body that is fitted."""
        return StickBody()

    def make_renderer(self) -> Renderer:
        """The renderer that the fitter is handed, and that draws what it sees."""
        return FakeRenderer()

    def parts(self, device: str, dtype: torch.dtype, trust: float = 1.0) -> dict:
        """What the fitter is handed."""
        body = self.make_body().to(dtype).to(device)
        bank: FeatureBank = FakeBank(spec=body.spec, channels=16).to(dtype).to(device)
        return {"body": body, "renderer": self.make_renderer(), "bank": bank, "priors": {}, "trust": trust}

    def setting(
        self, people: int = 2, device: str = "cpu", dtype: torch.dtype | None = None, trust: float = 1.0
    ) -> tuple[Fitter, Observation, BodyParams]:
        """A fitter, what is seen of some people, and a start that is off."""
        dtype = dtype or self.finest(device)
        parts = self.once((device, dtype, trust), lambda: self.parts(device, dtype, trust))
        fitter = self.once(("fitter", device, dtype, trust), lambda: self.make_fitter(**parts))
        observation, start = fit_scene(parts["body"], parts["renderer"], parts["bank"], people, SIZE)
        return fitter, observation, start

    def plain_result(self) -> tuple[FitResult, Observation, BodyParams]:
        """Of the ordinary people, fitted once for all tests."""

        def fit():
            fitter, observation, start = self.setting(3)
            return fitter.fit(observation, start), observation, start

        return self.once("result", fit)

    def error(self, params: BodyParams, observation: Observation) -> Tensor:
        """Mean distance of each person's keypoints from those observed, in pixels."""
        body = self.make_body().to(params.transl.dtype).to(params.transl.device)
        points = body.keypoints(body(params, vertices=False), observation.keypoint_set)
        return (observation.camera.project(points) - observation.keypoints[..., :2]).norm(dim=-1).mean(-1)

    # What comes back.

    def test_fulfils_the_protocol(self):
        assert isinstance(self.setting(1)[0], Fitter)

    def test_shapes_dtype_and_device(self, device, dtype):
        skip_where_impossible(device, dtype)
        fitter, observation, start = self.setting(2, device, dtype)
        check_result(fitter.fit(observation, start), start, SIZE, device)

    def test_fits_come_nearer_to_what_is_seen(self):
        result, observation, start = self.plain_result()
        assert result.kept.any(), "nobody was fitted, of people who are easy to fit"
        before, after = self.error(start, observation), self.error(result.params, observation)
        assert after[result.kept].mean() < before[result.kept].mean()
        assert (result.loss <= result.start_loss)[result.kept].any()

    def test_whoever_is_not_kept_is_the_start(self):
        result, _, start = self.plain_result()
        for name in PARAMETERS:
            given, kept = getattr(start, name), result.kept
            assert torch.equal(getattr(result.params, name)[~kept], getattr(result.start, name)[~kept])
            torch.testing.assert_close(getattr(result.start, name), given)

    def test_repeats_and_leaves_its_inputs_alone(self):
        first, observation, start = self.plain_result()
        fitter = self.setting(1)[0]
        before, seen = start.clone(), observation.clone()
        again = fitter.fit(observation, start)
        for name in PARAMETERS:
            assert torch.equal(getattr(again.params, name), getattr(first.params, name))
            assert torch.equal(getattr(start, name), getattr(before, name))
        assert torch.equal(observation.features, seen.features)
        assert torch.equal(observation.keypoints, seen.keypoints)

    def test_works_where_gradients_are_off_and_keeps_no_graph(self):
        first, observation, start = self.plain_result()
        with torch.no_grad():
            result = self.setting(1)[0].fit(observation, start)
        torch.testing.assert_close(result.params.transl, first.params.transl)
        for value in (result.loss, result.silhouette, result.params.transl, result.params.body_pose):
            assert not value.requires_grad

    # Whatever is observed.

    def test_without_keypoints(self):
        fitter, observation, start = self.setting(2)
        result = fitter.fit(replace(observation, keypoints=None), start)
        check_result(result, start, SIZE, "cpu")
        if self.needs_keypoints:
            assert not result.kept.any(), "a fitter that needs keypoints returns the start without them"

    def test_without_trust_in_the_features(self):
        fitter, observation, start = self.setting(2, trust=0.0)
        check_result(fitter.fit(observation, start), start, SIZE, "cpu")
        check_result(fitter.fit(replace(observation, keypoints=None), start), start, SIZE, "cpu")

    def test_nobody_at_all(self):
        fitter, observation, start = self.setting(2)
        none = torch.zeros(0, dtype=torch.long)
        assert len(fitter.fit(observation[none], start[none]).loss) == 0

    def test_unusable_people_spoil_nobody_else(self):
        fitter, observation, start = self.setting(len(MISHAPS) + 2)
        observation, start = spoiled(observation, start)
        result = fitter.fit(observation, start)
        everything_finite(result)
        for person, mishap in enumerate(MISHAPS, 1):
            if mishap in UNUSABLE:
                assert not result.kept[person], f"{mishap.__name__} is not to be fitted"
                assert torch.equal(result.params.transl[person], result.start.transl[person])
        for person in (0, len(MISHAPS) + 1):
            alone = fitter.fit(observation[[person]], start[[person]])
            assert result.kept[person] == alone.kept[0]
            for name in PARAMETERS:
                one, other = getattr(result.params, name)[person], getattr(alone.params, name)[0]
                torch.testing.assert_close(one, other, rtol=0, atol=self.independence)

    @pytest.mark.parametrize("name", ["start", "features"])
    @pytest.mark.wrong_shapes
    def test_what_does_not_fit_together_is_refused(self, name):
        fitter, observation, start = self.setting(2)
        if name == "start":
            start = start[:1]
        else:
            observation = replace(observation, features=observation.features[0])
        with pytest.raises(NbfError, match=name) as caught:
            fitter.fit(observation, start)
        one_line(caught.value)

    # Films.

    def test_frames_of_a_film_are_fitted_together(self):
        fitter, observation, start = self.setting(4)
        if not isinstance(fitter, SequenceFitter):
            pytest.skip("this fitter does not offer the optional fit_sequence")
        frames = torch.zeros(4, dtype=torch.long)
        result = fitter.fit_sequence(observation[frames], start[frames])
        check_result(result, start[frames], SIZE, "cpu")
        later = fitter.fit_sequence(observation[frames], start[frames], before=result.params[-2:])
        check_result(later, start[frames], SIZE, "cpu")
        torch.testing.assert_close(later.params.betas[later.kept], result.params.betas[-1:].expand_as(
            later.params.betas)[later.kept])  # fmt: skip

    def test_a_spoiled_frame_loses_no_film(self):
        fitter, observation, start = self.setting(4)
        if not isinstance(fitter, SequenceFitter):
            pytest.skip("this fitter does not offer the optional fit_sequence")
        start = start.clone()
        start.body_pose[1] = torch.nan
        result = fitter.fit_sequence(observation, start)
        everything_finite(result)
        none = torch.zeros(0, dtype=torch.long)
        assert len(fitter.fit_sequence(observation[none], start[none]).loss) == 0


def check_result(result: FitResult, start: BodyParams, side: int, device: str) -> None:
    """Assert that a result is complete: shapes, dtypes, ranges, no NaN."""
    people, dtype = len(start.transl), start.transl.dtype
    for params in (result.params, result.start, *result.history.values()):
        for name in PARAMETERS:
            value = getattr(params, name)
            assert value.shape == getattr(start, name).shape and value.dtype == dtype, name
            assert value.device.type == device, name
    assert result.loss.shape == result.start_loss.shape == result.kept.shape == (people,)
    assert result.kept.dtype == torch.bool and result.loss.dtype == dtype
    assert result.silhouette.shape == result.occlusion.shape == (people, side, side)
    assert result.occlusion.dtype == torch.bool
    assert (result.silhouette >= 0).all() and (result.silhouette <= 1 + 1e-5).all()
    steps = {len(value) for value in result.trace.values()}
    assert all(value.shape == (len(value), people) for value in result.trace.values())
    assert all(0 <= step <= max(steps, default=0) for step in (*result.stages, *result.history))
    if result.confidence is not None:
        assert (result.confidence >= 0).all() and (result.confidence <= 1).all()
        assert not result.confidence[~result.kept].any(), "zero where the start was returned"
    everything_finite(result)
