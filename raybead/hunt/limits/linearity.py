"""Whether fits find what was injected: linearity, pulls, and how often limits cover.

Axes: T pseudo-experiments.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from raybead.hunt.limits.cls import Tested
from raybead.hunt.limits.toys import poisson
from raybead.hunt.scan.newton import Fitted, fit
from raybead.hunt.scan.peaks import PeakModel, excess


@dataclass(frozen=True)
class Injected:
    """Fits of pseudo-data with a peak of known yield."""

    mass: float
    """GeV"""
    injected: float
    """Events of the resonance among outliers."""
    fitted: float
    """Mean best yield."""
    fitted_error: float
    """Of the mean."""
    spread: float
    """Standard deviation of the best yields."""
    pull_mean: float
    """Of sign(fitted - injected) sqrt(2 (L(injected) - L(fitted))): in units of MINOS's error."""
    pull_width: float
    z: float
    """Median local significance."""
    coverage: float
    """Share of upper limits at or above what was injected."""
    coverage_error: float
    toys: int


def linearity(
    model: PeakModel,
    strengths: Sequence[float],
    rng: np.random.Generator,
    toys: int = 500,
    confidence: float = 0.95,
    truth: PeakModel | None = None,
) -> tuple[Injected, ...]:
    """Pseudo-data of every mass of the model's templates and every strength, fitted.

    Pseudo-data are Poisson about the best background without a peak, with the peak added.

    Args:
        model: of data, its only spectrum: that fits.
        strengths: events injected among outliers.
        rng: that pseudo-data are drawn with.
        toys: of every mass and strength.
        confidence: of the limits whose coverage is looked at.
        truth: that pseudo-data are drawn from, with templates of the same masses and its data in
            the same bins: peaks of other widths, signals that leak otherwise, other backgrounds
            of the same counts. The model itself if not given.
    """
    truth = model if truth is None else truth
    every, zeros = np.zeros(toys, dtype=np.int64), np.zeros(toys)
    found = []
    ways = zip(
        model.templates.masses, model.templates.fractions, truth.templates.fractions, strict=True
    )
    for mass, looked_for, real in ways:
        for s in map(float, strengths):
            made = truth.data.take(every, np.tile(real, (toys, 1)))
            null = truth.null.take(every)
            drawn = poisson(made, Fitted(zeros + s, null.theta_PK, null.value_P), rng)
            peaks = model.data.take(every, np.tile(looked_for, (toys, 1)))
            peaks = peaks.counted(*drawn.counts)
            tested = Tested.of(peaks, fit(peaks, zeros, peaks.start(), held=True))
            found.append(_summary(float(mass), s, tested, confidence))
    return tuple(found)


def _summary(mass: float, s: float, tested: Tested, confidence: float) -> Injected:
    free, n = tested.free, len(tested.peaks)
    at = fit(tested.peaks, np.full(n, s), free.theta_PK, held=True)
    pull = np.sign(free.s_P - s) * np.sqrt(np.maximum(2 * (at.value_P - free.value_P), 0))
    covers = tested.log_cls(np.full(n, s)) >= np.log1p(-confidence)
    share = float(covers.mean())
    return Injected(
        mass=mass,
        injected=s,
        fitted=float(free.s_P.mean()),
        fitted_error=float(free.s_P.std(ddof=1) / np.sqrt(n)),
        spread=float(free.s_P.std(ddof=1)),
        pull_mean=float(pull.mean()),
        pull_width=float(pull.std(ddof=1)),
        z=float(np.median(np.sqrt(excess(free, tested.null)))),
        coverage=share,
        coverage_error=float(np.sqrt(max(share * (1 - share), 1 / n) / n)),
        toys=n,
    )
