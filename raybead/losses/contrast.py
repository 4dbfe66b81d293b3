"""What contrastive losses are made of: directions of latents, and their cosines.

Axes: B items of this worker, N of all workers, Z numbers of a latent.
"""

from __future__ import annotations

import torch
from torch import Tensor

from raybead.models import Output, at_least_single

_NOWHERE = 1e-6
"""Length below which a latent has no direction: a ReLU may leave nothing of one."""


def directions(output: Output) -> Tensor:
    """[B, Z] latents of length 1; where every node has one, their mean over the item's nodes.

    A latent of no length stays one, which makes a cosine of 0 with all others, and has no
    gradient.
    """
    latent_BZ = output.per_item(at_least_single(output.latent))
    square_B1 = latent_BZ.square().sum(dim=1, keepdim=True)
    somewhere_B1 = square_B1 > _NOWHERE**2
    return torch.where(somewhere_B1, latent_BZ * square_B1.where(somewhere_B1, 1.0).rsqrt(), 0.0)


def contrast(
    anchors_BZ: Tensor,
    all_NZ: Tensor,
    positive_BN: Tensor,
    other_BN: Tensor,
    temperature: float,
) -> Tensor:
    r"""[B] how badly anchors tell positives from all others (arXiv:2004.11362, eq. 2).

    .. math:: -\frac{1}{|P|} \sum_{p \in P} \log
              \frac{\exp(z \cdot z_p / \tau)}{\sum_a \exp(z \cdot z_a / \tau)}

    Args:
        anchors_BZ: directions z of the anchors.
        all_NZ: directions of all that there are.
        positive_BN: bool, who is an anchor's positive P.
        other_BN: bool, who is an a of it: positives, and whom it is to be told from.
        temperature: tau, above 0.

    Returns:
        0 for an anchor without positives.
    """
    cosine_BN = anchors_BZ @ all_NZ.T / temperature
    count_B = positive_BN.sum(dim=1)
    # The logarithm of an empty sum has no slope that a number could be: 0 in its place.
    masked_BN = cosine_BN.masked_fill(~other_BN, -torch.inf)
    masked_BN = masked_BN.masked_fill((count_B == 0)[:, None], 0.0)
    near_B = (cosine_BN * positive_BN).sum(dim=1) / count_B.clamp(min=1)
    return torch.where(count_B > 0, masked_BN.logsumexp(dim=1) - near_B, 0.0)
