"""How a job's terms add up."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from raybead.config import Loss
from raybead.errors import JobError
from raybead.graphs import JetBatch
from raybead.losses.space import Penalty, Space, Term, Views
from raybead.models import Output


@dataclass(frozen=True)
class LossValue:
    """A loss of B jets."""

    total_B: Tensor
    """Weighted sum of the terms that scores: every jet's by itself."""
    terms: dict[str, Tensor]
    """[B] each, unweighted; those that only train among them, where they were asked for."""


class JetLoss:
    """The loss of every jet of a batch, as a job file's ``[loss]`` says.

    Terms that a jet by itself has no value of (contrastive ones, those of the model's weights)
    train, and take no part in a score.
    """

    def __init__(self, losses: Sequence[Loss], space: Space) -> None:
        """Set the terms up.

        Args:
            losses: the terms.
            space: what the features mean.
        """
        self._space = space
        self._configs = {config.kind: config for config in losses}
        self._terms: dict[str, Term] = {}
        self._penalties: dict[str, Penalty] = {}
        self._views: Views | None = None
        for config in losses:
            self._set_up(config)

    @property
    def sections(self) -> tuple[Loss, ...]:
        """Of all terms, as they are here."""
        return tuple(self._configs.values())

    @property
    def names(self) -> tuple[str, ...]:
        """Of all terms."""
        return tuple(self._configs)

    @property
    def scoring(self) -> tuple[str, ...]:
        """Of the terms that score."""
        return tuple(name for name, config in self._configs.items() if config.scores)

    @property
    def contrasts(self) -> bool:
        """Whether a jet's loss depends on the others of its batch."""
        return any(config.contrasts for config in self._configs.values())

    def altered(self, **settings: Mapping[str, Any]) -> JetLoss:
        """The same loss with other settings of some terms, by their kind; weights may be 0.

        Args:
            settings: by kind, with ``_`` for ``-``: keys of the section and their new values.

        Raises:
            JobError: a term that the loss doesn't have, or what its section can't say.
        """
        other = copy(self)
        other._configs, other._terms = dict(self._configs), dict(self._terms)
        other._penalties = dict(self._penalties)
        for name, changes in settings.items():
            kind = name.replace("_", "-")
            if kind not in self._configs:
                raise JobError(f"loss.{kind}: no term of this loss ({', '.join(self.names)})")
            config = _changed(self._configs[kind], dict(changes))
            other._configs[kind] = config
            if set(changes) - {"weight"}:  # or the term itself is as it was
                other._set_up(config)
        return other

    def views(self, batch: JetBatch) -> list[JetBatch]:
        """Altered views of the jets that the model has to see, too; none for most losses.

        Each call draws from torch's generator, and each jet's alterations belong to the jet.
        """
        return [] if self._views is None else self._views(batch)

    def constant(self, output: Output, batch: JetBatch) -> Tensor:
        """[B] what the jets' loss would be if all nodes came back as the mean of all.

        That is 0 in features of standard scaling; what compares nothing with a target is left
        out. A model that scores no better has learned nothing of jets.
        """
        nothing = replace(output, reconstruction_NF=torch.zeros_like(output.target_NF))
        parts = [
            config.weight * self._terms[name](nothing, batch)
            for name, config in self._configs.items()
            if config.compares
        ]
        return torch.stack(parts).sum(dim=0)

    def __call__(self, output: Output, batch: JetBatch) -> LossValue:
        """The terms that score, and their sum."""
        terms = {name: self._terms[name](output, batch) for name in self.scoring}
        return LossValue(self._sum(terms), terms)

    def training(self, output: Output, batch: JetBatch, model: nn.Module) -> LossValue:
        """All terms, and the sum of all: what is minimised.

        Args:
            output: of the model, with :attr:`Output.views` where :meth:`views` gives any.
            batch: that it is of.
            model: whose weights may be restrained.
        """
        found = {name: term(output, batch) for name, term in self._terms.items()}
        like = next(iter(found.values()))
        for name, penalty in self._penalties.items():
            found[name] = penalty(model).to(like).expand_as(like)
        terms = {name: found[name] for name in self.names}
        return LossValue(self._sum(terms), terms)

    def reconstruction(self, output: Output) -> Tensor:
        """[N, F] reconstructed features, scaled: of ``bce`` what its logits stand for."""
        is_logits = "bce" in self._configs
        return output.reconstruction_NF.sigmoid() if is_logits else output.reconstruction_NF

    def _sum(self, terms: Mapping[str, Tensor]) -> Tensor:
        # Without those of weight 0: what isn't a number would stay that, times nothing.
        weights = {name: self._configs[name].weight for name in terms}
        parts = [weights[name] * term_B for name, term_B in terms.items() if weights[name]]
        if not parts:
            return torch.zeros_like(next(iter(terms.values())))
        return torch.stack(parts).sum(dim=0)

    def _set_up(self, config: Loss) -> None:
        module = import_module(f"raybead.losses.{config.kind.replace('-', '_')}")
        if "weights" in config.needs:
            self._penalties[config.kind] = module.build(config, self._space)
            return
        self._terms[config.kind] = module.build(config, self._space)
        if "views" in config.needs:
            self._views = module.views(config, self._space)


def _changed(config: Loss, changes: dict[str, Any]) -> Loss:
    """The section with other values, checked; a weight may have come down to 0."""
    weight = changes.pop("weight", config.weight)
    if weight < 0 or not math.isfinite(weight):
        raise JobError(f"loss.{config.kind}.weight is {weight}, and has to be a number from 0 on")
    try:
        checked = type(config).model_validate({**config.model_dump(), "weight": 1.0, **changes})
    except ValidationError as error:
        fault = error.errors()[0]
        key = ".".join(map(str, (config.kind, *fault["loc"])))
        raise JobError(f"loss.{key}: {fault['msg']}") from None
    return checked.model_copy(update={"weight": weight})
