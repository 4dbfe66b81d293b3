"""The sample that is hunted in, as columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from raybead.errors import HuntError
from raybead.hunt.weights import shared_weight

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Sample:
    """E scored events."""

    event: NDArray[np.int64]
    mass: Array
    """[E] observable that is hunted in: m_jj, unless the job says another [GeV]"""
    score: Array
    """[E] higher is more anomalous"""
    weight: Array
    """[E] events that each stands for; may be negative, as those of NLO generators are"""

    @classmethod
    def of(cls, scores: pa.Table, observable: str = "mjj") -> Sample:
        """The columns of a scores table that a hunt may look at. Truth isn't among them.

        Args:
            scores: rows of event scores.
            observable: column that is hunted in; above 0, for thresholds follow its logarithm.

        Raises:
            HuntError: a column is missing or holds no numbers; a weight or score isn't finite, or
                an observable isn't finite and above 0.
        """
        event = _numbers(scores, "event", "events' numbers").astype(np.int64)
        mass, score, weight = (
            _numbers(scores, name, what).astype(np.float64)
            for name, what in (
                (observable, "hunt.observable"),
                ("score", "scores"),
                ("weight", "weights"),
            )
        )
        return cls(event, mass, score, weight).checked(observable)

    def checked(self, observable: str = "mass") -> Sample:
        """The same, if every number is one to hunt with.

        Args:
            observable: what the mass is called.

        Raises:
            HuntError: a weight or score isn't finite, or a mass isn't finite and above 0.
        """
        event, mass = self.event, self.mass
        _refuse(event, mass, ~(np.isfinite(mass) & (mass > 0)), observable, "a number above 0")
        for name, values in (("score", self.score), ("weight", self.weight)):
            _refuse(event, values, ~np.isfinite(values), name, "a number to hunt with")
        return self

    def within(self, window: tuple[float, float]) -> Sample:
        """The events with ``low <= mass < high``."""
        keep = (self.mass >= window[0]) & (self.mass < window[1])
        return self.select(keep)

    def select(self, keep: NDArray[np.bool_] | NDArray[np.int64]) -> Sample:
        """The events of a mask, or those of these places, as often as they are named."""
        return Sample(self.event[keep], self.mass[keep], self.score[keep], self.weight[keep])

    @property
    def total(self) -> float | int:
        """Summed weight; a whole number where every event weighs one."""
        return len(self) if shared_weight(self.weight) == 1 else float(self.weight.sum())

    def __len__(self) -> int:
        return len(self.mass)


def _numbers(scores: pa.Table, name: str, what: str) -> Array:
    if name not in scores.column_names:
        there = ", ".join(
            n for n in scores.column_names if _is_number(scores.schema.field(n).type)
        )
        raise HuntError(f"{what}: the scores have no column {name!r}; they have {there}")
    column = scores.column(name)
    if not _is_number(column.type):
        raise HuntError(
            f"{what}: the column {name!r} of the scores holds {column.type}, no numbers"
        )
    if pa.types.is_integer(column.type) and not column.null_count:
        return column.to_numpy()
    return column.cast(pa.float64()).to_numpy()


def _is_number(kind: pa.DataType) -> bool:
    return pa.types.is_integer(kind) or pa.types.is_floating(kind)


def _refuse(
    event: NDArray[np.int64], values: Array, broken: NDArray[np.bool_], name: str, wanted: str
) -> None:
    first = np.flatnonzero(broken)[:1]
    if len(first):
        raise HuntError(
            f"event {event[first[0]]}: its {name} is {values[first[0]]:g}, not {wanted}"
            f" ({int(broken.sum())} such events)"
        )
