"""NT-Xent over altered views.

Axes: B items of this worker, N of all workers, Z numbers of a latent.
"""

from __future__ import annotations

import torch
from torch import Tensor

from raybead.config import NtXentLoss
from raybead.graphs import Alterations, JetBatch
from raybead.losses.contrast import contrast, directions
from raybead.losses.gather import gathered
from raybead.losses.space import Space, Term, Views
from raybead.models import Output

VIEWS = 2
"""Of each item; the item itself, which the reconstruction is judged by, isn't among them."""


def build(config: NtXentLoss, _space: Space) -> Term:
    """The term of a job."""
    return lambda output, batch: ntxent(output, batch, temperature=config.temperature)


def views(config: NtXentLoss, space: Space) -> Views:
    """How the job's views are drawn."""
    alterations = Alterations(
        space.graph,
        space.scaling,
        config.views,
        noise=config.noise,
        shift=config.shift,
        splitting=config.splitting,
    )
    return lambda batch: [alterations(batch) for _ in range(VIEWS)]


def ntxent(output: Output, _batch: JetBatch | None = None, *, temperature: float = 0.07) -> Tensor:
    """[B] mean of eq. 1 of arXiv:2002.05709 over an item's two views.

    A view has to tell the other view of its item from all views of all other items of the whole
    batch, over all workers.

    Args:
        output: whose two :attr:`Output.views` are compared, by their latents; where every node
            has one, by their mean.
        temperature: that cosines are divided by.
    """
    assert len(output.views) == VIEWS, "whoever trains lets the model see JetLoss.views"
    first_BZ, second_BZ = map(directions, output.views)
    n, z = first_BZ.shape
    pairs_NZ2, start = gathered(torch.cat([first_BZ, second_BZ], dim=1))
    all_MZ = torch.cat(pairs_NZ2.split(z, dim=1))  # M = 2 N: first views, then second ones
    here_B = torch.arange(start, start + n, device=all_MZ.device)
    there_B = here_B + len(pairs_NZ2)
    place_M = torch.arange(len(all_MZ), device=all_MZ.device)
    found = [
        contrast(
            anchors_BZ,
            all_MZ,
            positive_BN=place_M == partner_B[:, None],
            other_BN=place_M != self_B[:, None],
            temperature=temperature,
        )
        for anchors_BZ, self_B, partner_B in (
            (first_BZ, here_B, there_B),
            (second_BZ, there_B, here_B),
        )
    ]
    return (found[0] + found[1]) / 2
