"""What is read of a hunt's result where runs are compared: checked, for it may be anyone's."""

from __future__ import annotations

from pydantic import BaseModel, Field

Count = int | float
"""Of events; a sum of weights where they are weighted."""


class Rejection(BaseModel):
    """1 / FPR at a signal efficiency."""

    efficiency: float
    value: float | None
    low: float | None
    high: float | None
    error: float | None


class Roc(BaseModel):
    """Points of a curve; ``effective`` are events of weighted background that pass."""

    fpr: list[float]
    tpr: list[float]
    effective: list[float] | None = None


class Band(BaseModel):
    """Significance improvement at signal efficiencies."""

    efficiency: list[float]
    value: list[float]
    low: list[float]
    high: list[float]


class Rated(BaseModel):
    """How a score separates."""

    auc: float
    auc_error: float
    sic: float
    sic_error: float
    sic_efficiency: float
    rejection: list[Rejection]
    roc: Roc
    improvement: Band


class Kept(BaseModel):
    """What a cut keeps of a class."""

    value: float | None


class OfClass(BaseModel):
    """The same, of all bins."""

    total: Kept


class Efficiency(BaseModel):
    """Of one cut."""

    cut: float
    signal: OfClass


class Efficiencies(BaseModel):
    """Of all cuts."""

    cuts: list[Efficiency]


class Evaluation(BaseModel):
    """With truth."""

    signal: Count
    background: Count
    scores: dict[str, Rated]
    efficiency: Efficiencies | None = None

    @property
    def of_model(self) -> Rated:
        return self.scores["score"]


class Histogram(BaseModel):
    """Spectra of a cut; squares and ``per_event`` are those of weighted events."""

    edges: list[float]
    outliers: list[Count]
    expected: list[float]
    uncertainty: list[float]
    outliers_squares: list[float] | None = None
    per_event: list[float] | None = None


class Window(BaseModel):
    """The most significant one."""

    low: float
    high: float
    observed: Count
    expected: float
    expected_error: float


class Chance(BaseModel):
    """A p-value from pseudo-experiments."""

    p: float
    low: float
    high: float
    beyond: int
    significance: float


class AtBest(BaseModel):
    """Limits at the mass of the best fit."""

    observed: float
    expected: float


class Limits(BaseModel):
    """On events of a peak, at every mass; ``expected`` at -2, -1, 0, 1 and 2 sigma."""

    confidence: float
    luminosity: float | None
    masses: list[float]
    observed: list[float]
    expected: list[list[float]] = Field(min_length=5, max_length=5)
    at_best: AtBest


class Cut(BaseModel):
    """One cut of a hunt."""

    key: str
    run: str
    cut: float
    histogram: Histogram
    window: Window
    overall: Chance = Field(alias="global")
    limits: Limits | None


class Conclusion(BaseModel):
    """Of all cuts together."""

    best_cut: int
    p: float
    significance: float
    looks: int
    resolved: bool
    window: Window


class Hunted(BaseModel):
    """``hunt/result.json``."""

    observable: str
    cuts: list[Cut] = Field(min_length=1)
    conclusion: Conclusion
    evaluation: Evaluation | None
