"""``[score]`` and ``[hunt]``: from losses to a significance."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt, field_validator, model_validator

from raybead.config.section import Section

Quantile = Annotated[float, Field(gt=0.0, lt=1.0)]
Combination = Literal["sum-log", "sum", "mean", "min", "max"]
ComplexityKind = Literal["quadratic", "spline", "none"]
Stored = Literal["latent", "reconstruction"]


class Score(Section):
    """How jet losses become an event score. Truth plays no part."""

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


class Hunt(Section):
    """Cut on the event score, predict the background, look for a bump in m_jj."""

    cuts: Annotated[tuple[Quantile, ...], Field(min_length=1)] = (0.9, 0.95, 0.99)
    conditional: Literal["mjj", "none"] = "mjj"
    """mjj: the score's quantile given m_jj; none: one threshold, which sculpts m_jj."""
    threshold_order: Annotated[int, Field(ge=1, le=4)] = 2
    """Of the polynomial in log m_jj that a conditional threshold is."""
    threshold_fit: Literal["search", "background"] = "search"
    """Sample that thresholds are fitted on. On search by folds, so that no event sets its own:
    cautious, whatever simulation gets wrong. On background more sensitive at hard cuts, but
    only as right as simulation, and as its number of events against the search sample's."""
    background: Literal["non-outliers", "ratio-polynomial"] = "non-outliers"
    mass_window: tuple[PositiveFloat, PositiveFloat] = (2659.0, 6099.0)
    """m_jj range [GeV]; binned by the dijet edges that lie in it."""
    widths: tuple[PositiveInt, PositiveInt] = (2, 5)
    """Narrowest and widest window of the scan, in bins."""
    toys: PositiveInt = 100_000

    @model_validator(mode="after")
    def _in_order(self) -> Hunt:
        if self.mass_window[0] >= self.mass_window[1]:
            raise ValueError("mass_window must run upwards")
        if self.widths[0] > self.widths[1]:
            raise ValueError("widths must run upwards")
        if len(set(self.cuts)) < len(self.cuts):
            raise ValueError("cuts must differ from one another")
        return self
