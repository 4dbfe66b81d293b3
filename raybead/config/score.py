"""``[score]``: from losses to event scores."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PositiveInt, field_validator

from raybead.config.section import Section

Combination = Literal["sum-log", "sum", "mean", "min", "max"]
ComplexityKind = Literal["quadratic", "spline", "none"]
Stored = Literal["latent", "reconstruction"]


class Score(Section):
    """How jet losses become an event score. Truth plays no part."""

    of: str | Annotated[dict[str, float], Field(min_length=1)] = "loss"
    """What an item's score is. loss: what was trained on; the name of one of its terms;
    mahalanobis: distance of the latent from the background's mean in units of its covariance;
    flow-likelihood: minus the latent's log-likelihood under the flow; or a table of these with
    weights, whose logarithms are standardised on background and added."""
    combine: Combination = "sum-log"
    """Of an event's jets: sum-log adds their log losses, the others take the losses."""
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
    with names that end in ``_scaled``)."""
    batch_items: PositiveInt = 4096
    workers: PositiveInt | Literal["auto"] = "auto"
    use_gpu: bool | Literal["auto"] = "auto"

    @field_validator("store")
    @classmethod
    def _once_each(cls, store: tuple[Stored, ...]) -> tuple[Stored, ...]:
        if len(set(store)) < len(store):
            raise ValueError("says one thing twice")
        return store
