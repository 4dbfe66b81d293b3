"""The learned energy mover's distance as a loss."""

from __future__ import annotations

from torch import Tensor

from raybead.config import EmdNetworkLoss
from raybead.graphs import Clouds, Momenta
from raybead.losses.space import Space, Term
from raybead.models import EmdBundle
from raybead.storage import Folder

RESOLUTION = 1e-4
"""Distance, in units of R, below which a network can't tell: no detector could. A free output may
even be negative there, and has no logarithm."""


def build(config: EmdNetworkLoss, space: Space) -> Term:
    """The term of a job.

    Raises:
        RunError: there is no network where the job says.
    """
    bundle = space.emd or EmdBundle.load(Folder.at(str(config.bundle)))
    network = bundle.model().to(space.device)

    def distance(ours: Momenta, theirs: Momenta, ptr: Tensor) -> Tensor:
        clouds = (Clouds(x.pt_N, x.eta_N, x.phi_N, ptr) for x in (ours, theirs))
        return network(*clouds).clamp(min=RESOLUTION)

    return space.between_momenta(distance)
