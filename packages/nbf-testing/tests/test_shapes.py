"""Shape checks catch what the signature forbids, and let a marked test through."""

import subprocess
import sys

PACKAGE = """
from jaxtyping import Float
from torch import Tensor


def half(x: Float[Tensor, "b 3"], by: float = 2.0) -> Float[Tensor, "b 3"]:
    return x / by
"""
TESTS = """
import pytest
import torch
from some_shaped_package import half


def test_right():
    assert half(torch.ones(2, 3), 4).shape == (2, 3)


def test_wrong():
    half(torch.ones(2, 4))


@pytest.mark.wrong_shapes
def test_wrong_on_purpose():
    assert half(torch.ones(2, 4)).shape == (2, 4)


def test_wrong_again():
    half(torch.ones(3))
"""


def test_wrong_shapes_fail_unless_marked(tmp_path):
    (tmp_path / "some_shaped_package.py").write_text(PACKAGE)
    (tmp_path / "test_it.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --strict-markers\n")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "--check-shapes=some_shaped_package",
        "-p",
        "no:cacheprovider",
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert "2 failed, 2 passed" in done.stdout, done.stdout + done.stderr
    assert "test_wrong - jaxtyping.TypeCheckError" in done.stdout or "TypeCheckError" in done.stdout
    assert "::test_wrong_again" in done.stdout and "::test_wrong_on_purpose" not in done.stdout
