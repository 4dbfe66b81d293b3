"""Global p-values from pseudo-experiments, of one look and of all together.

Axes: N toys, L looks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from raybead.hunt.histogram import Array

Statistics = NDArray[np.floating]


def significance_of(p: float) -> float:
    """One-sided significance in standard deviations; 0 for p-values of a half and above."""
    return max(0.0, float(stats.norm.isf(max(p, 1e-300))))


@dataclass(frozen=True)
class GlobalP:
    """The chance of a bump at least as significant, anywhere in the scan, without a signal."""

    p: float
    """(k + 1) / (n + 1): never zero, and uniform or larger where there is no signal."""
    low: float
    high: float
    """Clopper-Pearson interval of k / n, 68.3 %."""
    beyond: int
    """k: toys at least as extreme as the data."""
    toys: int

    @classmethod
    def of(cls, observed: float, toys: Statistics) -> GlobalP:
        """Of one look's statistic and toys [N]. Equal statistics count as beyond: counts are
        discrete, and ties are common."""
        return cls.counted(int(np.sum(toys >= _or_equal(observed, toys))), len(toys))

    @classmethod
    def counted(cls, beyond: int, toys: int) -> GlobalP:
        low, high = interval(beyond, toys)
        return cls((beyond + 1) / (toys + 1), low, high, beyond, toys)

    @property
    def significance(self) -> float:
        """See :func:`significance_of`."""
        return significance_of(self.p)


@dataclass(frozen=True)
class Combined:
    """The p-values of all looks, and the one that pays for having looked so often."""

    per_look: tuple[GlobalP, ...]
    overall: GlobalP
    """Of a look with so small a p-value among all of them"""
    best: int
    """The look of the smallest p-value; of equal ones that of the highest statistic"""
    effective: float
    """Toys beyond of a single look that would know the overall p-value as well"""


def combine(observed: Array, toys: Statistics) -> Combined:
    """The chance that any look has as small a p-value as the data's best, without a signal.

    What is compared is min_l p_l: every look's statistic is replaced by its rank among the data
    and all toys, so that looks of different scales count alike. Looks that see the same
    fluctuations share them in the toys, so what they have in common is paid for once, where
    Bonferroni's factor would pay for every look. Data and toys are treated alike, which makes
    the p-value exact: (k + 1) / (n + 1), as of one look.

    Its interval knows that the best look's own tail is estimated from the same toys, an error
    that all looks' tails share.

    In time and memory it is a partition of every look's statistics: float32 ones, in which ties
    are those to a part in a million, take 40 MB a look at 10,000,000 toys, and as much again
    while at it.

    Args:
        observed: [L] statistics of the data.
        toys: [N, L] of the pseudo-experiments. Those of independent samples stand side by side.
    """
    data = np.asarray(observed, dtype=toys.dtype)
    n, looks = toys.shape
    per_look = tuple(GlobalP.of(float(t), toys[:, k]) for k, t in enumerate(data))
    best = min(range(looks), key=lambda k: (per_look[k].beyond, -data[k]))
    rank = per_look[best].beyond + 1
    times = np.zeros(n, dtype=np.int32)
    for look in range(looks):
        times += _reaches(data[look], toys[:, look], rank)
    beyond = int(np.count_nonzero(times))
    in_best = toys[:, best] >= _or_equal(float(data[best]), toys)
    effective = _effective(times, in_best)
    if effective > 0:
        low, high = interval(effective, n * effective / beyond)
    else:
        low, high = 0.0, 1.0
    # It lies between the best look's own and Bonferroni's, whatever the toys happen to say.
    single = per_look[best]
    overall = GlobalP(
        (beyond + 1) / (n + 1),
        max(low, single.low),
        min(high, 1.0, looks * single.high),
        beyond,
        n,
    )
    return Combined(per_look, overall, best, effective)


def _reaches(observed: np.floating, toys_N: Statistics, rank: int) -> NDArray[np.bool_]:
    """[N] toys that are among the ``rank`` highest of data and toys, ties counting as above."""
    everything = np.append(toys_N, observed)
    place = len(everything) - rank
    everything.partition(place)
    level = float(everything[place])
    least = _or_equal(level, toys_N)
    reach = toys_N >= least
    if np.count_nonzero(reach) + (observed >= least) > rank:
        # A tie goes beyond the rank: all of it is less extreme.
        reach = toys_N > _above(level, toys_N)
    return reach


def _effective(times_N: NDArray[np.int32], in_best_N: NDArray[np.bool_]) -> float:
    """k^2 over the variance of k, for k the toys in which any look reaches the tail.

    To first order a toy moves k by itself, less what it moves the tails' levels of the looks that
    it lies in, plus what it moves the tail that was asked for: 1 - m / <m> + r b, where m is in
    how many looks it is beyond, b whether in the best, and r how much k follows the tail.
    """
    beyond = times_N > 0
    k, tail = int(np.count_nonzero(beyond)), int(np.count_nonzero(in_best_N))
    if tail == 0 or k == 0:
        return 0.0
    times = times_N[beyond]
    moved = 1 - times / times.mean() + (k / tail) * in_best_N[beyond]
    return min(float(k**2 / np.sum(moved**2)), float(k))


def interval(k: float, n: float) -> tuple[float, float]:
    """Clopper-Pearson's for k of n, 68.3 %; between whole numbers it is continued."""
    tail = special.ndtr(-1.0)
    low = special.betaincinv(k, n - k + 1, tail) if k > 0 else 0.0
    high = special.betainccinv(k + 1, n - k, tail) if k < n else 1.0
    return float(low), float(high)


def _rounding(toys: Statistics) -> float:
    return 1e-6 if toys.dtype == np.float32 else 1e-10


def _or_equal(value: float, toys: Statistics) -> np.floating:
    """What counts as at least ``value``: rounding mustn't tell equal statistics apart."""
    return toys.dtype.type(value - abs(value) * _rounding(toys))


def _above(value: float, toys: Statistics) -> np.floating:
    return toys.dtype.type(value + abs(value) * _rounding(toys))
