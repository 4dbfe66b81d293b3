"""What every background prediction can say.

Axes: M bins, N pseudo-experiments.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from raybead.hunt.histogram import Array, Histogram


class Background(Protocol):
    """A prediction for the outliers, and pseudo-experiments with all its uncertainties."""

    @property
    def expected(self) -> Array:
        """[M] events, or their summed weights."""
        ...

    @property
    def uncertainty(self) -> Array:
        """[M] standard deviation of the prediction itself, without the outliers' own."""
        ...

    @property
    def per_event(self) -> Array:
        """[M] what an event of a bin weighs: the outliers' own variance is this times expected."""
        ...

    def toys(self, rng: np.random.Generator, n: int) -> tuple[Histogram, Array]:
        """Pseudo-experiments: outliers [n, M], and what each would predict, [n, M] or [1, M]."""
        ...


def per_event(every: Histogram) -> Array:
    """[M] what an event of a bin weighs; a bin whose weights don't sum to anything positive
    borrows from all of them."""
    return np.where(every.sums > 0, every.per_event, every.total().per_event)
