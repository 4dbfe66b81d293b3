"""Between encoder and decoder: a latent as it is, or drawn from a Gaussian posterior."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn

from raybead.models.noise import normal_noise


class Latent(NamedTuple):
    """N latents of Z numbers each, and the posterior that they were drawn from if there is one."""

    z_NZ: Tensor
    mu_NZ: Tensor | None = None
    log_variance_NZ: Tensor | None = None
    concentration_NZ: Tensor | None = None
    z0_NZ: Tensor | None = None
    log_det_N: Tensor | None = None


class PointLatent(nn.Module):
    """A linear map onto the latent."""

    def __init__(self, inside: int, latent: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inside, latent)

    def forward(self, x_NI: Tensor, _keys_N: Tensor) -> Latent:
        return Latent(self.linear(x_NI))


class GaussianLatent(nn.Module):
    """A diagonal Gaussian posterior (arXiv:1312.6114).

    Training draws from it, for whom ``keys_N`` [N] says; otherwise its mean stands for it, so that
    a score is no lottery.
    """

    LOG_VARIANCE = 20.0
    """Bound on its magnitude: exp of more is no finite float32 for long."""

    def __init__(self, inside: int, latent: int) -> None:
        super().__init__()
        self.mu = nn.Linear(inside, latent)
        self.log_variance = nn.Linear(inside, latent)

    def forward(self, x_NI: Tensor, keys_N: Tensor) -> Latent:
        mu_NZ = self.mu(x_NI)
        log_variance_NZ = self.log_variance(x_NI).clamp(-self.LOG_VARIANCE, self.LOG_VARIANCE)
        if not self.training:
            return Latent(mu_NZ, mu_NZ, log_variance_NZ)
        noise_NZ = normal_noise(keys_N, mu_NZ.shape[1], mu_NZ)
        return Latent(mu_NZ + noise_NZ * (log_variance_NZ / 2).exp(), mu_NZ, log_variance_NZ)
