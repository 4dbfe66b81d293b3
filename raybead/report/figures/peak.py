"""A peak of unknown mass: what is fitted, how significant it is, and what can be excluded."""

# ruff: noqa: RUF001  # signs that readers know: σ, −, ×, –

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from raybead.report.figures.canvas import (
    BLACK,
    BLUE,
    GREY,
    ORANGE,
    Plot,
    canvas,
    canvas_with_pulls,
    legend,
    saved,
)
from raybead.report.figures.chart import Axis, Chart, Mark, Panel, plain_label
from raybead.report.numbers import mass as mass_with_error
from raybead.report.numbers import percent, with_error

ONE_SIGMA, TWO_SIGMA = "#607641", "#f5bb54"
"""What readers of limits know as green and yellow, in shades that all of them can tell apart."""


def peak_figure(name: str, cut: Mapping[str, Any], observable: str) -> Plot:
    """Fitted yield of a peak at every mass; below, its local significance."""
    peak = cut["peak"]
    mass = np.asarray(peak["masses"])
    fitted, low, high = (np.asarray(peak[key]) for key in ("signal", "error_low", "error_high"))
    best = peak["best"]
    figure, axes, below = canvas_with_pulls(name, cut["label"])
    axes.fill_between(mass, fitted - low, fitted + high, color=BLUE, alpha=0.3, lw=0)
    axes.plot(mass, fitted, color=BLUE)
    axes.axhline(0, color=BLACK, lw=0.8)
    for panel in (axes, below):
        panel.axvline(best["mass"], color=ORANGE, lw=1.6, ls="--")
    axes.set_xlim(mass[0], mass[-1])
    axes.set_ylabel("Fitted signal events")
    at = mass_with_error(best)
    number = with_error(best["signal"], (best["error_low"] + best["error_high"]) / 2)
    legend(
        axes, rows=3,
        handles=[(Patch(color=BLUE, alpha=0.3), Line2D([], [], color=BLUE)),
                 Line2D([], [], color=ORANGE, ls="--")],
        labels=["Best fit at each mass, 68 %", f"Best: {at} GeV,\n{number} events"],
    )  # fmt: skip
    below.fill_between(mass, 0, peak["z"], color=GREY, alpha=0.6, lw=0)
    below.plot(mass, peak["z"], color=BLACK, lw=1.2)
    below.set_ylim(0, max(3.2, 1.12 * float(np.max(peak["z"]))))
    below.set(xlabel=f"Mass of the peak in {observable} [GeV]", ylabel=r"Local $Z$")
    across = Axis(
        label=f"Mass of the peak in {plain_label(observable)} [GeV]", domain=(mass[0], mass[-1])
    )
    dashes = Mark(
        kind="rule", name=f"Best: {at} GeV, {number} events", color=ORANGE, dashed=True,
        columns={"x": [best["mass"]]},
    )  # fmt: skip
    zero = Mark(kind="rule", name="", color=BLACK, columns={"y": [0.0]})
    z = np.asarray(peak["z"])
    panels = [
        Panel(x=across, y=Axis(label="Fitted signal events"), marks=[
            Mark(kind="band", name="68 %", color=BLUE,
                 columns={"x": mass, "low": fitted - low, "high": fitted + high}),
            zero, dashes,
            Mark(kind="line", name="Best fit at each mass", color=BLUE,
                 columns={"x": mass, "y": fitted}),
        ]),
        Panel(x=across, y=Axis(label="Local Z", domain=(0, max(3.2, 1.12 * z.max()))), marks=[
            Mark(kind="band", name="", color=GREY,
                 columns={"x": mass, "low": np.zeros(len(mass)), "high": z}),
            Mark(kind="line", name="", color=BLACK, columns={"x": mass, "y": z}),
            Mark(kind="rule", name="", color=ORANGE, dashed=True, columns=dashes.columns),
        ]),
    ]  # fmt: skip
    return saved(
        figure, f"peak-{cut['key']}", "scan",
        "Events in a peak, fitted together with the background at every mass (line and 68 %"
        " interval), and below the local significance of each. Dashed: the most significant.",
        f"Fitted signal yield against mass; the most significant peak is at {at} GeV with"
        f" {number} events and {best['z']:.1f} standard deviations locally.",
        cut=cut["key"],
        chart=Chart(panels=panels, shared_x=True, facts={"best": dict(best)}),
    )  # fmt: skip


def limits_figure(name: str, cut: Mapping[str, Any], observable: str) -> Plot:
    """Observed and expected CLs limits on a peak's yield at every mass, with their bands."""
    limits = cut["limits"]
    mass, observed = np.asarray(limits["masses"]), np.asarray(limits["observed"])
    expected = np.asarray(limits["expected"])
    scale, unit = 1.0, "events"
    if limits["luminosity"] is not None:
        scale, unit = 1 / limits["luminosity"], "fb"
    figure, axes = canvas(name, cut["label"])
    axes.fill_between(mass, expected[0] * scale, expected[4] * scale, color=TWO_SIGMA, lw=0)
    axes.fill_between(mass, expected[1] * scale, expected[3] * scale, color=ONE_SIGMA, lw=0)
    axes.plot(mass, expected[2] * scale, color=BLACK, ls="--")
    axes.plot(mass, observed * scale, color=BLACK, marker="o", ms=4)
    axes.set_yscale("log")
    both = np.concatenate([observed, expected.ravel()]) * scale
    axes.set_ylim(0.7 * both[both > 0].min(), 1.4 * both.max())
    axes.set_xlim(mass[0], mass[-1])
    what = (
        "Signal events" if unit == "events" else r"$\sigma\times$ acceptance $\times$ efficiency"
    )
    axes.set_xlabel(f"Mass of the peak in {observable} [GeV]")
    axes.set_ylabel(what if unit == "events" else f"{what} [fb]")
    level = percent(limits["confidence"])
    legend(
        axes, rows=4,
        handles=[Line2D([], [], color=BLACK, marker="o", ms=4),
                 Line2D([], [], color=BLACK, ls="--"), Patch(color=ONE_SIGMA),
                 Patch(color=TWO_SIGMA)],
        labels=[f"Observed, {level} CL$_s$", "Expected (median)", r"Expected $\pm 1\,\sigma$",
                r"Expected $\pm 2\,\sigma$"],
    )  # fmt: skip
    middle = len(mass) // 2
    chart = Panel(
        x=Axis(label=f"Mass of the peak in {plain_label(observable)} [GeV]",
               domain=(mass[0], mass[-1])),
        y=Axis(label=plain_label(axes.get_ylabel()), scale="log",
               domain=(0.7 * both[both > 0].min(), 1.4 * both.max())),
        marks=[
            *(Mark(kind="band", name=f"Expected ± {n} σ", color=color, columns={
                "x": mass, "low": expected[2 - n] * scale, "high": expected[2 + n] * scale})
              for n, color in ((2, TWO_SIGMA), (1, ONE_SIGMA))),
            Mark(kind="line", name="Expected (median)", color=BLACK, dashed=True,
                 columns={"x": mass, "y": expected[2] * scale}),
            Mark(kind="line", name="", color=BLACK, columns={"x": mass, "y": observed * scale}),
            Mark(kind="points", name=f"Observed, {level} CLs", color=BLACK,
                 columns={"x": mass, "y": observed * scale}),
        ],
    )  # fmt: skip
    return saved(
        figure, f"limits-{cut['key']}", "limits",
        f"Upper limits at {level} confidence (CLs) on the {what.lower() if scale == 1 else 'cross-section times acceptance and efficiency'}"  # noqa: E501
        " of a peak among the outliers of this cut, at every mass; bands hold 68 % and 95 % of"
        " experiments without a signal.",
        f"Upper limits against mass; at {mass[middle]:.0f} GeV {observed[middle] * scale:.3g}"
        f" {unit} are excluded where {expected[2, middle] * scale:.3g} are expected.",
        cut=cut["key"],
        chart=Chart(panels=[chart], facts={"unit": unit, "confidence": limits["confidence"]}),
    )  # fmt: skip
