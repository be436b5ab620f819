"""Every metric of this package keeps the contract of metrics."""

import pytest

from nbf_metrics import plugin
from nbf_testing.metrics import MetricConformance

ENTRIES = {entry.name: entry for entry in plugin.nbf_metrics()}


class EveryMetric(MetricConformance):
    name: str

    def make_metric(self):
        entry = ENTRIES[self.name]
        return entry.load()(entry.load_config()())


for _name in ENTRIES:
    _title = "Test" + _name.title().replace("-", "")
    globals()[_title] = type(_title, (EveryMetric,), {"name": _name, "__test__": True})

EveryMetric.__test__ = False


@pytest.mark.parametrize("name", ENTRIES)
def test_no_metric_is_left_out(name):
    assert any(getattr(one, "name", None) == name for one in globals().values())
