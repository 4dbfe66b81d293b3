"""Event scores: of which events, and how they go with m_jj."""

from __future__ import annotations

import numpy as np
from matplotlib.colors import LogNorm

from raybead.report.content import Content
from raybead.report.figures.canvas import (
    BLACK,
    BLUE,
    ORANGE,
    PURPLE,
    RED,
    VIOLET,
    Plot,
    canvas,
    density,
    filled,
    legend,
    number_of,
    saved,
)
from raybead.report.figures.chart import Axis, Chart, Mark, Panel, plain_label, steps
from raybead.report.numbers import percent
from raybead.report.outliers import thresholds_at
from raybead.report.words import observable_sign
from raybead.storage import Role

BINS = 50
CURVES = ((ORANGE, "-"), (RED, "--"), (PURPLE, "-."), (VIOLET, ":"), (BLACK, "-"))


def score_figure(content: Content) -> Plot:
    """Normalised score distributions of both samples, and of signal where truth is known."""
    background, in_background = _finite(content, "background")
    search, in_search = _finite(content, "search")
    truth, label = content.truth_is_known, ""
    low, high = np.quantile(np.concatenate([background, search]), [0.0005, 0.9995])
    edges = np.linspace(low, max(high, low + 1e-6), BINS + 1)
    figure, axes = canvas(content.job.name, "all events", truth=truth)
    shapes = [density(background, in_background, edges), density(search, in_search, edges)]
    filled(axes, shapes[0], edges, "Background sample (trained on)")
    axes.stairs(shapes[1], edges, color=BLACK, label="Search sample")
    if truth:
        table = content.scores["search"]
        signal = table.column("truth").fill_null(0).to_numpy() > 0
        weight = table.column("weight").to_numpy()[signal]
        shapes.append(density(table.column("score").to_numpy()[signal], weight, edges))
        label = f"Signal of the search sample ({number_of(weight)})"
        axes.stairs(shapes[2], edges, color=RED, ls="--", label=label)
    axes.set_yscale("log")
    heights = np.concatenate([shape[shape > 0] for shape in shapes])
    axes.set_ylim(0.5 * heights.min(), 1.5 * heights.max())
    axes.set_xlim(edges[0], edges[-1])
    axes.set(xlabel="Event score", ylabel="Normalised to unit area")
    legend(axes, rows=len(shapes))
    marks = [
        steps("Background sample (trained on)", edges, shapes[0], BLUE, filled=True),
        steps("Search sample", edges, shapes[1], BLACK),
        *(steps(label, edges, shape, RED, dashed=True) for shape in shapes[2:]),
    ]
    chart = Panel(
        x=Axis(label="Event score", domain=(edges[0], edges[-1])),
        y=Axis(label="Normalised to unit area", scale="log",
               domain=(0.5 * heights.min(), 1.5 * heights.max())),
        marks=marks,
    )  # fmt: skip
    return saved(
        figure, "scores", "scores",
        "Event scores of the background that was trained on and of the search sample, each"
        " normalised; the outermost bins hold all that lies beyond."
        + (" Dashed: the true signal events of the search sample." if truth else ""),
        "Normalised distributions of the event score: background, search sample"
        + (" and true signal." if truth else "."),
        truth=truth, chart=Chart(panels=[chart]),
    )  # fmt: skip


def score_mjj_figure(content: Content) -> Plot:
    """Scores against m_jj of the search sample, with the threshold of every cut."""
    table, column = content.scores["search"], content.result["observable"]
    mass, score = table.column(column).to_numpy(), table.column("score").to_numpy()
    kept = np.isfinite(mass) & np.isfinite(score)
    mass, score, weight = mass[kept], score[kept], table.column("weight").to_numpy()[kept]
    window = content.own_cuts[0]["histogram"]["edges"]
    reach = np.quantile(mass, [0.0005, 0.9995])
    x_edges = np.linspace(min(reach[0], window[0]), max(reach[1], window[-1]), 71)
    low, high = np.quantile(score, [0.0005, 0.9995])
    y_edges = np.linspace(low, max(high, low + 1e-6), 61)
    sums = np.histogram2d(mass, score, [x_edges, y_edges], weights=weight)[0].T
    weighted = not (weight == 1).all()
    # What one event weighs; but for a few light ones, which would take all the colours.
    one = float(np.quantile(weight[weight > 0], 0.01))

    figure, axes = canvas(content.job.name, "search sample")
    mesh = axes.pcolormesh(
        x_edges, y_edges, np.where(sums > 0, sums, np.nan), cmap="Blues",
        # A colour map starts white, and a single event should be seen.
        norm=LogNorm(vmin=0.35 * one, vmax=max(sums.max(), 2 * one)), rasterized=True,
    )  # fmt: skip
    along = np.linspace(window[0], window[-1], 200)
    row, place = np.nonzero(sums > 0)
    marks = [
        Mark(kind="cells", name="Summed weight" if weighted else "Events", color=BLUE, columns={
            "x1": x_edges[place], "x2": x_edges[place + 1], "y1": y_edges[row],
            "y2": y_edges[row + 1], "value": sums[row, place]}),
        Mark(kind="rule", name="", color=BLACK, dashed=True,
             columns={"x": [window[0], window[-1]]}),
    ]  # fmt: skip
    for number, cut in enumerate(content.own_cuts):
        color, dashes = CURVES[number % len(CURVES)]
        curves = thresholds_at(cut["thresholds"], along)
        for fold, curve in enumerate(curves):
            label = f"{percent(cut['cut'])} quantile" if fold == 0 else None
            width = 2.2 if len(curves) == 1 else 1.1
            axes.plot(along, curve, color=color, ls=dashes, lw=width, label=label)
            marks.append(Mark(kind="line", name=label or "", color=color, dashed=dashes != "-",
                              columns={"x": along, "y": curve}))  # fmt: skip
    for end in (window[0], window[-1]):
        axes.axvline(end, color=BLACK, lw=0.8, ls=":")
    axes.set_xlim(x_edges[0], x_edges[-1])
    axes.set_ylim(y_edges[0], y_edges[-1])
    axes.set(xlabel=f"{observable_sign(column)} [GeV]", ylabel="Event score")
    label = "Summed weight a bin" if weighted else "Events a bin"
    bar = figure.colorbar(mesh, ax=axes, label=label, pad=0.02, format="%g")
    bar.ax.set_ylim(bottom=one)
    columns = min(3, len(content.own_cuts))
    legend(axes, rows=-(-len(content.own_cuts) // columns), columns=columns)
    folds = len(content.own_cuts[0]["thresholds"])
    chart = Panel(
        x=Axis(label=f"{plain_label(observable_sign(column))} [GeV]",
               domain=(x_edges[0], x_edges[-1])),
        y=Axis(label="Event score", domain=(y_edges[0], y_edges[-1])),
        marks=marks,
    )  # fmt: skip
    return saved(
        figure, "score-mjj", "scores",
        "Event score against mass in the search sample, and the threshold of every cut."
        + (f" Thresholds were fitted in {folds} folds, one thin line each." if folds > 1 else "")
        + " The hunt takes place between the dotted lines.",
        "Two-dimensional histogram of event score and mass with"
        f" {len(content.result['cuts'])} threshold curves.",
        chart=Chart(panels=[chart]),
    )  # fmt: skip


def _finite(content: Content, role: Role) -> tuple[np.ndarray, np.ndarray]:
    """Scores of a sample, and the weights of their events."""
    score, weight = (content.scores[role].column(c).to_numpy() for c in ("score", "weight"))
    kept = np.isfinite(score)
    return score[kept], weight[kept]
