"""Standardisation of energy flow polynomials, fitted on training background.

Axes: N jets, E polynomials.
"""

from __future__ import annotations

import torch
from pydantic import BaseModel, ConfigDict, model_validator
from torch import Tensor

_FAINT = 0.01
"""Share of a polynomial's positive values that lie below its floor."""
_STILL = 1e-6
"""Spread of a logarithm that is rounding of float32, and no variation."""


class EfpScaling(BaseModel):
    """x -> (log(x + floor) - mean) / spread, polynomial by polynomial.

    Polynomials of d edges fall with the d-th power of a jet's width: each spans decades, and their
    logarithms are what is close to normal. A jet of few constituents can have a 0 (no triangle of
    two points), which the floor makes a small value rather than none: it lies where 1 % of the
    positive values do, so that a 0 comes out beside the smallest real ones.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    floor: tuple[float, ...]
    """[E]"""
    mean: tuple[float, ...]
    """[E]"""
    spread: tuple[float, ...]
    """[E] 1 where a polynomial doesn't vary"""

    @classmethod
    def fit(cls, efps_NE: Tensor) -> EfpScaling:
        """Fitted on jets that are there.

        Args:
            efps_NE: [N, E] finite, at least 0.
        """
        floors, means, spreads = [], [], []
        for efps_N in efps_NE.detach().cpu().unbind(1):  # one at a time: there can be many jets
            efps_N = efps_N.double()
            positive = efps_N[efps_N > 0]
            n = len(positive)
            floors.append(float(positive.kthvalue(int(_FAINT * n) + 1).values) if n else 1.0)
            logs_N = (efps_N + floors[-1]).log()
            means.append(float(logs_N.mean()))
            spread = float(logs_N.std(correction=0))
            spreads.append(spread if spread > _STILL else 1.0)
        return cls(floor=tuple(floors), mean=tuple(means), spread=tuple(spreads))

    def scaled(self, efps: Tensor) -> Tensor:
        """Standardised polynomials [..., E], of their type."""
        floor, mean, spread = (
            torch.tensor(values, dtype=torch.float64, device=efps.device)
            for values in (self.floor, self.mean, self.spread)
        )
        return (((efps.double() + floor).log() - mean) / spread).to(efps.dtype)

    @model_validator(mode="after")
    def _of_one_length(self) -> EfpScaling:
        if not len(self.floor) == len(self.mean) == len(self.spread):
            raise ValueError("floors, means and spreads of different numbers of polynomials")
        if min((*self.floor, *self.spread), default=1.0) <= 0:
            raise ValueError("floors and spreads are above 0")
        return self
