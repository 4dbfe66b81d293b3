"""How fast work goes, and how long what is left of it will take."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Clock = Callable[[], float]
"""Seconds, of which only differences mean anything."""
Tick = Callable[[int, int, str], None]
"""Called with pieces done, pieces in all, and a remark; of none in all, the remark is a note."""


class Remark(str):
    """A remark on progress, with numbers for those who can do more with it than read.

    Args:
        text: for people; begins with what is counted, as in "epochs, loss 0.1".
        counts: what was done in the pieces so far, such as events.
        before: of the pieces done, those that somebody had done before, or nobody had to do.
        epochs: records of a training's epochs that this tells of, the newest last.
        facts: whatever else is known, by name.
    """

    counts: Mapping[str, float]
    before: int | None
    epochs: Sequence[Mapping[str, Any]]
    facts: Mapping[str, Any]

    def __new__(
        cls,
        text: str,
        *,
        counts: Mapping[str, float] | None = None,
        before: int | None = None,
        epochs: Sequence[Mapping[str, Any]] = (),
        facts: Mapping[str, Any] | None = None,
    ) -> Remark:
        made = super().__new__(cls, text)
        made.counts, made.before, made.epochs = counts or {}, before, epochs
        made.facts = facts or {}
        return made


_AT_MOST = " at most"


def unit_of(remark: str) -> str:
    """What is counted, by the words that a remark begins with."""
    return remark.partition(",")[0].removesuffix(_AT_MOST).partition(" of ")[0].strip()


class Pace:
    """Rate and time left of one stage, from what it tells of itself.

    A rate is what was done since the first that was heard of it, over the time since then. What
    was done before counts for nothing. Work that begins to count anew, or something else, or of
    which all was done before, is measured anew.
    """

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._began = clock()
        self._since = self._at = 0.0
        self._before = 0
        self._counts_before: dict[str, float] = {}
        self._counts: dict[str, float] = {}
        self.done = self.total = 0
        self.remark = self.unit = ""

    def at(self, done: int, total: int, remark: str) -> None:
        """Take in how far it is.

        Args:
            done: pieces done.
            total: pieces in all.
            remark: that goes with it; a :class:`Remark` says more.
        """
        told = remark if isinstance(remark, Remark) else Remark(remark)
        unit, self._at = unit_of(remark), self._clock()
        # Workers that are replaced may begin just where those before them had come to.
        if unit != self.unit or done < self.done or told.before == done:
            self._since, self._before, self._counts = self._at, done, {}
            self._counts_before = dict(told.counts)
        if told.before is not None:
            self._before = told.before
        self._counts |= told.counts
        self.done, self.total, self.remark, self.unit = done, total, str(remark), unit

    @property
    def seconds(self) -> float:
        """Since the stage began."""
        return self._clock() - self._began

    @property
    def rate(self) -> float | None:
        """Pieces a second; None while nothing can be said."""
        return self._a_second(self.done - self._before)

    @property
    def left(self) -> float | None:
        """Seconds until all is done, if it goes on like this; None while nothing can be said.

        Nothing can be where the total is a bound: who stops long before is not to be told of days.
        """
        if not self.total:
            return None
        if self.done >= self.total:
            return 0.0
        if self.remark.partition(",")[0].endswith(_AT_MOST):
            return None
        rate = self.rate
        return None if rate is None else (self.total - self.done) / rate

    @property
    def rates(self) -> dict[str, float]:
        """Of what is counted besides the pieces, a second."""
        found = {
            name: self._a_second(n - self._counts_before.get(name, 0.0))
            for name, n in self._counts.items()
        }
        return {name: rate for name, rate in found.items() if rate is not None}

    def words(self) -> str:
        """Rate and time left, as far as they are known: ``12 events/s, 3 min left``."""
        parts = [rate_text(rate, name) for name, rate in self.rates.items()]
        if not parts and self.rate is not None and self.total > 1:
            parts = [rate_text(self.rate, self.unit)]
        if self.left:
            parts.append(f"{duration(self.left)} left")
        return ", ".join(parts)

    def as_dict(self) -> dict[str, Any]:
        """For machines; rates a second."""
        rates = {name: float(f"{rate:.4g}") for name, rate in self.rates.items()}
        rate, left = self.rate, self.left
        return {
            "rate": None if rate is None else float(f"{rate:.4g}"),
            "unit": self.unit or None,
            "rates": rates or None,
            "seconds_left": None if left is None else round(left, 1),
        }

    def _a_second(self, n: float) -> float | None:
        elapsed = self._at - self._since
        return n / elapsed if n > 0 and elapsed > 0 else None


def rate_text(rate: float, unit: str) -> str:
    """A rate [1/s] in words, a second, a minute or an hour, so that it is one or more."""
    for seconds, name in ((1, "s"), (60, "min")):
        if rate * seconds >= 1:
            return f"{_number(rate * seconds)} {unit}/{name}"
    return f"{_number(rate * 3600)} {unit}/h"


def duration(seconds: float) -> str:
    """Seconds in words, about: ``45 s``, ``12 min``, ``3 h 05 min``, ``2 d 4 h``."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    if minutes < 90:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    hours = round(seconds / 3600)
    return f"{hours // 24} d {hours % 24} h"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
