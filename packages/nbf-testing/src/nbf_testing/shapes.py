"""A pytest plugin: shapes in signatures are checked at every call while tests run.

pytest loads it wherever nbf-testing is installed; name the packages: ``--check-shapes=nbf_core,my_package``. A test
that hands over wrong shapes or types on purpose, to see the error that a user gets without these checks, is marked
``@pytest.mark.wrong_shapes``. Imports no nbf package: what is imported before the checks stays unchecked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import jaxtyping
import pytest

# Failures of the suite then show the values compared, as those of a test file do.
_SUITES = (
    "renderers",
    "body_models",
    "feature_banks",
    "regressors",
    "fitters",
    "priors",
    "datasets",
    "detectors",
    "metrics",
)
pytest.register_assert_rewrite(
    *(f"nbf_testing.{name}" for name in (*_SUITES, "protocols", "fitting", "claims", "people"))
)


def checker(function: Callable[..., Any]) -> Callable[..., Any]:
    """Check arguments and results, with an int where a float is expected as Python's typing has it."""
    from beartype import BeartypeConf, beartype

    return beartype(conf=BeartypeConf(is_pep484_tower=True))(function)


def pytest_addoption(parser: pytest.Parser) -> None:
    """The packages to check."""
    parser.addoption("--check-shapes", metavar="PACKAGES", default="", help="packages whose shapes are checked")


def pytest_configure(config: pytest.Config) -> None:
    """Install the checks before the packages are imported."""
    config.addinivalue_line("markers", "wrong_shapes: hands over wrong shapes or types on purpose")
    names = [name for name in config.getoption("--check-shapes").split(",") if name]
    if names:
        jaxtyping.install_import_hook(names, "nbf_testing.shapes.checker")


@pytest.fixture(autouse=True)
def _unchecked_where_marked(request: pytest.FixtureRequest) -> Iterator[None]:
    marked = request.node.get_closest_marker("wrong_shapes") is not None
    jaxtyping.config.update("jaxtyping_disable", marked)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
