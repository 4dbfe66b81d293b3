r"""The price of having looked at many masses, without many pseudo-experiments.

The chance of a q0 above u anywhere in a scan is at most the chance of one at its first mass, and
of one coming up through u after it (E. Gross and O. Vitells, arXiv:1005.1891):

.. math:: p_\text{global} \le p_\text{local}(u) + \langle N(u_0) \rangle e^{-(u - u_0) / 2}

where N(u_0) is how often q0 comes up through a low level u_0, of which few pseudo-experiments
suffice to know the mean, and the exponential is how upcrossings of a chi-squared process of one
degree of freedom fall with the level. The bound is close where it is small. It holds for peaks of
enough events for q0 to be distributed so, and for a grid of masses fine against their widths: an
excess between two points is missed by both q0 and its upcrossings.

Axes: N pseudo-experiments, G masses.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from raybead.errors import HuntError
from raybead.hunt.histogram import Array

LEVEL = 1.0
"""u_0: low enough to be crossed often, high enough for crossings to be of peaks, not of noise."""


@dataclass(frozen=True)
class GlobalBound:
    """A global p-value, bounded."""

    p: float
    error: float
    """Standard deviation, from the number of pseudo-experiments."""

    @property
    def z(self) -> float:
        """One-sided significance in standard deviations; 0 for p-values of a half and above."""
        return max(0.0, float(-special.ndtri(max(self.p, 1e-300))))


@dataclass(frozen=True)
class Upcrossings:
    """How often q0 comes up through a level, in a scan without a signal."""

    mean: float
    error: float
    """Of the mean: the standard deviation among pseudo-experiments over their number's root."""
    level: float
    toys: int

    @classmethod
    def of(cls, q_NG: Array, level: float = LEVEL) -> Upcrossings:
        """Counted in the curves of pseudo-experiments.

        Args:
            q_NG: q0 at masses in their order, one row a pseudo-experiment without a signal.
            level: u_0.

        Raises:
            HuntError: fewer than two pseudo-experiments.
        """
        if len(q_NG) < 2:
            raise HuntError(f"upcrossings need two pseudo-experiments at least, not {len(q_NG)}")
        up = (q_NG[:, :-1] < level) & (q_NG[:, 1:] >= level)
        count_N = up.sum(axis=1)
        # Where nothing came up, an event would be as likely as not in 0.7 times as many toys.
        spread = max(float(count_N.std(ddof=1)), 1 / np.sqrt(len(q_NG)))
        return cls(float(count_N.mean()), float(spread / np.sqrt(len(q_NG))), level, len(q_NG))

    def bound(self, q: float) -> GlobalBound:
        """The chance of a largest q0 of at least ``q``."""
        if q <= 0:
            return GlobalBound(1.0, 0.0)
        falling = float(np.exp((self.level - q) / 2))
        p = float(special.ndtr(-np.sqrt(q))) + self.mean * falling
        return GlobalBound(min(p, 1.0), float(self.error * falling))

    def local(self, z: float) -> float:
        """The local significance that has a global significance of ``z``."""
        target = float(special.log_ndtr(-z))
        low, high = 0.0, max(z, 0.0) + 10.0
        while high - low > 1e-10:
            middle = (low + high) / 2
            crossed = np.log(max(self.mean, 1e-300)) + (self.level - middle**2) / 2
            p = np.logaddexp(special.log_ndtr(-middle), crossed)
            low, high = (middle, high) if p > target else (low, middle)
        return high
