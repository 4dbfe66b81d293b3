"""``[score]``: from losses to event scores."""

from __future__ import annotations

import math
from typing import Any, Literal

from pydantic import PositiveInt, field_validator

from raybead.config.loss import Loss
from raybead.config.model import Model
from raybead.config.section import Section

Combination = Literal["sum-log", "sum", "mean", "min", "max"]
ComplexityKind = Literal["quadratic", "spline", "none"]
Stored = Literal["latent", "reconstruction"]
LOSS, MAHALANOBIS, FLOW_LIKELIHOOD = "loss", "mahalanobis", "flow-likelihood"


class Score(Section):
    """How jet losses become an event score. Truth plays no part."""

    of: str | dict[str, float] = LOSS
    """What an item's score is. loss: the terms that score, as trained on; the name of one of them;
    mahalanobis: distance of the latent from the background's mean in units of its covariance;
    flow-likelihood: minus the latent's log-likelihood under the prior, of a model with a
    posterior; or a table of these with weights, whose logarithms are standardised on background
    and added. See docs/scores.md."""
    combine: Combination = "sum-log"
    """Of an event's jets, as many as there are: sum-log adds their log losses, the others take the
    losses. A model of whole events leaves nothing to combine."""
    complexity: ComplexityKind = "quadratic"
    """Removed from the log loss as a function of log multiplicity; spline: a natural cubic one of
    up to five knots."""
    complexity_fit: Literal["search", "background"] = "search"
    """Sample that the function is fitted on. Multiplicity differs between generators."""
    store: tuple[Stored, ...] = ()
    """Written beside the scores, as ``scores/<what>/<role>/*.parquet`` with a row an event, in the
    scores' order. latent: ``latent_j1``, ... of every jet, or of each of its nodes where the model
    gives these latents. reconstruction: ``target_j1``, ``reconstruction_j1``, ... lists of nodes,
    in the features' own units (where ``[graph] scaling`` can't be undone, as the model sees them,
    with names that end in ``_scaled``). Of events: ``latent``, ``target``, ``reconstruction``.
    Of an ensemble it is the best bundle's."""
    controls: bool = True
    """Whether scores that take no learning stand beside the model's. They take most of the time:
    N-subjettiness alone ten times that of a small model."""
    ensemble: PositiveInt = 1
    """Of the bundles that a sweep kept with the model, the best so many score together: each
    event score is standardised on the background sample, and the mean of them is taken. ``of``,
    ``combine``, ``complexity`` and ``complexity_fit`` are then each bundle's own, as its trial
    had them. See docs/scores.md."""
    batch_items: PositiveInt = 4096
    """Items that go through the model at a time."""
    workers: PositiveInt | Literal["auto"] = "auto"
    """Actors that score; auto: as many as there is room and work for."""
    use_gpu: bool | Literal["auto"] = "auto"
    """auto: where the cluster has one."""

    @property
    def weights(self) -> dict[str, float]:
        """By quantity: what it counts in the score."""
        return {self.of: 1.0} if isinstance(self.of, str) else self.of

    @field_validator("of", mode="before")
    @classmethod
    def _name_or_weights(cls, of: Any) -> Any:
        if not isinstance(of, str | dict) or not of:
            raise ValueError("give a quantity's name, or a table of names with weights")
        for name, weight in of.items() if isinstance(of, dict) else ():
            number = isinstance(weight, int | float) and not isinstance(weight, bool)
            if not number or weight == 0 or not math.isfinite(weight):
                raise ValueError(f"the weight of {name} isn't a number other than 0")
        return of

    @field_validator("store")
    @classmethod
    def _once_each(cls, store: tuple[Stored, ...]) -> tuple[Stored, ...]:
        if len(set(store)) < len(store):
            raise ValueError("says one thing twice")
        return store


def quantities_of(model: Model, losses: tuple[Loss, ...]) -> tuple[str, ...]:
    """Names that ``[score] of`` may say in a job of this model and loss."""
    terms = (term.kind for term in losses if term.scores)
    likelihood = getattr(model, "posterior", "point") != "point"
    return (LOSS, *terms, MAHALANOBIS, *([FLOW_LIKELIHOOD] if likelihood else []))


def logarithms_of(losses: tuple[Loss, ...]) -> tuple[str, ...]:
    """Quantities that may be negative: logarithms of what is scored, where others have theirs."""
    signed = tuple(term.kind for term in losses if term.scores and term.signed)
    return (*([LOSS] if signed else []), *signed, FLOW_LIKELIHOOD)


def refuse_unknown_quantities(score: Score, model: Model, losses: tuple[Loss, ...]) -> None:
    """Refuse a score of what the items of a job have no value of.

    Raises:
        ValueError: which, and what there is.
    """
    known = quantities_of(model, losses)
    for name in score.weights:
        if name not in known:
            raise ValueError(
                f"score.of: {name!r} is no quantity of this model's items and loss; there are"
                f" {', '.join(known)}"
            )
