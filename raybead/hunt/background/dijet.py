"""A falling function of the mass, fitted to the outliers alone.

Axes: N pseudo-experiments, M bins, W windows, K parameters, B fits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from raybead.errors import HuntError
from raybead.hunt.background.deviance import poisson_deviance
from raybead.hunt.background.falling import Chosen, DijetFunctions
from raybead.hunt.background.masking import InWindows, Say, Whole, by_all_bins, by_outside
from raybead.hunt.background.prediction import (
    Compared,
    Outside,
    effective_counts,
    per_event,
    scarcity,
)
from raybead.hunt.histogram import Array, Histogram

if TYPE_CHECKING:
    from raybead.hunt.scan import Windows

FITS = 8192
"""Fits made at a time: few enough for a processor's cache."""


@dataclass(frozen=True)
class Dijet:
    """A dijet function of as many parameters as an F-test asks for.

    Pseudo-experiments choose and fit again. One that no function can be fitted to takes the
    data's, scaled to its own number of events; without any event it predicts none.

    The function of all bins bends towards a signal in them (:meth:`refit`,
    :meth:`in_windows`); one of the bins outside a window doesn't (:meth:`masked`), but has to be
    drawn on into the window, with an uncertainty that at either end is several times that of
    the counts. A test that knows nothing of this uncertainty finds its most significant window
    there and has no power elsewhere. So a scan should take :meth:`refit`; yields and goodness of
    fit should mask.
    """

    outliers: Histogram
    others: Histogram
    functions: DijetFunctions
    chosen: Chosen

    @classmethod
    def fit(
        cls,
        outliers: Histogram,
        others: Histogram,
        edges: Array,
        sqrt_s: float,
        parameters: tuple[int, int] = (3, 5),
    ) -> Dijet:
        """The function for outliers [M].

        Args:
            outliers: that are fitted.
            others: only for what an event weighs.
            edges: of the bins [GeV].
            sqrt_s: energy of the collisions [GeV].
            parameters: fewest and most, of 3 to 5.

        Raises:
            HuntError: too few bins hold outliers, or no function fits.
        """
        functions = DijetFunctions.of(edges, sqrt_s, parameters)
        counts_M, share_M = effective_counts(outliers, others)
        if (filled := int((counts_M > 0).sum())) <= parameters[0]:
            raise HuntError(
                f"only {filled} bins hold outliers: too few to fit a dijet function of"
                f" {parameters[0]} parameters; take a softer cut, or non-outliers"
            )
        chosen = functions.choose(counts_M[:, None], share_M[:, None])
        if chosen.order_B[0] == 0:
            raise HuntError(
                f"no dijet function of {parameters[0]} parameters can be fitted to the outliers;"
                " take a softer cut, or non-outliers"
            )
        return cls(outliers, others, functions, chosen)

    @property
    def design(self) -> tuple[Array, Array]:
        """Columns [Q, M, K] and logarithms of weights [Q, M] of the function chosen: its points
        of a bin's quadrature, for a fit of something else along with it."""
        model, n_bins = self.functions.model, len(self.expected)
        columns = model.columns_PK[:, : self.order].reshape(-1, n_bins, self.order)
        return columns, model.log_weight_P.reshape(-1, n_bins)

    @property
    def order(self) -> int:
        """Parameters chosen."""
        return int(self.chosen.order_B[0])

    @property
    def parameters(self) -> tuple[float, ...]:
        """log p0 [1/GeV], p1, ... as in :mod:`raybead.hunt.background.falling`."""
        return self.functions.parameters(self.chosen.coefficients_KB[: self.order, 0])

    @property
    def f_test(self) -> tuple[float, ...]:
        """p-value of each F-test made, for one parameter more than the fewest and so on."""
        return tuple(float(p[0]) for p in self.chosen.p_B if np.isfinite(p[0]))

    @property
    def expected(self) -> Array:
        return self.functions.expected(self.chosen)[:, 0]

    @property
    def uncertainty(self) -> Array:
        n_bins = len(self.expected)
        expected_MB = np.repeat(self.expected[:, None], n_bins, axis=1)
        share_M = effective_counts(self.outliers, self.others)[1]
        return self.functions.model.errors(
            expected_MB, share_M[:, None], np.eye(n_bins, dtype=bool), self.order
        )

    @property
    def per_event(self) -> Array:
        return per_event(self.outliers + self.others)

    def refit(self, outliers: Histogram, others: Histogram) -> Array:
        counts_NM, share_NM = effective_counts(outliers, others)
        parts = [np.zeros((0, counts_NM.shape[1]))]
        for start in range(0, len(counts_NM), FITS):
            counts, share = (a[start : start + FITS].T for a in (counts_NM, share_NM))
            parts.append(self._expected(self.functions.choose(counts, share), counts, share).T)
        return np.concatenate(parts)

    def _expected(self, chosen: Chosen, counts_MB: Array, share_MB: Array) -> Array:
        """[M, B] of functions of all bins; the data's, scaled, where none could be fitted."""
        mine = self.expected[:, None]
        scale = counts_MB.sum(axis=0) / np.maximum((share_MB * mine).sum(axis=0), 1e-300)
        return np.where(chosen.order_B > 0, self.functions.expected(chosen), scale * mine)

    def refit_windows(self, outliers: Histogram, others: Histogram, windows: Windows) -> Array:
        """[N, W] events expected in windows by fits to all bins outside each."""
        return self.masked(outliers, others, windows).expected

    def in_windows(self, outliers: Histogram, others: Histogram, windows: Windows) -> InWindows:
        """What the function of all bins says of windows, for histograms [N, M]."""
        return self._windowed(outliers, others, windows, by_all_bins)

    def masked(self, outliers: Histogram, others: Histogram, windows: Windows) -> InWindows:
        """What functions of the bins outside each window say of it, for histograms [N, M].

        They have as many parameters as the function of all bins, or as fewer as it takes to fit
        them; where none can be, the function of all bins is scaled to the events outside.
        """
        return self._windowed(outliers, others, windows, by_outside)

    def _windowed(
        self, outliers: Histogram, others: Histogram, windows: Windows, say: Say
    ) -> InWindows:
        counts_NM, share_NM = effective_counts(outliers, others)
        bins = np.arange(counts_NM.shape[1])[:, None]
        inside_MW = (bins >= windows.start) & (bins < windows.stop)
        found = InWindows.empty(len(counts_NM), len(windows))
        for start in range(0, len(counts_NM), FITS):
            counts, share = (a[start : start + FITS].T for a in (counts_NM, share_NM))
            chosen = self.functions.choose(counts, share)
            everywhere = self._expected(chosen, counts, share)
            # Pseudo-experiments of one number of parameters are fitted together.
            for order in np.unique(chosen.order_B):
                toys = np.flatnonzero(chosen.order_B == order)
                for some in np.array_split(toys, -(-len(toys) * len(windows) // FITS)):
                    whole = Whole(
                        counts[:, some],
                        share[:, some],
                        everywhere[:, some],
                        chosen.coefficients_KB[:order, some],
                    )
                    found.put(start + some, say(self.functions, whole.each(inside_MW)))
        return found

    def outside(self, kept: NDArray[np.bool_], rng: np.random.Generator, n: int) -> Outside:
        counts, share = (
            np.where(kept, a, 0.0)[:, None] for a in effective_counts(self.outliers, self.others)
        )
        order, data = self._compared(counts, share, kept)
        toys = rng.poisson(share[:, 0] * data.expected, size=(n, len(kept))).T
        shares = np.repeat(share, n, axis=1)
        again = self._compared(toys.astype(np.float64), shares, kept)[1]
        return Outside(data, again, order)

    def _compared(
        self, counts_MB: Array, share_MB: Array, kept: NDArray[np.bool_]
    ) -> tuple[int, Compared]:
        chosen = self.functions.choose(counts_MB, share_MB)
        expected = np.where(kept[:, None], self._expected(chosen, counts_MB, share_MB), 0.0)
        return int(chosen.order_B[0]), Compared(
            (counts_MB / np.where(kept[:, None], share_MB, 1.0)).T,
            expected.T,
            np.zeros_like(expected.T),
            poisson_deviance(counts_MB, share_MB * expected),
        )

    def warnings(self) -> tuple[str, ...]:
        said = list(scarcity(self.outliers, self.expected))
        tried = self.chosen.p_B[: self.order - self.functions.fewest + 1]
        if any(not np.isfinite(p[0]) for p in tried):
            said.append(
                f"no dijet function of {self.order + 1} parameters could be fitted and tested:"
                f" it has {self.order}"
            )
        return tuple(said)
