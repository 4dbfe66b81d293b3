"""Binary cross entropy of a jet's nodes."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from raybead.config import BceLoss
from raybead.graphs import JetBatch
from raybead.losses.space import Space, Term
from raybead.models import Output, at_least_single


def build(_config: BceLoss, _space: Space) -> Term:
    """The term of a job."""
    return bce


def bce(output: Output, _batch: JetBatch | None = None) -> Tensor:
    r"""[B] mean over each jet's reconstructed nodes and features of the cross entropy.

    .. math:: -t \log \sigma(x) - (1 - t) \log(1 - \sigma(x))

    of a reconstruction x, taken as a logit, and a target t. The scaling is fitted on training
    background: what lies beyond [0, 1] elsewhere counts as the end that it is beyond.
    """
    logits_NF = at_least_single(output.reconstruction_NF)
    target_NF = output.target_NF.clamp(0, 1).to(logits_NF.dtype)
    entropy_NF = binary_cross_entropy_with_logits(logits_NF, target_NF, reduction="none")
    return torch.segment_reduce(entropy_NF.mean(dim=1), "mean", offsets=output.ptr, axis=0)
