"""With truth: what the model has more than each control that takes no learning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from raybead.report.figures.canvas import BLACK, BLUE, GREY, Plot, inscribe, saved
from raybead.report.figures.chart import Axis, Chart, Mark, Panel, plain_label
from raybead.report.numbers import with_error
from raybead.report.words import score_name

FAR = (0.1, 3.0)
"""Gains in AUC and in significance improvement beyond which a number is told and no point drawn:
close ones, which are to be told apart, would run together."""


def gain_figure(name: str, evaluation: Mapping[str, Any], counted: str) -> Plot:
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
    panels[0].set_yticks(rows, [score_label(key) for key, _ in controls], fontsize=14)
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
        chart=Chart(panels=[
            _gains(controls, measure, label)
            for measure, label in (("auc", "Gain in AUC"), ("sic", "Gain in max TPR/√FPR"))
        ]),
    )  # fmt: skip


def _gains(controls: Sequence[tuple[str, Any]], measure: str, label: str) -> Panel:
    gains = [control["gain"][measure] for _, control in controls]
    value, error = (np.array([gain[part] for gain in gains]) for part in ("value", "error"))
    rows = np.arange(len(controls))[::-1]
    named = [plain_label(score_label(key)) for key, _ in controls]
    return Panel(
        x=Axis(label=label),
        y=Axis(label="", domain=(-0.6, len(controls) - 0.4), ticks=dict(
            zip(named, rows.astype(float).tolist(), strict=True))),
        marks=[
            Mark(kind="rule", name="", color=GREY, dashed=True, columns={"x": [0.0]}),
            Mark(kind="points", name="", color=BLUE, columns={
                "x": value, "y": rows, "left": value - error, "right": value + error,
                "text": named}),
        ],
    )  # fmt: skip


def score_label(key: str) -> str:
    """A score's name in a figure."""
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
