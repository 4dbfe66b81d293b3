"""Divergence of what a flow makes of a posterior from the prior."""

from __future__ import annotations

from torch import Tensor

from raybead.config import FlowKlLoss
from raybead.graphs import JetBatch
from raybead.losses.kl import kl
from raybead.losses.log_det import log_det
from raybead.losses.space import Space, Term
from raybead.models import Output


def build(_config: FlowKlLoss, _space: Space) -> Term:
    """The term of a job."""
    return flow_kl


def flow_kl(output: Output, _batch: JetBatch | None = None) -> Tensor:
    r"""[B] divergence from N(0, 1) (arXiv:1505.05770, eq. 15), by the sample at hand.

    .. math:: KL(q_0 | p) + \log p(z_0) - \log p(z_K)
              - \log \left|\det \frac{\partial z_K}{\partial z_0}\right|

    with q0 the diagonal Gaussian that z0 is drawn from: ``kl`` and ``log-det`` together. Its
    expectation over z0 is the divergence; one sample's may be negative.
    """
    return kl(output) + log_det(output)
