"""What the p-values of background-only sets say of the hunt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from raybead.errors import HuntError

Verdict = Literal["calibrated", "conservative", "anti-conservative", "undecided"]
"""Undecided are sets whose alarms may be of the sample that they are drawn of."""

LEVELS = (0.05, 0.01)
"""p-values that count as alarms."""
CERTAIN = 0.01
"""A test's p-value below which p-values aren't taken to be uniform."""


@dataclass(frozen=True)
class AlarmRate:
    """Sets without a signal whose p-value is no larger than a level."""

    level: float
    expected: float
    """Of a p-value that is uniform among (1, ..., n + 1) / (n + 1): at most the level."""
    alarms: int
    rate: float
    low: float
    high: float
    """Clopper-Pearson interval, 68.3 %."""
    p_more: float
    """Binomial probability of at least as many alarms."""
    p_fewer: float
    """Of at most as many."""


@dataclass(frozen=True)
class Calibration:
    """p-values of sets without a signal, against a uniform distribution."""

    sets: int
    toys: int | None
    ks: float
    """p-value of the Kolmogorov-Smirnov test."""
    ks_small: float
    """Of its one-sided test, for p-values that are too small."""
    ks_large: float
    """For p-values that are too large."""
    alarms: tuple[AlarmRate, ...]
    verdict: Verdict
    words: str

    @classmethod
    def of(cls, p: Sequence[float], toys: int | None = None) -> Calibration:
        """The summary of p-values.

        Those of pseudo-experiments are (k + 1) / (n + 1). For the tests each is spread evenly
        over its step, (k + u) / (n + 1) with u between 0 and 1, which makes them uniform exactly
        where k is; always with the same u.

        Args:
            p: one a set.
            toys: n; None for p-values that are continuous.

        Raises:
            HuntError: no p-values, or such that can't be.
        """
        values = np.asarray(p, dtype=np.float64)
        if len(values) == 0 or not np.all((values >= 0) & (values <= 1)):
            raise HuntError("calibration: there are no p-values, or some not between 0 and 1")
        spread = values
        if toys is not None:
            u = np.random.default_rng(0).random(len(values))
            spread = np.clip(values - u / (toys + 1), 0, 1)
        tests = {side: _ks(spread, side) for side in ("two-sided", "greater", "less")}
        alarms = tuple(_rate(values, level, toys) for level in LEVELS)
        small = min([tests["greater"], *(a.p_more for a in alarms)]) < CERTAIN
        large = min([tests["less"], *(a.p_fewer for a in alarms)]) < CERTAIN
        verdict: Verdict = (
            "anti-conservative" if small else "conservative" if large else "calibrated"
        )
        told = "; ".join(
            f"{a.alarms} of {len(values)} sets without a signal ({100 * a.rate:.1f} %, from"
            f" {100 * a.low:.1f} to {100 * a.high:.1f} %) have p of {a.level:g} or less"
            for a in alarms
        )
        return cls(
            len(values), toys, tests["two-sided"], tests["greater"], tests["less"], alarms,
            verdict, f"{WORDS[verdict]}: {told}.",
        )  # fmt: skip


WORDS: dict[Verdict, str] = {
    "calibrated": "p-values are calibrated as far as these sets can tell",
    "conservative": "p-values are conservative, larger than chance would have them",
    "anti-conservative": "p-values are too small: a hunt raises more false alarms than it says",
    "undecided": "whether p-values are calibrated isn't told by these sets",
}


def _ks(values: np.ndarray, side: str) -> float:
    return float(stats.kstest(values, "uniform", alternative=side).pvalue)


def _rate(values: np.ndarray, level: float, toys: int | None) -> AlarmRate:
    n = len(values)
    # Rounding of (k + 1) / (n + 1) has no say.
    alarms = int(np.sum(values <= level * (1 + 1e-12)))
    expected = level if toys is None else np.floor(level * (toys + 1) * (1 + 1e-12)) / (toys + 1)
    tail = stats.norm.sf(1.0)
    return AlarmRate(
        level,
        float(expected),
        alarms,
        alarms / n,
        float(stats.beta.ppf(tail, alarms, n - alarms + 1)) if alarms else 0.0,
        float(stats.beta.ppf(1 - tail, alarms + 1, n - alarms)) if alarms < n else 1.0,
        float(stats.binom.sf(alarms - 1, n, expected)),
        float(stats.binom.cdf(alarms, n, expected)),
    )
