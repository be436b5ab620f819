"""Golden cases are found by kind, checked by their own tolerances, and can be replaced from outside."""

import json

import numpy as np
import pytest
import torch

from nbf_testing.golden import cases


@pytest.fixture
def directory(tmp_path):
    np.savez(
        tmp_path / "one.npz",
        in__x=np.array([1.0, 2.0]),
        in__n=np.int32(3),
        out__y=np.array([10.0, 20.0]),
        out__i=np.array([1, 2], dtype=np.int32),
        params_json=np.array("{}"),
    )
    case = {"name": "one", "file": "one.npz", "kind": "doubling", "atol": 0.0, "rtol": 1e-3, "notes": "n"}
    other = {**case, "name": "two", "kind": "other"}
    (tmp_path / "manifest.json").write_text(json.dumps({"cases": [case, other]}))
    return tmp_path


def test_cases_are_found_by_kind(directory):
    (case,) = cases("doubling", directory)
    assert str(case) == "one" and case.notes == "n"
    assert case.tensor("x", requires_grad=True).requires_grad
    assert case.scalar("n") == 3
    assert set(case.inputs) == {"x", "n"} and set(case.outputs) == {"y", "i"}
    assert cases("no such kind", directory) == []


def test_environment_replaces_the_directory(directory, tmp_path_factory, monkeypatch):
    monkeypatch.setenv("NBF_GOLDEN_DIR", str(directory))
    assert [str(case) for case in cases("other", tmp_path_factory.mktemp("default"))] == ["two"]


def test_tolerance_is_scaled_by_the_largest_value(directory):
    (case,) = cases("doubling", directory)
    case.check("y", torch.tensor([10.019, 20.0]))
    case.check("i", torch.tensor([1, 2]))
    case.check("absent", torch.tensor([1.0]))
    for name, wrong in (
        ("y", torch.tensor([10.021, 20.0])),
        ("y", torch.tensor([torch.nan, 20.0])),
        ("y", torch.tensor([10.0])),
        ("i", torch.tensor([1, 3])),
    ):
        with pytest.raises(AssertionError, match="one"):
            case.check(name, wrong)
