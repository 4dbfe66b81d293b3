"""What an item's score is: a quantity of it, or several standardised and added.

Axes: E events, J items of an event, B items in all, Z latent.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, model_validator

from raybead.config import FLOW_LIKELIHOOD, LOSS, MAHALANOBIS, Score
from raybead.errors import RunError
from raybead.scoring.fitted import Mahalanobis, Standard
from raybead.scoring.places import names_of, placed

Array = NDArray[np.float64]

LATENT = "latent"
"""Quantity of lists of numbers, in rows of losses that distances are still to be taken of."""


class ItemScore(BaseModel):
    """What ``[score] of`` says, with what of it was fitted on the background sample."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    of: str | dict[str, float] = LOSS
    """The quantity, or several with weights."""
    logarithms: tuple[str, ...] = (FLOW_LIKELIHOOD,)
    """Quantities that are logarithms themselves."""
    mahalanobis: Mahalanobis | None = None
    standards: dict[str, Standard] = {}
    """By quantity, where there are several."""

    @classmethod
    def fit(cls, background: pa.Table, config: Score, logarithms: Collection[str]) -> ItemScore:
        """Fitted on rows of losses of the whole background sample.

        Raises:
            RunError: the background sample doesn't allow it.
        """
        distance = None
        if MAHALANOBIS in config.weights:
            names = names_of(background, LATENT, of_items=True)
            vectors = [v for v in (_vectors(background, name)[0] for name in names) if len(v)]
            latent_BZ = np.concatenate(vectors) if vectors else np.empty((0, 0))
            distance = Mahalanobis.fit(latent_BZ)
        found = cls(of=LOSS, logarithms=tuple(logarithms), mahalanobis=distance)
        standards = {}
        if isinstance(config.of, dict):
            background = found.with_distances(background)
            for name in config.of:
                values_EJ = placed(background, name, of_items=True)
                try:
                    standards[name] = Standard.fit(
                        values_EJ[~np.isnan(values_EJ)], logarithm=name in logarithms
                    )
                except RunError as error:
                    raise RunError(f"score.of {name}: {error}") from None
        return found.model_copy(update={"of": config.of, "standards": standards})

    @property
    def quantities(self) -> tuple[str, ...]:
        """Names of what is scored."""
        return (self.of,) if isinstance(self.of, str) else tuple(self.of)

    @property
    def is_logarithm(self) -> bool:
        """Whether :meth:`values` are logarithms of scores."""
        return isinstance(self.of, dict) or self.of in self.logarithms

    def with_distances(self, losses: pa.Table) -> pa.Table:
        """Rows of losses, the latents in them replaced by distances."""
        if self.mahalanobis is None:
            return losses
        for latent, name in zip(
            names_of(losses, LATENT, of_items=True),
            names_of(losses, MAHALANOBIS, of_items=True),
            strict=True,
        ):
            latent_BZ, real_E = _vectors(losses, latent)
            distance_E = np.zeros(len(losses))
            if len(latent_BZ):
                distance_E[real_E] = self.mahalanobis.distance(latent_BZ)
            place = losses.column_names.index(latent)
            losses = losses.set_column(place, name, pa.array(distance_E, mask=~real_E))
        return losses

    def values(self, losses: pa.Table) -> Array:
        """[E, J] of rows with distances; NaN where there is no item."""
        if isinstance(self.of, str):
            return placed(losses, self.of, of_items=True)
        parts = [
            weight * self.standards[name].standardised(placed(losses, name, of_items=True))
            for name, weight in self.of.items()
        ]
        return np.sum(parts, axis=0)

    @model_validator(mode="after")
    def _whole(self) -> ItemScore:
        if (self.mahalanobis is not None) < (MAHALANOBIS in self.quantities):
            raise ValueError("of mahalanobis, and without a background's mean and precision")
        if isinstance(self.of, dict) and self.of.keys() != self.standards.keys():
            raise ValueError(f"standards of {sorted(self.standards)}, not of {sorted(self.of)}")
        return self


def _vectors(losses: pa.Table, name: str) -> tuple[Array, NDArray[np.bool_]]:
    """[B, Z] vectors of a column of lists, and the rows [E] that have one."""
    column = losses.column(name)
    real_E = column.is_valid().to_numpy()
    if not real_E.any():
        return np.empty((0, 0)), real_E
    flat = [chunk.flatten().to_numpy(zero_copy_only=False) for chunk in column.chunks]
    return np.concatenate(flat).reshape(np.count_nonzero(real_E), -1), real_E
