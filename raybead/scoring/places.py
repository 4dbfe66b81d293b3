"""Where items lie in rows of events: the job says which columns there are, not the events.

Axes: B items, E events, J places of items in an event.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from raybead.config import LOSS
from raybead.errors import InputError

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Places:
    """The item of each place; -1 where an event has none."""

    item_EJ: NDArray[np.int64]
    ranked: bool
    """Whether the names of columns end in the item's rank, ``_j1`` the leading one's."""

    @classmethod
    def of_jets(
        cls, event_E: NDArray[np.int64], n_jets_E: NDArray[np.int64], leading: int
    ) -> Places:
        """Of all jets of events, one event behind another, leading first.

        Args:
            event_E: the events' numbers.
            n_jets_E: jets of each.
            leading: J, most jets of an event.

        Raises:
            InputError: an event has more.
        """
        many = np.flatnonzero(n_jets_E > leading)[:1]
        if len(many):
            raise InputError(
                f"event {event_E[many[0]]} has {n_jets_E[many[0]]} jets, and scores are of"
                f" {leading} at most; prepare with jets.leading = {leading}"
            )
        first_E = np.cumsum(n_jets_E) - n_jets_E
        rank_J = np.arange(leading)
        real_EJ = rank_J < n_jets_E[:, None]
        return cls(np.where(real_EJ, first_E[:, None] + rank_J, -1), ranked=True)

    @classmethod
    def of_events(cls, n: int) -> Places:
        """Of events that are items themselves."""
        return cls(np.arange(n)[:, None], ranked=False)

    def columns(self, name: str, items: pa.Array | NDArray) -> dict[str, pa.Array]:
        """Columns [E] of a quantity [B], one for each place; null where there is no item."""
        values = pa.array(items)
        return {
            f"{name}_j{place + 1}" if self.ranked else name: values.take(
                pa.array(item_E, mask=item_E < 0)
            )
            for place, item_E in enumerate(self.item_EJ.T)
        }


def leading_of(table: pa.Table) -> int:
    """J of rows of losses or scores."""
    ranks = [name.removeprefix("n_j") for name in table.column_names]
    return max((int(rank) for rank in ranks if rank.isdecimal()), default=1)


def names_of(table: pa.Table, quantity: str, *, of_items: bool = False) -> list[str]:
    """Names of a quantity's columns [J] in rows of losses.

    Args:
        table: the rows.
        quantity: of jets.
        of_items: of items rather, of which an event is a single one where models take it whole.
    """
    if of_items and LOSS in table.column_names:
        return [quantity]
    return [f"{quantity}_j{place + 1}" for place in range(leading_of(table))]


def placed(table: pa.Table, quantity: str, *, of_items: bool = False) -> Array:
    """[E, J] values of the columns that :func:`names_of` names; NaN where there is no item."""
    names = names_of(table, quantity, of_items=of_items)
    return np.stack([table.column(name).to_numpy().astype(np.float64) for name in names], axis=1)
