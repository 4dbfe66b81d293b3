"""Event scores: complexity removed from every jet's loss, and the jets combined.

The controls go through the same treatment, so what is compared is the loss alone.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from raybead.config import Score
from raybead.scoring.combine import combine
from raybead.scoring.complexity import Complexity

SCORED = {"score": "loss", "control_width": "width", "control_moment": "moment"}
"""Event scores, and the jet quantity that each is made of."""


def fit_complexity(losses: pa.Table, config: Score) -> dict[str, Complexity]:
    """The expectation of every scored quantity given multiplicity, fitted on one sample."""
    n = _per_jet(losses, "n")
    return {
        name: Complexity.fit(config.complexity, _per_jet(losses, quantity).ravel(), n.ravel())
        for name, quantity in SCORED.items()
    }


def score_events(
    losses: pa.Table, config: Score, complexity: Mapping[str, Complexity]
) -> pa.Table:
    """Rows of jet losses with the event scores added; the rows' order is kept."""
    n_EJ = _per_jet(losses, "n")
    for name, quantity in SCORED.items():
        log_EJ = complexity[name].remove(_per_jet(losses, quantity), n_EJ)
        losses = losses.append_column(name, pa.array(combine(config.combine, log_EJ)))
    return losses.rename_columns(
        {"m_j1": "mj1", "m_j2": "mj2"} | {c: c for c in losses.column_names if c[:3] != "m_j"}
    )


def _per_jet(losses: pa.Table, quantity: str) -> np.ndarray:
    names = [name for name in losses.column_names if name.startswith(f"{quantity}_j")]
    return np.stack([losses.column(name).to_numpy() for name in sorted(names)], axis=1)
