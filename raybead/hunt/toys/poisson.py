"""Independent Poisson counts in every bin, with a prediction that is held fixed.

Axes: N toys, M bins.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from raybead.hunt.histogram import Array, Histogram
from raybead.hunt.scan import BumpHunt
from raybead.hunt.toys import kernel
from raybead.hunt.toys.null import Spectra
from raybead.hunt.toys.tables import Column, Tables, plausible


@dataclass(frozen=True)
class Poisson:
    """Pseudo-experiments of one look, as pyBumpHunter makes them: for predictions taken as known.

    Nothing of the prediction's own uncertainty is in them; that it was fitted to the data isn't
    either.
    """

    expected: Array
    """[M] of the outliers"""
    others: Histogram
    """[M] the other events, the same in every toy"""

    def draw(self, rng: np.random.Generator, n: int) -> Spectra:
        unchanged = np.zeros((n, 1), dtype=np.int64)
        others = Histogram(unchanged + self.others.sums, unchanged + self.others.squares)
        return ((Histogram.counted(self._counts(rng, n)), others),)

    def tables(self, scan: BumpHunt, prediction: Array) -> Tables | None:
        """Statistics of a scan against a fixed prediction [M]; none with sidebands, for then a
        window's prediction follows the events outside it, too."""
        if scan.sidebands:
            return None
        running = np.concatenate([[0.0], np.cumsum(prediction)])
        means = np.concatenate([[0.0], np.cumsum(self.expected)])
        mu_W, mean_W = (
            values[scan.windows.stop] - values[scan.windows.start] for values in (running, means)
        )
        judged = scan.judged(prediction[None])[0]
        mu_W = np.where(judged, mu_W, 0.0)
        first, last = plausible(np.where(judged, mean_W, 0.0))
        return Tables.of(scan, [Column.of(scan, first, last, lambda _, window: mu_W[window])])

    def scanned(self, tables: Tables, rng: np.random.Generator, n: int) -> Array:
        """[N, 1] statistics of toys."""
        if kernel.COMPILED:
            return self._alias.draw(rng, n, tables)
        return tables.statistics(self._counts(rng, n)[:, None])

    def _counts(self, rng: np.random.Generator, n: int) -> np.ndarray:
        if kernel.COMPILED:
            return self._alias.draw(rng, n, None)[:, 0].astype(np.int64)
        return rng.poisson(self.expected, size=(n, len(self.expected)))

    @cached_property
    def _alias(self) -> kernel.AliasTables:
        return kernel.AliasTables(self.expected)
