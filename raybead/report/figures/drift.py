"""How far the search sample lies from the background, feature by feature."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from raybead.config import NodeKind
from raybead.report.drift_words import (
    Feature,
    adjusted_p,
    compared,
    drift_in_words,
    events_in_words,
    p_of_one_look,
)
from raybead.report.feature_words import feature_in_words
from raybead.report.figures.canvas import (
    BLACK,
    BLUE,
    GREY,
    ORANGE,
    Plot,
    canvas,
    filled,
    inscribe,
    saved,
)
from raybead.report.figures.chart import Axis, Chart, Mark, Panel, steps
from raybead.report.numbers import percent

MOST = 6
"""Features whose distributions are drawn."""
SIGNS = {"pT": "$p_T$", "mjj": "$m_{jj}$", "HT": "$H_T$"}


def drift_figures(
    name: str,
    drift: Mapping[str, Any],
    pt_power: float = 1.0,
    node: NodeKind = "constituent",
) -> Iterator[Plot]:
    """The distance of each feature, and the distributions of the farthest.

    Args:
        name: of the run.
        drift: what ``raybead.diagnostics.feature_drift`` found.
        pt_power: that the node features have raised pT to.
        node: what the nodes are.
    """
    words = partial(feature_in_words, pt_power=pt_power, node=node)
    known = compared(drift)
    if known:
        known.sort(key=lambda one: (one["p"], -one["distance"]))
        yield _summary(name, known, drift, words)
        yield _overlays(name, known[:MOST], drift, words)


def _summary(
    name: str, known: Sequence[Feature], drift: Mapping[str, Any], words: Callable[..., str]
) -> Plot:
    figure, axes = canvas(name, "search sample against background")
    figure.set_size_inches(8.0, 2.2 + 0.42 * len(known))
    place = np.arange(len(known))[::-1]  # the farthest on top
    distance = np.array([one["distance"] for one in known])
    colours = [ORANGE if one["name"] in drift["differ"] else BLUE for one in known]
    axes.barh(place, distance, color=colours, height=0.7)
    reach = max(float(distance.max()), 1e-3)
    for at, one in zip(place, known, strict=True):
        axes.text(one["distance"] + 0.015 * reach, at, adjusted_p(one, drift), va="center",
                  fontsize=12)  # fmt: skip
    axes.set_xlim(0, 1.45 * reach)
    axes.set_ylim(-0.6, len(known) - 0.4)
    axes.set_yticks(place, [_signed(words(one)) for one in known], fontsize=13)
    axes.tick_params(axis="y", which="both", length=0)
    axes.yaxis.set_minor_locator(axes.yaxis.get_major_locator())
    axes.set_xlabel("Largest distance of the distribution functions")
    handles = [Patch(color=ORANGE, label=f"differs at {percent(drift['level'])}, corrected")]
    if drift["differ"]:
        figure.legend(handles=handles, loc="outside lower right", fontsize=12, frameon=False)
    texts = [
        f"{words(one)}: {p_of_one_look(one, drift)}, corrected {adjusted_p(one, drift)},"
        f" Wasserstein distance {_wasserstein(one)}"
        for one in known
    ]
    marks = [
        Mark(
            kind="points",
            name="differs" if colour == ORANGE else "doesn't differ",
            color=colour,
            columns={
                "x": distance[mine],
                "y": place[mine],
                "text": [texts[k] for k in np.flatnonzero(mine)],
            },
        )
        for colour in (ORANGE, BLUE)
        if (mine := np.array([one == colour for one in colours])).any()
    ]
    panel = Panel(
        x=Axis(label="Largest distance of the distribution functions", domain=(0, 1.45 * reach)),
        y=Axis(
            label="Feature, that of the smallest p on top",
            domain=(-0.6, len(known) - 0.4),
            ticks={words(one): float(at) for at, one in zip(place, known, strict=True)},
        ),
        marks=marks,
    )
    facts = {
        "features": [
            {key: one[key] for key in ("name", "of", "distance", "p", "p_adjusted", "wasserstein")}
            for one in known
        ]
    }
    return saved(
        figure, "drift", "drift",
        f"{drift_in_words(drift, words)} Distances are those of Kolmogorov and Smirnov"
        f" between the weighted distributions of {events_in_words(known, words)}. P-values are"
        f" from {drift['draws']} draws of whole events, so nodes of one event don't count as many,"
        " and stand corrected for all features that were looked at (Holm).",
        f"Bars of {len(known)} features' distances; {len(drift['differ'])} of them differ.",
        chart=Chart(panels=[panel], facts=facts),
    )  # fmt: skip


def _overlays(
    name: str, worst: Sequence[Feature], drift: Mapping[str, Any], words: Callable[..., str]
) -> Plot:
    rows = -(-len(worst) // 2)
    figure = Figure(figsize=(9.0, 1.0 + 2.7 * rows), layout="constrained")
    grid = figure.subplots(rows, 2, squeeze=False)
    inscribe(grid[0, 0], name, "")
    panels = []
    for place, axes in enumerate(grid.flat):
        if place >= len(worst):
            axes.set_axis_off()
            continue
        one = worst[place]
        edges, label = np.array(one["edges"]), words(one, unit=True)
        ours, theirs = (np.array(one["shares"][role]) for role in ("background", "search"))
        filled(axes, ours, edges, "Background")
        axes.stairs(theirs, edges, color=BLACK, lw=1.5, label="Search sample")
        axes.set_xlim(edges[0], edges[-1])
        top = max(ours.max(), theirs.max())
        peaked = top > 20 * np.median(ours[ours > 0])
        if peaked:
            axes.set_yscale("log")
            axes.set_ylim(0.3 * min(ours[ours > 0].min(), theirs[theirs > 0].min()), 20 * top)
        else:
            axes.set_ylim(0, 1.35 * top)
        axes.set_xlabel(_signed(label), fontsize=13)
        axes.set_ylabel("Share", fontsize=13)
        axes.tick_params(labelsize=11)
        axes.text(
            0.97, 0.94, adjusted_p(one, drift), transform=axes.transAxes, ha="right", va="top",
            fontsize=12, color=BLACK if one["name"] in drift["differ"] else GREY,
        )  # fmt: skip
        marks = [
            steps("Background", edges, ours, BLUE, filled=True),
            steps("Search sample", edges, theirs, BLACK),
        ]
        scale = "log" if peaked else "linear"
        panels.append(
            Panel(x=Axis(label=label), y=Axis(label="Share in the bin", scale=scale), marks=marks)
        )
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, fontsize=13, frameon=False)
    named = ", ".join(words(one) for one in worst)
    return saved(
        figure, "drift-shapes", "drift",
        f"The {len(worst)} of {drift['looked_at']} features with the smallest p-values, in the"
        " background and in the search sample, as shares of the weight. The outermost bins hold"
        " all that lies beyond.",
        f"Histograms of {named}: background filled, search sample as a line.",
        chart=Chart(panels=panels),
    )  # fmt: skip


def _wasserstein(one: Feature) -> str:
    distance = one["wasserstein"]
    return "unknown" if distance is None else f"{distance:.3g} standard deviations of background"


def _signed(words: str) -> str:
    """The same with signs as they are set in print."""
    for plain, sign in SIGNS.items():
        words = words.replace(plain, sign)
    return words
