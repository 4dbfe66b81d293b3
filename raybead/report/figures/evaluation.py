"""With truth: how well the score separates, beside numbers that took no learning."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import cycle
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from raybead.report.figures.canvas import (
    BLACK,
    BLUE,
    BROWN,
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
from raybead.report.figures.chart import Axis, Chart, Mark, Panel, plain_label
from raybead.report.figures.efficiency import efficiency_figure
from raybead.report.figures.gains import gain_figure, score_label
from raybead.report.numbers import events, percent, with_error
from raybead.report.words import score_name

FEWEST_BACKGROUND = 20
"""Background events that have to pass for a significance improvement to mean anything, effective
ones where they are weighted; the hunt quotes the maximum under the same condition."""
LINES = (
    (BLUE, "-"), (ORANGE, "--"), (PURPLE, "-."), (RED, ":"), (VIOLET, (0, (5, 1, 1, 1, 1, 1))),
    (BROWN, (0, (8, 3))), (BLACK, (0, (3, 1.5))),
)  # fmt: skip
"""Of the model and as many controls as are scored."""
RARE = 0.02
"""A prevalence below which precision is drawn logarithmically."""


def evaluation_figures(name: str, evaluation: Mapping[str, Any]) -> Iterator[Plot]:
    """ROC with both axes, significance improvement, precision, gains, and what cuts keep.

    Args:
        name: of the run.
        evaluation: of the hunt's result: ``background`` and ``signal`` counts, ``scores``,
            ``prevalence``, ``efficiency``.
    """
    scores = evaluation["scores"]
    counted = (
        f"{events(evaluation['signal'])} signal and {events(evaluation['background'])} background"
        " events"
    )
    aucs = ", ".join(f"{score_name(key)} {score['auc']:.3f}" for key, score in scores.items())
    for kind in ("roc", "roc-log"):
        logarithmic, marks = kind == "roc-log", []
        figure, axes = canvas(name, truth=True)
        for (key, score), (color, dashes) in zip(scores.items(), cycle(LINES), strict=False):
            fpr, tpr = np.asarray(score["roc"]["fpr"]), np.asarray(score["roc"]["tpr"])
            label = f"{score_label(key)}, AUC {score['auc']:.3f}"
            axes.plot(fpr, tpr, color=color, ls=dashes, label=label)
            shown = fpr > 0 if logarithmic else slice(None)
            marks.append(_line(label, color, fpr[shown], tpr[shown], dashed=dashes != "-"))
        least = 0.5 / max(_passing(score["roc"], evaluation)[-1] for score in scores.values())
        chance = np.geomspace(least, 1, 200)
        axes.plot(chance, chance, color=GREY, lw=1.2, ls=(0, (1, 2)), label="Chance")
        marks.append(_line("Chance", GREY, chance, chance, dashed=True))
        if logarithmic:
            axes.set_xscale("log")
        axes.set_xlim(least if logarithmic else 0, 1)
        axes.set_ylim(0, 1.02)
        axes.set(xlabel="False positive rate", ylabel="True positive rate")
        _legend(axes, len(scores) + 1)
        _ticks_of_a_share(axes)
        yield saved(
            figure, kind, "evaluation",
            "True against false positive rate"
            f"{', logarithmically' if logarithmic else ''}, of {counted}.",
            f"ROC curves; areas below them: {aucs}.",
            truth=True,
            chart=Chart(panels=[Panel(
                x=Axis(label="False positive rate", scale="log" if logarithmic else "linear",
                       domain=(least if logarithmic else 0, 1)),
                y=Axis(label="True positive rate", domain=(0, 1.02)), marks=marks,
            )], facts={"auc": {key: score["auc"] for key, score in scores.items()}}),
        )  # fmt: skip
    yield _improvement_figure(name, evaluation, counted)
    yield _precision_figure(name, evaluation, counted)
    if len(scores) > 1:
        yield gain_figure(name, evaluation, counted)
    if evaluation["efficiency"] is not None:
        yield efficiency_figure(name, evaluation["efficiency"])


def _improvement_figure(name: str, evaluation: Mapping[str, Any], counted: str) -> Plot:
    scores = evaluation["scores"]
    figure, axes = canvas(name, truth=True)
    first, *_ = scores
    top = highest = max(1.2, *(score["sic"] for score in scores.values()))
    bands, marks = [], []
    for (key, score), (color, dashes) in zip(scores.items(), cycle(LINES), strict=False):
        fpr, tpr = np.asarray(score["roc"]["fpr"]), np.asarray(score["roc"]["tpr"])
        enough = _passing(score["roc"], evaluation) >= FEWEST_BACKGROUND * (1 - 1e-9)
        label = f"{score_label(key)}, max {score['sic']:.2f}"
        band = score["improvement"]
        axes.fill_between(
            band["efficiency"], band["low"], band["high"], color=color, lw=0,
            alpha=0.22 if key == first else 0.11,
        )  # fmt: skip
        axes.plot(
            tpr[enough], tpr[enough] / np.sqrt(fpr[enough]), color=color, ls=dashes, label=label
        )
        axes.plot(score["sic_efficiency"], score["sic"], marker="o", color=color, ms=7)
        if key == first:
            bands.append(Mark(kind="band", name="", color=color, columns={
                "x": band["efficiency"], "low": band["low"], "high": band["high"]}))  # fmt: skip
        marks += [
            _line(label, color, tpr[enough], tpr[enough] / np.sqrt(fpr[enough]),
                  dashed=dashes != "-"),
            Mark(kind="points", name="", color=color, columns={
                "x": [score["sic_efficiency"]], "y": [score["sic"]],
                "low": [score["sic"] - score["sic_error"]],
                "high": [score["sic"] + score["sic_error"]], "text": [label]}),
        ]  # fmt: skip
        top = max([top, *band["high"]])
    axes.axhline(1, color=GREY, lw=1.2, ls=(0, (1, 2)), label="No selection")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.05 * min(top, 1.5 * highest))
    axes.set(xlabel="Signal efficiency (TPR)", ylabel="Significance improvement TPR/√FPR")
    _legend(axes, len(scores) + 1)
    best = ", ".join(
        f"{score_name(key)} {with_error(score['sic'], score['sic_error'])}"
        for key, score in scores.items()
    )
    return saved(
        figure, "significance-improvement", "evaluation",
        "Factor by which a cut on the score multiplies S/√B, where at least"
        f" {FEWEST_BACKGROUND} background events pass; of {counted}. Bands: the central"
        f" {percent(0.68)} of the bootstrap's replicas, at each signal efficiency. Circles:"
        " maxima.",
        f"Significance improvement against signal efficiency; maxima: {best}.",
        truth=True,
        chart=Chart(panels=[Panel(
            x=Axis(label="Signal efficiency (TPR)", domain=(0, 1)),
            y=Axis(label="Significance improvement TPR/√FPR",
                   domain=(0, 1.05 * min(top, 1.5 * highest))),
            marks=[*bands, Mark(kind="rule", name="No selection", color=GREY, dashed=True,
                                columns={"y": [1.0]}), *marks],
        )]),
    )  # fmt: skip


def _precision_figure(name: str, evaluation: Mapping[str, Any], counted: str) -> Plot:
    scores, prevalence = evaluation["scores"], evaluation["prevalence"]
    figure, axes = canvas(name, truth=True)
    marks = [Mark(kind="rule", name=f"Prevalence, {prevalence:.3g}", color=GREY, dashed=True,
                  columns={"y": [prevalence]})]  # fmt: skip
    for (key, score), (color, dashes) in zip(scores.items(), cycle(LINES), strict=False):
        curve = score["precision_recall"]
        label = f"{score_label(key)}, AP {score['average_precision']:.3f}"
        axes.plot(curve["recall"], curve["precision"], color=color, ls=dashes, label=label)
        marks.append(_line(label, color, curve["recall"], curve["precision"],
                           dashed=dashes != "-"))  # fmt: skip
    axes.axhline(prevalence, color=GREY, lw=1.2, ls=(0, (1, 2)),
                 label=f"Prevalence, {prevalence:.3g}")  # fmt: skip
    axes.set_xlim(0, 1)
    axes.set(xlabel="Recall (TPR)", ylabel="Precision")
    if prevalence < RARE:
        axes.set_yscale("log", nonpositive="mask")
        axes.set_ylim(0.5 * prevalence, 1.1)
        _legend(axes, len(scores) + 1)
        decades = 10.0 ** np.arange(np.floor(np.log10(0.5 * prevalence)), 1)
        axes.set_yticks(decades, minor=False)
        axes.set_yticks(np.outer(decades[:-1], np.arange(2, 10)).ravel(), minor=True)
        axes.set_ylim(bottom=0.5 * prevalence)
    else:
        axes.set_ylim(0, 1.02)
        _legend(axes, len(scores) + 1)
        _ticks_of_a_share(axes)
    rare = prevalence < RARE
    chart = Panel(
        x=Axis(label="Recall (TPR)", domain=(0, 1)),
        y=Axis(label="Precision", scale="log" if rare else "linear",
               domain=(0.5 * prevalence, 1.1) if rare else (0, 1.02)),
        marks=marks,
    )  # fmt: skip
    averages = ", ".join(
        f"{score_name(key)} {with_error(s['average_precision'], s['average_precision_error'])}"
        for key, s in scores.items()
    )
    return saved(
        figure, "precision-recall", "evaluation",
        "Share of signal in what passes, against the share of signal that passes, and their"
        f" average (AP); the dotted line is the share of signal before a cut. Of {counted}.",
        f"Precision against recall, above a prevalence of {prevalence:.3g}; average precisions:"
        f" {averages}.",
        truth=True,
        chart=Chart(panels=[chart]),
    )  # fmt: skip


def _line(name: str, color: str, x: Any, y: Any, *, dashed: bool) -> Mark:
    columns = {"x": x, "y": y}
    return Mark(kind="line", name=plain_label(name), color=color, columns=columns, dashed=dashed)


def _passing(roc: Mapping[str, Any], evaluation: Mapping[str, Any]) -> np.ndarray:
    """Background events that pass at every point; the hunt says effective ones for weights."""
    return np.asarray(roc.get("effective", np.asarray(roc["fpr"]) * evaluation["background"]))


def _legend(axes: Axes, entries: int) -> None:
    """Above the curves, of which some may lie below chance."""
    legend(axes, rows=-(-entries // 2), columns=2, loc="upper left", columnspacing=1.0)


def _ticks_of_a_share(axes: Axes) -> None:
    """The legend's room isn't a rate."""
    axes.set_yticks(np.linspace(0, 1, 6), minor=False)
    axes.set_yticks(np.linspace(0, 1, 21), minor=True)
