"""Who says what is tried next: listed values. Others are in ``parzen.py``, after what was told."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol

from raybead.config.dimension import canonical
from raybead.errors import JobError
from raybead.sweeping.space import Space, Values
from raybead.sweeping.trial_job import trial_job

MISSES = 1000
"""Random combinations in a row of which none can be taken, after which no more are drawn."""
MANY = 10_000
"""Combinations that are gone through one by one, where drawing brings nothing new, at most."""
Known = tuple[Values, float | None]
"""Values that were tried before, and what came of them; None: it failed."""


@dataclass(frozen=True)
class Refused:
    """A combination that no job can have. It isn't proposed, and counts as no trial."""

    values: Values
    reason: str


class Verdict(Enum):
    """What becomes of values that could be a trial's."""

    TAKEN = auto()
    AGAIN = auto()
    """They were taken, or refused, before."""
    REFUSED = auto()


class Proposer(Protocol):
    """Proposes values of trials, none of them twice."""

    @property
    def refused(self) -> Sequence[Refused]:
        """So far, each once."""
        ...

    def propose(self) -> Values | None:
        """Values of the next trial; None where there are no more.

        Raises:
            JobError: not one combination that was looked at can be a job.
        """
        ...

    def tell(self, values: Values, objective: float | None) -> None:
        """What came of a trial; None: it failed."""
        ...


class Ledger:
    """What was proposed, and what was refused.

    Args:
        check: raises a JobError for values that no job can have.
        trials: that may be proposed, known ones among them; None: any number.
        known: values that aren't proposed again.
    """

    def __init__(
        self,
        check: Callable[[Values], object],
        trials: int | None,
        known: Iterable[Values] = (),
    ) -> None:
        self.refused: list[Refused] = []
        self._check, self._trials = check, trials
        self._taken = {canonical(values) for values in known}
        self._impossible: set[str] = set()

    @property
    def taken(self) -> int:
        """Combinations that were proposed, or known."""
        return len(self._taken)

    @property
    def full(self) -> bool:
        """Whether there are as many trials as there may be."""
        return self._trials is not None and self.taken >= self._trials

    @property
    def seen(self) -> int:
        """Combinations that were proposed, known or refused."""
        return self.taken + len(self.refused)

    def take(self, values: Values) -> Verdict:
        """Count values as a trial, where they can be one and weren't yet."""
        name = canonical(values)
        if name in self._taken or name in self._impossible:
            return Verdict.AGAIN
        try:
            self._check(values)
        except JobError as error:
            self._impossible.add(name)
            self.refused.append(Refused(values, str(error)))
            return Verdict.REFUSED
        self._taken.add(name)
        return Verdict.TAKEN

    def refuse_if_nothing_fits(self) -> None:
        """Raises a JobError where all that there was, was refused."""
        if self.refused and not self._taken:
            raise JobError(
                f"sweep.over: none of {len(self.refused)} combinations can be a job; the first:"
                f" {self.refused[0].reason}"
            )


class Listed:
    """Combinations in a given order.

    Args:
        candidates: in which values may stand twice.
        ledger: which of them are taken.
    """

    def __init__(self, candidates: Iterable[Values], ledger: Ledger) -> None:
        self._candidates, self._ledger = iter(candidates), ledger

    @property
    def refused(self) -> Sequence[Refused]:
        return self._ledger.refused

    def propose(self) -> Values | None:
        if self._ledger.full:
            return None
        for values in self._candidates:
            if self._ledger.take(values) is Verdict.TAKEN:
                return values
        self._ledger.refuse_if_nothing_fits()
        return None

    def tell(self, values: Values, objective: float | None) -> None:
        """The order is given; nothing comes of it."""


def draws(space: Space, seed: int, ledger: Ledger) -> Iterator[Values]:
    """Random combinations by number; in the end, of few enough, those that were never drawn."""
    size = space.size
    number = misses = 0
    while misses < MISSES and (size is None or ledger.seen < size):
        before = ledger.taken
        yield space.draw(number, seed)
        number, misses = number + 1, 0 if ledger.taken > before else misses + 1
    if size is not None and size <= MANY:
        yield from space.combinations()


def listed_grid(space: Space, trials: int | None, known: Sequence[Known] = ()) -> Listed:
    """A proposer of every combination, the first ``trials`` of them."""
    return Listed(space.combinations(), ledger_of(space, trials, known))


def listed_draws(
    space: Space, trials: int | None, seed: int, known: Sequence[Known] = ()
) -> Listed:
    """A proposer of random combinations."""
    ledger = ledger_of(space, trials, known)
    return Listed(draws(space, seed, ledger), ledger)


def ledger_of(space: Space, trials: int | None, known: Sequence[Known]) -> Ledger:
    """An account of trials of a space; of what is known, what lies in it counts."""
    inside = [values for values, _ in known if space.has(values)]
    return Ledger(lambda values: trial_job(space.raw, values), trials, inside)
