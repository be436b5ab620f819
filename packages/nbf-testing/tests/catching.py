"""Running one test of a suite on a component that is right, then on one that is wrong."""

from __future__ import annotations

import inspect

import pytest
import torch


def run(suite, test: str, /, **arguments) -> None:
    """One test of a suite, called as pytest would: fixtures are its own, by name."""
    method = getattr(suite, test)
    given = {"device": "cpu", "dtype": torch.float64, **arguments}
    for name in inspect.signature(method).parameters:
        if name not in given:
            given[name] = _fixture(suite, name, given)
    method(**{name: given[name] for name in inspect.signature(method).parameters})


def _fixture(suite, name: str, given: dict):
    fixture = getattr(suite, name)
    function = getattr(fixture, "__wrapped__", None) or fixture._get_wrapped_function()
    function = getattr(function, "__func__", function)
    needed = [one for one in inspect.signature(function).parameters if one != "self"]
    return function(suite, **{one: given.get(one) if one in given else _fixture(suite, one, given) for one in needed})


def suite_of(base: type, maker: str, make, **claims):
    """An instance of a suite whose ``maker`` is ``make``, a function without ``self``."""
    return type("Suite", (base,), {maker: lambda self, *args, **kwargs: make(*args, **kwargs), **claims})()


def caught(base: type, maker: str, right, wrong, test: str, claims=None, /, **arguments) -> None:
    """Assert that a test passes on what is right and fails on what is wrong."""
    claims = claims or {}
    run(suite_of(base, maker, right, **claims), test, **arguments)
    with pytest.raises((Exception, pytest.fail.Exception)) as error:
        run(suite_of(base, maker, wrong, **claims), test, **arguments)
    assert not isinstance(error.value, (NotImplementedError, NameError)), "the mistake itself is mistaken"
