"""What the hunt does with pseudo-data: without a signal, and with one that was put in."""

# ruff: noqa: RUF001  # signs that readers know: σ, −, ×, –

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from scipy import stats

from raybead.report.figures.canvas import (
    BLACK,
    BLUE,
    GREY,
    ORANGE,
    PURPLE,
    RED,
    VIOLET,
    Plot,
    canvas,
    legend,
    saved,
)
from raybead.report.figures.chart import Axis, Chart, Mark, Panel
from raybead.report.numbers import percent

BINS = 20
COLORS = (BLUE, ORANGE, RED, PURPLE, VIOLET)
MARKERS = "osD^v"
ASKED = 0.01
"""Global p-value below which a set counts as one in which something was found."""


def calibration_figures(name: str, calibration: Mapping[str, Any]) -> Iterator[Plot]:
    """p-values of hunts without a signal, and how often they lie below any level."""
    p = np.asarray(calibration["p"])
    n = len(p)
    counts, edges = np.histogram(p, BINS, (0, 1))
    low, high = (
        float(stats.binom.ppf(q, n, 1 / BINS)) for q in (stats.norm.cdf(-1), stats.norm.cdf(1))
    )
    figure, axes = canvas(name, "pseudo-data without a signal")
    axes.axhspan(low, high, color=BLUE, alpha=0.25, lw=0, label="Uniform, 68 %")
    axes.axhline(n / BINS, color=BLUE)
    axes.errorbar(
        (edges[1:] + edges[:-1]) / 2, counts, np.sqrt(np.maximum(counts, 1)), fmt="o",
        color=BLACK, ms=5.5, lw=1.4, label=f"{n} hunts",
    )  # fmt: skip
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.15 * (counts.max() + np.sqrt(counts.max())))
    axes.set(xlabel="Global p-value", ylabel=f"Hunts / {1 / BINS:g}")
    legend(axes, rows=2)
    error = np.sqrt(np.maximum(counts, 1))
    chart = Panel(
        x=Axis(label="Global p-value", domain=(0, 1)),
        y=Axis(label=f"Hunts / {1 / BINS:g}",
               domain=(0, 1.15 * (counts.max() + np.sqrt(counts.max())))),
        marks=[
            Mark(kind="region", name="Uniform, 68 %", color=BLUE,
                 columns={"y1": [low], "y2": [high]}),
            Mark(kind="rule", name="", color=BLUE, columns={"y": [n / BINS]}),
            Mark(kind="points", name=f"{n} hunts", color=BLACK, columns={
                "x": (edges[1:] + edges[:-1]) / 2, "y": counts, "low": counts - error,
                "high": counts + error}),
        ],
    )  # fmt: skip
    ks = calibration["summary"]["ks"]
    yield saved(
        figure, "calibration-p", "calibration",
        f"Global p-values of the whole hunt on {n} sets of pseudo-data without a signal. Of a"
        f" calibrated hunt they are uniform (Kolmogorov–Smirnov p = {ks:.2g}).",
        f"Histogram of {n} global p-values against a flat expectation.",
        chart=Chart(panels=[chart], facts={"ks": ks}),
    )  # fmt: skip
    yield _alarms(name, p)


def _alarms(name: str, p: np.ndarray) -> Plot:
    """The share of hunts that lie below a level, against the level."""
    n = len(p)
    level = np.geomspace(min(0.5 / n, 0.002), 1.0, 200)
    alarms = np.searchsorted(np.sort(p), level, side="right")
    tail = stats.norm.sf(1.0)
    low, high = (stats.binom.ppf(q, n, level) / n for q in (tail, 1 - tail))
    figure, axes = canvas(name, "pseudo-data without a signal")
    axes.fill_between(level, low, high, color=BLUE, alpha=0.25, lw=0, label="Calibrated, 68 %")
    axes.plot(level, level, color=BLUE)
    axes.plot(level, alarms / n, color=BLACK, label=f"{n} hunts", drawstyle="steps-post")
    for wanted in (0.05, 0.01):
        axes.axvline(wanted, color=GREY, lw=1, ls=":")
    axes.set(xscale="log", yscale="log", xlim=(level[0], 1), ylim=(0.4 / n, 1.5))
    axes.set(xlabel="Global p-value asked for", ylabel="Share of hunts below it")
    axes.legend(loc="upper left")
    chart = Panel(
        x=Axis(label="Global p-value asked for", scale="log", domain=(level[0], 1)),
        y=Axis(label="Share of hunts below it", scale="log", domain=(0.4 / n, 1.5)),
        marks=[
            Mark(kind="band", name="Calibrated, 68 %", color=BLUE,
                 columns={"x": level, "low": low, "high": high}),
            Mark(kind="line", name="", color=BLUE, columns={"x": level, "y": level}),
            Mark(kind="line", name=f"{n} hunts", color=BLACK,
                 columns={"x": level, "y": np.where(alarms > 0, alarms / n, np.nan)}),
            Mark(kind="rule", name="", color=GREY, dashed=True, columns={"x": [0.05, 0.01]}),
        ],
    )  # fmt: skip
    return saved(
        figure, "calibration-alarms", "calibration",
        "How often a hunt without a signal gives a global p-value below a level, against the"
        " level. Above the band a hunt raises more false alarms than it says.",
        "Rate of false alarms against the p-value asked for, along the diagonal if calibrated.",
        chart=Chart(panels=[chart]),
    )  # fmt: skip


def reach_figures(name: str, reach: Mapping[str, Any]) -> Iterator[Plot]:
    """How often an injected signal is found, and whether its size is measured right."""
    truth = reach["signal"] == "truth"
    masses = sorted({point["mass"] for point in reach["points"]})
    figure, axes = canvas(name, "signal put into pseudo-data", truth=truth)
    marks = [Mark(kind="rule", name="", color=GREY, dashed=True, columns={"y": [ASKED]})]
    for place, mass in enumerate(masses):
        points = [point for point in reach["points"] if point["mass"] == mass]
        x = np.array([percent_of(point["strength"]) for point in points])
        found = np.array([point["found"] for point in points])
        errors = np.array([[p["found"] - p["found_low"], p["found_high"] - p["found"]]
                           for p in points]).T  # fmt: skip
        axes.errorbar(
            x, found, np.maximum(errors, 0), color=COLORS[place % 5], marker=MARKERS[place % 5],
            ms=6, lw=1.6, label=f"{mass:.0f} GeV",
        )  # fmt: skip
        color = COLORS[place % 5]
        marks += [
            Mark(kind="line", name="", color=color, columns={"x": x, "y": found}),
            Mark(kind="points", name=f"{mass:.0f} GeV", color=color, columns={
                "x": x, "y": found, "low": [p["found_low"] for p in points],
                "high": [p["found_high"] for p in points]}),
        ]  # fmt: skip
    axes.axhline(ASKED, color=GREY, ls=":", lw=1.2)
    axes.set_ylim(0, 1.08)
    axes.set(xlabel="Signal over background events [%]")
    axes.set_ylabel(f"Share of hunts with global p < {ASKED:g}")
    legend(axes, rows=1, columns=min(3, len(masses)))
    yield saved(
        figure, "reach-power", "reach",
        f"How often the hunt finds a signal that was put into pseudo-data (global p < {ASKED:g}),"
        f" against its size before the cut. Dotted: without a signal, {percent(ASKED)}.",
        "Share of hunts that find an injected signal, rising with the signal's size.",
        truth=truth,
        chart=Chart(panels=[Panel(
            x=Axis(label="Signal over background events [%]"),
            y=Axis(label=f"Share of hunts with global p < {ASKED:g}", domain=(0, 1.08)),
            marks=marks,
        )]),
    )  # fmt: skip
    figure, axes = canvas(name, "signal put into pseudo-data", truth=truth)
    top, marks = 1.0, []
    for place, mass in enumerate(masses):
        points = [point for point in reach["points"] if point["mass"] == mass]
        injected = np.array([point["injected"] for point in points])
        fitted, error = (np.array([p[key] for p in points]) for key in ("fitted", "fitted_error"))
        top = max(top, injected.max(), (fitted + error).max())
        axes.errorbar(
            injected, fitted, error, color=COLORS[place % 5], marker=MARKERS[place % 5], ms=6,
            ls="", lw=1.6, label=f"{mass:.0f} GeV",
        )  # fmt: skip
        marks.append(Mark(
            kind="points", name=f"{mass:.0f} GeV", color=COLORS[place % 5],
            columns={"x": injected, "y": fitted, "low": fitted - error, "high": fitted + error},
        ))  # fmt: skip
    axes.plot([0, top], [0, top], color=GREY, lw=1.2)
    axes.set(xlabel="Signal events put in that pass the cut", ylabel="Fitted (mean of hunts)")
    legend(axes, rows=1, columns=min(3, len(masses)))
    yield saved(
        figure, "reach-linearity", "reach",
        f"Mean fitted yield at the injected mass, at the {percent(reach['cut'])} quantile cut,"
        " against the signal events that pass it. On the line the fit is unbiased.",
        "Fitted against injected signal events, along the diagonal if unbiased.",
        truth=truth,
        chart=Chart(panels=[Panel(
            x=Axis(label="Signal events put in that pass the cut"),
            y=Axis(label="Fitted (mean of hunts)"),
            marks=[
                Mark(kind="line", name="", color=GREY, columns={"x": [0, top], "y": [0, top]}),
                *marks,
            ],
        )]),
    )  # fmt: skip


def percent_of(share: float) -> float:
    """A share in per cent."""
    return 100 * share
