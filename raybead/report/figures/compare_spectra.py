"""Overlays of several runs: spectra of outliers, and limits."""

# ruff: noqa: RUF001  # signs that readers know: σ, −, ×, –

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from raybead.report.figures.canvas import BLACK, Plot, canvas, canvas_with_pulls, saved
from raybead.report.figures.chart import Axis, Chart, Mark, Panel, steps
from raybead.report.figures.masses import PER_GEV, poisson_errors, sum_errors
from raybead.report.figures.overlay import DASHES, Overlay, fitted_legend, observable, swatch
from raybead.report.hunted import Cut, Histogram
from raybead.report.numbers import events, percent


def spectrum_overlay(overlay: Overlay, key: str, words: str) -> Plot:
    """Outliers against their predictions; below, pulls.

    Args:
        overlay: of cuts.
        key: of the figure's name.
        words: which cuts these are.
    """
    sign, plain = observable(overlay)
    figure, axes, below = canvas_with_pulls(overlay.title, words)
    spectra, pulls_marks, handles, labels, told = [], [], [], [], []
    positive, reach = [], 3.4
    low, high = np.inf, 0.0
    for number, drawn in enumerate(overlay.drawn):
        cut: Cut = drawn.what
        histogram = cut.histogram
        edges = np.asarray(histogram.edges)
        outliers, expected, uncertainty = (
            np.asarray(getattr(histogram, name), dtype=float)
            for name in ("outliers", "expected", "uncertainty")
        )
        scale = PER_GEV / np.diff(edges)
        per_event = 1.0 if histogram.per_event is None else np.asarray(histogram.per_event)
        variance = np.maximum(expected, 0) * per_event + uncertainty**2
        pulls = (outliers - expected) / np.sqrt(np.where(variance > 0, variance, np.inf))
        errors = _errors(histogram, outliers) * scale
        # Beside one another within a bin, or they would hide each other.
        share = 0.5 + (number - (len(overlay.drawn) - 1) / 2) * min(0.2, 0.7 / len(overlay.drawn))
        places = edges[:-1] + share * np.diff(edges)
        axes.errorbar(places, outliers * scale, errors, fmt="o", color=drawn.color, ms=5, lw=1.3)
        axes.stairs(expected * scale, edges, color=drawn.color, ls=DASHES, lw=1.4)
        below.stairs(pulls, edges, color=drawn.color, lw=1.4)
        name = drawn.run.name
        columns = {
            "x": places, "y": outliers * scale, "low": outliers * scale - errors[0],
            "high": outliers * scale + errors[1],
        }  # fmt: skip
        spectra += [
            Mark(kind="points", name=f"{name}, outliers", color=drawn.color, columns=columns),
            steps(f"{name}, expected", edges, expected * scale, drawn.color, dashed=True),
        ]
        pulls_marks.append(steps(f"{name}, pull", edges, pulls, drawn.color))
        heights = np.concatenate([outliers * scale, expected * scale])
        positive.append(heights[heights > 0])
        reach = max(reach, 1.15 * float(np.abs(pulls).max()))
        low, high = min(low, edges[0]), max(high, edges[-1])
        total = events(sum(histogram.outliers))
        handles.append(swatch(drawn.color))
        labels.append(f"{drawn.name}, {percent(cut.cut)} ({total})")
        told.append(f"{name} {total}")
    shown = np.concatenate(positive) if any(map(len, positive)) else np.ones(1)
    axes.set_yscale("log")
    axes.set_ylim(max(0.5 * shown.min(), 1e-4 * shown.max()), 2.0 * shown.max())
    axes.set_xlim(low, high)
    axes.set_ylabel(f"Events / {PER_GEV:.0f} GeV")
    fitted_legend(
        axes,
        [*handles, Line2D([], [], color=BLACK, marker="o", ms=5, lw=1.3), swatch(BLACK, DASHES)],
        [*labels, "Outliers", "Expected"],
    )
    below.axhline(0, color=BLACK, lw=0.8)
    below.set_ylim(-reach, reach)
    below.set(xlabel=sign, ylabel="Pull")
    x = Axis(label=plain, domain=(low, high))
    return saved(
        figure, f"compare-mjj-{key}", "compare",
        f"Outliers at {words} (points, with central Poisson intervals; the quantile and their"
        " number in the legend), and the background predictions (dashed). Below: (observed −"
        " expected) over the root of expected plus squared uncertainty. Runs of the same"
        f" events share what fluctuates.{overlay.left_out}",
        f"Mass spectra of outliers at {words}: {', '.join(told)}.",
        chart=Chart(shared_x=True, panels=[
            Panel(x=x, y=Axis(label=f"Events / {PER_GEV:.0f} GeV", scale="log"), marks=spectra),
            Panel(x=x, y=Axis(label="Pull", domain=(-reach, reach)), marks=pulls_marks),
        ]),
    )  # fmt: skip


def _errors(histogram: Histogram, outliers: np.ndarray) -> np.ndarray:
    """[2, M] lengths of the intervals of the outliers, below and above."""
    if histogram.outliers_squares is None or histogram.per_event is None:
        return poisson_errors(outliers)
    return sum_errors(
        outliers, np.asarray(histogram.outliers_squares), np.asarray(histogram.per_event)
    )


def limits_overlay(overlay: Overlay, key: str, words: str, *, truth: bool = False) -> Plot:
    """Observed and expected limits against mass.

    Args:
        overlay: of cuts, and the share of a signal that each keeps, or 1.
        key: of the figure's name.
        words: which cuts these are.
        truth: whether those shares were found by truth.
    """
    sign, plain = observable(overlay)
    sections = all(drawn.what[0].limits.luminosity is not None for drawn in overlay.drawn)
    figure, axes = canvas(overlay.title, words, truth=truth)
    marks, handles, labels, every, told = [], [], [], [], []
    ends = [np.inf, 0.0]
    for drawn in overlay.drawn:
        cut, efficiency = drawn.what
        limits = cut.limits
        scale = 1 / efficiency / (limits.luminosity if sections else 1.0)
        mass, observed = np.asarray(limits.masses), np.asarray(limits.observed) * scale
        expected = np.asarray(limits.expected) * scale
        axes.fill_between(mass, expected[1], expected[3], color=drawn.color, alpha=0.16, lw=0)
        axes.plot(mass, expected[2], color=drawn.color, ls=DASHES, lw=1.5)
        axes.plot(mass, observed, color=drawn.color)
        name = drawn.run.name
        columns = {"x": mass, "low": expected[1], "high": expected[3]}
        marks += [
            Mark(kind="band", name="", color=drawn.color, columns=columns),
            Mark(kind="line", name=f"{name}, expected", color=drawn.color, dashed=True,
                 columns={"x": mass, "y": expected[2]}),
            Mark(kind="line", name=f"{name}, observed", color=drawn.color,
                 columns={"x": mass, "y": observed}),
        ]  # fmt: skip
        every += [observed, expected[1:4].ravel()]
        ends = [min(ends[0], mass[0]), max(ends[1], mass[-1])]
        handles.append(swatch(drawn.color))
        level = f"{percent(limits.confidence)} CL"
        labels.append(f"{drawn.name}, {percent(cut.cut)} cut")
        told.append(f"{name} ({level}, {percent(cut.cut)} cut)")
    shown = np.concatenate(every)
    shown = shown[shown > 0]
    axes.set_yscale("log")
    axes.set_ylim(0.7 * shown.min(), 1.4 * shown.max())
    axes.set_xlim(*ends)
    _few_decades(axes)
    what = "Signal events before the cut" if truth else "Signal events that pass"
    unit = "events"
    if sections:
        what = r"$\sigma\times$ acceptance" + ("" if truth else r" $\times$ efficiency")
        what, unit = f"{what} [fb]", "fb"
    axes.set_xlabel(f"Mass of the peak in {sign}")
    axes.set_ylabel(what)
    fitted_legend(
        axes, [*handles, swatch(BLACK), swatch(BLACK, DASHES)],
        [*labels, "Observed", r"Expected, $\pm1\sigma$"],
    )  # fmt: skip
    says = (
        "Divided by the share of true signal in the mass window that each run's cut keeps, so"
        " that runs can be compared: a lower limit is a better one, for a signal such as this."
        if truth
        else "They are on events that pass the cut: a tighter cut has lower limits and keeps less"
        " of a signal, so a lower curve isn't by itself the better run."
    )
    return saved(
        figure, f"compare-limits-{key}", "compare",
        f"CLs upper limits on a peak among the outliers at {words}, at every mass: observed"
        f" (solid), expected (dashed) and its central {percent(0.68)}. {says}{overlay.left_out}",
        f"Upper limits in {unit} against mass of {'; '.join(told)}.",
        truth=truth,
        chart=Chart(panels=[Panel(
            x=Axis(label=f"Mass of the peak in {plain}", domain=(ends[0], ends[1])),
            y=Axis(label=f"Upper limit [{unit}]", scale="log"), marks=marks,
        )]),
    )  # fmt: skip


def _few_decades(axes: Axes) -> None:
    """Ticks at 1, 2 and 5 of a logarithmic axis that powers of ten alone would leave bare."""
    low, high = axes.get_ylim()
    if high < 300 * low:
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
