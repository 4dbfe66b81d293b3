"""What events are scored by: the model's loss, and controls that take no learning beside it.

A model that doesn't beat the controls has learned nothing that they don't know.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Scored:
    """A quantity of jets, and how it becomes something positive that is higher for odd jets.

    What follows is the same for all: complexity removed from its logarithm where that is said,
    and the jets combined as the job says. On events like the LHC Olympics' R&D sample no other
    treatment gains a control more than 0.01 in AUC.
    """

    quantity: str
    low_is_odd: bool = False
    """Then exp(-x) is taken for x. Its logarithm is -x, so that ``sum-log`` adds the -x."""
    less_complexity: bool = True
    of_items: bool = False
    """Whether models of whole events leave one an event."""

    def anomaly(self, values: Array) -> Array:
        """Values turned so that higher is odder; 0 or above."""
        return np.exp(-values) if self.low_is_odd else values


SCORE = "score"
CONTROLS: Mapping[str, Scored] = {
    # The loss itself, of a model that gives back the mean whatever it sees.
    "control_constant": Scored("constant", of_items=True),
    "control_width": Scored("width"),
    "control_moment": Scored("moment"),
    "control_mass": Scored("m"),
    # Two prongs, as decays make them, have a low ratio.
    "control_tau21": Scored("tau21", low_is_odd=True),
    # Many constituents count as odd because a loss from which nothing is removed grows with them.
    "control_multiplicity": Scored("n", less_complexity=False),
}
"""What takes no learning, by the name of its event score's column."""
SCORED: tuple[str, ...] = (SCORE, *CONTROLS)
"""Columns of event scores: the model's, then the controls'."""
