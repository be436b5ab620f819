"""What the suites of all kinds share: dtypes and devices that a component claims, seeded numbers, careful errors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from nbf_testing.scenes import devices as devices_at_hand


class Suite:
    """The base of every conformance suite: each test meets the claimed devices at hand, and both dtypes.

    A component that does less overrides ``dtypes`` or ``devices``; what falls away appears as skipped with the reason.
    """

    dtypes: tuple[torch.dtype, ...] = (torch.float32, torch.float64)
    devices: tuple[str, ...] = ("cpu", "cuda", "mps")

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """The claimed devices that are at hand, and both dtypes or a reason why not."""
        if "device" in metafunc.fixturenames:
            metafunc.parametrize("device", _present(self.devices))
        if "dtype" in metafunc.fixturenames:
            metafunc.parametrize("dtype", [_claimed(dtype, self.dtypes) for dtype in (torch.float32, torch.float64)])

    def finest(self, device: str = "cpu") -> torch.dtype:
        """The finest dtype that both component and device know."""
        return torch.float64 if torch.float64 in self.dtypes and device != "mps" else torch.float32

    @classmethod
    def once(cls, key: Any, make: Callable[[], Any]) -> Any:
        """What ``make`` gives, made once a class: for what is slow to build and not changed by use."""
        if "_made" not in vars(cls):
            cls._made = {}
        if key not in cls._made:
            cls._made[key] = make()
        return cls._made[key]


def skip_where_impossible(device: str, dtype: torch.dtype) -> None:
    """Skip float64 on a device without it."""
    if dtype == torch.float64 and device == "mps":
        pytest.skip("mps has no float64")


def seeded(seed: int) -> torch.Generator:
    """A generator of its own, on the CPU."""
    return torch.Generator().manual_seed(seed)


def noise(like: Tensor, seed: int) -> Tensor:
    """Normal random numbers of the shape, dtype and device of ``like``, the same on every device."""
    return torch.randn(*like.shape, generator=seeded(seed), dtype=torch.float64).to(like.dtype).to(like.device)


def one_line(error: BaseException) -> None:
    """Assert that an error's message is one line that says something."""
    text = str(error)
    assert text and "\n" not in text, f"an error is one line that says something, not {text!r}"


def assert_slope(
    function: Callable[[Tensor], Tensor], at: Tensor, seed: int = 0, step: float = 1e-5, rtol: float = 1e-3
) -> None:
    """Assert that the gradient of a number is its slope along a random direction, by central differences.

    For float64; in float32 a larger step and tolerance apply.
    """
    if at.dtype == torch.float32:
        step, rtol = max(step, 1e-2), max(rtol, 5e-2)
    leaf = at.detach().clone().requires_grad_()
    value = function(leaf)
    assert value.requires_grad, "the result has no gradient"
    gradient = torch.autograd.grad(value, leaf)[0]
    assert torch.isfinite(gradient).all(), "the gradient is not finite"
    direction = noise(at, seed)
    direction = direction / direction.norm()
    with torch.no_grad():
        slope = (function(at + step * direction) - function(at - step * direction)) / (2 * step)
    scale = float(gradient.norm()) + float(value.detach().abs()) * 1e-6
    error = abs(float((gradient * direction).sum()) - float(slope))
    assert error <= rtol * scale + 1e-7, f"gradient {float((gradient * direction).sum()):.6g}, slope {float(slope):.6g}"


def _present(claimed: Sequence[str]) -> list:
    found = [device for device in devices_at_hand() if device in claimed]
    if found:
        return found
    reason = f"runs on {' or '.join(claimed)} only, and none of them is at hand"
    return [pytest.param("none", marks=pytest.mark.skip(reason=reason))]


def _claimed(dtype: torch.dtype, dtypes: Sequence[torch.dtype]):
    name = str(dtype).removeprefix("torch.")
    marks = () if dtype in dtypes else (pytest.mark.skip(reason=f"this component does not claim {name}"),)
    return pytest.param(dtype, id=name, marks=marks)
