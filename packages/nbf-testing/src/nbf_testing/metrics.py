"""The conformance suite of metrics: subclass :class:`MetricConformance` in a test file, pytest does the rest."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from nbf_core.contracts import Metric
from nbf_core.errors import ShapeError
from nbf_testing.claims import Suite, noise, one_line, seeded, skip_where_impossible

# What points there are: how many, of how many dimensions.
TAKES = {"joints": (17, 3), "vertices": (40, 3), "keypoints": (14, 2), "film": (14, 3), "occlusion": (60, 1)}
PEOPLE = 5


class MetricConformance(Suite):
    """What every metric must do. A plugin's test file is::

    class TestMine(MetricConformance):
        def make_metric(self):
            return MyMetric(MyConfig())
    """

    def make_metric(self) -> Metric:
        """The metric under test, newly built."""
        raise NotImplementedError("a conformance test must say how its metric is made")

    @pytest.fixture
    def metric(self) -> Metric:
        return self.make_metric()

    def points(self, metric: Metric, people: int = PEOPLE, **kwargs) -> tuple[Tensor, Tensor, Tensor]:
        """(predicted, truth, visible): people of joints in metres, keypoints in pixels, or pixels."""
        count, dimensions = TAKES[metric.takes]
        draw = seeded(3)
        truth = torch.randn(people, count, dimensions, generator=draw, dtype=torch.float64)
        error = torch.randn(people, count, dimensions, generator=draw, dtype=torch.float64)
        if metric.takes == "occlusion":
            truth, predicted = (truth > 0).double(), (truth + 0.7 * error > 0).double()
        elif metric.takes == "keypoints":
            truth = 40 * truth + 100
            truth[:, -2:] = truth[:, -2:-1] + truth.new_tensor([[0.0, 0.0], [0.0, -30.0]])  # neck and top of the head
            predicted = truth + 12 * error
        else:
            truth = 0.4 * truth
            predicted = truth + 0.06 * error
        visible = torch.ones(people, count, dtype=torch.float64)
        kwargs = kwargs or {"dtype": self.finest()}
        return tuple(value.to(**kwargs) for value in (predicted, truth, visible))

    def test_fulfils_the_protocol(self, metric):
        assert isinstance(metric, Metric)
        assert isinstance(metric.unit, str) and metric.unit
        assert isinstance(metric.lower_is_better, bool)
        assert metric.takes in TAKES

    @pytest.mark.parametrize("people", [0, 1, PEOPLE])
    def test_one_value_a_sample(self, metric, device, dtype, people):
        skip_where_impossible(device, dtype)
        values = metric(*self.points(metric, people, dtype=dtype, device=device))
        assert values.shape == (people,) and values.dtype == dtype and values.device.type == device
        if metric.takes != "film":
            assert torch.isfinite(values).all()
        elif people >= 3:
            assert torch.isfinite(values).any()

    def test_the_truth_is_best(self, metric):
        predicted, truth, visible = self.points(metric)
        best, other = metric(truth, truth, visible), metric(predicted, truth, visible)
        known = ~best.isnan() & ~other.isnan()
        assert known.any()
        difference = (other - best)[known] * (1 if metric.lower_is_better else -1)
        assert (difference >= 0).all() and (difference > 0).any()
        if metric.unit == "%":
            assert (best[known] >= 0).all() and (best[known] <= 100).all()

    def test_values_are_in_the_unit_that_it_names(self, metric):
        """Every joint 10 mm off, in a direction of its own, is about 10 mm; shares are percent."""
        _, truth, visible = self.points(metric)
        if metric.unit.startswith("mm"):
            direction = noise(truth, 8)
            values = metric(truth + 0.01 * direction / direction.norm(dim=-1, keepdim=True), truth, visible)
            values = values[~values.isnan()]
            assert (values > 0.5).all() and (values < 60).all(), values
        elif metric.unit == "%":
            value = metric(truth, truth, visible).nan_to_num().max()
            assert value > 1.5 or metric.lower_is_better, "a share of one is 100 %"
        else:
            pytest.skip(f"nothing is known of the unit {metric.unit!r}")

    def test_samples_do_not_meet(self, metric):
        if metric.takes == "film":
            pytest.skip("frames of a film are compared with their neighbours")
        points = self.points(metric)
        together = metric(*points)
        for sample in range(PEOPLE):
            alone = metric(*(value[sample : sample + 1] for value in points))
            torch.testing.assert_close(together[sample : sample + 1], alone, equal_nan=True)

    def test_hidden_points_do_not_count(self, metric):
        predicted, truth, visible = self.points(metric)
        visible[:, ::3] = 0
        values = metric(predicted, truth, visible)
        for other in (7.0, torch.nan):
            spoiled = torch.where(visible[..., None] > 0, predicted, torch.full_like(predicted, other))
            torch.testing.assert_close(metric(spoiled, truth, visible), values, equal_nan=True)
        assert (values - metric(predicted, truth, torch.ones_like(visible))).nan_to_num().any(), "visibility counts"

    def test_nothing_visible_is_not_a_number(self, metric):
        predicted, truth, visible = self.points(metric)
        before = metric(predicted, truth, visible)
        visible[1] = 0
        values = metric(predicted, truth, visible)
        assert values[1].isnan(), "0 or 100 would count as a measurement"
        if metric.takes != "film":
            others = [0, 2, 3, 4]
            torch.testing.assert_close(values[others], before[others], equal_nan=True)

    @pytest.mark.parametrize("value", [torch.nan, torch.inf])
    def test_a_prediction_that_is_no_number_never_counts_as_good(self, metric, value):
        if metric.takes == "occlusion" and value == torch.inf:
            pytest.skip("how surely a pixel is hidden is a number from 0 to 1")
        predicted, truth, visible = self.points(metric)
        before = metric(predicted, truth, visible)
        spoiled = predicted.clone()
        spoiled[2] = value
        values = metric(spoiled, truth, visible)
        worst = values[2].isnan() or (values[2] == torch.inf if metric.lower_is_better else values[2] == 0)
        assert worst, f"{float(values[2])} for a prediction of {value}"
        if metric.takes != "film":
            others = [0, 1, 3, 4]
            torch.testing.assert_close(values[others], before[others], equal_nan=True)

    def test_repeats_and_leaves_its_inputs_alone(self, metric):
        points = self.points(metric)
        before = [value.clone() for value in points]
        first = metric(*points)
        torch.testing.assert_close(metric(*points), first, rtol=0, atol=0, equal_nan=True)
        torch.testing.assert_close(self.make_metric()(*points), first, rtol=0, atol=0, equal_nan=True)
        assert all(torch.equal(now, then) for now, then in zip(points, before, strict=True))

    @pytest.mark.parametrize("name", ["predicted", "truth", "visible"])
    @pytest.mark.wrong_shapes
    def test_wrong_shapes_are_refused_by_name(self, metric, name):
        points = dict(zip(("predicted", "truth", "visible"), self.points(metric), strict=True))
        # The last number of each point is cut off, or the last point's visibility.
        points[name] = points[name][..., :-1] if name != "truth" else points[name][:, :-1]
        # Whichever of the two a metric takes for right, the other one is wrong.
        with pytest.raises(ShapeError, match="visible" if name == "visible" else "predicted|truth") as caught:
            metric(*points.values())
        one_line(caught.value)
