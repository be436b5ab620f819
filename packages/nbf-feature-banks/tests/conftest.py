from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from line_body import make_spec  # noqa: E402

from nbf_core.types import BodySpec  # noqa: E402


@pytest.fixture
def spec_of():
    """Makes bodies of nothing but kernels."""
    return make_spec


@pytest.fixture
def spec() -> BodySpec:
    return make_spec(12)
