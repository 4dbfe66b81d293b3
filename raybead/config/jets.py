"""``[jets]`` and ``[prepare]``: what becomes of raw events."""

from __future__ import annotations

from typing import Literal

from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt

from raybead.config.section import Section


class Jets(Section):
    """Jets are anti-kt groups of constituents; an event keeps its leading ones."""

    radius: PositiveFloat = 1.0
    min_pt: PositiveFloat = 200.0
    """Jets below this pT [GeV] aren't jets."""
    min_leading_pt: NonNegativeFloat = 0.0
    """Cut on the leading jet alone: cut on both, and the jet count itself discriminates."""
    leading: Literal[2] = 2
    """Events with fewer jets are dropped and counted; m_jj needs two."""
    min_constituents: PositiveInt = 2
    max_constituents: PositiveInt | None = None
    """Constituents kept a jet, leading in pT; all if not given."""


class Prepare(Section):
    """How the work of preparing is cut up. None of it changes an event."""

    rows_per_task: PositiveInt = 2000
    workers: PositiveInt | Literal["auto"] = "auto"
