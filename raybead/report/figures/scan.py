"""The scan's windows, and the pseudo-experiments that weigh the best of them."""

# ruff: noqa: RUF001  # signs that readers know: σ, −, ×, –

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.patches import Patch

from raybead.report.figures.canvas import (
    BLUE,
    GREY,
    ORANGE,
    RED,
    Plot,
    canvas,
    filled,
    legend,
    saved,
)
from raybead.report.figures.chart import Axis, Chart, Mark, Panel, plain_label, steps
from raybead.report.numbers import gev, p_value, sigmas, significance

STATISTICS = {
    "bumps": r"Test statistic $-\ln\,p_{min}$",
    "likelihood": r"Test statistic $q_{0}$ of the best peak",
}


def scan_figure(name: str, cut: Mapping[str, Any], observable: str) -> Plot:
    """Tomography: each window as a bar over its masses, at its local significance."""
    low, high = np.asarray(cut["scan"]["low"]), np.asarray(cut["scan"]["high"])
    height = np.array([significance(p) for p in cut["scan"]["p"]])
    window = cut["window"]
    best = int(np.argmin(cut["scan"]["p"]))
    rest = np.arange(len(low)) != best
    flat = rest & (height == 0)
    raised = rest & ~flat
    figure, axes = canvas(name, cut["label"])
    axes.hlines(height[flat], low[flat], high[flat], color=GREY, lw=2)
    axes.hlines(height[raised], low[raised], high[raised], color=BLUE, lw=2.4, alpha=0.75)
    axes.hlines(height[best], low[best], high[best], color=ORANGE, lw=5)
    edges = cut["histogram"]["edges"]
    axes.set_xlim(edges[0], edges[-1])
    top = max(3.0, height.max()) * 1.06
    axes.set_ylim(-0.03 * top, top)
    axes.set(xlabel=f"{observable} [GeV]", ylabel=r"Local significance [$\sigma$]")
    said = gev(window["low"], window["high"])
    local = cut["local"]
    legend(
        axes, rows=2,
        handles=[Patch(color=ORANGE), Patch(color=BLUE, alpha=0.75)],
        labels=[rf"{said}: {local['significance']:.1f}$\,\sigma$",
                f"{len(low) - 1} other windows"],
        handlelength=1.2, handleheight=0.4,
    )  # fmt: skip
    kinds = (
        (f"{flat.sum()} without an excess", GREY, flat),
        (f"{raised.sum()} other windows", BLUE, raised),
        (f"{said}: {sigmas(local['significance'])} σ", ORANGE, ~rest),
    )  # fmt: skip
    marks = [
        Mark(
            kind="spans", name=called, color=color, filled=color == ORANGE,
            columns={"x1": low[some], "x2": high[some], "y": height[some],
                     "text": [f"p = {p:.3g}" for p in np.asarray(cut["scan"]["p"])[some]]},
        )
        for called, color, some in kinds
        if some.any()
    ]  # fmt: skip
    chart = Panel(
        x=Axis(label=f"{plain_label(observable)} [GeV]", domain=(edges[0], edges[-1])),
        y=Axis(label="Local significance [σ]", domain=(-0.03 * top, top)),
        marks=marks,
    )
    return saved(
        figure, f"scan-{cut['key']}", "scan",
        "Every window of the scan as a bar over its masses, at its local significance; windows"
        " without an excess lie at zero (grey). Local: without the look-elsewhere effect.",
        f"Local significance of {len(low)} windows over mass; the highest is {said} at"
        f" {local['significance']:.1f} standard deviations.",
        cut=cut["key"], chart=Chart(panels=[chart]),
    )  # fmt: skip


def toys_figure(name: str, cut: Mapping[str, Any], statistic: str) -> Plot:
    """The test statistic in pseudo-experiments, and in the data."""
    toys, overall = cut["toys"], cut["global"]
    counts, edges = np.asarray(toys["counts"]), np.asarray(toys["edges"])
    figure, axes = canvas(name, cut["label"])
    filled(axes, counts, edges, f"{overall['toys']} pseudo-experiments")
    axes.set_yscale("log")
    axes.set_ylim(0.5, 2.0 * max(counts.max(), 1))
    axes.set_xlim(edges[0], edges[-1])
    top = 1.2 * max(counts.max(), 1)
    axes.vlines(toys["statistic"], 0.5, top, color=RED, lw=2.4, label="Data")
    axes.plot([toys["statistic"]], [0.62], marker="v", color=RED, ms=11, ls="", clip_on=False)
    axes.set(xlabel=STATISTICS[statistic], ylabel="Pseudo-experiments")
    legend(axes, rows=2)
    chart = Panel(
        x=Axis(label=plain_label(STATISTICS[statistic]), domain=(edges[0], edges[-1])),
        y=Axis(label="Pseudo-experiments", scale="log", domain=(0.5, 2.0 * top)),
        marks=[
            steps(f"{overall['toys']} pseudo-experiments", edges, counts, BLUE, filled=True),
            Mark(kind="rule", name=f"Data: {toys['statistic']:.4g}", color=RED,
                 columns={"x": [toys["statistic"]]}),
        ],
    )  # fmt: skip
    return saved(
        figure, f"toys-{cut['key']}", "toys",
        "Test statistic in pseudo-experiments without a"
        f" signal and in the data: {overall['beyond']} of {overall['toys']} reach it, a global"
        f" p {p_value(overall['p'], bound=overall['beyond'] == 0)} for this cut alone.",
        f"Histogram of the test statistic in {overall['toys']} pseudo-experiments; the data have"
        f" {toys['statistic']:.3g}, which {overall['beyond']} of them reach.",
        cut=cut["key"],
        chart=Chart(panels=[chart], facts={"statistic": toys["statistic"], **overall}),
    )  # fmt: skip
