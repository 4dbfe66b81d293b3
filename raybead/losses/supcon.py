"""Supervised contrastive loss over generators.

Axes: B items of this worker, N of all workers, Z numbers of a latent.
"""

from __future__ import annotations

import torch
from torch import Tensor

from raybead.config import SupConLoss
from raybead.errors import InputError
from raybead.graphs import JetBatch
from raybead.losses.contrast import contrast, directions
from raybead.losses.gather import gathered
from raybead.losses.space import Space, Term
from raybead.models import Output


def build(config: SupConLoss, _space: Space) -> Term:
    """The term of a job."""
    return lambda output, batch: supcon(output, batch, temperature=config.temperature)


def supcon(output: Output, batch: JetBatch, *, temperature: float = 0.07) -> Tensor:
    """[B] L_out of arXiv:2004.11362, eq. 2, with generators as labels.

    An item's positives are the other items of its generator in the whole batch, over all workers;
    it has to tell them from all others of known generator. Items of unknown generator (-1) take no
    part: whether one ought to be near an item or far from it isn't known. Their loss is 0, as is
    that of an item without positives.

    Args:
        output: whose latents are compared; where every node has one, their mean.
        batch: that knows its generators.
        temperature: that cosines are divided by.

    Raises:
        InputError: the generators aren't known.
    """
    if batch.generator_B is None:
        raise InputError(
            "loss supcon needs to know each event's generator, and these events don't say it;"
            " name it by generator = '...' of their [data] source"
        )
    ours_BZ = directions(output)
    all_NZ, first = gathered(ours_BZ)
    label_N, _ = gathered(batch.generator_B)
    label_B = batch.generator_B[:, None]
    place_N = torch.arange(len(all_NZ), device=all_NZ.device)
    other_BN = (place_N != place_N[first : first + len(ours_BZ), None]) & (label_N >= 0)
    positive_BN = other_BN & (label_N == label_B) & (label_B >= 0)
    return contrast(ours_BZ, all_NZ, positive_BN, other_BN, temperature)
