"""What items look like to a model."""

from __future__ import annotations

from dataclasses import dataclass

from raybead.config import Graph
from raybead.observables.efps import n_polynomials


@dataclass(frozen=True)
class Inputs:
    """Sizes of what a model takes."""

    features: int
    """F, of a node"""
    slots: int = 30
    """Places of an item's nodes in a grid"""
    jets: int = 1
    """J of an item"""
    efps: int = 0
    """E polynomials of each of its jets"""

    @classmethod
    def of(cls, graph: Graph) -> Inputs:
        """Of the items that a job's ``[graph]`` says."""
        return cls(
            features=len(graph.scaled_columns),
            slots=graph.slots,
            jets=graph.jets if graph.level == "event" else 1,
            efps=0 if graph.efps is None else n_polynomials(graph.efps),
        )
