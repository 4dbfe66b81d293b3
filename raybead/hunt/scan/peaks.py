r"""Looking for a peak by its likelihood, at every mass.

The test statistic of a mass is :math:`q_0 = 2 [L(0, \hat{\hat\theta}) - L(\hat s, \hat\theta)]`
where the best s is above 0, and 0 where it isn't (arXiv:1007.1727, eq. 12): what is asked is
whether there is more than background. The local significance is its root.

Axes: N spectra, M bins, G masses, P = N * G.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from raybead.errors import HuntError
from raybead.hunt.histogram import Array, Histogram
from raybead.hunt.scan.family import STEEPEST, Family, FamilyLikelihood
from raybead.hunt.scan.likelihood import Likelihood, OthersLikelihood
from raybead.hunt.scan.newton import Fitted, fit
from raybead.hunt.scan.templates import Templates

TOGETHER = 2048
"""Fits of pseudo-experiments whose arrays are made at a time."""


@dataclass(frozen=True)
class PeakModel:
    """N spectra, what their background may be, and a peak to look for."""

    templates: Templates
    data: Likelihood
    """Of N spectra, without a peak."""

    @classmethod
    def of_template(
        cls, outliers: Histogram, others: Histogram, templates: Templates, leak: float = 0.0
    ) -> PeakModel:
        """Background by the other events' spectrum, with the others' own statistics.

        Args:
            outliers: [M] or [N, M].
            others: events that aren't outliers, of the same shape.
            templates: of the peak among outliers.
            leak: the signal's ratio of others to outliers, (1 - e) / e at a signal efficiency e
                of the cut, from a simulated signal. With 0, where it isn't known, the signal's
                others are taken for background, and yields are low by the factor 1 - r leak,
                r the background's ratio of outliers to others.

        Raises:
            HuntError: the signal passes the cut no more often than background does.
        """
        n, m, unit = _effective(outliers, others)
        total_n, total_m = n.sum(), m.sum()
        if leak > 0 and total_n * leak >= total_m:
            raise HuntError(
                f"hunt.signal: {1 / (1 + leak):.3g} of the simulated signal pass the cut, no more"
                f" than of all events ({total_n / (total_n + total_m):.3g}): its likelihood can't"
                " tell it from background"
            )
        return cls(templates, OthersLikelihood(n, m, unit, np.zeros_like(n), leak))

    @classmethod
    def of_family(
        cls,
        outliers: Histogram,
        family: Family,
        templates: Templates,
        per_event: Array | None = None,
    ) -> PeakModel:
        """Background by a family of functions, refitted with every peak.

        Args:
            outliers: [M] or [N, M].
            family: of the background.
            templates: of the peak.
            per_event: [M] what an event of a bin weighs; the outliers' own if not given.
        """
        n, unit = _counted(outliers, per_event)
        shape = np.zeros_like(n)
        return cls(templates, FamilyLikelihood(n, unit, shape, np.zeros_like(n), family))

    @classmethod
    def of_shape(
        cls,
        outliers: Histogram,
        expected: Array,
        templates: Templates,
        per_event: Array | None = None,
    ) -> PeakModel:
        """Background by a shape taken as known, of free normalisation.

        Bins in which nothing is expected can't be judged, and are left out.

        Args:
            outliers: [M] or [N, M].
            expected: [M], [1, M] or [N, M].
            templates: of the peak.
            per_event: [M] what an event of a bin weighs; the outliers' own if not given.
        """
        n, unit = _counted(outliers, per_event)
        expected = np.broadcast_to(expected, n.shape)
        used = expected > 0
        shape = np.where(used, np.log(np.where(used, expected, 1.0)), -2 * STEEPEST)
        family = Family.normalised(n.shape[1])
        n = np.where(used, n, 0.0)
        return cls(templates, FamilyLikelihood(n, unit, shape, np.zeros_like(n), family))

    @cached_property
    def null(self) -> Fitted:
        """[N] fits without a peak."""
        return fit(self.data, np.zeros(len(self.data)), self.data.start(), held=True)

    def peaks(self, templates: Templates | None = None) -> tuple[Likelihood, Fitted]:
        """[P] every spectrum with every peak, spectrum by spectrum, and its fit without."""
        fractions = (self.templates if templates is None else templates).fractions
        rows = np.repeat(np.arange(len(self.data)), len(fractions))
        signal = np.tile(fractions, (len(self.data), 1))
        return self.data.take(rows, signal), self.null.take(rows)

    def q0(self) -> Array:
        """[N, G] test statistics of an excess."""
        n_masses = len(self.templates.masses)
        return np.concatenate([
            _q0(*PeakModel(self.templates, self.data.take(rows)).peaks()).reshape(-1, n_masses)
            for rows in _parts(len(self.data), max(TOGETHER // n_masses, 1))
        ])  # fmt: skip


def _q0(peaks: Likelihood, null: Fitted) -> Array:
    # Where likelihood falls with the first events of a peak, the best s isn't above 0.
    with np.errstate(all="ignore"):
        slope = peaks.slopes(null.s_P, null.theta_PK).gradient_DP[0]
    up = np.flatnonzero(slope < 0)
    q = np.zeros(len(null.s_P))
    if len(up):
        free = fit(peaks.take(up), null.s_P[up], null.theta_PK[up])
        q[up] = excess(free, null.take(up))
    return q


def excess(free: Fitted, null: Fitted) -> Array:
    """[P] q0 of fits with and without a peak."""
    return np.where(free.s_P > 0, np.maximum(2 * (null.value_P - free.value_P), 0.0), 0.0)


@dataclass(frozen=True)
class LikelihoodScan:
    """The largest q0 of all masses, as a test statistic of pseudo-experiments.

    The background is fitted with every peak: others' spectra with their statistics where there
    is no family; a family's functions; or, ``fixed``, each pseudo-experiment's own prediction,
    normalised anew.
    """

    templates: Templates
    family: Family | None = None
    fixed: bool = False
    leak: float = 0.0

    def model(self, outliers: Histogram, others: Histogram, expected: Array) -> PeakModel:
        """Of data ([M]) or pseudo-experiments ([N, M])."""
        if self.fixed:
            return PeakModel.of_shape(outliers, expected, self.templates)
        if self.family is not None:
            return PeakModel.of_family(outliers, self.family, self.templates)
        return PeakModel.of_template(outliers, others, self.templates, self.leak)

    def curves(self, outliers: Histogram, others: Histogram, expected: Array) -> Array:
        """[N, G] q0."""
        return self.model(outliers, others, expected).q0()

    def of(self, outliers: Histogram, others: Histogram, expected: Array) -> Array:
        """[N] the largest."""
        return self.curves(outliers, others, expected).max(axis=1)


def _parts(n: int, size: int) -> list[np.ndarray]:
    return [np.arange(first, min(first + size, n)) for first in range(0, n, size)] or [
        np.arange(0)
    ]


def _counted(outliers: Histogram, per_event: Array | None) -> tuple[Array, Array]:
    """[N, M] effective counts and what each of their events weighs."""
    sums = np.atleast_2d(outliers.sums)
    unit = np.atleast_2d(_unit(outliers) if per_event is None else per_event)
    return np.maximum(sums, 0) / unit, np.broadcast_to(unit, sums.shape)


def _effective(outliers: Histogram, others: Histogram) -> tuple[Array, Array, Array]:
    unit = np.atleast_2d(_unit(outliers + others))
    n, m = (np.maximum(np.atleast_2d(part.sums), 0) / unit for part in (outliers, others))
    return n, m, unit


def _unit(every: Histogram) -> Array:
    """What an event of a bin weighs; a bin without a positive sum borrows from all of them."""
    if every.are_counts:
        return np.ones(every.sums.shape)
    filled = (every.sums > 0) & (every.squares > 0)
    return np.where(filled, every.per_event, every.total().per_event[..., None])
