"""Constituents in eta and phi, areas by pT: what examples and event displays share."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from raybead.report.figures.canvas import (
    BLACK,
    BLUE,
    BROWN,
    GREY,
    ORANGE,
    PURPLE,
    RED,
    VIOLET,
)
from raybead.report.figures.chart import Mark

JETS = (BLUE, ORANGE, PURPLE, VIOLET, BROWN, RED, GREY, BLACK)
"""By a jet's rank."""
AREA = 900.0
"""Square points, of the constituent of the largest pT."""


def nodes_drawn(
    axes: Axes,
    nodes: Sequence[dict[str, float]],
    hardest: float,
    name: str = "",
    labels: bool = False,
) -> list[Mark]:
    """Draw constituents as disks whose area is their pT, a colour a jet.

    Args:
        axes: with eta to the right and phi upwards.
        nodes: with ``pt``, ``eta``, ``phi`` and ``jet``, which may be None.
        hardest: pT whose disk is the largest [GeV].
        name: of the marks.
        labels: whether each jet has a line in the legend.
    """
    marks = []
    jets = sorted({-1 if node["jet"] is None else int(node["jet"]) for node in nodes})
    for jet in jets:
        some = [node for node in nodes if (-1 if node["jet"] is None else node["jet"]) == jet]
        pt, eta, phi = (np.array([n[key] for n in some], float) for key in ("pt", "eta", "phi"))
        colour = JETS[max(jet, 0) % len(JETS)]
        axes.scatter(
            eta, phi, s=areas(pt, hardest), color=colour, alpha=0.6, linewidths=0.3,
            edgecolors="white", label=f"Jet {jet + 1}" if labels and jet >= 0 else None,
        )  # fmt: skip
        of = f"jet {jet + 1}" if jet >= 0 else ""
        columns = {
            "x": eta, "y": phi, "size": pt, "text": [f"pT {value:.3g} GeV" for value in pt],
        }  # fmt: skip
        title = ", ".join(part for part in (name, of) if part)
        marks.append(Mark(kind="points", name=title, color=colour, columns=columns))
    return marks


def areas(pt: NDArray, hardest: float) -> NDArray:
    """Areas of disks, in square points: of what is too soft to be seen a dot's."""
    return np.maximum(AREA * np.maximum(pt, 0.0) / max(hardest, 1e-9), 2.0)


def circle(eta: float, phi: float, radius: float) -> tuple[NDArray, NDArray]:
    """Points of a circle: eta and phi."""
    angle = np.linspace(0, 2 * math.pi, 73)
    return eta + radius * np.cos(angle), phi + radius * np.sin(angle)
