"""One cut of one run's score: who passes it, and what background predicts of them.

Axes: E events, M bins.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from raybead.config import Hunt
from raybead.errors import HuntError
from raybead.hunt.background import Background, Dijet, NonOutliers, predict
from raybead.hunt.binning import Array
from raybead.hunt.histogram import Histogram
from raybead.hunt.sample import Sample
from raybead.hunt.scan import (
    BumpHunt,
    Family,
    GaussianPeak,
    LikelihoodScan,
    PeakModel,
    SimulatedPeak,
    Templates,
    Windows,
)
from raybead.hunt.selection import Selection
from raybead.hunt.toys import Look


@dataclass(frozen=True)
class Scores:
    """One run's scores of both samples."""

    run: str
    search: Sample
    background: Sample
    signal: Sample | None = None
    """The search sample's signal events, where the job asks for the shape of a simulated one."""

    def __post_init__(self) -> None:
        for sample in (self.search, self.background):
            sample.checked()


@dataclass(frozen=True)
class Cut:
    """One cut of one run's score: who passes, and what background predicts of them."""

    run: str
    selection: Selection
    """Of the events of the mass window."""
    outliers: Histogram
    others: Histogram
    background: Background
    peaks: Templates | None
    """Of the signal that is looked for; None where there is no shape to look for."""
    leak: float
    """The signal's ratio of others to outliers; 0 where it isn't known."""
    notes: tuple[str, ...] = ()
    """What can't be said of this cut, and why."""

    def peak_model(self, templates: Templates) -> PeakModel:
        """The likelihood of a peak among these outliers."""
        return self.likelihood(templates).model(
            self.outliers, self.others, self.background.expected
        )

    def look(self, config: Hunt, supported: NDArray[np.bool_]) -> Look:
        """How pseudo-experiments of this cut become numbers."""
        if config.statistic == "likelihood":
            assert self.peaks is not None  # or the cut would have been refused
            return Look(self.background, self.likelihood(self.peaks))
        return Look(self.background, bump_hunt(config, supported))

    def best_window(
        self, config: Hunt, supported: NDArray[np.bool_]
    ) -> tuple[Windows, Array, int]:
        """All windows, their local p-values [W], and which is the most significant."""
        bumps = bump_hunt(config, supported)
        expected = self.background.expected[None]
        p_1W = bumps.local_p(self.outliers.row(), expected, self.others.row())
        return bumps.windows, p_1W[0], int(bumps.best(p_1W)[0])

    def likelihood(self, templates: Templates) -> LikelihoodScan:
        """The scan for a peak that goes with the background."""
        match self.background:
            case NonOutliers():
                return LikelihoodScan(templates, leak=self.leak)
            case Dijet() as dijet:
                return LikelihoodScan(templates, family=Family.of(*dijet.design))
            case _:
                return LikelihoodScan(templates, fixed=True)


def bump_hunt(config: Hunt, supported: NDArray[np.bool_]) -> BumpHunt:
    """The scan that a job asks for, of bins that are supported or not [M]."""
    windows = Windows.of(len(supported), config.widths)
    return BumpHunt(windows, config.direction, config.sidebands, supported=supported)


def make_cut(
    run: Scores,
    selection: Selection,
    edges: Array,
    inside: Sample,
    unit: float | None,
    config: Hunt,
) -> Cut:
    """A cut of a run.

    Args:
        run: its scores.
        selection: of the events of the window.
        edges: of the bins.
        inside: the events of the window.
        unit: the weight that all of them share; None where they differ.
        config: of the hunt.

    Raises:
        HuntError: nothing can be predicted, or no peak looked for.
    """
    outliers, others = (
        Histogram.of(part.mass, part.weight if unit is None else None, edges)
        for part in (inside.select(selection.outlier), inside.select(~selection.outlier))
    )
    notes: tuple[str, ...] = ()
    try:
        templates, leak = _signal(run, selection, edges, config)
    except HuntError as error:
        if config.statistic == "likelihood":
            raise
        # A bump can be hunted all the same.
        templates, leak, notes = None, 0.0, (f"no peak is fitted, and no limits set: {error}",)
    return Cut(
        run=run.run,
        selection=selection,
        outliers=outliers,
        others=others,
        background=predict(outliers, others, edges, config),
        peaks=templates,
        leak=leak,
        notes=notes,
    )


def _signal(
    run: Scores, selection: Selection, edges: Array, config: Hunt
) -> tuple[Templates, float]:
    """The peak that is looked for, and the signal's ratio of others to outliers."""
    shape = config.signal
    if shape.shape == "gaussian":
        return Templates.over(edges, GaussianPeak(shape.width), shape.masses), 0.0
    if run.signal is None:
        raise HuntError(
            "hunt.signal.shape = 'sample': the search sample holds no events of known signal"
        )
    passing = selection.passes(run.signal)
    peak = SimulatedPeak.of(run.signal.mass[passing], run.signal.weight[passing])
    efficiency = run.signal.weight[passing].sum() / run.signal.weight.sum()
    return Templates.over(edges, peak, shape.masses), float(1 / efficiency - 1)
