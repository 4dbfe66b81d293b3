"""Losses: named terms per jet, and how they add up. The same call trains and scores."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from raybead.config import ChamferLoss, Loss, MseLoss
from raybead.graphs import JetBatch
from raybead.losses.chamfer import chamfer
from raybead.losses.mse import mse
from raybead.models import Output


@dataclass(frozen=True)
class LossValue:
    """A loss of B jets."""

    total_B: Tensor
    """Weighted sum of the terms: what is trained on, and what scores."""
    terms: dict[str, Tensor]
    """[B] each, unweighted."""


def jet_loss(config: Loss, output: Output, batch: JetBatch) -> LossValue:
    """The loss of every jet of a batch, as a job file's ``[loss]`` says."""
    del batch  # losses of this family need nothing beyond the output
    match config:
        case MseLoss():
            terms = {"mse": mse(output)}
        case ChamferLoss():
            terms = {"chamfer": chamfer(output)}
    total = sum(config.weight * term for term in terms.values())
    assert isinstance(total, Tensor)
    return LossValue(total, terms)


def term_names(config: Loss) -> tuple[str, ...]:
    """Names of the terms that :func:`jet_loss` gives."""
    return (config.kind,)


__all__ = ["LossValue", "chamfer", "jet_loss", "mse", "term_names"]
