import sys
from importlib.resources import files
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    torch.set_num_threads(1)


_NEED_RULES = (
    "test_rules_come_with_every_fitter", "test_fitters_are_built_with_a_gate", "test_a_good_fit_passes_the_shipped",
    "test_odd_people_spoil_nobody_else", "test_nobody_at_all_and_nobody_seen", "test_half_a_person_and_maps",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """No rules come with the package until they are calibrated for the model that ships."""
    if (files("nbf_fitters") / "data" / "gate.json").is_file():
        return
    for item in items:
        if "gate" in item.path.name and item.name.startswith(_NEED_RULES):
            item.add_marker(pytest.mark.skip(reason="no gate.json ships yet: tools/benchmarks/calibrate_gate.py"))
