"""Batch normalisation over the samples of all processes, so that they learn what one process would.

torch's own (SyncBatchNorm) works on GPUs only; this one works wherever collectives do.
"""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor, nn


class _Joint:
    """The forward pass of a batch normalisation whose statistics are summed over processes, with gradients."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or not dist.is_initialized():
            return super().forward(x)
        self._check_input_dim(x)
        axes = [axis for axis in range(x.ndim) if axis != 1]
        shape = [1, -1, *[1] * (x.ndim - 2)]
        value = x.float()
        count = x.numel() / x.shape[1] * dist.get_world_size()  # processes have batches of one size
        mean = _Sum.apply(value.sum(axes)) / count
        centred = value - mean.view(shape)
        variance = _Sum.apply(centred.square().sum(axes)) / count
        self._remember(mean.detach(), variance.detach() * count / max(count - 1, 1))
        scaled = centred * torch.rsqrt(variance + self.eps).view(shape)
        if self.affine:
            scaled = scaled * self.weight.view(shape) + self.bias.view(shape)
        return scaled.to(x.dtype)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        if not self.track_running_stats:
            return
        self.num_batches_tracked += 1
        share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(variance, share)


class JointBatchNorm1d(_Joint, nn.BatchNorm1d):
    """See the module."""


class JointBatchNorm2d(_Joint, nn.BatchNorm2d):
    """See the module."""


_JOINT = {nn.BatchNorm1d: JointBatchNorm1d, nn.BatchNorm2d: JointBatchNorm2d}


def join_batch_norms(module: nn.Module) -> None:
    """Turn the batch normalisations of a module into joint ones, in place; tensors and their names stay."""
    for child in module.modules():
        if type(child) in _JOINT:
            child.__class__ = _JOINT[type(child)]


class _Sum(torch.autograd.Function):
    """The sum over all processes; the gradient of the sum of their losses."""

    @staticmethod
    def forward(context, value: Tensor) -> Tensor:
        total = value.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(context, gradient: Tensor) -> Tensor:
        total = gradient.contiguous().clone()
        dist.all_reduce(total)
        return total
