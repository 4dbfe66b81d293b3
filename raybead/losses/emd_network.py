"""The learned energy mover's distance as a loss."""

from __future__ import annotations

from torch import Tensor

from raybead.config import EmdNetworkLoss
from raybead.graphs import Clouds, JetBatch
from raybead.losses.space import Space, Term
from raybead.models import EmdBundle, Output
from raybead.storage import Folder


def build(config: EmdNetworkLoss, space: Space) -> Term:
    """The term of a job.

    Raises:
        RunError: there is no network where the job says.
    """
    assert config.bundle is not None, "a job's own is put in before the job is done"
    network = EmdBundle.load(Folder.at(config.bundle)).model().to(space.device)

    def cloud(x_NS: Tensor, ptr: Tensor) -> Clouds:
        momenta = space.momenta(x_NS)
        return Clouds(momenta.pt_N, momenta.eta_N, momenta.phi_N, ptr)

    def term(output: Output, _batch: JetBatch) -> Tensor:
        ours = cloud(output.reconstruction_NF, output.ptr)
        return network(ours, cloud(output.target_NF, output.ptr))

    return term
