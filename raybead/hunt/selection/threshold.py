"""Thresholds on the score: a quantile of it, given m or over all.

A fixed threshold passes more events at high mass than at low, and so sculpts bumps and slopes
into the spectrum. A conditional one is a quantile regression on functions of log m:

- ``auto``: the conditional median, a natural cubic spline of five knots, plus a gap that is
  exponential in log m: positive everywhere, with two parameters. What shapes scores with mass
  (a trigger's turn-on, a drift) is in the median, which a signal hardly moves; a gap too stiff to
  follow a bump leaves a signal above its own threshold.
- an order: a polynomial in log m of the quantile itself. It follows a bump the better the higher
  its order, and so takes from a signal.

Thresholds of several cuts never cross (Chernozhukov, Fernandez-Val and Galichon,
arXiv:0704.3649): a harder one is nowhere below a softer one.

Axes: E events, N nodes, K functions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from raybead.errors import HuntError
from raybead.hunt.histogram import Histogram
from raybead.hunt.sample import Array, Sample
from raybead.hunt.selection.curves import Curves
from raybead.hunt.selection.regression import (
    exponential,
    positive_regressed,
    regressed,
    smoothing,
)
from raybead.hunt.weights import effective, relative
from raybead.hunt.weights import quantile as weighted_quantile

Order = int | Literal["auto"]
Rows = NDArray[np.bool_]

MIN_BEYOND = 10
"""Events that have to lie beyond a threshold for its fit to mean anything; effective ones, where
they are weighted."""
BASE, FROM = 0.5, 0.7
"""The quantile that gaps begin at, and the softest cut that is told by a gap: near the median
there is hardly one to tell."""
SHAPED_BY = 50
"""Events beyond the quantile that a gap's shape is fitted at. A cut that fewer lie beyond has the
shape of the hardest quantile that has them, and a height of its own."""
PER_KNOT = 40
"""Events that every knot of the median takes, up to five knots."""
NODES = 64
"""Points that a threshold is told at."""


@dataclass(frozen=True)
class Threshold:
    """A function of mass, told at some masses, linear in log m between them."""

    masses: tuple[float, ...]
    """[GeV], rising; one where the threshold is fixed."""
    values: tuple[float, ...]
    """On the score; what lies beyond the masses has the outermost."""

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Threshold:
        """The threshold that ``dataclasses.asdict`` told of."""
        return cls(tuple(told["masses"]), tuple(told["values"]))

    def at(self, mass: Array) -> Array:
        """[E] thresholds on the score at masses [GeV]."""
        return np.interp(np.log(mass), np.log(self.masses), self.values)


@dataclass
class Family:
    """Thresholds of one sample, of all of it or of parts, at all cuts.

    Args:
        sample: whose scores and masses are regressed.
        order: of the threshold; 0 is a fixed one.
        span: lowest and highest mass that thresholds are told at; the sample's if not given.
    """

    sample: Sample
    order: Order
    span: tuple[float, float] | None = None
    _begun: dict[Any, tuple[Array, float]] = field(default_factory=dict)
    """Coefficients and smoothing, by what they are of, of a fit of all events: where fits of most
    of them begin."""
    _medians: dict[bytes, Array] = field(default_factory=dict)
    """[K] by the rows that they were fitted on."""

    def __post_init__(self) -> None:
        mass = self.sample.mass
        self.weight = relative(self.sample.weight)
        if self.order == 0 or len(mass) == 0:
            self.nodes = np.median(mass, keepdims=True) if len(mass) else np.ones(1)
        else:
            low, high = self.span or (mass.min(), mass.max())
            self.nodes = np.unique(np.geomspace(low, high, NODES))
        if len(mass) == 0:
            return
        log_m, at = np.log(mass), np.log(self.nodes)
        self.leveled = levelled(mass, self.weight) if self.order else self.weight
        if self.order == "auto":
            n_knots = int(np.clip(effective(self.weight) / PER_KNOT, 1, 5))
            self.smooth = Curves.splines(log_m, at, n_knots)
            self.stiff = Curves.splines(log_m, at, min(n_knots, 2))
        else:
            self.smooth = Curves.polynomials(log_m, at, self.order)
        values, times = np.unique(self.sample.score, return_counts=True)
        self.ties = values[times > 1], times[times > 1] / len(mass)

    def fit(
        self, quantiles: Sequence[float], rows: Rows | None = None
    ) -> list[Threshold | HuntError]:
        """The thresholds of quantiles, in their order; why there is none, where there is none.

        Args:
            quantiles: shares of the summed weight that are to lie below.
            rows: [E] the events to fit them on; all if not given.
        """
        if rows is None:
            rows = np.ones(len(self.sample), dtype=bool)
        part = self.sample.select(rows)
        found: list[Threshold | HuntError] = [HuntError("")] * len(quantiles)
        softer = np.full(len(self.nodes), -np.inf)
        for place in np.argsort(quantiles, kind="stable"):
            try:
                values = np.maximum(self._values(part, rows, float(quantiles[place])), softer)
            except HuntError as error:
                found[place] = error
            else:
                found[place] = Threshold(tuple(self.nodes.tolist()), tuple(values.tolist()))
                softer = values
        return found

    def _values(self, part: Sample, rows: Rows, quantile: float) -> Array:
        """[N] a quantile's threshold at the nodes."""
        weight = self.weight[rows]
        self._check(part, weight, quantile)
        if self.order == "auto" and quantile >= FROM:
            values = self._above_median(part, rows, quantile)
        else:
            values = self.smooth.at_nodes @ self._smooth_fit(part, rows, quantile)
        # The share is that of the sample; a fit of levelled weights has it nearly.
        told = np.interp(np.log(part.mass), np.log(self.nodes), values)
        values = values + weighted_quantile(part.score - told, weight, quantile)
        self._check_ties(values, quantile)
        return values

    def _smooth_fit(self, part: Sample, rows: Rows, quantile: float) -> Array:
        """[K] coefficients of the smooth curves, at a quantile."""
        weight = self.leveled[rows]
        if quantile in self._begun:
            start, width = self._begun[quantile]
        else:
            start = weighted_quantile(part.score, weight, quantile) * self.smooth.level
            width = smoothing(part.score, weight, quantile)
        found = regressed(self.smooth.at_events[rows], part.score, weight, quantile, width, start)
        if rows.all():
            self._begun[quantile] = found, width
        return found

    def _above_median(self, part: Sample, rows: Rows, quantile: float) -> Array:
        """[N] the median and the gap to a quantile, at the nodes."""
        weight = self.leveled[rows]
        key = rows.tobytes()
        if key not in self._medians:
            self._medians[key] = self._smooth_fit(part, rows, BASE)
        base = self._medians[key]
        above = part.score - self.smooth.at_events[rows] @ base
        shaped = max(min(quantile, 1 - SHAPED_BY / effective(weight)), FROM)
        stiff = self.stiff.at_events[rows]
        if ("gap", quantile) in self._begun:
            start, width = self._begun["gap", quantile]
        else:
            height = weighted_quantile(above, weight, shaped)
            if height <= 0:  # ties, or weights of mixed sign: the median's own shape
                return self.smooth.at_nodes @ base
            start = np.log(height) * self.stiff.level
            width = smoothing(above, weight, shaped)
        gap = positive_regressed(stiff, above, weight, shaped, width, start)
        if rows.all():
            self._begun["gap", quantile] = gap, width
        factor = max(weighted_quantile(above / exponential(stiff @ gap), weight, quantile), 0.0)
        return self.smooth.at_nodes @ base + factor * exponential(self.stiff.at_nodes @ gap)

    def _check(self, part: Sample, weight: Array, quantile: float) -> None:
        if len(part) and weight.sum() <= 0:
            raise HuntError(
                f"cut {quantile:g}: the weights of the {len(part)} events that thresholds are"
                f" fitted on sum to {weight.sum():g}, which is not above 0"
            )
        n = effective(weight)
        beyond = n * (1 - quantile)
        if beyond < MIN_BEYOND:
            events = len(part) if n == len(part) else f"effectively {n:.1f}"
            raise HuntError(
                f"cut {quantile:g}: only {beyond:.1f} of the {events} events that thresholds are"
                f" fitted on lie beyond it, and {MIN_BEYOND} are needed; take a softer cut"
            )
        if (part.score == part.score[0]).all():
            raise HuntError(
                f"the scores of the {len(part)} events that thresholds are fitted on are all"
                f" {part.score[0]:g}: nothing tells outliers by"
            )

    def _check_ties(self, values: Array, quantile: float) -> None:
        """A score that many events share is divided by no threshold: all are outliers, or none."""
        tied, share = self.ties
        near = (tied >= values.min()) & (tied <= values.max()) & (share > (1 - quantile) / 2)
        if near.any():
            worst = int(np.where(near, share, 0).argmax())
            raise HuntError(
                f"cut {quantile:g}: {100 * share[worst]:.2g} % of the events that thresholds are"
                f" fitted on share the score {tied[worst]:g}, where the threshold lies: ties that"
                " no threshold can divide; take another cut, or another score"
            )


def fit_threshold(sample: Sample, quantile: float, order: Order = "auto") -> Threshold:
    """The threshold that a share ``quantile`` of a sample's summed weight lies below.

    Args:
        sample: whose scores and masses are regressed.
        quantile: q.
        order: see :class:`Family`.

    Raises:
        HuntError: the sample is too small for the quantile, its weights sum to no positive
            number, or its scores are all the same or tied where the threshold lies.
    """
    (found,) = Family(sample, order).fit([quantile])
    if isinstance(found, HuntError):
        raise found
    return found


def levelled(mass: Array, weight: Array) -> Array:
    """[E] weights in units of what an event of near mass weighs, sum w^2 / sum w.

    A quantile given the mass is the same whatever function of the mass multiplies the weights. So
    weights that fall with it, as those of samples made in slices of it do, needn't take the say
    from events at high masses, which would leave the threshold wrong where the hunt sees it is.
    """
    if bool((weight == weight[0]).all()):
        return weight
    n_bins = int(np.clip(len(mass) / 50, 1, 40))
    edges = np.unique(np.quantile(mass, np.linspace(0, 1, n_bins + 1)))
    if len(edges) < 2:
        return weight
    per_event = Histogram.of(mass, weight, edges).per_event
    place = np.searchsorted(edges, mass, side="right") - 1
    return weight / per_event[np.clip(place, 0, len(per_event) - 1)]
