"""The smallest signal that a scan would find: the yield with a median significance asked for.

Axes: G masses, T pseudo-experiments.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from raybead.hunt.histogram import Array
from raybead.hunt.scan.newton import curvature_error, fit
from raybead.hunt.scan.peaks import PeakModel
from raybead.hunt.scan.roots import crossing
from raybead.hunt.scan.trials import Upcrossings

SHORT = 0.3
"""Significance by which the median may fall short of what is asked for: counts come in steps."""

Floats = tuple[float, ...]


@dataclass(frozen=True)
class DiscoveryReach:
    """The least yield that is found half of the time, at every mass."""

    masses: Floats
    """[G] GeV"""
    signal: tuple[float | None, ...]
    """[G] events of the resonance among outliers; None where no yield would be found, because
    the background could always be told to explain it."""
    over_background: tuple[float | None, ...]
    """[G] the same over the background's outliers in the window."""
    z: float
    """Significance asked for."""
    z_local: float
    """Local significance that this takes; the same where no trials are paid for."""
    method: str
    """asymptotic or toys."""


def reach(model: PeakModel, z: float = 3.0, trials: Upcrossings | None = None) -> DiscoveryReach:
    """By Asimov data sets: the median q0 is that of data exactly as predicted.

    Args:
        model: of data, whose best background without a peak is the pseudo-data's.
        z: significance wanted; global where ``trials`` are given, else local.
        trials: of the scan.
    """
    peaks, null = model.peaks()
    z_local = z if trials is None else trials.local(z)

    def above(s_P: Array) -> Array:
        asimov = peaks.counted(*peaks.rates(s_P, null.theta_PK))
        bare = fit(asimov, np.zeros(len(s_P)), null.theta_PK, held=True)
        return np.sqrt(np.maximum(2 * bare.value_P, 0.0)) - z_local

    found = crossing(above, np.zeros(len(peaks)), z_local * curvature_error(peaks, null))
    found = np.where(above(found) < -SHORT, np.inf, found)
    return _told(model, model.templates.masses, found, z, z_local, "asymptotic")


def reach_by_toys(
    model: PeakModel,
    masses: Array,
    rng: np.random.Generator,
    z: float = 3.0,
    trials: Upcrossings | None = None,
    toys: int = 400,
) -> DiscoveryReach:
    """By pseudo-experiments: the median of their significances at a few masses.

    A local significance is that at the mass injected; where trials are paid for, that of the
    best mass of the model's grid. Every yield is tried with the same random numbers, so that the
    median rises with it.
    """
    z_local = z if trials is None else trials.local(z)
    every, found = np.zeros(toys, dtype=np.int64), []
    for mass in masses:
        injected = model.templates.at(np.array([mass]))
        looked_for = injected if trials is None else model.templates
        made = model.data.take(every, np.tile(injected.fractions, (toys, 1)))
        theta_TK = model.null.theta_PK[every]
        uniform = [rng.random(counts.shape) for counts in made.counts]

        def above(s_1: Array, made=made, theta_TK=theta_TK, uniform=uniform, seek=looked_for):
            rates = made.rates(np.repeat(s_1, toys), theta_TK)
            counts = (stats.poisson.ppf(u, r) for u, r in zip(uniform, rates, strict=True))
            best = PeakModel(seek, made.counted(*counts)).q0().max(axis=1)
            return np.array([np.median(np.sqrt(best)) - z_local])

        peak, null = model.peaks(injected)
        start = z_local * curvature_error(peak, null)
        s_1 = crossing(above, np.zeros(1), start)
        found.append(s_1[0] if above(s_1)[0] > -SHORT else np.inf)
    return _told(model, masses, np.array(found), z, z_local, "toys")


def _told(
    model: PeakModel, masses: Array, signal: Array, z: float, z_local: float, method: str
) -> DiscoveryReach:
    total = float(
        (model.data.rates(np.zeros(1), model.null.theta_PK)[0] * model.data.unit_PM).sum()
    )
    return DiscoveryReach(
        masses=tuple(float(mass) for mass in masses),
        signal=tuple(float(s) if np.isfinite(s) else None for s in signal),
        over_background=tuple(
            float(s / total) if np.isfinite(s) and total > 0 else None for s in signal
        ),
        z=z,
        z_local=z_local,
        method=method,
    )
