"""``[jets]`` and ``[prepare]``: what becomes of raw events."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from raybead.config.section import Section

Substructure = Literal["tau1", "tau2", "tau3", "d2"]


class SoftDrop(Section):
    """Grooming by soft drop (arXiv:1402.2657): soft wide-angle branches leave a jet."""

    z_cut: Annotated[float, Field(gt=0.0, lt=0.5)] = 0.1
    """Softest share of pT of a splitting that stays."""
    beta: float = 0.0
    """How the condition loosens with the angle; 0: it doesn't."""


class Jets(Section):
    """Jets are groups of constituents; an event keeps its leading ones."""

    algorithm: Literal["antikt", "kt", "cambridge-aachen"] = "antikt"
    """Which algorithm of the kt family clusters jets."""
    radius: PositiveFloat = 1.0
    """R of the clustering."""
    recluster: bool = False
    """Whether jets that come ready-made are clustered again from their constituents."""
    min_pt: NonNegativeFloat = 200.0
    """Jets below this pT [GeV] aren't jets."""
    min_leading_pt: NonNegativeFloat = 0.0
    """Cut on the leading jet alone: cut on both, and the jet count itself discriminates."""
    leading: Annotated[int, Field(ge=2)] = 2
    """Jets kept an event, where there are as many. Events with fewer than two are dropped and
    counted: m_jj needs two."""
    min_constituents: PositiveInt = 2
    """Jets with fewer aren't jets."""
    soft_drop: SoftDrop | None = None
    """Constituents that grooming removes leave the jet, and its momentum with them."""
    subjets: PositiveInt | None = None
    """Exclusive-kt subjets that stand for a jet's constituents; 30 is the literature's choice."""
    max_constituents: PositiveInt | None = None
    """Constituents (or subjets) kept a jet, leading in pT; all if not given."""
    substructure: tuple[Substructure, ...] = ()
    """Columns of the jets' substructure, from all constituents that grooming leaves:
    N-subjettiness (arXiv:1011.2268) and D2 (arXiv:1409.6298)."""


class Prepare(Section):
    """How the work of preparing is cut up. None of it changes an event."""

    rows_per_task: PositiveInt | Literal["auto"] = "auto"
    """Events a task and a Parquet file; auto: 2,000, and more where files would be too many."""
    workers: PositiveInt | Literal["auto"] = "auto"
    """Tasks at a time; auto: as many as the cluster has room for."""
    damaged: Literal["report", "stop"] = "report"
    """What rows that can't be read at all do (a damaged file): be counted and reported, while
    all others are prepared; or end the job."""
