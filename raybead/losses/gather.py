"""What all workers have of a batch, with the gradient that each one's part has in all losses.

Axes: B items of this worker, N items of all workers, Z numbers each.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed
from torch import Tensor


def gathered(x_BZ: Tensor) -> tuple[Tensor, int]:
    """The workers' rows one behind another, and where this worker's begin.

    Every worker has to call it as often as the others, with rows of one width and type; how many
    rows it has is its own affair. Each worker's rows get the gradient of the sum of all workers'
    losses, so that summed over workers gradients are those of one worker with all rows.

    Args:
        x_BZ: [B, Z] this worker's rows.

    Returns:
        [N, Z] rows of all workers, in the order of workers; the first of this worker's.
    """
    team = torch.distributed
    if not (team.is_available() and team.is_initialized() and team.get_world_size() > 1):
        return x_BZ, 0
    sizes = [x_BZ.new_zeros(1, dtype=torch.long) for _ in range(team.get_world_size())]
    team.all_gather(sizes, sizes[0].new_tensor([len(x_BZ)]))
    counts = [int(size) for size in sizes]
    return _Gather.apply(x_BZ, counts), sum(counts[: team.get_rank()])


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x_BZ: Tensor, counts: list[int]) -> Tensor:
        ctx.first = sum(counts[: torch.distributed.get_rank()])
        ctx.n = len(x_BZ)
        # All of one length, which is what every backend can gather.
        padded = x_BZ.new_zeros(max(counts), *x_BZ.shape[1:])
        padded[: len(x_BZ)] = x_BZ
        parts = [torch.empty_like(padded) for _ in counts]
        torch.distributed.all_gather(parts, padded)
        return torch.cat([part[:count] for part, count in zip(parts, counts, strict=True)])

    @staticmethod
    def backward(ctx: Any, grad_NZ: Tensor) -> tuple[Tensor, None]:
        total = grad_NZ.clone()
        torch.distributed.all_reduce(total)
        return total[ctx.first : ctx.first + ctx.n], None
