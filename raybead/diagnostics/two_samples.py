"""Two weighted samples held against one another, where values come in bunches.

Nodes of one event aren't independent, nor are its jets: an event is what is drawn, with its
weight. Axes: N values, E events, G points of a grid, R draws.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.stats import wasserstein_distance

Array = NDArray[np.float64]
Index = NDArray[np.int64]
Signs = NDArray[np.float32]
"""[R, E]"""

GRID = 256
"""Points at most at which distribution functions are held against one another for a p-value."""


@dataclass(frozen=True)
class Values:
    """One quantity in one sample; what isn't finite is left out, and counted."""

    value_N: Array
    event_N: Index
    """[N] places of the values' events"""
    weight_E: Array
    missing: int = 0

    @classmethod
    def of(cls, value_N: Array, event_N: Index, weight_E: Array) -> Values:
        """Those of the values that are finite."""
        value_N = np.asarray(value_N, dtype=np.float64)
        finite_N = np.isfinite(value_N)
        missing = int((~finite_N).sum())
        return cls(value_N[finite_N], np.asarray(event_N)[finite_N], weight_E, missing)

    @cached_property
    def weight_N(self) -> Array:
        """[N] each value has its event's."""
        return self.weight_E[self.event_N]

    @property
    def total(self) -> float:
        return float(self.weight_N.sum())

    @property
    def events(self) -> int:
        """That have a value."""
        return len(np.unique(self.event_N))

    @property
    def effective(self) -> float:
        """Events of equal weights that would know the sample's means as well."""
        there_E = np.bincount(self.event_N, minlength=len(self.weight_E)) > 0
        weight = self.weight_E[there_E]
        return float(weight.sum() ** 2 / max(np.square(weight).sum(), 1e-300))

    @property
    def comparable(self) -> bool:
        """Whether there is a distribution to speak of, and events to tell what it varies by."""
        return self.events > 1 and self.total > 0

    def shares(self, edges: Array) -> Array:
        """[bins] of the weight; values beyond the edges count in the outermost bins."""
        inside_N = np.clip(self.value_N, edges[0], edges[-1])
        return np.histogram(inside_N, edges, weights=self.weight_N)[0] / self.total

    @property
    def mean(self) -> float:
        return float((self.weight_N * self.value_N).sum() / self.total)

    @property
    def standard_deviation(self) -> float:
        """0 where negative weights leave no variance."""
        squares = (self.weight_N * np.square(self.value_N - self.mean)).sum() / self.total
        return float(np.sqrt(max(squares, 0.0)))

    def shares_up_to(self, point_G: Array) -> Array:
        """[G] the weighted distribution function: share of the weight at or below each point."""
        order = np.argsort(self.value_N, kind="stable")
        sums = np.concatenate([[0.0], np.cumsum(self.weight_N[order])])
        return sums[np.searchsorted(self.value_N[order], point_G, side="right")] / sums[-1]


def ks_distance(ours: Values, theirs: Values) -> float:
    """Largest distance of the two weighted distribution functions (Kolmogorov, Smirnov)."""
    points = np.unique(np.concatenate([ours.value_N, theirs.value_N]))
    return float(np.abs(ours.shares_up_to(points) - theirs.shares_up_to(points)).max())


def signs(draws: int, events: int, generator: np.random.Generator) -> Signs:
    """[R, E] a random sign for each event in each draw, what :func:`ks_p_value` draws with."""
    return generator.integers(0, 2, (draws, events), dtype=np.int8).astype(np.float32) * 2 - 1


def ks_p_value(
    ours: Values,
    theirs: Values,
    sign_RE: Signs,
    other_sign_RE: Signs,
) -> float:
    """How often samples of one distribution lie so far apart: p of the distance on a grid.

    Both distribution functions are sums over events, so what they vary by is drawn from the
    events' own shares in them, each with a random sign (the multiplier bootstrap; van der Vaart
    and Wellner 1996, sec. 3.6). Permutations want events that could change places with their
    weights, which events of one sample with weights and of one without can't; effective sizes
    want weights that don't go with the value.

    Args:
        ours: of the first sample.
        theirs: of the second.
        sign_RE: [R, E] of :func:`signs` for our events.
        other_sign_RE: the same for theirs.
    """
    points = _grid(ours, theirs)
    (mine_G, spread_EG), (other_G, other_spread_EG) = (
        _shares_of_events(values, points) for values in (ours, theirs)
    )
    drawn_R = np.abs(sign_RE @ spread_EG - other_sign_RE @ other_spread_EG).max(axis=1)
    # What is as far apart is so up to the rounding of single precision.
    as_far = int((drawn_R >= np.abs(mine_G - other_G).max() - 1e-6).sum())
    return (1 + as_far) / (1 + len(sign_RE))


def wasserstein(ours: Values, theirs: Values) -> float | None:
    """Distance in units of our standard deviation; None where there is none.

    It is the area between the distribution functions. Where weights are negative there is no
    amount of anything to be carried.
    """
    if min(ours.weight_N.min(), theirs.weight_N.min()) < 0:
        return None
    # For as many values as there are in an event the distance is quick.
    distance = wasserstein_distance(ours.value_N, theirs.value_N, ours.weight_N, theirs.weight_N)
    width = ours.standard_deviation
    if width == 0:
        return 0.0 if distance == 0 else None
    return float(distance / width)


def holm(p_values: list[float]) -> list[float]:
    """Adjusted for how many there are (Holm 1979): below a level, no more than one is so by
    chance in that share of cases, however they depend on one another."""
    order = np.argsort(p_values, kind="stable")
    times = len(p_values) - np.arange(len(p_values))
    adjusted = np.minimum(np.maximum.accumulate(np.asarray(p_values)[order] * times), 1.0)
    found = np.empty(len(p_values))
    found[order] = adjusted
    return found.tolist()


def _grid(ours: Values, theirs: Values) -> Array:
    points = np.unique(np.concatenate([ours.value_N, theirs.value_N]))
    if len(points) <= GRID:
        return points
    # As many of either sample: none is so large that the other falls between the points.
    shares = (np.arange(GRID // 2) + 0.5) / (GRID // 2)
    return np.unique(
        [np.quantile(values.value_N, shares, method="lower") for values in (ours, theirs)]
    )


def _shares_of_events(values: Values, points: Array) -> tuple[Array, NDArray[np.float32]]:
    """[G] the distribution function, and [E, G] what each event moves it by."""
    n, width = len(values.weight_E), len(points)
    first_N = np.searchsorted(points, values.value_N)  # the first point at or above
    cells = np.bincount(values.event_N * (width + 1) + first_N, minlength=n * (width + 1))
    below_EG = cells.reshape(n, width + 1)[:, :width].cumsum(axis=1)
    number_E = np.bincount(values.event_N, minlength=n)
    whole = values.total
    share_G = values.weight_E @ below_EG / whole
    spread_EG = (below_EG - number_E[:, None] * share_G) * (values.weight_E / whole)[:, None]
    events = max(values.events, 2)
    return share_G, (spread_EG * np.sqrt(events / (events - 1))).astype(np.float32)
