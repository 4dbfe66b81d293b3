"""Divergence of a posterior from the prior."""

from __future__ import annotations

import math

from torch import Tensor

from raybead.config import KlLoss
from raybead.graphs import JetBatch
from raybead.losses.space import Space, Term
from raybead.models import Output, at_least_single


def build(config: KlLoss, _space: Space) -> Term:
    """The term of a job."""
    return lambda output, batch: kl(output, batch, concentration=config.concentration)


def kl(output: Output, _batch: JetBatch | None = None, *, concentration: float = 5.0) -> Tensor:
    r"""[B] KL divergence of a posterior from its prior.

    Of a diagonal Gaussian posterior from N(0, 1) (arXiv:1312.6114, app. B)

    .. math:: \tfrac12 \sum_z (\mu_z^2 + \sigma_z^2 - \log \sigma_z^2 - 1)

    of which a flow makes another one: there half of :math:`z_K^2 - z_0^2` is added, which is what
    the flow costs under the prior, at the sample at hand; with ``log-det`` it is the divergence of
    what the flow makes (arXiv:1505.05770, eq. 15), its start in closed form. In evaluation, where
    z0 is mu, it still holds the variances back.

    Of a Dirichlet posterior of concentrations a from the symmetric one of c, with A the sum
    of K numbers a

    .. math:: \log \frac{\Gamma(A) \Gamma(c)^K}{\Gamma(K c) \prod_z \Gamma(a_z)}
              + \sum_z (a_z - c) (\psi(a_z) - \psi(A)).

    Where every node has a latent, the mean over a jet's nodes is taken, as ``mse`` takes it.

    Args:
        output: of a model with a posterior.
        concentration: c, of the Dirichlet prior.
    """
    if output.concentration is not None:
        per_latent = _of_dirichlet(output.concentration, concentration)
    else:
        per_latent = _of_gaussian(output)
    return output.per_item(per_latent)


def _of_gaussian(output: Output) -> Tensor:
    assert output.mu is not None, "a job whose model has no posterior is refused"
    assert output.log_variance is not None
    mu, log_variance = at_least_single(output.mu), at_least_single(output.log_variance)
    # expm1: close to the prior the difference of two large numbers would be all rounding.
    start = (mu.square() + log_variance.expm1() - log_variance).sum(dim=1) / 2
    if output.z0 is None:
        return start
    z_K, z_0 = at_least_single(output.latent), at_least_single(output.z0)
    return start + (z_K.square() - z_0.square()).sum(dim=1) / 2


def _of_dirichlet(concentration_NK: Tensor, prior: float) -> Tensor:
    # In double precision: of sharp posteriors it is the small difference of large numbers.
    a_NK = concentration_NK.double()
    whole_N, k = a_NK.sum(dim=1), a_NK.shape[1]
    volume_N = whole_N.lgamma() - a_NK.lgamma().sum(dim=1)
    volume_N = volume_N + k * math.lgamma(prior) - math.lgamma(k * prior)
    mean_log_NK = a_NK.digamma() - whole_N.digamma()[:, None]
    found_N = volume_N + ((a_NK - prior) * mean_log_NK).sum(dim=1)
    return found_N.to(at_least_single(concentration_NK).dtype)
