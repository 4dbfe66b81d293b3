"""Jets as constituents that can be moved about.

Axes: J jets, C constituents of all jets together.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from raybead.events.kinematics import Array, Momenta, massless
from raybead.events.particles import offsets_of, wrap_phi

_STEPS, _CLOSE = 20, 1e-4
"""Tries for a factor at most, and how far its mass may be off, relative to it."""
_MASSLESS = 1e-9
"""Mass over pT that is as good as none."""


@dataclass(frozen=True)
class Clouds:
    """Massless constituents of jets, jet after jet; no jet is empty."""

    sizes_J: NDArray[np.int64]
    pt_C: Array
    """GeV"""
    eta_C: Array
    phi_C: Array
    """Radians, in any turn"""
    row_C: NDArray[np.int64]
    """Constituent of the event rows that each was made of"""

    @property
    def offsets(self) -> NDArray[np.int64]:
        """[J + 1]"""
        return offsets_of(self.sizes_J)

    @property
    def jet_C(self) -> NDArray[np.int64]:
        """[C] which jet each is of."""
        return np.repeat(np.arange(len(self.sizes_J)), self.sizes_J)

    def sums(self, values_C: Array) -> Array:
        """[J] sums over each jet's constituents."""
        return np.add.reduceat(values_C, self.offsets[:-1])

    def each(self, values_J: Array) -> Array:
        """[C] a jet's value for each of its constituents."""
        return np.repeat(values_J, self.sizes_J)

    @property
    def momenta(self) -> Momenta:
        """[J] the constituents' sums."""
        parts = massless(self.pt_C, self.eta_C, self.phi_C)
        return Momenta(*(self.sums(component) for component in parts))

    def about_axis(self) -> tuple[Array, Array, Array, Array]:
        """eta and phi [J] of the jets' axes, and of the constituents [C] about them.

        An axis is the mean of directions, weighted by pT. Scaled about it, a jet keeps it.
        """
        # Azimuths from one constituent's, so that their mean makes sense.
        first_J = self.phi_C[self.offsets[:-1]]
        turn_C = wrap_phi(self.phi_C - self.each(first_J))
        total_J = self.sums(self.pt_C)
        eta_J = self.sums(self.pt_C * self.eta_C) / total_J
        turn_J = self.sums(self.pt_C * turn_C) / total_J
        return (
            eta_J,
            first_J + turn_J,
            self.eta_C - self.each(eta_J),
            turn_C - self.each(turn_J),
        )

    def by_pt(self) -> Clouds:
        """Leading first within each jet, in the single precision that rows hold."""
        order = np.lexsort((-self.pt_C.astype(np.float32), self.jet_C))
        return self.picked(order, self.sizes_J)

    def picked(self, index: NDArray[np.int64], sizes_J: NDArray[np.int64]) -> Clouds:
        """Constituents at ``index`` [C'], in that order, as jets of ``sizes_J``."""
        return Clouds(
            sizes_J, self.pt_C[index], self.eta_C[index], self.phi_C[index], self.row_C[index]
        )

    def farthest(self) -> Array:
        """[J] distance from the axis of the constituent that is farthest from it."""
        _, _, x_C, y_C = self.about_axis()
        return self._largest(np.hypot(x_C, y_C))

    def _largest(self, values_C: Array) -> Array:
        return np.maximum.reduceat(values_C, self.offsets[:-1])

    def scaled(self, factor_J: Array) -> Clouds:
        """All distances from the axis times a factor."""
        eta_J, phi_J, x_C, y_C = self.about_axis()
        factor_C = self.each(factor_J)
        return self.placed(eta_J, phi_J, factor_C * x_C, factor_C * y_C)

    def within(self, reach_J: Array) -> Clouds:
        """Jets scaled as a whole where a constituent is farther from the axis than that."""
        eta_J, phi_J, x_C, y_C = self.about_axis()
        farthest_J = self._largest(np.hypot(x_C, y_C))
        beyond_J = farthest_J > reach_J
        factor_J = np.divide(reach_J, farthest_J, out=np.ones(len(beyond_J)), where=beyond_J)
        factor_C = self.each(factor_J)
        return self.placed(eta_J, phi_J, factor_C * x_C, factor_C * y_C)

    def placed(self, eta_J: Array, phi_J: Array, x_C: Array, y_C: Array) -> Clouds:
        """Constituents at x, y from eta and phi [J] of their jets."""
        return replace(self, eta_C=self.each(eta_J) + x_C, phi_C=self.each(phi_J) + y_C)

    def stretched(self, ratio_J: Array, radius_J: Array, least: float, most: float) -> Clouds:
        r"""Jets of a given mass, their constituents farther from the axis, or nearer to it.

        A distance :math:`\theta` from the axis becomes :math:`k\theta / (1 + (k-1)\theta/R)`:
        near the axis angles are multiplied by k, and what was within the radius stays within it.
        Multiplied throughout, constituents would leave the jet, or wide and soft ones be missing,
        and either gives it away.

        Args:
            ratio_J: mass over pT of the jets to be.
            radius_J: R, above 0, of the jets; one that has a constituent beyond stays within its
                distance.
            least: smallest k, and
            most: the largest; where neither gets a jet to its mass, the nearer is used.
        """
        eta_J, phi_J, x_C, y_C = self.about_axis()
        distance_C = np.hypot(x_C, y_C)
        share_C = np.minimum(distance_C / self.each(radius_J), 1.0)
        inside_C = share_C < 1
        reach_J = np.maximum(self._largest(distance_C), radius_J)

        def at(log_k_J: Array) -> Clouds:
            k_C = self.each(np.exp(log_k_J))
            scale_C = np.where(inside_C, k_C / (1 + (k_C - 1) * share_C), 1.0)
            moved = self.placed(eta_J, phi_J, scale_C * x_C, scale_C * y_C)
            return moved.within(reach_J)  # the axis has moved, too

        def miss(log_k_J: Array) -> Array:
            found = at(log_k_J).momenta
            return np.log(np.maximum(found.mass / found.pt, _MASSLESS) / wanted_J)

        wanted_J = np.maximum(ratio_J, _MASSLESS)
        return at(_root(miss, *np.log(np.full((2, len(ratio_J)), [[least], [most]]))))

    def restored(self, target: Momenta) -> Clouds:
        """The same shapes, each jet's summed three-momentum that of ``target`` [J].

        By a common factor on the pT, a turn and a boost along the beam; mass over pT stays.
        """
        found = self.momenta
        factor_J = target.pt / found.pt
        wanted_J = np.arcsinh(target.pz / np.hypot(target.pt, found.mass * factor_J))
        shift_J = wanted_J - np.arcsinh(found.pz / np.hypot(found.pt, found.mass))
        return replace(
            self,
            pt_C=self.pt_C * self.each(factor_J),
            eta_C=self.eta_C + self.each(shift_J),
            phi_C=wrap_phi(self.phi_C + self.each(target.phi - found.phi)),
        )


def _root(miss: Callable[[Array], Array], low_J: Array, high_J: Array) -> Array:
    """Where rising functions are zero, by the Illinois algorithm (doi:10.1007/BF01934364).

    Args:
        miss: the functions' values [J] at [J].
        low_J: where they are below zero, or this end is the answer.
        high_J: where they are above it, or this one is.
    """
    at_low_J, at_high_J = miss(low_J), miss(high_J)
    low_J = np.where(at_high_J <= 0, high_J, low_J)
    high_J = np.where(at_low_J >= 0, low_J, high_J)
    last_J = np.zeros(len(low_J))
    middle_J = low_J
    for _ in range(_STEPS):
        open_J = high_J > low_J
        slope_J = np.where(open_J, at_high_J - at_low_J, 1.0)
        middle_J = np.where(open_J, low_J - at_low_J * (high_J - low_J) / slope_J, low_J)
        found_J = miss(middle_J)
        above_J, close_J = found_J > 0, np.abs(found_J) < _CLOSE
        # An end that stays for a second time counts for half, so that it moves, too.
        at_low_J = np.where(above_J, np.where(last_J > 0, at_low_J / 2, at_low_J), found_J)
        at_high_J = np.where(above_J, found_J, np.where(last_J < 0, at_high_J / 2, at_high_J))
        last_J = np.where(above_J, 1.0, -1.0)
        # A jet that is done stays as it is, however long others take.
        low_J = np.where(above_J & ~close_J, low_J, middle_J)
        high_J = np.where(above_J | close_J, middle_J, high_J)
        if not (high_J > low_J).any():
            break
    return middle_J
