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
    saved,
)
from raybead.report.numbers import gev, percent, with_error
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
    low = np.where(counts > 0, stats.chi2.ppf(tail, 2 * np.maximum(counts, 1)) / 2, 0.0)
    high = stats.chi2.isf(tail, 2 * counts + 2) / 2
    return np.stack([counts - low, high - counts])


def mjj_figure(name: str, cut: Mapping[str, Any]) -> Plot:
    """Outliers against the background prediction, the most significant window, and pulls."""
    histogram, window = cut["histogram"], cut["window"]
    edges = np.asarray(histogram["edges"])
    outliers = np.asarray(histogram["outliers"])
    # As the yield is taken: a signal in the window has no say in what is expected there.
    expected = window["scale"] * np.asarray(histogram["expected"])
    uncertainty = window["scale"] * np.asarray(histogram["uncertainty"])
    scale = PER_GEV / np.diff(edges)
    centres = (edges[1:] + edges[:-1]) / 2

    figure, axes, below = canvas_with_pulls(name, f"{percent(cut['cut'])} quantile cut")
    floor = 0.3 * min((outliers * scale)[outliers > 0].min(), (expected * scale).max())
    for panel in (axes, below):
        shaded = panel.axvspan(window["low"], window["high"], color=ORANGE, alpha=0.22, lw=0)
    band = axes.stairs(
        (expected + uncertainty) * scale, edges, fill=True, color=BLUE, alpha=0.3, lw=0,
        baseline=np.maximum((expected - uncertainty) * scale, floor * 1e-3),
    )  # fmt: skip
    axes.stairs(expected * scale, edges, color=BLUE)
    points = axes.errorbar(
        centres, outliers * scale, poisson_errors(outliers) * scale, fmt="o", color=BLACK, ms=5.5,
        lw=1.4,
    )  # fmt: skip
    axes.set_yscale("log")
    axes.set_ylim(floor, 2.0 * max((outliers * scale).max(), (expected * scale).max()))
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylabel(f"Events / {PER_GEV:.0f} GeV")
    labels = {
        f"Outliers ({outliers.sum()})": points,
        "Background prediction": (band, Line2D([], [], color=BLUE)),
        f"{gev(window['low'], window['high'])}: {window['observed']} observed,\n"
        f"{with_error(window['expected'], window['expected_error'])} expected": shaded,
    }
    legend(axes, rows=4, handles=list(labels.values()), labels=list(labels))

    variance = expected + uncertainty**2
    pulls = np.where(variance > 0, (outliers - expected) / np.sqrt(np.maximum(variance, 1e-12)), 0)
    below.stairs(pulls, edges, fill=True, color=GREY, alpha=0.6)
    below.stairs(pulls, edges, color=BLACK, lw=1.0)
    below.axhline(0, color=BLACK, lw=0.8)
    reach = max(3.4, 1.15 * np.abs(pulls).max())
    below.set_ylim(-reach, reach)
    below.set(xlabel=r"$m_{jj}$ [GeV]", ylabel="Pull")
    return saved(
        figure, f"mjj-{cut['cut']}", "cuts",
        f"Dijet mass of the outliers at the {percent(cut['cut'])} quantile, and the background"
        " prediction with its uncertainty, normalised outside the shaded window, the most"
        " significant one. Below: (observed − expected) over the root of expected plus squared"
        " uncertainty. Points have central Poisson intervals.",
        f"Dijet mass spectrum of {outliers.sum()} outliers with the background prediction; the"
        f" most significant window is {gev(window['low'], window['high'])}, with"
        f" {window['observed']} events observed where {window['expected']:.3g} are expected.",
        cut=cut["cut"],
    )  # fmt: skip


def jet_mass_figures(content: Content) -> Iterator[Plot]:
    """Normalised masses of both jets: outliers of the best cut against non-outliers."""
    cut, table = content.best_cut, content.scores["search"]
    inside, outlier = in_window_and_outlier(cut, table)
    others = inside & ~outlier
    for number, which in ((1, "leading"), (2, "second")):
        mass = table.column(f"mj{number}").to_numpy()
        edges = np.linspace(0, max(np.quantile(mass[inside], 0.998), 1.0), MASS_BINS + 1)
        figure, axes = canvas(content.job.name, f"{percent(cut['cut'])} quantile cut")
        filled(axes, density(mass[others], edges), edges, f"Non-outliers ({others.sum()})")
        axes.stairs(
            density(mass[outlier], edges), edges, color=BLACK, label=f"Outliers ({outlier.sum()})"
        )
        axes.set_xlim(edges[0], edges[-1])
        axes.set(xlabel=f"$m_{{j{number}}}$ [GeV]", ylabel="Normalised to unit area")
        legend(axes, rows=1, columns=2)
        yield saved(
            figure, f"mj{number}", "scores",
            f"Mass of the {which} jet: outliers of the best cut against all other events of the"
            " mass window, each normalised; the last bin holds all that lies beyond.",
            f"Normalised distributions of the {which} jet's mass for outliers and non-outliers.",
        )  # fmt: skip
