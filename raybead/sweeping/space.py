"""The space of a sweep: which values trials may have together."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from raybead.config.dimension import Dimension, canonical, decides, in_order
from raybead.config.sweep import Sweep
from raybead.errors import JobError
from raybead.sweeping.written import changed, value_of

Values = dict[str, Any]
"""Of a trial, by dotted key of the job; keys whose ``when`` doesn't hold aren't there."""


@dataclass(frozen=True)
class Space:
    """Dimensions, and the job that they are of."""

    over: Mapping[str, Dimension]
    raw: Mapping[str, Any]
    """The job file as read."""
    mutated: tuple[str, ...] = ()
    """Keys that may change while a model is trained."""

    @classmethod
    def of(cls, sweep: Sweep, raw: Mapping[str, Any]) -> Space:
        return cls(sweep.over, raw, sweep.mutated)

    @cached_property
    def order(self) -> tuple[str, ...]:
        """Keys, each behind those that its ``when`` follows from."""
        return in_order(self.over)

    def within(self, keys: tuple[str, ...]) -> Space:
        """The space of some keys and of all that their ``when`` follows from."""
        kept = set(keys)
        for key in reversed(self.order):
            if key in kept:
                kept |= self._deciders(key)
        return Space({key: of for key, of in self.over.items() if key in kept}, self.raw)

    def is_set(self, key: str, values: Mapping[str, Any]) -> bool:
        """Whether a key's ``when`` holds.

        Args:
            values: of the keys before it in ``order``.
        """
        dimension = self.over[key]
        for condition in dimension.when:
            found, value = self._found(condition, values)
            if not found or canonical(value) not in map(canonical, dimension.accepted(condition)):
                return False
        return True

    def active(self, values: Mapping[str, Any]) -> Values:
        """Values less those whose ``when`` doesn't hold, as the job file orders them."""
        kept: Values = {}
        for key in self.order:
            if key in values and self.is_set(key, kept):
                kept[key] = values[key]
        return {key: kept[key] for key in self.over if key in kept}

    def has(self, values: Mapping[str, Any]) -> bool:
        """Whether a trial of this space may have these values, and no others."""
        return (
            set(values) <= set(self.over)
            and all(self.over[key].holds(value) for key, value in values.items())
            and all((key in values) == self.is_set(key, values) for key in self.order)
        )

    @property
    def size(self) -> int | None:
        """Combinations that there are; None where there is no end of them."""
        if any(_values(dimension) is None for dimension in self.over.values()):
            return None
        deciding = frozenset[str]().union(*(self._deciders(key) for key in self.over))

        def count(place: int, values: Values) -> int:
            if place == len(self.order):
                return 1
            key = self.order[place]
            if not self.is_set(key, values):
                return count(place + 1, values)
            each = self._listed(key)
            if key not in deciding:
                return len(each) * count(place + 1, values)
            return sum(count(place + 1, {**values, key: value}) for value in each)

        return count(0, {})

    def combinations(self) -> Iterator[Values]:
        """Every combination once; values of the last key differ between neighbours.

        Raises:
            JobError: there is no end of them.
        """

        def follow(place: int, values: Values) -> Iterator[Values]:
            if place == len(self.order):
                yield {key: values[key] for key in self.over if key in values}
                return
            key = self.order[place]
            if not self.is_set(key, values):
                yield from follow(place + 1, values)
                return
            for value in self._listed(key):
                yield from follow(place + 1, {**values, key: value})

        return follow(0, {})

    def grid(self) -> list[Values]:
        """All of :meth:`combinations`."""
        return list(self.combinations())

    def draw(self, number: int, seed: int, fixed: Mapping[str, Any] | None = None) -> Values:
        """The number-th random combination.

        It depends on the seed, the number and the dimensions alone, not on what was drawn before;
        a key's value is independent of what other keys there are, but for grids, whose product is
        gone through by number.

        Args:
            number: from 0.
            seed: of the sweep.
            fixed: values that are taken instead.
        """
        drawn: Values = {}
        left = number
        for key in reversed(list(self.over)):  # the last grid's values differ between neighbours
            dimension = self.over[key]
            if dimension.grid is not None:
                left, turn = divmod(left, len(dimension.grid))
                drawn[key] = dimension.grid[turn]
            else:
                entropy = [seed, number, zlib.crc32(key.encode())]
                drawn[key] = drawn_from(dimension, np.random.default_rng(entropy))
        return self.active({**drawn, **(fixed or {})})

    def _deciders(self, key: str) -> set[str]:
        conditions = self.over[key].when
        return {other for condition in conditions for other in decides(condition, self.over)}

    def _found(self, condition: str, values: Mapping[str, Any]) -> tuple[bool, Any]:
        above = {key: values[key] for key in decides(condition, self.over) if key in values}
        if set(above) == {condition}:
            return True, values[condition]
        try:
            return value_of(changed(self.raw, above, origin="trial"), condition)
        except JobError:  # such a trial is refused, with this reason
            return False, None

    def _listed(self, key: str) -> tuple[Any, ...] | range:
        listed = _values(self.over[key])
        if listed is None:
            raise JobError(f"sweep.over: there is no end of the values of {key}")
        return listed


def drawn_from(dimension: Dimension, rng: np.random.Generator) -> Any:
    """A random value of a dimension."""
    if dimension.listed is not None:
        return dimension.listed[int(rng.integers(len(dimension.listed)))]
    assert dimension.ends is not None  # a dimension is one or the other
    low, high = dimension.ends
    match dimension.log_uniform is not None, dimension.whole:
        case False, True:
            return int(rng.integers(int(low), int(high), endpoint=True))
        case False, False:
            return float(rng.uniform(low, high))
        case True, True:
            # Each whole number stands for the stretch that is rounded to it.
            value = round(math.exp(rng.uniform(math.log(low - 0.5), math.log(high + 0.5))))
            return int(min(max(value, low), high))
        case _:
            value = math.exp(rng.uniform(math.log(low), math.log(high)))
            return min(max(value, low), high)


def _values(dimension: Dimension) -> tuple[Any, ...] | range | None:
    if dimension.whole and dimension.ends is not None:
        low, high = dimension.ends
        return range(int(low), int(high) + 1)
    return dimension.listed
