"""How a job's terms add up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from raybead.config import (
    ChamferLoss,
    DeepEmdLoss,
    EmdLoss,
    EmdNetworkLoss,
    Graph,
    KlLoss,
    Loss,
    MseLoss,
    SinkhornLoss,
)
from raybead.graphs import JetBatch, Scaling
from raybead.losses.chamfer import chamfer
from raybead.losses.kl import kl
from raybead.losses.mse import mse
from raybead.losses.transport import Transport
from raybead.models import Output

Term = Callable[[Output], Tensor]


@dataclass(frozen=True)
class LossValue:
    """A loss of B jets."""

    total_B: Tensor
    """Weighted sum of the terms: what is trained on, and what scores."""
    terms: dict[str, Tensor]
    """[B] each, unweighted."""


class JetLoss:
    """The loss of every jet of a batch, as a job file's ``[loss]`` says."""

    def __init__(
        self, losses: Sequence[Loss], graph: Graph, scaling: Scaling, device: str | torch.device
    ) -> None:
        """Set the terms up.

        Args:
            losses: the terms.
            graph: features of the jets.
            scaling: that the features went through.
            device: that the jets will be on.
        """
        self._weights = {config.kind: config.weight for config in losses}
        self._terms: dict[str, Term] = {
            config.kind: _term(config, graph, scaling, device) for config in losses
        }

    @property
    def names(self) -> tuple[str, ...]:
        """Of the terms."""
        return tuple(self._terms)

    def __call__(self, output: Output, batch: JetBatch) -> LossValue:
        del batch  # losses of this family need nothing beyond the output
        terms = {name: term(output) for name, term in self._terms.items()}
        parts = [self._weights[name] * term_B for name, term_B in terms.items()]
        return LossValue(torch.stack(parts).sum(dim=0), terms)


def _term(config: Loss, graph: Graph, scaling: Scaling, device: str | torch.device) -> Term:
    match config:
        case MseLoss():
            return mse
        case ChamferLoss():
            return chamfer
        case KlLoss():
            return kl
        case EmdLoss() | SinkhornLoss() | DeepEmdLoss() | EmdNetworkLoss():
            return Transport(config, graph, scaling, device)
