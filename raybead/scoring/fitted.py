"""What is fitted on background so that quantities of items can be scored, as plain numbers.

Axes: B items, Z latent.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, model_validator

from raybead.errors import RunError
from raybead.scoring.complexity import floor_of, log_of

Array = NDArray[np.float64]


class Mahalanobis(BaseModel):
    """Where background's latents lie: Mahalanobis' distance from their mean."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    mean: tuple[float, ...]
    """[Z]"""
    precision: tuple[tuple[float, ...], ...]
    """[Z, Z] inverse of the shrunk covariance; 0 along what is the same for all."""

    @classmethod
    def fit(cls, latent_BZ: Array) -> Mahalanobis:
        """Mean and covariance of latents, shrunk as Ledoit and Wolf do (J. Multivar. Anal. 88
        (2004) 365), so that a latent of few items, or of numbers that depend on one another, has
        an inverse.

        Raises:
            RunError: of fewer than two items, or of latents that aren't finite.
        """
        # Only fits need it: whoever scores needn't wait for scikit-learn to load.
        from sklearn.covariance import LedoitWolf

        if len(latent_BZ) < 2 or not np.isfinite(latent_BZ).all():
            raise RunError(
                "score.of mahalanobis: needs two or more background items whose latents are"
                f" finite; there are {int(np.isfinite(latent_BZ).all(axis=1).sum())}"
                f" of {len(latent_BZ)}"
            )
        found = LedoitWolf().fit(latent_BZ)
        rows = np.asarray(found.precision_).tolist()
        return cls(
            mean=tuple(np.asarray(found.location_).tolist()), precision=tuple(map(tuple, rows))
        )

    def distance(self, latent_BZ: Array) -> Array:
        """[B] in units of the background's spread."""
        offset_BZ = latent_BZ - np.array(self.mean)
        square_B = np.sum((offset_BZ @ np.array(self.precision)) * offset_BZ, axis=1)
        return np.sqrt(np.maximum(square_B, 0.0))

    @model_validator(mode="after")
    def _square(self) -> Mahalanobis:
        if any(len(row) != len(self.mean) for row in (self.precision, *self.precision)):
            raise ValueError(f"not a precision of {len(self.mean)} numbers")
        return self


class Standard(BaseModel):
    """How the logarithm of a quantity lies on background."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    centre: float
    """Median."""
    width: float
    """Half of the range from the 16 to the 84 % quantile; 1 where that is 0."""
    floor: float | None = None
    """That smaller values count as; None for a quantity that is a logarithm itself."""

    @classmethod
    def fit(cls, values_B: Array, *, logarithm: bool) -> Standard:
        """Of background items.

        Args:
            values_B: the quantity.
            logarithm: whether it is one itself.

        Raises:
            RunError: none of the values has a finite logarithm.
        """
        values_B = values_B[np.isfinite(values_B) & (logarithm | (values_B > 0))]
        if len(values_B) == 0:
            raise RunError("no background item's value has a logarithm")
        floor = None if logarithm else floor_of(values_B)
        log_B = values_B if floor is None else log_of(values_B, floor)
        low, centre, high = (float(x) for x in np.quantile(log_B, [0.16, 0.5, 0.84]))
        return cls(centre=centre, width=(high - low) / 2 or 1.0, floor=floor)

    def standardised(self, values: Array) -> Array:
        """Logarithms less the centre, in units of the width."""
        log = values if self.floor is None else log_of(values, self.floor)
        return (log - self.centre) / self.width
