"""With truth: how well the score separates, beside numbers that took no learning."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import cycle
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

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
    inscribe,
    legend,
    saved,
)
from raybead.report.figures.efficiency import efficiency_figure
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
FAR = (0.1, 3.0)
"""Gains in AUC and in significance improvement beyond which a number is told and no point drawn:
close ones, which are to be told apart, would run together."""
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
        logarithmic = kind == "roc-log"
        figure, axes = canvas(name, truth=True)
        for (key, score), (color, dashes) in zip(scores.items(), cycle(LINES), strict=False):
            fpr, tpr = np.asarray(score["roc"]["fpr"]), np.asarray(score["roc"]["tpr"])
            label = f"{_label(key)}, AUC {score['auc']:.3f}"
            axes.plot(fpr, tpr, color=color, ls=dashes, label=label)
        least = 0.5 / max(_passing(score["roc"], evaluation)[-1] for score in scores.values())
        chance = np.geomspace(least, 1, 200)
        axes.plot(chance, chance, color=GREY, lw=1.2, ls=(0, (1, 2)), label="Chance")
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
        )  # fmt: skip
    yield _improvement_figure(name, evaluation, counted)
    yield _precision_figure(name, evaluation, counted)
    if len(scores) > 1:
        yield _gain_figure(name, evaluation, counted)
    if evaluation["efficiency"] is not None:
        yield efficiency_figure(name, evaluation["efficiency"])


def _improvement_figure(name: str, evaluation: Mapping[str, Any], counted: str) -> Plot:
    scores = evaluation["scores"]
    figure, axes = canvas(name, truth=True)
    first, *_ = scores
    top = highest = max(1.2, *(score["sic"] for score in scores.values()))
    for (key, score), (color, dashes) in zip(scores.items(), cycle(LINES), strict=False):
        fpr, tpr = np.asarray(score["roc"]["fpr"]), np.asarray(score["roc"]["tpr"])
        enough = _passing(score["roc"], evaluation) >= FEWEST_BACKGROUND * (1 - 1e-9)
        label = f"{_label(key)}, max {score['sic']:.2f}"
        band = score["improvement"]
        axes.fill_between(
            band["efficiency"], band["low"], band["high"], color=color, lw=0,
            alpha=0.22 if key == first else 0.11,
        )  # fmt: skip
        axes.plot(
            tpr[enough], tpr[enough] / np.sqrt(fpr[enough]), color=color, ls=dashes, label=label
        )
        axes.plot(score["sic_efficiency"], score["sic"], marker="o", color=color, ms=7)
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
    )  # fmt: skip


def _precision_figure(name: str, evaluation: Mapping[str, Any], counted: str) -> Plot:
    scores, prevalence = evaluation["scores"], evaluation["prevalence"]
    figure, axes = canvas(name, truth=True)
    for (key, score), (color, dashes) in zip(scores.items(), cycle(LINES), strict=False):
        curve = score["precision_recall"]
        label = f"{_label(key)}, AP {score['average_precision']:.3f}"
        axes.plot(curve["recall"], curve["precision"], color=color, ls=dashes, label=label)
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
    )  # fmt: skip


def _gain_figure(name: str, evaluation: Mapping[str, Any], counted: str) -> Plot:
    """What the model has more than every control, a row a control."""
    _, *controls = evaluation["scores"].items()
    rows = np.arange(len(controls))[::-1]
    figure = Figure(figsize=(8.0, 1.9 + 0.62 * len(controls)), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for axes, measure, label, far in zip(
        panels, ("auc", "sic"), ("Gain in AUC", "Gain in max TPR/√FPR"), FAR, strict=True
    ):
        axes.axvline(0, color=GREY, lw=1.2, ls=(0, (1, 2)))
        for row, (_, control) in zip(rows, controls, strict=True):
            gain = control["gain"][measure]
            if gain["value"] > far:
                axes.plot(far, row, marker=">", color=BLUE, ms=9)
                axes.annotate(
                    f"{gain['value']:.2g} ", (far, row), ha="right", va="center", fontsize=14,
                    xytext=(-6, 0), textcoords="offset points",
                )  # fmt: skip
                continue
            axes.errorbar(
                gain["value"], row, xerr=gain["error"], fmt="o", color=BLUE, ecolor=BLACK,
                elinewidth=1.5, capsize=4, ms=7,
            )  # fmt: skip
        axes.set_xlabel(label, loc="center", fontsize=15)
        axes.locator_params(axis="x", nbins=4)
        axes.margins(x=0.15)
    panels[0].set_yticks(rows, [_label(key) for key, _ in controls], fontsize=14)
    panels[0].set_ylim(-0.6, len(controls) - 0.4)
    for axes in panels:
        axes.tick_params(axis="y", which="minor", left=False, right=False)
        axes.tick_params(axis="x", labelsize=14)
    inscribe(panels[0], name, "")
    inscribe(panels[1], "", "", truth=True)
    said = "; ".join(
        f"{score_name(key)} {with_error(c['gain']['auc']['value'], c['gain']['auc']['error'])}"
        for key, c in controls
    )
    return saved(
        figure, "gain-over-controls", "evaluation",
        "What the model has more than each control that takes no learning, with errors of a"
        f" paired bootstrap (an arrow: a gain too large to be drawn); of {counted}.",
        f"The model's gains over the controls; in AUC: {said}.",
        truth=True,
    )  # fmt: skip


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


def _label(key: str) -> str:
    plain = {
        "score": "Model",
        "control_width": r"$p_T$-weighted spread",
        "control_constant": "Loss of a constant",
        "control_moment": r"Mean $(p_T\,\Delta R)^2$",
        "control_mass": "Jet mass",
        "control_tau21": r"$\tau_{21}$",
        "control_multiplicity": "Multiplicity",
    }
    return plain.get(key, key.replace("$", ""))
