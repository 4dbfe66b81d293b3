"""Four-momenta, vectorised. GeV and radians; metric (+, -, -, -)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Momenta(NamedTuple):
    """Components of any number of four-momenta, arrays of one shape, GeV."""

    px: Array
    py: Array
    pz: Array
    e: Array

    @property
    def pt(self) -> Array:
        return np.hypot(self.px, self.py)

    @property
    def phi(self) -> Array:
        return np.arctan2(self.py, self.px)

    @property
    def eta(self) -> Array:
        """Pseudorapidity; of a momentum along the beam it is infinite."""
        with np.errstate(divide="ignore"):
            return np.arcsinh(self.pz / self.pt)

    @property
    def mass(self) -> Array:
        """Invariant mass; rounding can make a massless momentum's square negative: then 0."""
        square = self.e**2 - self.px**2 - self.py**2 - self.pz**2
        return np.sqrt(np.maximum(square, 0.0))

    def take(self, index: NDArray[np.integer]) -> Momenta:
        return Momenta(*(component[index] for component in self))

    def __add__(self, other: object) -> Momenta:
        if not isinstance(other, Momenta):
            return NotImplemented
        return Momenta(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))


def massless(pt: Array, eta: Array, phi: Array) -> Momenta:
    """Four-momenta of massless particles from (pT, eta, phi)."""
    # One exponential for both: pz is off by a rounding of E at most, as a sum of momenta is.
    grown = np.exp(eta)
    shrunk = 1 / grown
    half = pt / 2
    return Momenta(
        pt * np.cos(phi), pt * np.sin(phi), half * (grown - shrunk), half * (grown + shrunk)
    )
