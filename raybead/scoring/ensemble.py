"""Several models' event scores made one: each standardised on background, and their mean taken.

Axes: K members, E events.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, model_validator

from raybead.errors import RunError
from raybead.scoring.fitted import Standard

Array = NDArray[np.float64]


class Ensemble(BaseModel):
    """How the event scores of several models become one. All count alike.

    Logarithms are standardised, so that it doesn't matter in what units a model's loss is; a
    standardised score runs as the member's own does, without a floor or a ceiling.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    standards: tuple[Standard, ...]
    """[K] of the logarithms of the members' event scores."""
    logarithms: tuple[bool, ...]
    """[K] whether a member's event scores are logarithms already."""

    @classmethod
    def fit(cls, scores: Sequence[Array], logarithms: Sequence[bool]) -> Ensemble:
        """Medians and widths of the background sample. Truth plays no part.

        Args:
            scores: of each member, the event scores [E] of the background sample.
            logarithms: of each, whether they are logarithms.

        Raises:
            RunError: there are no events, or one whose score has no finite logarithm.
        """
        if any(len(score_E) == 0 for score_E in scores):
            raise RunError(
                "an ensemble's scores are standardised by background, and there is none"
            )
        log_KE = _logarithms(scores, logarithms)
        standards = tuple(Standard.fit(log_E, logarithm=True) for log_E in log_KE)
        return cls(standards=standards, logarithms=tuple(logarithms))

    def standardised(self, scores: Sequence[Array]) -> Array:
        """[K, E] the members' event scores in units of background's spread.

        Args:
            scores: of each member, event scores [E] of the same events.

        Raises:
            RunError: one of them has no finite logarithm.
        """
        log_KE = _logarithms(scores, self.logarithms)
        pairs = zip(self.standards, log_KE, strict=True)
        return np.stack([standard.standardised(log_E) for standard, log_E in pairs])

    def as_dict(self) -> dict[str, Any]:
        return self.model_dump(mode="json")

    def combined(self, scores: Sequence[Array]) -> Array:
        """[E] the ensemble's event scores: the mean of :meth:`standardised` over the members."""
        return self.standardised(scores).mean(axis=0)

    @model_validator(mode="after")
    def _whole(self) -> Ensemble:
        if len(self.standards) != len(self.logarithms) or not self.standards:
            raise ValueError(f"{len(self.standards)} standards of {len(self.logarithms)} members")
        if any(standard.floor is not None for standard in self.standards):
            raise ValueError("logarithms of event scores have no floor")
        return self


def _logarithms(scores: Sequence[Array], logarithms: Sequence[bool]) -> list[Array]:
    found = []
    for member, (score_E, is_one) in enumerate(zip(scores, logarithms, strict=True), 1):
        with np.errstate(divide="ignore", invalid="ignore"):  # what comes of it is refused
            log_E = score_E if is_one else np.log(score_E)
        odd = np.flatnonzero(~np.isfinite(log_E))
        if len(odd):
            raise RunError(
                f"member {member}: event scores without a finite"
                f" {'value' if is_one else 'logarithm'}: {len(odd)} of {len(log_E)}, the first"
                f" {score_E[odd[0]]} in row {odd[0]}; an ensemble can't count them"
            )
        found.append(log_E)
    return found
