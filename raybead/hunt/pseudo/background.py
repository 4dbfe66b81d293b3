"""Samples without a signal, as like to a given one as chance allows.

Axes: E events.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from raybead.errors import HuntError
from raybead.hunt.pseudo.conditional import Conditional, drawn_by
from raybead.hunt.sample import Array, Sample

Method = Literal["smooth", "bootstrap", "disjoint"]


@dataclass(frozen=True)
class PseudoBackground:
    """Numbered sets of background events, the same whoever draws them.

    smooth: masses are drawn with replacement and a little noise in log mass, which the sample's
    ends turn back; scores come from :class:`~raybead.hunt.pseudo.conditional.Conditional`.
    bootstrap: events are drawn with replacement, and the sample's own fluctuations count as the
    truth: with as many events as the sample has, they double the variance of every bin. disjoint:
    every event is in one set at most, and keeps its weight.

    The first two draw by weight, and their events weigh one. Where weights are of both signs,
    they are drawn by the mean weight of events of near mass.
    """

    sample: Sample
    n: float
    """Events of a set; their expectation where it fluctuates."""
    seed: tuple[int, ...]
    method: Method
    window: tuple[float, float] | None
    """Of masses, where events outside it are left out."""
    fluctuates: bool
    conditional: Conditional | None
    """Of smooth sets."""
    noise: float

    @classmethod
    def of(
        cls,
        sample: Sample,
        n: int,
        seed: tuple[int, ...],
        method: Method = "smooth",
        *,
        fluctuates: bool = True,
        sets: int = 1,
        window: tuple[float, float] | None = None,
    ) -> PseudoBackground:
        """Sets like a sample.

        Args:
            sample: of background.
            n: events of a set.
            seed: of all sets.
            method: how events are drawn.
            fluctuates: whether a set's number of events is Poisson's; of disjoint sets it isn't.
            sets: that will be drawn, which disjoint ones have to be enough for.
            window: of masses that sets are wanted in. They then hold as many of the ``n`` events
                as lie there, and scores follow the mass as they do there: best given, for beyond
                a window, as where a trigger turns on, scores may do what they like.

        Raises:
            HuntError: too few events, or no positive weight among them.
        """
        if method == "disjoint" and len(sample) < n * sets:
            raise HuntError(
                f"calibrate.method: {sets} disjoint sets of {n} events take {n * sets} of them,"
                f' and the sample has {len(sample)}; take fewer or smaller sets, or "smooth"'
            )
        if len(sample) == 0 or not sample.weight.sum() > 0:
            raise HuntError("pseudo-data: the sample has no event, or no positive sum of weights")
        expected = float(n)
        if window is not None and method != "disjoint":
            inside, whole = sample.within(window), float(sample.weight.sum())
            if len(inside) == 0 or not inside.weight.sum() > 0:
                raise HuntError(
                    f"pseudo-data: no event, or no positive sum of weights, from {window[0]:g} to"
                    f" {window[1]:g} GeV"
                )
            sample, expected = inside, n * float(inside.weight.sum()) / whole
        sample = sample.select(np.argsort(sample.mass, kind="stable"))
        smooth = method == "smooth"
        return cls(
            sample,
            expected,
            seed,
            method,
            window,
            fluctuates and method != "disjoint",
            Conditional.of(sample) if smooth else None,
            _noise(np.log(sample.mass)) if smooth else 0.0,
        )

    def set(self, number: int) -> Sample:
        """One of the sets; its events are numbered from 0.

        Raises:
            HuntError: there are no more disjoint sets.
        """
        if self.method == "disjoint":
            dealt = np.random.default_rng(self.seed).permutation(len(self.sample))
            n = round(self.n)
            mine = dealt[number * n : (number + 1) * n]
            if len(mine) < n:
                raise HuntError(f"calibrate.method: there is no disjoint set {number + 1}")
            dealt_set = self.sample.select(mine)
            dealt_set = dealt_set if self.window is None else dealt_set.within(self.window)
            return _numbered(dealt_set, dealt_set.weight)
        rng = np.random.default_rng([*self.seed, number])
        return self.draw(rng)

    def draw(self, rng: np.random.Generator) -> Sample:
        """A set that is smooth or of a bootstrap."""
        n = int(rng.poisson(self.n)) if self.fluctuates else round(self.n)
        weight = drawn_by(self.sample.weight)
        chosen = rng.choice(len(weight), n, p=weight / weight.sum())
        drawn = self.sample.select(chosen)
        if self.conditional is None:
            return _numbered(drawn, np.ones(n))
        log_m = np.log(self.sample.mass)
        mass = np.exp(_turned_back(np.log(drawn.mass) + self.noise * rng.normal(size=n), log_m))
        score = self.conditional.draw(mass, rng)
        return Sample(np.arange(n), mass, score, np.ones(n))


def pseudo_background(
    sample: Sample, n: int, rng: np.random.Generator, method: Method = "smooth"
) -> Sample:
    """One set of exactly ``n`` events; for many see :class:`PseudoBackground`."""
    seed = (int(rng.integers(2**63)),)
    return PseudoBackground.of(sample, n, seed, method, fluctuates=False).set(0)


def _numbered(sample: Sample, weight: Array) -> Sample:
    return Sample(np.arange(len(sample)), sample.mass, sample.score, weight)


def _noise(log_m: Array) -> float:
    """Silverman's bandwidth for log masses, half of it: so that an edge stays one."""
    low, high = np.quantile(log_m, [0.25, 0.75])
    spread = min(float(log_m.std()), float(high - low) / 1.349) or float(log_m.std())
    return 0.45 * spread * len(log_m) ** -0.2


def _turned_back(log_m: Array, of_sample: Array) -> Array:
    """Log masses within the sample's: those beyond an end are mirrored at it."""
    low, high = of_sample[0], of_sample[-1]
    log_m = np.where(log_m < low, 2 * low - log_m, log_m)
    log_m = np.where(log_m > high, 2 * high - log_m, log_m)
    return np.clip(log_m, low, high)
