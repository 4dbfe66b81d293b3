"""With truth: how well the score separates, beside numbers that took no learning."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from raybead.report.figures.canvas import (
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
from raybead.report.numbers import events
from raybead.report.words import score_name

FEWEST_BACKGROUND = 20
"""Background events that have to pass for a significance improvement to mean anything, effective
ones where they are weighted; the hunt quotes the maximum under the same condition."""
LINES = ((BLUE, "-"), (ORANGE, "--"), (PURPLE, "-."), (RED, ":"), (VIOLET, "-"))


def evaluation_figures(name: str, evaluation: Mapping[str, Any]) -> Iterator[Plot]:
    """ROC with linear and logarithmic axis, and significance improvement.

    Args:
        name: of the run.
        evaluation: of the hunt's result: ``background`` and ``signal`` counts, ``scores``.
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
        for (key, score), (color, dashes) in zip(scores.items(), LINES, strict=False):
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
        if logarithmic:
            legend(axes, rows=len(scores) + 1, loc="upper left")
            axes.set_yticks(np.linspace(0, 1, 6), minor=False)  # the legend's room isn't a rate
            axes.set_yticks(np.linspace(0, 1, 21), minor=True)
        else:
            axes.legend(loc="lower right")
        yield saved(
            figure, kind, "evaluation",
            "True against false positive rate"
            f"{', logarithmically' if logarithmic else ''}, of {counted}.",
            f"ROC curves; areas below them: {aucs}.",
            truth=True,
        )  # fmt: skip
    yield _improvement_figure(name, evaluation, counted)


def _improvement_figure(name: str, evaluation: Mapping[str, Any], counted: str) -> Plot:
    scores = evaluation["scores"]
    figure, axes = canvas(name, truth=True)
    for (key, score), (color, dashes) in zip(scores.items(), LINES, strict=False):
        fpr, tpr = np.asarray(score["roc"]["fpr"]), np.asarray(score["roc"]["tpr"])
        enough = _passing(score["roc"], evaluation) >= FEWEST_BACKGROUND * (1 - 1e-9)
        label = f"{_label(key)}, max {score['sic']:.2f}"
        axes.plot(
            tpr[enough], tpr[enough] / np.sqrt(fpr[enough]), color=color, ls=dashes, label=label
        )
        axes.plot(score["sic_efficiency"], score["sic"], marker="o", color=color, ms=7)
    axes.axhline(1, color=GREY, lw=1.2, ls=(0, (1, 2)), label="No selection")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.05 * max(1.2, *(score["sic"] for score in scores.values())))
    axes.set(xlabel="Signal efficiency (TPR)", ylabel="Significance improvement TPR/√FPR")
    legend(axes, rows=len(scores) + 1)
    best = ", ".join(f"{score_name(key)} {score['sic']:.2f}" for key, score in scores.items())
    return saved(
        figure, "significance-improvement", "evaluation",
        "Factor by which a cut on the score multiplies S/√B, where at least"
        f" {FEWEST_BACKGROUND} background events pass; of {counted}.",
        f"Significance improvement against signal efficiency; maxima: {best}.",
        truth=True,
    )  # fmt: skip


def _passing(roc: Mapping[str, Any], evaluation: Mapping[str, Any]) -> np.ndarray:
    """Background events that pass at every point; the hunt says effective ones for weights."""
    return np.asarray(roc.get("effective", np.asarray(roc["fpr"]) * evaluation["background"]))


def _label(key: str) -> str:
    plain = {
        "score": "Model",
        "control_width": r"$p_T$-weighted spread",
        "control_moment": r"Mean $(p_T\,\Delta R)^2$",
    }
    return plain.get(key, key.replace("$", ""))
