"""Metrics and occlusion protocol together choose the occluders that the published code chooses."""

from pathlib import Path

import pytest
import torch

from nbf_datasets.occlusion.config import AdversarialConfig
from nbf_datasets.occlusion.protocols import Adversarial
from nbf_metrics import Mpjpe, PaMpjpe
from nbf_testing.golden import cases

HERE = Path(__file__).resolve().parents[1] / "packages" / "nbf-datasets" / "tests" / "golden"
METRES = 1e-3


@pytest.mark.parametrize("case", cases("adversarial_grid", HERE), ids=str)
@pytest.mark.parametrize(("name", "metric", "needs"), [("mpjpe", Mpjpe(), 1), ("pa-mpjpe", PaMpjpe(), 3)])
def test_golden_worst_positions(case, name, metric, needs):
    predicted, truth = (METRES * case.tensor(key).double() for key in ("pred", "gt"))
    visible = case.tensor("mask").double()
    values = metric(predicted, truth, visible)
    expected = torch.tensor(case.outputs[f"{name}_elementwise"]).double()
    # Published: 0 where too little is visible, ours: NaN. Neither is ever the worst.
    known = visible.sum(-1) >= needs
    assert values.isnan().equal(~known)
    torch.testing.assert_close(values[known], expected[known], atol=1e-3, rtol=1e-6)  # published in float32
    protocol = Adversarial(AdversarialConfig(sizes=(case.params["occ"],), stride=case.params["stride"]))
    worst = protocol.worst(values.view(case.params["imgs"], -1).T, metric.lower_is_better)
    case.check(f"{name}_argmax", worst.to(torch.int32))
    # The published number of the whole grid counts every visible joint once, not every person.
    case.check(f"{name}_mean", (values.nan_to_num() * visible.sum(-1)).sum() / visible.sum())
