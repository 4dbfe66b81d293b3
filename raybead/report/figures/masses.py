"""m_jj of the outliers against the prediction, and the masses of their jets."""

# ruff: noqa: RUF001  # signs that readers know: σ, −, ×, –

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from matplotlib.lines import Line2D
from scipy import stats

from raybead.report.content import Content
from raybead.report.figures.canvas import (
    BLACK,
    BLUE,
    GREY,
    ORANGE,
    Plot,
    canvas,
    canvas_with_pulls,
    density,
    filled,
    legend,
    number_of,
    saved,
)
from raybead.report.figures.chart import Axis, Chart, Mark, Panel, plain_label, steps
from raybead.report.numbers import events, gev, percent, with_error
from raybead.report.outliers import in_window_and_outlier

PER_GEV = 100.0
"""Bins differ in width, so heights are events per this many GeV."""
MASS_BINS = 40


def poisson_errors(counts: np.ndarray) -> np.ndarray:
    """[2, M] lengths of the central 68.3 % intervals of Poisson means, below and above.

    References:
        F. Garwood, Biometrika 28 (1936) 437.
    """
    tail = stats.norm.sf(1.0)
    some = np.where(counts > 0, counts, 1)
    low = np.where(counts > 0, stats.chi2.ppf(tail, 2 * some) / 2, 0.0)
    high = stats.chi2.isf(tail, 2 * counts + 2) / 2
    return np.stack([counts - low, high - counts])


def sum_errors(sums: np.ndarray, squares: np.ndarray, per_event: np.ndarray) -> np.ndarray:
    """[2, M] the same of sums of weights, as Poisson counts of (sum w)^2 / sum w^2 events.

    Args:
        sums: [M] of weights.
        squares: [M] of squared weights.
        per_event: [M] what an event weighs in a bin whose sum isn't positive.
    """
    weight = np.where(sums > 0, squares / np.where(sums > 0, sums, 1), per_event)
    return poisson_errors(np.maximum(sums, 0) / weight) * weight


def mass_figure(name: str, cut: Mapping[str, Any], observable: str) -> Plot:
    """Outliers against the background prediction, the most significant window, and pulls."""
    histogram, window = cut["histogram"], cut["window"]
    edges = np.asarray(histogram["edges"])
    outliers = np.asarray(histogram["outliers"])
    # Both are said where events are weighted.
    squares = np.asarray(histogram.get("outliers_squares", outliers))
    per_event = np.asarray(histogram.get("per_event", np.ones(len(outliers))))
    # As the yield is taken: a signal in the window has no say in what is expected there.
    expected = window["scale"] * np.asarray(histogram["expected"])
    uncertainty = window["scale"] * np.asarray(histogram["uncertainty"])
    scale = PER_GEV / np.diff(edges)
    centres = (edges[1:] + edges[:-1]) / 2
    weighted = "per_event" in histogram

    figure, axes, below = canvas_with_pulls(name, cut["label"])
    total = events(outliers.sum().item())
    floor = 0.3 * min((outliers * scale)[outliers > 0].min(), (expected * scale).max())
    for panel in (axes, below):
        shaded = panel.axvspan(window["low"], window["high"], color=ORANGE, alpha=0.22, lw=0)
    band = axes.stairs(
        (expected + uncertainty) * scale, edges, fill=True, color=BLUE, alpha=0.3, lw=0,
        baseline=np.maximum((expected - uncertainty) * scale, floor * 1e-3),
    )  # fmt: skip
    axes.stairs(expected * scale, edges, color=BLUE)
    points = axes.errorbar(
        centres, outliers * scale, sum_errors(outliers, squares, per_event) * scale, fmt="o",
        color=BLACK, ms=5.5, lw=1.4,
    )  # fmt: skip
    axes.set_yscale("log")
    axes.set_ylim(floor, 2.0 * max((outliers * scale).max(), (expected * scale).max()))
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylabel(f"Events / {PER_GEV:.0f} GeV")
    said = (
        f"{gev(window['low'], window['high'])}: {events(window['observed'])} observed,\n"
        f"{with_error(window['expected'], window['expected_error'])} expected"
    )
    labels = {
        f"Outliers ({total})": points,
        "Background prediction": (band, Line2D([], [], color=BLUE)),
        said: shaded,
    }
    legend(axes, rows=4, handles=list(labels.values()), labels=list(labels))

    variance = np.maximum(expected, 0) * per_event + uncertainty**2
    pulls = np.where(
        variance > 0, (outliers - expected) / np.sqrt(np.where(variance > 0, variance, 1)), 0
    )
    below.stairs(pulls, edges, fill=True, color=GREY, alpha=0.6)
    below.stairs(pulls, edges, color=BLACK, lw=1.0)
    below.axhline(0, color=BLACK, lw=0.8)
    reach = max(3.4, 1.15 * np.abs(pulls).max())
    below.set_ylim(-reach, reach)
    below.set(xlabel=f"{observable} [GeV]", ylabel="Pull")
    lengths = sum_errors(outliers, squares, per_event) * scale
    mass = Axis(label=f"{plain_label(observable)} [GeV]", domain=(edges[0], edges[-1]))
    shade = Mark(
        kind="region", name=said.replace("\n", " "), color=ORANGE,
        columns={"x1": [window["low"]], "x2": [window["high"]]},
    )  # fmt: skip
    main = Panel(
        x=mass,
        y=Axis(label=f"Events / {PER_GEV:.0f} GeV", scale="log", domain=(
            floor, 2.0 * max((outliers * scale).max(), (expected * scale).max()))),
        marks=[
            shade,
            steps("Background prediction", edges, expected * scale, BLUE, uncertainty=(
                (expected - uncertainty) * scale, (expected + uncertainty) * scale)),
            Mark(kind="points", name=f"Outliers ({total})", color=BLACK, columns={
                "x": centres, "y": outliers * scale, "low": outliers * scale - lengths[0],
                "high": outliers * scale + lengths[1],
                "text": [f"{events(n)} in the bin, {e:.4g} expected"
                         for n, e in zip(outliers.tolist(), expected, strict=True)]}),
        ],
    )  # fmt: skip
    pull = Panel(
        x=mass,
        y=Axis(label="Pull", domain=(-reach, reach)),
        marks=[
            Mark(kind="region", name="", color=ORANGE, columns=shade.columns),
            steps("", edges, pulls, GREY, filled=True),
            Mark(kind="rule", name="", color=BLACK, columns={"y": [0.0]}),
        ],
    )
    return saved(
        figure, f"mjj-{cut['key']}", "background",
        f"{plain_label(observable)} of the outliers at the {percent(cut['cut'])} quantile, and the"
        " background"
        " prediction with its uncertainty, normalised outside the shaded window, the most"
        " significant one. Below: (observed − expected) over the root of "
        + ("the variance of the expected sum of weights" if weighted else "expected")
        + " plus squared uncertainty. Points have central Poisson intervals"
        + (", scaled to the weights." if weighted else "."),
        f"Mass spectrum of {total} outliers with the background prediction; the"
        f" most significant window is {gev(window['low'], window['high'])}, with"
        f" {events(window['observed'])} events observed where {window['expected']:.3g} are"
        " expected.",
        cut=cut["key"],
        chart=Chart(panels=[main, pull], shared_x=True, facts={"window": dict(window)}),
    )  # fmt: skip


def jet_mass_figures(content: Content) -> Iterator[Plot]:
    """Normalised masses of both jets: outliers of this run's best cut against non-outliers."""
    cut, table = content.own_cut, content.scores["search"]
    inside, outlier = in_window_and_outlier(cut["key"], content.outliers, table)
    others = inside & ~outlier
    weight = table.column("weight").to_numpy()
    for number, which in ((1, "leading"), (2, "second")):
        mass = table.column(f"mj{number}").to_numpy()
        edges = np.linspace(0, max(np.quantile(mass[inside], 0.998), 1.0), MASS_BINS + 1)
        figure, axes = canvas(content.job.name, cut["label"])
        shapes = [density(mass[part], weight[part], edges) for part in (others, outlier)]
        filled(axes, shapes[0], edges, f"Non-outliers ({number_of(weight[others])})")
        label = f"Outliers ({number_of(weight[outlier])})"
        axes.stairs(shapes[1], edges, color=BLACK, label=label)
        axes.set_xlim(edges[0], edges[-1])
        axes.set(xlabel=f"$m_{{j{number}}}$ [GeV]", ylabel="Normalised to unit area")
        legend(axes, rows=1, columns=2)
        chart = Panel(
            x=Axis(label=f"m_j{number} [GeV]", domain=(0, edges[-1])),
            y=Axis(label="Normalised to unit area"),
            marks=[
                steps(f"Non-outliers ({number_of(weight[others])})", edges, shapes[0], BLUE,
                      filled=True),
                steps(label, edges, shapes[1], BLACK),
            ],
        )  # fmt: skip
        yield saved(
            figure, f"mj{number}", "scores",
            f"Mass of the {which} jet: outliers of the best cut against all other events of the"
            " mass window, each normalised; the last bin holds all that lies beyond.",
            f"Normalised distributions of the {which} jet's mass for outliers and non-outliers.",
            chart=Chart(panels=[chart]),
        )  # fmt: skip
