"""What a flow stretches its latent by."""

from __future__ import annotations

from torch import Tensor

from raybead.config import LogDetLoss
from raybead.graphs import JetBatch
from raybead.losses.space import Space, Term
from raybead.models import Output, at_least_single


def build(_config: LogDetLoss, _space: Space) -> Term:
    """The term of a job."""
    return log_det


def log_det(output: Output, _batch: JetBatch | None = None) -> Tensor:
    """[B] minus the log-determinant of the flow's Jacobian."""
    assert output.log_det_B is not None, "a job whose model has no flow is refused"
    return -at_least_single(output.log_det_B)
