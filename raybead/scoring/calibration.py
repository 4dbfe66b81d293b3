"""From jets' losses to event scores: what is fitted, kept, and done again to new events.

The controls go through the same treatment, so what is compared is the loss alone.
Axes: E events, J jets of an event.
"""

from __future__ import annotations

import re
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from raybead.config import Combination, Score
from raybead.errors import RunError
from raybead.scoring.combine import combine
from raybead.scoring.complexity import Complexity
from raybead.scoring.scored import SCORED
from raybead.storage import Folder

CALIBRATION = "calibration.json"


class Calibration(BaseModel):
    """The way from jets' losses and controls to event scores. Truth plays no part in it.

    With a bundle it scores new events: :class:`raybead.scoring.EventScorer`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    combine: Combination
    """Of an event's jets."""
    complexity: dict[str, Complexity]
    """By event score: what multiplicity alone predicts."""
    fitted_on: Literal["search", "background"]
    """Sample that complexity was fitted on, the whole of it."""
    jets: int
    """Jets of that sample."""

    @classmethod
    def fit(cls, losses: pa.Table, config: Score) -> Calibration:
        """Fitted on the rows of jet losses of the sample that ``config.complexity_fit`` names."""
        n_EJ = _per_jet(losses, "n")
        return cls(
            combine=config.combine,
            complexity={
                name: Complexity.fit(
                    config.complexity if scored.less_complexity else "none",
                    scored.anomaly(_per_jet(losses, scored.quantity)).ravel(),
                    n_EJ.ravel(),
                )
                for name, scored in SCORED.items()
            },
            fitted_on=config.complexity_fit,
            jets=n_EJ.size,
        )

    def scores(self, losses: pa.Table) -> pa.Table:
        """Rows of jet losses with the event scores added; the rows' order is kept.

        The jets' masses are called ``mj1``, ``mj2``, ... there.
        """
        n_EJ = _per_jet(losses, "n")
        for name, scored in SCORED.items():
            odd_EJ = scored.anomaly(_per_jet(losses, scored.quantity))
            log_EJ = self.complexity[name].remove(odd_EJ, n_EJ)
            losses = losses.append_column(name, pa.array(combine(self.combine, log_EJ)))
        return losses.rename_columns([re.sub(r"^m_j", "mj", c) for c in losses.column_names])

    def as_dict(self) -> dict[str, Any]:
        return self.model_dump(mode="json")

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> Calibration:
        """The calibration that :meth:`as_dict` told of, bit for bit.

        Raises:
            pydantic.ValidationError: it isn't one.
        """
        return cls.model_validate(raw)

    def save(self, folder: Folder) -> None:
        """Write ``calibration.json``."""
        folder.write_json(CALIBRATION, self.as_dict())

    @classmethod
    def load(cls, folder: Folder) -> Calibration:
        """Read what :meth:`save` wrote, as into the ``scores`` of a run.

        Raises:
            RunError: there is none in the folder, or not a whole one.
        """
        if not folder.exists(CALIBRATION):
            raise RunError(f"{folder}: no calibration in it; score first")
        try:
            return cls.from_dict(folder.read_json(CALIBRATION))
        except ValidationError as error:
            fault = error.errors()[0]
            where = ".".join(str(part) for part in fault["loc"])
            raise RunError(f"{folder}: not a whole calibration: {where}: {fault['msg']}") from None

    @field_validator("complexity")
    @classmethod
    def _of_every_score(cls, complexity: dict[str, Complexity]) -> dict[str, Complexity]:
        if complexity.keys() != SCORED.keys():
            raise ValueError(f"of {sorted(complexity)}, not of {sorted(SCORED)}")
        return complexity


def _per_jet(losses: pa.Table, quantity: str) -> np.ndarray:
    """[E, J]"""
    ranks = [name.removeprefix(f"{quantity}_j") for name in losses.column_names]
    jets = sorted(int(rank) for rank in ranks if rank.isdecimal())
    return np.stack([losses.column(f"{quantity}_j{jet}").to_numpy() for jet in jets], axis=1)
