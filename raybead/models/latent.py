"""Between encoder and decoder: a latent as it is, or drawn from a posterior.

Axes: N items or nodes, I numbers that come in, Z of the latent.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from raybead.config import Autoencoder, JetBottleneckModel
from raybead.models.flows import Chain, build_flow
from raybead.models.noise import normal_noise
from raybead.models.output import at_least_single


class Latent(NamedTuple):
    """N latents of Z numbers each, and the posterior that they were drawn from if there is one."""

    z_NZ: Tensor
    mu_NZ: Tensor | None = None
    log_variance_NZ: Tensor | None = None
    concentration_NZ: Tensor | None = None
    """Of a Dirichlet posterior"""
    z0_NZ: Tensor | None = None
    """What a flow made z of"""
    log_det_N: Tensor | None = None
    """Of the flow's Jacobian at z0"""


def build_posterior(config: Autoencoder, inside: int) -> nn.Module:
    """A module of (x_NI, keys_N) to :class:`Latent`, as a model's section says.

    Args:
        config: the section.
        inside: I.
    """
    match config.posterior:
        case "point":
            return PointLatent(inside, config.latent)
        case "dirichlet":
            return DirichletLatent(inside, config.latent)
        case "gaussian":
            flow = config.flow if isinstance(config, JetBottleneckModel) else None
            chain = None if flow is None else build_flow(flow, config.latent, inside)
            return GaussianLatent(inside, config.latent, chain)


class PointLatent(nn.Module):
    """A linear map onto the latent."""

    def __init__(self, inside: int, latent: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inside, latent)

    def forward(self, x_NI: Tensor, _keys_N: Tensor) -> Latent:
        return Latent(self.linear(x_NI))


class GaussianLatent(nn.Module):
    """A diagonal Gaussian posterior (arXiv:1312.6114), and what a flow makes of it.

    Training draws from it, for whom ``keys_N`` [N] says; otherwise its mean stands for it, so that
    a score is no lottery. A flow takes the one as the other.
    """

    LOG_VARIANCE = 20.0
    """Bound on its magnitude: exp of more is no finite float32 for long."""

    def __init__(self, inside: int, latent: int, flow: Chain | None = None) -> None:
        super().__init__()
        self.mu = nn.Linear(inside, latent)
        self.log_variance = nn.Linear(inside, latent)
        self.flow = flow

    def forward(self, x_NI: Tensor, keys_N: Tensor) -> Latent:
        mu_NZ = self.mu(x_NI)
        log_variance_NZ = self.log_variance(x_NI).clamp(-self.LOG_VARIANCE, self.LOG_VARIANCE)
        z_NZ = mu_NZ
        if self.training:
            noise_NZ = normal_noise(keys_N, mu_NZ.shape[1], mu_NZ)
            z_NZ = mu_NZ + noise_NZ * (log_variance_NZ / 2).exp()
        if self.flow is None:
            return Latent(z_NZ, mu_NZ, log_variance_NZ)
        z0_NZ = at_least_single(z_NZ)
        z_NZ, log_det_N = self.flow(z0_NZ, x_NI)
        return Latent(z_NZ, mu_NZ, log_variance_NZ, z0_NZ=z0_NZ, log_det_N=log_det_N)


class DirichletLatent(GaussianLatent):
    """A Dirichlet posterior of shares that sum to one (arXiv:1703.01488).

    Its stand-in is a Gaussian whose softmax the shares are: samples have gradients. Outside of
    training they are the softmax of mu, which is what the decoder was trained on, less the noise.
    The Dirichlet's own mean is the same wherever the bridge is exact, and something else where the
    variances are free: a precise share would then count as a large one.
    """

    def forward(self, x_NI: Tensor, keys_N: Tensor) -> Latent:
        drawn = super().forward(x_NI, keys_N)
        mu_NZ, log_variance_NZ = drawn.mu_NZ, drawn.log_variance_NZ
        assert mu_NZ is not None
        assert log_variance_NZ is not None
        return Latent(
            at_least_single(drawn.z_NZ).softmax(dim=1),
            mu_NZ,
            log_variance_NZ,
            concentration_NZ=concentration(mu_NZ, log_variance_NZ),
        )


LOG_CONCENTRATION = 12.0
"""Bound on its magnitude: divergences of more are all rounding in single precision."""


def concentration(mu_NZ: Tensor, log_variance_NZ: Tensor) -> Tensor:
    r"""[N, Z] of the Dirichlet distribution closest to softmax of a Gaussian: Laplace's bridge.

    .. math:: \alpha_k = \frac{1}{\sigma_k^2}
        \left(1 - \frac 2Z + \frac{e^{\mu_k}}{Z^2} \sum_j e^{-\mu_j}\right)

    (arXiv:1703.01488, solved for alpha as in arXiv:2003.01227). At least single precision,
    positive and finite whatever comes in.
    """
    mu_NZ, log_variance_NZ = at_least_single(mu_NZ), at_least_single(log_variance_NZ)
    size = mu_NZ.shape[1]
    # In logarithms, of which only the last becomes a number again. The sum holds exp(0), so that
    # the bracket is (1 - 1/Z)^2 at least.
    last_NZ = mu_NZ + (-mu_NZ).logsumexp(dim=1, keepdim=True) - 2 * math.log(size)
    first = last_NZ.new_tensor(math.log(1 - 2 / size) if size > 2 else -math.inf)
    log_alpha_NZ = torch.logaddexp(first, last_NZ) - log_variance_NZ
    return log_alpha_NZ.clamp(-LOG_CONCENTRATION, LOG_CONCENTRATION).exp()
