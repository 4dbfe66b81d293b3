"""With truth: what cuts keep of signal and of background, against the observable."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from raybead.report.figures.canvas import (
    BLUE,
    ORANGE,
    PURPLE,
    RED,
    VIOLET,
    Plot,
    inscribe,
    legend,
    saved,
)
from raybead.report.figures.chart import Axis, Chart, Mark, Panel, plain_label
from raybead.report.numbers import percent

POINTS = ((BLUE, "o"), (ORANGE, "s"), (PURPLE, "^"), (RED, "D"), (VIOLET, "v"))
OBSERVABLES = {
    "mjj": (r"$m_{jj}$ [GeV]", "dijet mass"),
    "mj1": (r"$m_{j1}$ [GeV]", "the leading jet's mass"),
    "mj2": (r"$m_{j2}$ [GeV]", "the second jet's mass"),
}
"""On an axis, and in a sentence; others go by their column's name."""
FEWEST = 5
"""Events of a bin, effective ones where they are weighted, below which an interval says little."""


def efficiency_figure(name: str, efficiency: Mapping[str, Any]) -> Plot:
    """Signal above, background below, a colour a cut.

    Args:
        name: of the run.
        efficiency: of the evaluation: ``observable``, ``edges`` of its bins, ``cuts``.
    """
    observable = efficiency["observable"]
    axis, called = OBSERVABLES.get(observable, (observable, observable))
    edges, cuts = np.asarray(efficiency["edges"]), efficiency["cuts"]
    figure = Figure(figsize=(8.0, 7.6), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[1.25, 1])
    figure.get_layout_engine().set(hspace=0.02, h_pad=0.03)  # type: ignore[union-attr]
    above.tick_params(labelbottom=False)
    inscribe(above, name, "", truth=True)
    of_signal: list[Mark] = []
    of_background: list[Mark] = []
    for number, (cut, (color, marker)) in enumerate(zip(cuts, cycle(POINTS), strict=False)):
        # Cuts stand beside one another in a bin, where their errors can be told apart.
        place = (number + 1) / (len(cuts) + 1)
        label = f"{percent(cut['cut'])} quantile"
        drawn = _points(
            above, edges, place, cut["signal"], color=color, marker=marker, label=label
        )
        of_signal.append(Mark(kind="points", name=label, color=color, columns=drawn))
        drawn = _points(below, edges, place, cut["background"], color=color, marker=marker)
        of_background += [
            Mark(kind="points", name=label, color=color, columns=drawn),
            Mark(kind="rule", name="", color=color, dashed=True, columns={"y": [1 - cut["cut"]]}),
        ]
        below.axhline(1 - cut["cut"], color=color, lw=1.2, ls="--")
    above.set_ylim(-0.03, 1.03)
    columns = min(3, len(cuts))
    # The panel is about half of the figure, and rows are counted by the figure's height.
    legend(above, rows=2 * -(-len(cuts) // columns), columns=columns, loc="upper left")
    above.set_yticks(np.linspace(0, 1, 6), minor=False)  # the legend's room isn't a share
    above.set_yticks(np.linspace(0, 1, 21), minor=True)
    above.set_ylabel("Signal efficiency")
    below.set_yscale("log")
    least = min(1 - cut["cut"] for cut in cuts)
    most = max(1 - cut["cut"] for cut in cuts)
    below.set_ylim(0.1 * least, min(1.0, 4 * most))
    below.yaxis.set_minor_formatter(NullFormatter())
    below.set_xlim(edges[0], edges[-1])
    below.set(xlabel=axis, ylabel="Background efficiency")
    figure.align_ylabels([above, below])
    mass = Axis(label=plain_label(axis), domain=(edges[0], edges[-1]))
    panels = [
        Panel(x=mass, y=Axis(label="Signal efficiency", domain=(-0.03, 1.03)), marks=of_signal),
        Panel(x=mass, y=Axis(label="Background efficiency", scale="log",
                             domain=(0.1 * least, min(1.0, 4 * most))), marks=of_background),
    ]  # fmt: skip
    said = "; ".join(
        f"{percent(cut['cut'])} quantile: signal {_of_all(cut['signal'])},"
        f" background {_of_all(cut['background'])}"
        for cut in cuts
    )
    return saved(
        figure, "efficiency", "evaluation",
        "Share of the signal, and of the background, that every cut keeps, against"
        f" {called}; errors are central {percent(0.68)} binomial intervals. Bins of fewer than"
        f" {FEWEST} events are left out, and a line without a point is of a bin where nothing"
        " passes. Dashed: the share of all events that a cut is to keep.",
        f"Efficiencies of {len(cuts)} cuts against {called}. In the whole window: {said}.",
        truth=True,
        chart=Chart(panels=panels, shared_x=True),
    )  # fmt: skip


def _points(
    axes: Axes, edges: np.ndarray, place: float, shares: Mapping[str, Any], **look: Any
) -> dict[str, Any]:
    """Draw a cut's; what is drawn, as columns."""
    value, low, high, effective = (
        np.array(shares[key], dtype=float) for key in ("value", "low", "high", "effective")
    )
    told = effective >= FEWEST
    at = edges[:-1] + place * np.diff(edges)
    axes.errorbar(
        at[told], value[told], [(value - low)[told], (high - value)[told]], ls="", ms=5.5,
        elinewidth=1.2, **look,
    )  # fmt: skip
    return {"x": at[told], "y": value[told], "low": low[told], "high": high[told]}


def _of_all(shares: Mapping[str, Any]) -> str:
    value = shares["total"]["value"]
    return "unknown" if value is None else f"{value:.3g}"
