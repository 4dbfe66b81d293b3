"""The learned energy mover's distance as a loss."""

from __future__ import annotations

from torch import Tensor

from raybead.config import EmdNetworkLoss
from raybead.graphs import Clouds, JetBatch
from raybead.losses.space import Space, Term
from raybead.models import EmdBundle, Output
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

    def cloud(x_NS: Tensor, ptr: Tensor) -> Clouds:
        momenta = space.momenta(x_NS)
        return Clouds(momenta.pt_N, momenta.eta_N, momenta.phi_N, ptr)

    def term(output: Output, _batch: JetBatch) -> Tensor:
        ours = cloud(output.reconstruction_NF, output.ptr)
        distance_B = network(ours, cloud(output.target_NF, output.ptr))
        return distance_B.clamp(min=RESOLUTION)

    return term
