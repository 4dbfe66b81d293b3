"""How a job's terms add up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import import_module

import torch
from torch import Tensor

from raybead.config import Loss
from raybead.graphs import JetBatch
from raybead.losses.space import Space, Term
from raybead.models import Output


@dataclass(frozen=True)
class LossValue:
    """A loss of B jets."""

    total_B: Tensor
    """Weighted sum of the terms: what is trained on, and what scores."""
    terms: dict[str, Tensor]
    """[B] each, unweighted."""


class JetLoss:
    """The loss of every jet of a batch, as a job file's ``[loss]`` says."""

    def __init__(self, losses: Sequence[Loss], space: Space) -> None:
        """Set the terms up.

        Args:
            losses: the terms.
            space: what the features mean.
        """
        self._weights = {config.kind: config.weight for config in losses}
        self._compare = {c.kind for c in losses if "posterior" not in c.needs}
        self._terms = {config.kind: build_term(config, space) for config in losses}

    @property
    def names(self) -> tuple[str, ...]:
        """Of the terms."""
        return tuple(self._terms)

    def constant(self, output: Output, batch: JetBatch) -> Tensor:
        """[B] what the jets' loss would be if all nodes came back as the mean of all.

        That is 0 in features of standard scaling; what compares nothing with a target is left
        out. A model that scores no better has learned nothing of jets.
        """
        nothing = replace(output, reconstruction_NF=torch.zeros_like(output.target_NF))
        parts = [
            self._weights[name] * term(nothing, batch)
            for name, term in self._terms.items()
            if name in self._compare
        ]
        return torch.stack(parts).sum(dim=0)

    def __call__(self, output: Output, batch: JetBatch) -> LossValue:
        terms = {name: term(output, batch) for name, term in self._terms.items()}
        parts = [self._weights[name] * term_B for name, term_B in terms.items()]
        return LossValue(torch.stack(parts).sum(dim=0), terms)


def build_term(config: Loss, space: Space) -> Term:
    """The term of a section: what the file of its kind's name builds."""
    return import_module(f"raybead.losses.{config.kind.replace('-', '_')}").build(config, space)
