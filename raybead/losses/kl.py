"""Divergence of a posterior from the prior."""

from __future__ import annotations

import torch
from torch import Tensor

from raybead.config import KlLoss
from raybead.graphs import JetBatch
from raybead.losses.space import Space, Term
from raybead.models import Output, at_least_single


def build(_config: KlLoss, _space: Space) -> Term:
    """The term of a job."""
    return kl


def kl(output: Output, _batch: JetBatch | None = None) -> Tensor:
    r"""[B] KL divergence of a diagonal Gaussian posterior from N(0, 1) (arXiv:1312.6114, app. B).

    .. math:: \tfrac12 \sum_z (\mu_z^2 + \sigma_z^2 - \log \sigma_z^2 - 1)

    Where every node has a latent, the mean over a jet's nodes is taken, as ``mse`` takes it.
    """
    assert output.mu is not None, "a job whose model has no posterior is refused"
    assert output.log_variance is not None
    mu, log_variance = at_least_single(output.mu), at_least_single(output.log_variance)
    # expm1: close to the prior the difference of two large numbers would be all rounding.
    per_latent = (mu.square() + log_variance.expm1() - log_variance).sum(dim=1) / 2
    if output.latent_ptr is None:
        return per_latent
    return torch.segment_reduce(per_latent, "mean", offsets=output.latent_ptr, axis=0, initial=0)
