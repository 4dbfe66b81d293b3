"""``[data.background]`` and ``[data.search]``: where events come from."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from raybead.config.section import Section


class LhcoSource(Section):
    """A file in the LHC Olympics 2020 layout: one row of 700 x (pT, eta, phi) an event."""

    source: Literal["lhco"]
    path: str
    labels: str | None = None
    """A master key: one label a line in file order. It stands for the label column."""
    start: NonNegativeInt = 0
    stop: PositiveInt | None = None
    """Rows ``start <= row < stop`` are read; to the end of the file if not given."""
    bad_rows: Literal["refuse", "drop"] = "refuse"
    """What a row with NaN, negative pT or |eta| out of reach does: end the job, or count."""
    max_abs_eta: PositiveFloat = 6.0
    generator: str | None = None

    @model_validator(mode="after")
    def _range_is_not_empty(self) -> LhcoSource:
        if self.stop is not None and self.stop <= self.start:
            raise ValueError(f"stop = {self.stop} leaves no row from start = {self.start}")
        return self


class Resonance(Section):
    """W' -> X Y with X, Y -> q q, all masses in GeV."""

    mass: PositiveFloat = 3500.0
    mass_x: PositiveFloat = 500.0
    mass_y: PositiveFloat = 100.0
    width: PositiveFloat = 0.01
    """Width of the W' as a share of its mass."""

    @model_validator(mode="after")
    def _decay_is_open(self) -> Resonance:
        if self.mass_x + self.mass_y >= self.mass:
            raise ValueError("mass_x + mass_y must be below mass, or the decay is closed")
        return self


class PythiaSource(Section):
    """Events made on the spot by Pythia 8: QCD dijets, and a resonance among them."""

    source: Literal["pythia"]
    events: PositiveInt
    """Events that pass the selection, signal included."""
    seed: NonNegativeInt = 1
    signal_fraction: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0
    resonance: Resonance = Resonance()
    slice_events: PositiveInt = 250
    """Each slice has a seed of its own, so events don't depend on the number of workers."""
    beam_energy: PositiveFloat = 13000.0
    pt_hat_min: PositiveFloat = 1000.0
    min_leading_pt: NonNegativeFloat = 1200.0
    """Selection of the LHC Olympics: a jet of R = 1.0 above this pT, |eta| < 2.5."""
    smearing: bool = True
    settings: tuple[str, ...] = ()
    """Further Pythia settings, as its ``readString`` takes them."""


Source = Annotated[LhcoSource | PythiaSource, Field(discriminator="source")]


class Data(Section):
    """Background trains; search is hunted in."""

    background: Source
    search: Source

    @model_validator(mode="after")
    def _no_event_is_in_both(self) -> Data:
        ours, theirs = self.background, self.search
        both = isinstance(ours, PythiaSource) and isinstance(theirs, PythiaSource)
        if both and ours.seed == theirs.seed:  # type: ignore[union-attr]
            raise ValueError(
                "background and search both have the same seed: the same events would"
                " train the model and be hunted in"
            )
        return self
