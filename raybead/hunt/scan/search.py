r"""What the likelihood of a peak says of the data: significances, yields, the best mass.

Errors are MINOS's (arXiv:physics/0406120, and F. James, Comput. Phys. Commun. 20 (1980) 29): where
minus the logarithm of the profile likelihood has risen by 1/2. They are of the yield with the
background profiled, and of the mass with yield and background profiled.

Axes: G masses.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from raybead.hunt.histogram import Array
from raybead.hunt.scan.likelihood import Likelihood
from raybead.hunt.scan.newton import Fitted, curvature_error, fit
from raybead.hunt.scan.peaks import PeakModel, excess
from raybead.hunt.scan.roots import crossing

FINER = 10
"""Masses that the best one is looked for at, per step of the grid."""

Floats = tuple[float, ...]


@dataclass(frozen=True)
class BestPeak:
    """The mass of the largest q0, looked for between the grid's points, too."""

    mass: float
    """GeV"""
    mass_low: float | None
    """Its error downwards [GeV]; None where the likelihood doesn't fall by 1/2 on the grid."""
    mass_high: float | None
    z: float
    """Local significance, sqrt(q0)."""
    p: float
    """Local p-value."""
    signal: float
    """Events of the resonance among outliers, those outside the window among them."""
    error_low: float
    error_high: float
    lost: float
    """Share of the resonance's events outside the window."""


@dataclass(frozen=True)
class PeakScan:
    """A peak at every mass of a grid."""

    masses: Floats
    """[G] GeV"""
    z: Floats
    """[G] local significances, sqrt(q0); 0 for deficits."""
    signal: Floats
    """[G] best yields, events of the resonance among outliers; below 0 for deficits."""
    error_low: Floats
    """[G] of the yields, downwards; both are above 0."""
    error_high: Floats
    statistic: float
    """Largest q0 of the grid: what pseudo-experiments' are compared with."""
    best: BestPeak


def scan(model: PeakModel) -> PeakScan:
    """Peaks in data, the model's only spectrum, at every mass of its templates."""
    free, low, high = yields(*model.peaks())
    q = excess(free, model.null)
    return PeakScan(
        masses=_floats(model.templates.masses),
        z=_floats(np.sqrt(q)),
        signal=_floats(free.s_P),
        error_low=_floats(low),
        error_high=_floats(high),
        statistic=float(q.max()),
        best=_best(model),
    )


def yields(peaks: Likelihood, null: Fitted) -> tuple[Fitted, Array, Array]:
    """The best fits of P spectra, and the errors of s downwards and upwards."""
    free = fit(peaks, null.s_P, null.theta_PK)
    step = curvature_error(peaks, free)
    low = free.s_P - crossing(_risen(peaks, free), free.s_P, free.s_P - step)
    high = crossing(_risen(peaks, free), free.s_P, free.s_P + step) - free.s_P
    return free, low, high


class _risen:
    """sqrt(2 (L(s) - L(best))) - 1, which is near to linear in s."""

    def __init__(self, peaks: Likelihood, free: Fitted) -> None:
        self.peaks, self.free, self.theta_PK = peaks, free, free.theta_PK

    def __call__(self, s_P: Array) -> Array:
        at = fit(self.peaks, s_P, self.theta_PK, held=True)
        self.theta_PK = at.theta_PK  # the next s is near
        return np.sqrt(np.maximum(2 * (at.value_P - self.free.value_P), 0)) - 1


def _best(model: PeakModel) -> BestPeak:
    grid = model.templates.masses
    fine = np.geomspace(grid[0], grid[-1], FINER * (len(grid) - 1) + 1)
    peaks, null = model.peaks(model.templates.at(fine))
    q = excess(fit(peaks, null.s_P, null.theta_PK), null)
    place, log_m = int(q.argmax()), np.log(fine)
    mass = fine[place]
    if 0 < place < len(q) - 1:
        # The parabola through the best and its neighbours.
        before, top, after = q[place - 1 : place + 2]
        bend = before - 2 * top + after
        if bend < 0:
            mass = np.exp(log_m[place] + (before - after) / (2 * bend) * (log_m[1] - log_m[0]))
    at = model.templates.at(np.array([mass]))
    free, low, high = yields(*model.peaks(at))
    top = float(excess(free, model.null)[0])
    ends = [_fallen(log_m[side], q[side], np.log(mass), top)
            for side in (slice(place, None, -1), slice(place, None))]  # fmt: skip
    return BestPeak(
        mass=float(mass),
        mass_low=None if ends[0] is None else float(mass - np.exp(ends[0])),
        mass_high=None if ends[1] is None else float(np.exp(ends[1]) - mass),
        z=float(np.sqrt(top)),
        p=float(special.ndtr(-np.sqrt(top))),
        signal=float(free.s_P[0]),
        error_low=float(low[0]),
        error_high=float(high[0]),
        lost=float(at.lost[0]),
    )


def _fallen(log_m: Array, q: Array, best: float, top: float) -> float | None:
    """The first log mass, going outwards, at which q0 has fallen by 1; None if it nowhere has."""
    below = np.flatnonzero(q <= top - 1)
    if top <= 1 or len(below) == 0:
        return None
    end = below[0]
    inner, q_inner = (best, top) if end <= 1 else (log_m[end - 1], q[end - 1])
    # sqrt(top - q) is near to linear in the mass.
    deep, shallow = np.sqrt(top - q[end]), np.sqrt(max(top - q_inner, 0.0))
    return float(inner + (log_m[end] - inner) * (1 - shallow) / (deep - shallow))


def _floats(values: Array) -> Floats:
    return tuple(float(value) for value in values)
