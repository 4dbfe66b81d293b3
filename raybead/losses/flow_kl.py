"""Divergence of what a flow makes of a posterior from the prior."""

from __future__ import annotations

from torch import Tensor

from raybead.config import FlowKlLoss
from raybead.graphs import JetBatch
from raybead.losses.space import Space, Term
from raybead.models import Output, at_least_single


def build(_config: FlowKlLoss, _space: Space) -> Term:
    """The term of a job."""
    return flow_kl


def flow_kl(output: Output, _batch: JetBatch | None = None) -> Tensor:
    r"""[B] what the sample at hand says of the divergence from N(0, 1) (arXiv:1505.05770, eq. 15).

    .. math:: \log q_0(z_0) - \log \left|\det \frac{\partial z_K}{\partial z_0}\right|
              - \log p(z_K)

    with q0 the diagonal Gaussian that z0 is drawn from. Its expectation over z0 is the
    divergence; one sample's may be negative. A model in evaluation mode has z0 at the mean of q0.
    """
    assert output.mu is not None, "a job whose model has no posterior is refused"
    assert output.log_variance is not None
    assert output.z0 is not None, "a job whose model has no flow is refused"
    assert output.log_det_B is not None
    mu_BZ, log_variance_BZ, z0_BZ, z_BZ, log_det_B = map(
        at_least_single,
        (output.mu, output.log_variance, output.z0, output.latent, output.log_det_B),
    )
    # In both densities there is (2 pi)^(-1/2) a number: it drops out.
    off_BZ = (z0_BZ - mu_BZ) * (-log_variance_BZ / 2).exp()
    start_B = -(off_BZ.square() + log_variance_BZ).sum(dim=1) / 2
    return start_B - log_det_B + z_BZ.square().sum(dim=1) / 2
