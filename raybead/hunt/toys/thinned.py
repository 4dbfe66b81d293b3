"""Outliers drawn from predictions, tighter cuts' from those of looser ones.

Axes: N toys, L looks, M bins.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from raybead.errors import HuntError
from raybead.hunt.histogram import Array, Counts, Histogram
from raybead.hunt.toys.null import Spectra


@dataclass(frozen=True)
class Thinned:
    """Pseudo-experiments of looks whose backgrounds are fitted functions.

    Each look's outliers are Poisson counts about its prediction; or, where all events of the
    bins are known, binomial ones out of them. Looks of a chain are nested cuts of one model: the
    outliers of a tighter one are those of the looser that a second draw keeps, so that they
    fluctuate together. Where a tighter cut's prediction is above the looser one's, as fits may
    have it, the difference is drawn afresh: every look's counts have their prediction as mean.

    Different chains are independent, because fits don't say how models are correlated. Models
    that find the same events odd make fewer chances than that: global p-values err on the side
    of caution.

    Events of different weight: counts are of effective events, and each stands for
    ``per_event``, the scaled Poisson distribution of :class:`~raybead.hunt.histogram.Histogram`.
    """

    expected: tuple[Array, ...]
    """[M] of every look"""
    chains: tuple[tuple[int, ...], ...]
    """Looks by their place in ``expected``, the loosest of a chain first"""
    every: Counts | None = None
    """[M] all events; without, others aren't drawn and come out empty"""
    per_event: tuple[Array, ...] | None = None
    """[M] of every look, where events are weighted"""

    def __post_init__(self) -> None:
        if sorted(k for chain in self.chains for k in chain) != list(range(len(self.expected))):
            raise HuntError(f"chains {self.chains} don't hold each of the looks once")
        if self.every is not None and self.per_event is not None:
            raise HuntError("binomial pseudo-experiments are of counts, not of weighted events")
        for look, expected in enumerate(self._counted()):
            if not (np.isfinite(expected).all() and (expected >= 0).all()):
                raise HuntError(f"look {look}: its prediction isn't a number of events everywhere")
            if self.every is not None and (expected > self.every).any():
                raise HuntError(f"look {look}: it predicts more outliers than there are events")

    def draw(self, rng: np.random.Generator, n: int) -> Spectra:
        expected = self._counted()
        counts: dict[int, Counts] = {}
        for chain in self.chains:
            drawn, mean = np.zeros((n, len(expected[0])), dtype=np.int64), None
            for look in chain:
                drawn = self._next(rng, drawn, mean, expected[look])
                counts[look], mean = drawn, expected[look]
        return tuple(self._spectra(look, counts[look]) for look in range(len(expected)))

    def _next(
        self, rng: np.random.Generator, looser_NM: Counts, mean_M: Array | None, wanted_M: Array
    ) -> Counts:
        """[N, M] counts of a look, from those of the looser one before it, if any."""
        mean_M = np.zeros_like(wanted_M) if mean_M is None else mean_M
        filled = mean_M > 0
        kept = np.divide(wanted_M, mean_M, out=np.zeros_like(wanted_M), where=filled)
        counts_NM = rng.binomial(looser_NM, np.minimum(kept, 1.0))
        more_M = np.maximum(wanted_M - mean_M, 0.0)
        if self.every is None:
            return counts_NM + rng.poisson(more_M, size=counts_NM.shape)
        room_M = self.every - mean_M
        share = np.divide(more_M, room_M, out=np.zeros_like(wanted_M), where=room_M > 0)
        return counts_NM + rng.binomial(self.every - looser_NM, np.minimum(share, 1.0))

    def _counted(self) -> tuple[Array, ...]:
        """[M] expected counts of every look."""
        if self.per_event is None:
            return self.expected
        return tuple(e / v for e, v in zip(self.expected, self.per_event, strict=True))

    def _spectra(self, look: int, counts: Counts) -> tuple[Histogram, Histogram]:
        if self.per_event is not None:
            v = self.per_event[look]
            none = np.zeros(counts.shape)
            return Histogram(counts * v, counts * v**2), Histogram(none, none)
        others = np.zeros_like(counts) if self.every is None else self.every - counts
        return Histogram.counted(counts), Histogram.counted(others)
