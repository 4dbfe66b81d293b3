"""Overlays of several runs: all their figures, and how scores separate."""

# signs that readers know: σ, −, ×, –

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from raybead.report.compare_words import loss_groups
from raybead.report.compared import Run
from raybead.report.figures.canvas import (
    GREY,
    Plot,
    canvas,
    hep_style,
    saved,
)
from raybead.report.figures.chart import Axis, Chart, Mark, Panel
from raybead.report.figures.compare_hunt import hunt_figures
from raybead.report.figures.compare_scores import score_overlays
from raybead.report.figures.compare_training import loss_overlay
from raybead.report.figures.overlay import (
    Overlay,
    evaluated,
    fitted_legend,
    line,
    part,
    swatch,
)
from raybead.report.hunted import Evaluation
from raybead.report.numbers import percent, with_error

FEWEST_BACKGROUND = 20
"""Background events that have to pass for a significance improvement to mean anything."""
CHANCE = (0, (1, 2))


def draw_comparison(runs: Sequence[Run]) -> list[Plot]:
    """All figures that what there is of the runs allows, in the order of the page."""
    with hep_style():
        return list(_figures(runs))


def _figures(runs: Sequence[Run]) -> Iterator[Plot]:
    yield from hunt_figures(runs)
    separated = Overlay.of(runs, evaluated)
    if separated.drawn:
        yield _roc_figure(separated, logarithmic=False)
        yield _roc_figure(separated, logarithmic=True)
        yield _improvement_figure(separated)
    yield from score_overlays(runs)
    trained = Overlay.of(runs, lambda run: part(run, "model") or run.history)
    if trained.drawn:
        yield loss_overlay(trained, loss_groups(runs))


def _roc_figure(overlay: Overlay, *, logarithmic: bool) -> Plot:
    figure, axes = canvas(overlay.title, truth=True)
    marks, handles, labels = [], [], []
    least = 1.0
    for drawn in overlay.drawn:
        of = drawn.what.of_model
        fpr, tpr = np.asarray(of.roc.fpr), np.asarray(of.roc.tpr)
        axes.plot(fpr, tpr, color=drawn.color)
        handles.append(swatch(drawn.color))
        labels.append(f"{drawn.name}, AUC {with_error(of.auc, of.auc_error)}")
        marks.append(line(drawn.run.name, drawn.color, fpr, tpr))
        least = min(least, 0.5 / drawn.what.background)
    chance = np.geomspace(least, 1, 100)
    axes.plot(chance, chance, color=GREY, lw=1.2, ls=CHANCE)
    marks.append(line("Chance", GREY, chance, chance, dashed=True))
    domain = (least if logarithmic else 0.0, 1.0)
    axes.set(xscale="log" if logarithmic else "linear", xlim=domain, ylim=(0, 1.02))
    axes.set(xlabel="False positive rate", ylabel="True positive rate")
    fitted_legend(axes, [*handles, swatch(GREY, CHANCE)], [*labels, "Chance"])
    axes.set_yticks(np.linspace(0, 1, 6), minor=False)
    axes.set_yticks(np.linspace(0, 1, 21), minor=True)
    return saved(
        figure, "compare-roc-log" if logarithmic else "compare-roc", "compare",
        "True against false positive rate of every run's score"
        f"{', logarithmically' if logarithmic else ''}; errors of areas (AUC) are DeLong's, each"
        f" run's by itself.{overlay.left_out}",
        f"ROC curves of {overlay.names}; areas: {', '.join(labels)}.",
        truth=True,
        chart=Chart(panels=[Panel(
            x=Axis(label="False positive rate", scale="log" if logarithmic else "linear",
                   domain=domain),
            y=Axis(label="True positive rate", domain=(0, 1)), marks=marks,
        )]),
    )  # fmt: skip


def _improvement_figure(overlay: Overlay) -> Plot:
    figure, axes = canvas(overlay.title, truth=True)
    marks, handles, labels, said = [], [], [], []
    highest = max(1.2, *(drawn.what.of_model.sic for drawn in overlay.drawn))
    top = highest
    for drawn in overlay.drawn:
        of = drawn.what.of_model
        tpr, sic = _improvement(drawn.what)
        band = of.improvement
        axes.fill_between(
            band.efficiency, band.low, band.high, color=drawn.color, lw=0, alpha=0.18
        )
        axes.plot(tpr, sic, color=drawn.color)
        axes.plot(of.sic_efficiency, of.sic, "o", color=drawn.color, ms=7)
        top = max([top, *band.high])
        handles.append(swatch(drawn.color))
        labels.append(f"{drawn.name}, max {with_error(of.sic, of.sic_error)}")
        said.append(f"{drawn.run.name} {with_error(of.sic, of.sic_error)}")
        limits = {"x": band.efficiency, "low": band.low, "high": band.high}
        marks += [
            Mark(kind="band", name="", color=drawn.color, columns=limits),
            line(drawn.run.name, drawn.color, tpr, sic),
            Mark(kind="points", name="", color=drawn.color,
                 columns={"x": [of.sic_efficiency], "y": [of.sic],
                          "text": [f"{drawn.run.name}: maximum"]}),
        ]  # fmt: skip
    axes.axhline(1, color=GREY, lw=1.2, ls=CHANCE)
    marks.append(Mark(kind="rule", name="No selection", color=GREY, columns={"y": [1]},
                      dashed=True))  # fmt: skip
    ceiling = 1.05 * min(top, 1.5 * highest)
    axes.set(xlim=(0, 1), ylim=(0, ceiling))
    axes.set(xlabel="Signal efficiency (TPR)", ylabel="Significance improvement TPR/√FPR")
    fitted_legend(axes, [*handles, swatch(GREY, CHANCE)], [*labels, "No selection"])
    return saved(
        figure, "compare-sic", "compare",
        "Factor by which a cut on every run's score multiplies S/√B, where at least"
        f" {FEWEST_BACKGROUND} background events pass. Bands: the central {percent(0.68)} of each"
        " run's bootstrap, by itself: runs of the same events rise and fall together, and the"
        f" table of differences knows. Circles: maxima.{overlay.left_out}",
        f"Significance improvement against signal efficiency; maxima: {', '.join(said)}.",
        truth=True,
        chart=Chart(panels=[Panel(
            x=Axis(label="Signal efficiency (TPR)", domain=(0, 1)),
            y=Axis(label="Significance improvement TPR/√FPR", domain=(0, ceiling)), marks=marks,
        )]),
    )  # fmt: skip


def _improvement(evaluation: Evaluation) -> tuple[np.ndarray, np.ndarray]:
    """Signal efficiencies and significance improvements where enough background passes."""
    roc = evaluation.of_model.roc
    fpr, tpr = np.asarray(roc.fpr), np.asarray(roc.tpr)
    passing = fpr * evaluation.background if roc.effective is None else np.asarray(roc.effective)
    enough = (passing >= FEWEST_BACKGROUND * (1 - 1e-9)) & (fpr > 0)
    return tpr[enough], tpr[enough] / np.sqrt(fpr[enough])
