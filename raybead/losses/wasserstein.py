"""Wasserstein distance of a jet's features, each by itself."""

from __future__ import annotations

import torch
from torch import Tensor

from raybead.config import WassersteinLoss
from raybead.graphs import JetBatch, owners
from raybead.losses.space import Space, Term
from raybead.models import Output, at_least_single


def build(_config: WassersteinLoss, _space: Space) -> Term:
    """The term of a job."""
    return wasserstein


def wasserstein(output: Output, _batch: JetBatch | None = None) -> Tensor:
    r"""[B] mean over features of the 1-Wasserstein distance between a jet's values of them.

    .. math:: W_1 = \int |F(x) - G(x)| dx = \tfrac1n \sum_i |x_{(i)} - y_{(i)}|

    of n values each, put in order: there are as many reconstructed nodes as there are real ones.
    """
    jet_N = owners(output.ptr, len(output.reconstruction_NF))
    ours_NF = _ordered(at_least_single(output.reconstruction_NF), jet_N)
    theirs_NF = _ordered(output.target_NF, jet_N)
    per_rank_N = (ours_NF - theirs_NF).abs().mean(dim=1)
    return torch.segment_reduce(per_rank_N, "mean", offsets=output.ptr, axis=0)


def _ordered(x_NF: Tensor, jet_N: Tensor) -> Tensor:
    """Each feature's values rising within each jet."""
    order_NF = x_NF.detach().argsort(dim=0)
    by_jet_NF = jet_N[order_NF].argsort(dim=0, stable=True)
    return x_NF.gather(0, order_NF.gather(0, by_jet_NF))
