"""Weighted events that are outliers by chance, each for itself.

Axes: N toys, L looks, M bins, E events.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from raybead.errors import HuntError
from raybead.hunt.histogram import Array, Histogram
from raybead.hunt.toys.null import Spectra


@dataclass(frozen=True)
class Marked:
    """Pseudo-experiments of predictions that are shares of all events, where these have weights.

    Every event stays where it is and keeps its weight. It is an outlier with its bin's chance,
    so that a heavy one moves a sum and what is known of its error together, as in data. (Scaled
    Poisson counts leave the weights out of the chances; fits that rely on errors of few heavy
    events then seem better than they are.)

    Looks of a chain are nested cuts of one model and share what chance an event has; different
    chains are independent, as those of :class:`~raybead.hunt.toys.Thinned`.
    """

    bin: NDArray[np.int64]
    """[E] of M"""
    weight: Array
    """[E]"""
    share: tuple[Array, ...]
    """[M] of every look: chances of an event to be an outlier"""
    chains: tuple[tuple[int, ...], ...]
    """Looks by their place in ``share``"""

    def __post_init__(self) -> None:
        if sorted(k for chain in self.chains for k in chain) != list(range(len(self.share))):
            raise HuntError(f"chains {self.chains} don't hold each of the looks once")
        for look, share in enumerate(self.share):
            if not ((share >= 0) & (share <= 1)).all():
                raise HuntError(f"look {look}: its shares of all events aren't between 0 and 1")

    def draw(self, rng: np.random.Generator, n: int) -> Spectra:
        n_bins = len(self.share[0])
        squared = self.weight**2
        every: list[Array] = [
            np.bincount(self.bin, w, n_bins).astype(np.float64) for w in (self.weight, squared)
        ]
        chance_LE = [share[self.bin] for share in self.share]
        drawn = np.empty((len(self.share), 2, n, n_bins))
        for toy in range(n):
            for chain in self.chains:
                luck = rng.random(len(self.bin))
                for look in chain:
                    chosen = luck < chance_LE[look]
                    place = self.bin[chosen]
                    drawn[look, 0, toy] = np.bincount(place, self.weight[chosen], n_bins)
                    drawn[look, 1, toy] = np.bincount(place, squared[chosen], n_bins)
        return tuple(
            (Histogram(sums, squares), Histogram(every[0] - sums, _rest(every[1], squares)))
            for sums, squares in drawn
        )


def _rest(every_M: Array, squares_NM: Array) -> Array:
    """[N, M] what is left, without the rounding that a difference leaves where nothing is."""
    rest = every_M - squares_NM
    return np.where(rest > 1e-9 * every_M, rest, 0.0)
