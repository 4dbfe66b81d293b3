"""From the losses of one model, or of an ensemble's, to event scores: fitted, kept, done again."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, model_validator

from raybead.config import Score
from raybead.errors import RunError
from raybead.observables.controls import SCORE
from raybead.scoring.calibration import Calibration, read_fitted
from raybead.scoring.ensemble import Ensemble
from raybead.storage import Folder, Role

ENSEMBLE = "ensemble.json"
"""Beside the first member's ``calibration.json``, where several score together."""


class Calibrations(BaseModel):
    """The members' calibrations, and what makes one score of theirs. One alone is as it is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    members: tuple[Calibration, ...]
    """The best first."""
    ensemble: Ensemble | None = None
    """Of two members or more."""

    @classmethod
    def fit(
        cls,
        losses: Sequence[Mapping[Role, pa.Table]],
        configs: Sequence[Score],
        logarithms: Sequence[Collection[str]],
    ) -> Calibrations:
        """Each member's as its own section says, then the ensemble's on background.

        Args:
            losses: of each member, rows of losses of the whole of both samples.
            configs: of each, how they become event scores.
            logarithms: of each: see :func:`raybead.config.logarithms_of`.

        Raises:
            RunError: the background sample doesn't allow it.
        """
        members = tuple(
            _fitted(number if len(losses) > 1 else None, *facts)
            for number, facts in enumerate(zip(losses, configs, logarithms, strict=True), 1)
        )
        if len(members) == 1:
            return cls(members=members)
        background = [
            member.scores(tables["background"]).column(SCORE).to_numpy()
            for member, tables in zip(members, losses, strict=True)
        ]
        ensemble = Ensemble.fit(background, [member.is_logarithm for member in members])
        return cls(members=members, ensemble=ensemble)

    def scores(self, losses: Sequence[pa.Table]) -> pa.Table:
        """The first member's rows of event scores.

        Args:
            losses: of each member, rows of losses of the same events.

        Returns:
            See :meth:`Calibration.scores`. Of an ensemble ``score`` is its own, and ``score_1``,
            ... are the members'.

        Raises:
            RunError: an event score of an ensemble's member isn't finite.
        """
        scored = [member.scores(table) for member, table in zip(self.members, losses, strict=True)]
        rows = scored[0]
        if self.ensemble is None:
            return rows
        scores = [table.column(SCORE) for table in scored]
        score_E = self.ensemble.combined([column.to_numpy() for column in scores])
        rows = rows.set_column(rows.column_names.index(SCORE), SCORE, pa.array(score_E))
        for number, column in enumerate(scores, 1):
            rows = rows.append_column(f"{SCORE}_{number}", column)
        return rows

    def as_dict(self) -> dict[str, Any]:
        return self.model_dump(mode="json")

    def save(self, folder: Folder) -> None:
        """Write ``calibration.json``, of the first member; of an ensemble also ``ensemble.json``,
        of all. One that lies there of an earlier scoring goes."""
        if self.ensemble is None and folder.exists(ENSEMBLE):
            folder.remove(ENSEMBLE)
        self.members[0].save(folder)
        if self.ensemble is not None:
            folder.write_json(ENSEMBLE, self.as_dict())

    @classmethod
    def load(cls, folder: Folder) -> Calibrations:
        """Read what :meth:`save` wrote, bit for bit.

        Raises:
            RunError: there is none in the folder, or not a whole one.
        """
        if not folder.exists(ENSEMBLE):
            return cls(members=(Calibration.load(folder),))
        return read_fitted(folder, ENSEMBLE, cls)

    @model_validator(mode="after")
    def _whole(self) -> Calibrations:
        several = 1 if self.ensemble is None else len(self.ensemble.standards)
        if len(self.members) != several:
            raise ValueError(f"{len(self.members)} calibrations of {several} members")
        return self


def _fitted(
    number: int | None,
    losses: Mapping[Role, pa.Table],
    config: Score,
    logarithms: Collection[str],
) -> Calibration:
    fitted = losses[config.complexity_fit]
    try:
        return Calibration.fit(fitted, config, losses["background"], logarithms)
    except RunError as error:
        if number is None:
            raise
        raise RunError(f"member {number}: {error}") from None
