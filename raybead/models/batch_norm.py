"""Batch norm that is the same for any number of workers."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed
from torch import Tensor, nn


class TeamBatchNorm(nn.BatchNorm1d):
    """Batch norm over the nodes of the whole batch, wherever its slices are.

    Statistics are added up over workers by an all-reduce that gradients pass through, on CPUs as
    on GPUs (``SyncBatchNorm`` knows GPUs only). Weights are those of ``BatchNorm1d``.
    """

    def forward(  # type: ignore[override]
        self, x_TF: Tensor, counted_N: Tensor | None = None
    ) -> Tensor:
        """[T, F]

        Args:
            x_TF: [T, F].
            counted_N: rows that statistics are of, where not of all.
        """
        if not self.training:
            return super().forward(x_TF)
        precise = (x_TF if counted_N is None else x_TF[counted_N]).double()
        count = precise.new_full((1,), len(precise))
        sums = torch.cat([precise.sum(dim=0), precise.square().sum(dim=0), count])
        sums = over_team(sums)
        first, second, n = sums.split([x_TF.shape[1], x_TF.shape[1], 1])
        n = n.detach().clamp(min=1)
        mean = first / n
        variance = (second / n - mean.square()).clamp(min=0)
        with torch.no_grad():
            remember(self, mean, variance * n / (n - 1).clamp(min=1), n > 0)
        scaled = (x_TF - mean.to(x_TF)) / (variance + self.eps).sqrt().to(x_TF)
        return scaled * self.weight + self.bias


def remember(norm: nn.BatchNorm1d, mean: Tensor, variance: Tensor, seen: Tensor) -> None:
    """Let running statistics take note of a batch's, as ``BatchNorm1d`` does.

    Args:
        norm: whose they are.
        mean: [H] of the batch.
        variance: [H] of the batch, unbiased.
        seen: [1] whether there was anything in it.
    """
    assert norm.running_mean is not None
    assert norm.running_var is not None
    assert norm.num_batches_tracked is not None
    assert norm.momentum is not None
    norm.num_batches_tracked += seen[0]
    share = norm.momentum * seen.double()  # else the momentum would be rounded to a float32
    norm.running_mean.lerp_(mean.to(norm.running_mean), share.to(norm.running_mean))
    norm.running_var.lerp_(variance.to(norm.running_var), share.to(norm.running_var))


def over_team(sums: Tensor) -> Tensor:
    """The workers' sums added up, with the gradient that each then has in all."""
    if not (torch.distributed.is_initialized() and torch.distributed.get_world_size() > 1):
        return sums
    return _SumOverTeam.apply(sums)


class _SumOverTeam(torch.autograd.Function):
    @staticmethod
    def forward(_: Any, part: Tensor) -> Tensor:
        total = part.clone()
        torch.distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(_: Any, grad: Tensor) -> Tensor:
        total = grad.clone()
        torch.distributed.all_reduce(total)
        return total
