"""Chamfer distance between a jet and its reconstruction, taken as sets."""

from __future__ import annotations

import torch
from torch import Tensor

from raybead.config import ChamferLoss
from raybead.graphs import JetBatch, tiles
from raybead.losses.space import Space, Term
from raybead.models import Output, at_least_single

MAX_PAIRS = 1 << 18


def build(_config: ChamferLoss, _space: Space) -> Term:
    """The term of a job."""
    return chamfer


def chamfer(output: Output, _batch: JetBatch | None = None) -> Tensor:
    r"""[B] sum over particles of the squared distance to the nearest of the other set.

    .. math:: \sum_i \min_j |x_i - y_j|^2 + \sum_j \min_i |x_i - y_j|^2

    Neighbours are found tile by tile without a gradient; the distances are then taken again
    between the pairs found, which is the exact gradient almost everywhere.
    """
    x_NF, y_NF = at_least_single(output.reconstruction_NF), output.target_NF
    of_x, of_y = _nearest(x_NF.detach(), y_NF, output.ptr)
    both = (x_NF - y_NF[of_x]).square().sum(dim=1) + (x_NF[of_y] - y_NF).square().sum(dim=1)
    return torch.segment_reduce(both, "sum", offsets=output.ptr, axis=0)


@torch.no_grad()
def _nearest(x_NF: Tensor, y_NF: Tensor, ptr: Tensor) -> tuple[Tensor, Tensor]:
    """[N] index of the nearest y of every x, and of the nearest x of every y."""
    of_x, of_y = (torch.empty(len(x_NF), dtype=torch.long, device=x_NF.device) for _ in "xy")
    for nodes_Gn, rows in tiles(ptr, MAX_PAIRS):
        for ours, theirs, found in ((x_NF, y_NF, of_x), (y_NF, x_NF, of_y)):
            centres = nodes_Gn[:, rows]
            difference = ours[centres][:, :, None, :] - theirs[nodes_Gn][:, None, :, :]
            closest = difference.square().sum(dim=-1).argmin(dim=2)
            found[centres] = torch.gather(nodes_Gn, 1, closest)
    return of_x, of_y
