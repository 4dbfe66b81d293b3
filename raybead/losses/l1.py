"""Mean absolute error of a jet's nodes."""

from __future__ import annotations

import torch
from torch import Tensor

from raybead.config import MaeLoss
from raybead.graphs import JetBatch
from raybead.losses.space import Space, Term
from raybead.models import Output, at_least_single


def build(_config: MaeLoss, _space: Space) -> Term:
    """The term of a job."""
    return l1


def l1(output: Output, _batch: JetBatch | None = None) -> Tensor:
    """[B] mean over each jet's reconstructed nodes and features of the error's magnitude."""
    per_node = (at_least_single(output.reconstruction_NF) - output.target_NF).abs().mean(dim=1)
    return torch.segment_reduce(per_node, "mean", offsets=output.ptr, axis=0)
