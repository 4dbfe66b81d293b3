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

        Raises:
            HuntError: a weight isn't a finite number.
        """
        sample = cls(
            *(scores.column(n).to_numpy() for n in ("event", observable, "score", "weight"))
        )
        broken = np.flatnonzero(~np.isfinite(sample.weight))
        if len(broken):
            first = broken[0]
            raise HuntError(
                f"event {sample.event[first]}: its weight is {sample.weight[first]}, not a number"
                f" to hunt with ({len(broken)} such events)"
            )
        return sample

    def within(self, window: tuple[float, float]) -> Sample:
        """The events with ``low <= mass < high``."""
        keep = (self.mass >= window[0]) & (self.mass < window[1])
        return self.select(keep)

    def select(self, keep: NDArray[np.bool_]) -> Sample:
        return Sample(self.event[keep], self.mass[keep], self.score[keep], self.weight[keep])

    @property
    def total(self) -> float | int:
        """Summed weight; a whole number where every event weighs one."""
        return len(self) if shared_weight(self.weight) == 1 else float(self.weight.sum())

    def __len__(self) -> int:
        return len(self.mass)
