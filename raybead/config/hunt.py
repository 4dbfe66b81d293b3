"""``[hunt]``: from event scores to a significance, and what it is worth."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from raybead.config.section import Section

Quantile = Annotated[float, Field(gt=0.0, lt=1.0)]


class SignalShape(Section):
    """``[hunt.signal]``: the peak that the likelihood scan and the limits look for."""

    shape: Literal["gaussian", "sample"] = "gaussian"
    """sample: the spectrum of ``[data.signal]`` after the cut, moved to every mass."""
    width: Annotated[float, Field(gt=0.0, lt=0.5)] = 0.04
    """Standard deviation of a Gaussian peak in units of its mass."""
    masses: Annotated[int, Field(ge=2)] = 41
    """Points of the scan, evenly spread in log mass over the window."""


class Hunt(Section):
    """Cut on the event score, predict the background, look for a bump."""

    observable: str = "mjj"
    """Column of the scores that is hunted in: mjj, mj1, mj2, or another; above 0."""
    cuts: Annotated[tuple[Quantile, ...], Field(min_length=1)] = (0.9, 0.95, 0.99)
    """Quantiles of the score beyond which events are outliers; each is a look, and all are
    counted."""
    conditional: Literal["mjj", "none"] = "mjj"
    """mjj: the score's quantile given the observable; none: one threshold, which sculpts it."""
    threshold_order: Annotated[int, Field(ge=1, le=4)] | Literal["auto"] = "auto"
    """auto: the conditional median, a smooth spline in log mass, plus a gap too stiff to follow a
    bump; a number: a polynomial in log mass of that order, which takes from a signal."""
    threshold_fit: Literal["search", "background"] = "search"
    """Sample that thresholds are fitted on. On search by folds, so that no event sets its own:
    cautious, whatever simulation gets wrong. On background more sensitive at hard cuts, but
    only as right as simulation, and as its number of events against the search sample's."""
    mass_window: tuple[PositiveFloat, PositiveFloat] = (2659.0, 6099.0)
    """Range of the observable [GeV]."""
    binning: Literal["dijet", "uniform", "resolution"] = "dijet"
    """dijet: the edges of the LHC's dijet searches that lie in the window; uniform: ``bins`` of
    one width; resolution: of one width in units of the mass, ``resolution``."""
    bins: PositiveInt = 30
    """Of uniform binning."""
    resolution: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.04
    """Of resolution binning: width of a bin over its mass."""
    background: Literal["non-outliers", "dijet", "ratio-polynomial"] = "non-outliers"
    """non-outliers: their spectrum, scaled; dijet: a falling function of the mass, fitted;
    ratio-polynomial: the published study's, which swallows signals at hard cuts."""
    parameters: tuple[PositiveInt, PositiveInt] = (3, 5)
    """Fewest and most of a dijet function; an F-test chooses between them."""
    sqrt_s: PositiveFloat = 13000.0
    """Energy of the collisions [GeV], which a dijet function falls to zero at."""
    statistic: Literal["bumps", "likelihood"] = "bumps"
    """What the global p-value is of: BumpHunter's best window, or the best peak's likelihood
    ratio. Both are told."""
    direction: Literal["excess", "deficit"] = "excess"
    """Whether too many events are looked for, or too few."""
    widths: tuple[PositiveInt, PositiveInt] = (2, 5)
    """Narrowest and widest window of the scan, in bins."""
    sidebands: bool = False
    """Whether every window's prediction is normalised to what lies outside it."""
    toys: PositiveInt | Literal["auto"] = "auto"
    """Most pseudo-experiments; auto: 10,000,000 where they are counted by tables, 100,000 where
    each takes a fit or events of many weights."""
    precision: NonNegativeFloat = 0.05
    """Relative error of the global p-value at which no more are made; 0: all are."""
    signal: SignalShape = SignalShape()
    """The peak that is looked for."""
    confidence: Annotated[float, Field(gt=0.5, lt=1.0)] = 0.95
    """Of the limits."""
    luminosity: PositiveFloat | None = None
    """Of the search sample [1/fb]; limits are then told as cross-sections times acceptance and
    efficiency, too."""
    runs: tuple[str, ...] = ()
    """Folders of other runs whose scores are hunted in together with this one's, all counted as
    looks: other models on the same search sample, or other search samples."""

    @model_validator(mode="after")
    def _in_order(self) -> Hunt:
        for key in ("mass_window", "widths", "parameters"):
            low, high = getattr(self, key)
            if low > high or (key == "mass_window" and low == high):
                raise ValueError(f"{key} must run upwards")
        if not 3 <= self.parameters[0] <= self.parameters[1] <= 5:
            raise ValueError("parameters: a dijet function has 3 to 5")
        if self.background == "dijet" and self.mass_window[1] >= self.sqrt_s:
            raise ValueError("mass_window must end below sqrt_s")
        if len(set(self.cuts)) < len(self.cuts):
            raise ValueError("cuts must differ from one another")
        return self


class Calibrate(Section):
    """``[calibrate]``: the whole hunt on pseudo-data without a signal, as often as it takes."""

    sets: Annotated[int, Field(ge=20)] = 200
    """Hunts on pseudo-data; 200 tell a share of 0.05 to within 0.015."""
    events: PositiveInt | None = None
    """Of a set; as many as the search sample has if not given."""
    sample: Literal["background", "search"] = "background"
    """Whose scored events pseudo-data are made of."""
    method: Literal["smooth", "bootstrap", "disjoint"] = "smooth"
    """smooth: masses drawn with a little noise, scores from events of near mass, so that the
    sample's own fluctuations aren't taken for the truth; bootstrap: events drawn with
    replacement, which takes them so; disjoint: every event in one set at most, which needs a
    large sample."""
    toys: PositiveInt = 2000
    """Pseudo-experiments of a set's hunt."""


class Reach(Section):
    """``[reach]``: signals injected into pseudo-data, and what the hunt makes of them."""

    masses: Annotated[tuple[PositiveFloat, ...], Field(min_length=1)] = (3500.0,)
    """Where signals are put in [GeV]."""
    width: Annotated[float, Field(gt=0.0, lt=0.5)] = 0.04
    """Standard deviation of an injected peak, in units of its mass."""
    strengths: Annotated[tuple[NonNegativeFloat, ...], Field(min_length=1)] = (
        0.0, 0.005, 0.01, 0.02, 0.05,
    )  # fmt: skip
    """Signal events over background events of a set."""
    signal: Literal["efficiency", "truth"] = "efficiency"
    """efficiency: peaks whose events pass each cut as often as ``efficiency`` says; truth: the
    search sample's signal events with their scores, moved to each mass: an evaluation."""
    efficiency: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.6
    """Share of signal that passes a cut at the 90 % quantile; other cuts follow from a score
    whose signal is a shifted Gaussian."""
    sets: Annotated[int, Field(ge=10)] = 50
    """Of every mass and strength."""
