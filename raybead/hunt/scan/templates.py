r"""What a resonance looks like in the spectrum, at every mass of a grid.

A template is the fraction of the resonance's events in each bin,

.. math:: S_i(m) = F(x_{i+1} / m) - F(x_i / m),

with F the cumulative distribution of the observable in units of the mass: resonances of all
masses are taken to look alike once they are measured in their mass. What falls outside the
window isn't in any bin, and is told as lost; yields are of all events, the lost among them.

Axes: G masses, M bins, E simulated events.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy import special

from raybead.errors import HuntError
from raybead.hunt.histogram import Array
from raybead.hunt.weights import effective, quantile

MIN_SIMULATED = 20
"""Effective events that a simulated peak needs to be a template."""
STEPS = 20
"""Points that a simulated peak's distribution is kept at, per width of its smoothing."""


class Peak(Protocol):
    """A resonance's observable in units of its mass."""

    @property
    def spread(self) -> float:
        """Half of its central 68 %, in units of the mass."""
        ...

    def cumulative(self, ratio: Array) -> Array:
        """The share of events with less than ``ratio`` times the mass, of any shape."""
        ...


@dataclass(frozen=True)
class GaussianPeak:
    """A Gaussian about the mass, of standard deviation ``width`` times it."""

    width: float

    @property
    def spread(self) -> float:
        return self.width

    def cumulative(self, ratio: Array) -> Array:
        return special.ndtr((ratio - 1) / self.width)


@dataclass(frozen=True)
class SimulatedPeak:
    """The spectrum of a simulated resonance, smoothed and moved to every mass."""

    mass: float
    """That the spectrum is told in units of [GeV]."""
    points: Array
    """Logarithms of the ratio to the mass, evenly spaced."""
    below: Array
    """Share of events below each point."""
    spread: float

    @classmethod
    def of(cls, values: Array, weight: Array | None = None, mass: float | None = None):
        """A peak from simulated events.

        It is smoothed in log mass by a Gaussian of Silverman's width,
        0.9 min(std, IQR / 1.34) n^(-1/5), n the effective number of events.

        Args:
            values: [E] of the observable; all of the signal that passes the cut.
            weight: [E] weights; one each if not given.
            mass: of the simulated resonance [GeV]. If not given it is the median of the
                values, and the masses of the scan are then medians, too.

        Raises:
            HuntError: too few events, values that aren't above 0, weights without a sum.
        """
        weight = np.ones(len(values)) if weight is None else weight
        n = effective(weight)
        if n < MIN_SIMULATED or not weight.sum() > 0:
            raise HuntError(
                f"hunt.signal: effectively {n:.1f} simulated signal events pass the cut, and"
                f" {MIN_SIMULATED} are needed for the shape of a peak; take shape = 'gaussian'"
            )
        if not (np.isfinite(values).all() and (values > 0).all()):
            raise HuntError("hunt.signal: simulated events need an observable above 0")
        mass = quantile(values, weight, 0.5) if mass is None else mass
        x = np.log(values / mass)
        q16, q25, q75, q84 = (quantile(x, weight, q) for q in (0.16, 0.25, 0.75, 0.84))
        centre = np.average(x, weights=weight)
        std = np.sqrt(max(np.average((x - centre) ** 2, weights=weight), 0.0))
        narrow = min((s for s in (std, (q75 - q25) / 1.34) if s > 0), default=0.0)
        width = 0.9 * max(narrow, 1e-3) * n ** (-0.2)
        # Cells fine against the smoothing; a long tail may make them coarser, never too many.
        step = max(width / STEPS, (x.max() - x.min()) / 200_000)
        reach = int(np.ceil(6 * width / step))
        cells = int(np.ceil((x.max() - x.min()) / step)) + 2 * reach + 1
        points = x.min() - (reach + 0.5) * step + step * np.arange(cells + 1)
        raw = np.histogram(x, points, weights=weight)[0] / weight.sum()
        kernel = np.diff(special.ndtr((np.arange(-reach, reach + 2) - 0.5) * step / width))
        smooth = np.convolve(raw, kernel / kernel.sum(), mode="same")
        below = np.concatenate([[0.0], np.cumsum(smooth)])
        return cls(float(mass), points, below / below[-1], float((q84 - q16) / 2))

    def cumulative(self, ratio: Array) -> Array:
        return np.interp(np.log(ratio), self.points, self.below, left=0.0, right=1.0)


@dataclass(frozen=True)
class Templates:
    """A peak in the bins of a spectrum, at every mass of a grid."""

    peak: Peak
    edges: Array
    """[M + 1] of the bins [GeV]."""
    masses: Array
    """[G] GeV"""

    @classmethod
    def over(cls, edges: Array, peak: Peak, masses: int) -> Templates:
        """A grid of ``masses`` points, even in log mass, a spread inside the ends of the window.

        Raises:
            HuntError: the window is narrower than the peak.
        """
        low, high = edges[0] * (1 + peak.spread), edges[-1] * (1 - peak.spread)
        if not low < high:
            raise HuntError(
                f"hunt.signal: a peak of width {peak.spread:.3g} times its mass doesn't fit into"
                f" the window {edges[0]:.0f} to {edges[-1]:.0f} GeV"
            )
        return cls(peak, edges, np.geomspace(low, high, masses))

    def at(self, masses: Array) -> Templates:
        """The same peak at other masses [GeV]."""
        return Templates(self.peak, self.edges, np.asarray(masses, dtype=np.float64))

    @property
    def fractions(self) -> Array:
        """[G, M] of a resonance's events in each bin."""
        below = self.peak.cumulative(self.edges / self.masses[:, None])
        # Negative weights of simulated events can make a distribution fall in places.
        return np.maximum(np.diff(below, axis=1), 0.0)

    @property
    def lost(self) -> Array:
        """[G] of a resonance's events outside the window."""
        return np.maximum(1 - self.fractions.sum(axis=1), 0.0)
