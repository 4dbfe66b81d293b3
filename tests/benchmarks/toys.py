"""Pseudo-experiments a second, against pyBumpHunter's: rows of ``make bench``.

One spectrum of 4,000 events in 20 bins, windows of 2 to 5 bins, one core. Setting up tables is in
raybead's time, printing and drawing histograms in pyBumpHunter's.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pyBumpHunter

from raybead.hunt import Histogram, NonOutliers, Windows
from raybead.hunt.scan import BumpHunt
from raybead.hunt.toys import Look, Permutation, Poisson, statistics

Paired = Callable[[Callable[[], object], Callable[[], object]], tuple[float, float]]

BINS, EVENTS = 20, 4000
OURS, THEIRS = 300_000, 2000
"""Toys of a run"""


@dataclass(frozen=True)
class Fixed:
    """A prediction taken as known."""

    expected: np.ndarray

    def refit(self, _outliers: Histogram, _others: Histogram) -> np.ndarray:
        return self.expected[None]


def toy_rows(paired: Paired) -> Iterator[tuple[str, str, str, bool | None]]:
    """What is measured, its figure, what is wanted, and whether it is met."""
    share = np.exp(-np.arange(BINS) / 4.0)
    expected = EVENTS * share / share.sum()
    counts = np.rint(expected).astype(np.int64)
    windows = Windows.of(BINS, (2, 5))

    def theirs() -> None:
        hunter = pyBumpHunter.BumpHunter1D(width_min=2, width_max=5, npe=THEIRS, nworker=1, seed=1)
        with contextlib.redirect_stdout(io.StringIO()):
            hunter.bump_scan(counts, expected, is_hist=True)

    fixed = Poisson(expected, Histogram.counted(np.zeros(BINS, dtype=np.int64)))
    look = Look(Fixed(expected), BumpHunt(windows))
    ratio = ratio_of(paired, lambda: statistics(fixed, [look], OURS, (1,)), theirs)
    what = "pseudo-experiments a second over pyBumpHunter's"
    yield f"{what}, fixed prediction", f"{ratio:.0f}", ">= 30", ratio >= 30
    place = np.repeat(np.arange(BINS), counts)
    score = np.random.default_rng(0).random(len(place))
    for cuts in ((0.9,), (0.9, 0.95, 0.99)):
        flags = np.stack([score > cut for cut in cuts], axis=1)
        dealt = Permutation(place, flags, BINS)
        scan = BumpHunt(windows, supported=dealt.supported)
        looks = [Look(NonOutliers(*dealt.data()[0]), scan)] * len(cuts)
        ratio = ratio_of(paired, lambda n=dealt, k=looks: statistics(n, k, OURS, (1,)), theirs)
        which = f"{len(cuts)} cut{'s' * (len(cuts) > 1)} of each"
        yield f"{what}: permutations, {which}", f"{ratio:.0f}", "-", None


def ratio_of(paired: Paired, ours: Callable[[], object], theirs: Callable[[], object]) -> float:
    """Toys a second over toys a second."""
    mine, other = paired(ours, theirs)
    return (OURS / mine) / (THEIRS / other)
