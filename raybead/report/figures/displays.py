"""Event displays: the most anomalous events of the search sample."""

# signs of axes

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from matplotlib.figure import Figure

from raybead.report.figures.canvas import BLACK, Plot, inscribe, saved
from raybead.report.figures.chart import Axis, Chart, Mark, Panel
from raybead.report.figures.etaphi import JETS, circle, nodes_drawn


def display_figures(name: str, table: pa.Table, radius: float) -> Iterator[Plot]:
    """A figure an event: constituents of all its jets, areas by pT, and the jets as circles.

    Args:
        name: of the run.
        table: ``diagnostics/displays.parquet``.
        radius: of the jets.
    """
    for number, row in enumerate(table.to_pylist(), 1):
        yield _display(name, row, number, radius)


def _display(name: str, row: Mapping[str, Any], number: int, radius: float) -> Plot:
    figure = Figure(figsize=(7.0, 8.2), layout="constrained")
    axes = figure.add_subplot(aspect="equal")
    inscribe(axes, name, f"search sample, event {row['event']}")
    nodes = [
        {**one, "jet": rank, "phi": _turned(one["phi"])}
        for rank, parts in enumerate(row["constituents"])
        for one in parts
    ]
    hardest = max((node["pt"] for node in nodes), default=1.0)
    marks = nodes_drawn(axes, nodes, hardest)
    for rank, jet in enumerate(row["jets"]):
        colour = JETS[rank % len(JETS)]
        for turn in (-2 * math.pi, 0.0, 2 * math.pi):
            x, y = circle(jet["eta"], _turned(jet["phi"]) + turn, radius)
            y = np.where(np.abs(y) <= math.pi, y, np.nan)
            if np.isnan(y).all():
                continue
            label = f"Jet {rank + 1}: {jet['pt']:.0f} GeV" if turn == 0 else None
            axes.plot(x, y, color=colour, lw=1.8, label=label)
            columns = {"x": x, "y": y}
            marks.append(Mark(kind="line", name="", color=colour, columns=columns))
    far = max(
        [abs(jet["eta"]) + radius for jet in row["jets"]] + [abs(n["eta"]) for n in nodes],
        default=0.0,
    )
    reach = max(math.pi, 1.08 * far)
    axes.set_xlim(-reach, reach)
    columns = 2 if len(row["jets"]) > 3 else 1
    rows = max(2, -(-len(row["jets"]) // columns))
    # Room for what is said; phi ends at a half turn.
    axes.set_ylim(-math.pi, math.pi + 0.3 + 0.4 * rows * reach / math.pi)
    axes.axhline(math.pi, color=BLACK, lw=0.8)
    axes.set_yticks([-math.pi, -math.pi / 2, 0, math.pi / 2, math.pi])
    axes.set_yticklabels([r"$-\pi$", r"$-\pi/2$", "0", r"$\pi/2$", r"$\pi$"])
    axes.minorticks_off()
    axes.set(xlabel=r"$\eta$", ylabel=r"$\phi$ [rad]")
    score = "unknown" if row["score"] is None else f"{row['score']:.3g}"
    words = f"score {score}\n$m_{{jj}}$ = {row['mjj']:.0f} GeV"
    axes.text(0.03, 0.97, words, transform=axes.transAxes, va="top", fontsize=14)
    axes.legend(loc="upper right", ncols=columns, borderaxespad=0.4, labelspacing=0.3)
    momenta = ", ".join(f"{jet['pt']:.0f}" for jet in row["jets"])
    place = "highest" if number == 1 else f"number {number} by"
    facts = {"event": row["event"], "mjj": row["mjj"], "score": row["score"]}
    panel = Panel(
        x=Axis(label="η", domain=(-reach, reach)),
        y=Axis(label="φ [rad]", domain=(-math.pi, math.pi)),
        marks=marks,
        equal=True,
    )
    return saved(
        figure, f"display-{number}", "events",
        f"Event {row['event']} of the search sample, {place} score ({score}), whichever its mass:"
        f" m_jj {row['mjj']:.0f} GeV, jets of pT {momenta} GeV. Constituents by jet, areas by pT;"
        f" circles have the jets' radius, {radius:g}.",
        f"Display of event {row['event']}: {len(nodes)} constituents of {len(row['jets'])} jets in"
        f" eta and phi.",
        chart=Chart(panels=[panel], facts=facts),
    )  # fmt: skip


def _turned(phi: float) -> float:
    """An azimuth between -pi and pi."""
    return (phi + math.pi) % (2 * math.pi) - math.pi
