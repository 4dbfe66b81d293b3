"""What items can be scored by that isn't in the loss: numbers of their latents.

Axes: B items, N latents (of items, or of nodes), Z numbers each.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from raybead.config import KlLoss, Loss
from raybead.models import Output


def latents(output: Output) -> Tensor:
    """[B, Z] the items' latents; the mean over the nodes where every node has one."""
    return output.per_item(output.latent)


def minus_log_likelihood(output: Output, losses: Sequence[Loss]) -> Tensor:
    r"""[B] double, minus the log density of the posteriors' means under the prior.

    Of a Gaussian posterior :math:`-\log p(z) - \log|\det J|`, with p the standard normal prior,
    z what the flow makes of the mean and J its Jacobian there: the density that the flow, taken
    backwards, makes of the prior (arXiv:1505.05770, eq. 13). Without a flow z is the mean. Of a
    Dirichlet posterior p is the prior of ``kl``, and z softmax of mu. The mean over the nodes
    where every node has a latent.
    """
    z_NZ = output.latent.double()
    width = z_NZ.shape[1]
    if output.concentration is None:
        constant = width * math.log(2 * math.pi) / 2
        found_N = z_NZ.square().sum(dim=1) / 2 + constant
    else:
        prior = next(term.concentration for term in losses if isinstance(term, KlLoss))
        constant = width * math.lgamma(prior) - math.lgamma(width * prior)
        # A share that single precision has rounded to 0 isn't 0.
        least = torch.finfo(torch.float32).tiny
        found_N = constant - (prior - 1) * z_NZ.clamp(min=least).log().sum(dim=1)
    found_B = output.per_item(found_N)
    return found_B if output.log_det_B is None else found_B - output.log_det_B.double()
