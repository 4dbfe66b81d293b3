"""From items' losses to event scores: what is fitted, kept, and done again to new events.

The controls go through the same treatment, so what is compared is the loss alone.
Axes: E events, J items of an event: its jets, or itself where models take events whole.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any, Literal, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from raybead.config import FLOW_LIKELIHOOD, Combination, Score
from raybead.errors import RunError
from raybead.observables.controls import CONTROLS, SCORE, SCORED
from raybead.scoring.combine import combine
from raybead.scoring.complexity import Complexity
from raybead.scoring.items import ItemScore
from raybead.scoring.places import leading_of, placed
from raybead.storage import Folder

Array = NDArray[np.float64]
Fitted = TypeVar("Fitted", bound=BaseModel)

CALIBRATION = "calibration.json"


class Calibration(BaseModel):
    """The way from items' losses and controls to event scores. Truth plays no part in it.

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
    """Items of that sample."""
    leading: int = 2
    """Jets an event at most."""
    item: ItemScore = ItemScore()

    @classmethod
    def fit(
        cls,
        losses: pa.Table,
        config: Score,
        background: pa.Table | None = None,
        logarithms: Collection[str] = (FLOW_LIKELIHOOD,),
    ) -> Calibration:
        """What a job asks for.

        Args:
            losses: rows of losses of the sample that ``config.complexity_fit`` names.
            config: the job's.
            background: those of the background sample, if they are others.
            logarithms: quantities that are logarithms themselves: see
                :func:`raybead.config.logarithms_of`.

        Raises:
            RunError: the background sample doesn't allow it.
        """
        item = ItemScore.fit(losses if background is None else background, config, logarithms)
        losses = item.with_distances(losses)
        n_EJ = placed(losses, "n", of_items=True)
        real_EJ = ~np.isnan(n_EJ)
        fit = Complexity.of_logarithms if item.is_logarithm else Complexity.fit
        values_EJ = item.values(losses)
        complexity = {SCORE: fit(config.complexity, values_EJ[real_EJ], n_EJ[real_EJ])}
        jets = int(np.count_nonzero(real_EJ))
        for name, control in CONTROLS.items() if config.controls else ():
            kind = config.complexity if control.less_complexity else "none"
            n_EJ = placed(losses, "n", of_items=control.of_items)
            real_EJ = ~np.isnan(n_EJ)
            odd_EJ = control.anomaly(placed(losses, control.quantity, of_items=control.of_items))
            complexity[name] = Complexity.fit(kind, odd_EJ[real_EJ], n_EJ[real_EJ])
        return cls(
            combine=config.combine,
            complexity=complexity,
            fitted_on=config.complexity_fit,
            jets=jets,
            leading=leading_of(losses),
            item=item,
        )

    @property
    def controls(self) -> bool:
        """Whether controls are scored, too."""
        return self.complexity.keys() == set(SCORED)

    @property
    def is_logarithm(self) -> bool:
        """Whether event scores are logarithms."""
        return self.combine == "sum-log" or self.item.is_logarithm

    def scores(self, losses: pa.Table) -> pa.Table:
        """Rows of losses with the event scores added; the rows' order is kept.

        The jets' masses are called ``mj1``, ``mj2``, ... there; latents have become distances.
        The score of a quantity that is a logarithm stays one, whatever combines the jets.
        """
        losses = self.item.with_distances(losses)
        n_EJ = placed(losses, "n", of_items=True)
        complexity, values_EJ = self.complexity[SCORE], self.item.values(losses)
        remove = complexity.less_expected if self.item.is_logarithm else complexity.remove
        found = {
            SCORE: combine(
                self.combine,
                remove(values_EJ, n_EJ),
                ~np.isnan(n_EJ),
                logarithm=self.item.is_logarithm,
            )
        }
        for name, control in CONTROLS.items() if self.controls else ():
            n_EJ = placed(losses, "n", of_items=control.of_items)
            odd_EJ = control.anomaly(placed(losses, control.quantity, of_items=control.of_items))
            log_EJ = self.complexity[name].remove(odd_EJ, n_EJ)
            found[name] = combine(self.combine, log_EJ, ~np.isnan(n_EJ))
        for name, score_E in found.items():
            losses = losses.append_column(name, pa.array(score_E))
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
        return read_fitted(folder, CALIBRATION, cls)

    @field_validator("complexity")
    @classmethod
    def _of_every_score(cls, complexity: dict[str, Complexity]) -> dict[str, Complexity]:
        if complexity.keys() not in ({SCORE}, set(SCORED)):
            raise ValueError(f"of {sorted(complexity)}, not of {sorted(SCORED)}")
        return complexity


def read_fitted(folder: Folder, name: str, kind: type[Fitted]) -> Fitted:
    """What a JSON file tells of, of a kind.

    Raises:
        RunError: it isn't a whole one.
        StorageError: there is no such file, or it isn't JSON.
    """
    try:
        return kind.model_validate(folder.read_json(name))
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(str(part) for part in fault["loc"])
        what = name.removesuffix(".json")
        raise RunError(f"{folder}: not a whole {what}: {where}: {fault['msg']}") from None
