"""Loopless multigraphs, the names of the energy flow polynomials."""

from __future__ import annotations

from raybead.config import Efps

Multigraph = tuple[tuple[int, int], ...]
"""Edges (i, j) with i < j, as often as they are there; vertices are numbered from 0."""


def multigraphs(config: Efps) -> tuple[Multigraph, ...]:
    """All that a job asks for, the empty one (a single vertex) first."""
    raise NotImplementedError


def n_polynomials(config: Efps) -> int:
    """How many :func:`multigraphs` are."""
    return len(multigraphs(config))
