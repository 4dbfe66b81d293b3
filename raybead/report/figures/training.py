"""How training went: losses of every epoch, and what the model makes of its inputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle
from typing import Any

import numpy as np
from matplotlib.ticker import MaxNLocator

from raybead.config import NodeKind
from raybead.report.feature_words import IN_WORDS
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
    filled,
    legend,
    saved,
    scale_of,
)
from raybead.report.figures.chart import Axis, Chart, Mark, Panel, plain_label, steps

LABELS = {
    "pt_deta": r"$p_T\,\Delta\eta$ [GeV]",
    "pt_dphi": r"$p_T\,\Delta\phi$ [GeV]",
    "pt": r"$p_T$ [GeV]",
    "px": r"$p_x$ [GeV]",
    "py": r"$p_y$ [GeV]",
    "pz": r"$p_z$ [GeV]",
    "e": r"$E$ [GeV]",
    "m": r"$m$ [GeV]",
    "eta": r"$\eta$",
    "phi": r"$\phi$ [rad]",
    "btag": "b-tag of the jet",
    "n": "Constituents of the jet",
    "met": r"$p_T^{miss}$ [GeV]",
    "met_phi": r"$\phi^{miss}$ [rad]",
    "n_jets": "Jets",
    "ht": r"$H_T$ [GeV]",
}


def loss_figure(name: str, history: Sequence[Mapping[str, Any]]) -> Plot:
    """Loss against epoch, the best marked.

    Args:
        name: of the run.
        history: one record an epoch: ``epoch`` from 0, ``train``, ``validation``, ``best``.
    """
    figure, axes = canvas(name, "training")
    epoch = np.array([record["epoch"] for record in history]) + 1
    train = np.array([record["train"] for record in history])
    validation = np.array([record["validation"] for record in history])
    best = max((i for i, record in enumerate(history) if record["best"]), default=-1)
    mark = "o" if len(epoch) <= 20 else ""
    terms = history[0].get("terms", {})
    told = []
    for term, colour in zip(terms if len(terms) > 1 else (), (PURPLE, GREY, VIOLET), strict=False):
        values = [record["terms"][term] for record in history]
        told.append((term, colour, values))
        axes.plot(epoch, values, color=colour, ls="--", lw=1.2, label=f"Validation, {term}")
    axes.plot(epoch, train, color=BLUE, marker=mark, ms=5, label="Train")
    axes.plot(epoch, validation, color=ORANGE, marker=mark, ms=5, label="Validation")
    axes.plot(
        epoch[best], validation[best], color=RED, marker="*", ms=17, ls="", mec="white",
        label=f"Best: epoch {epoch[best]}", zorder=4, clip_on=False,
    )  # fmt: skip
    axes.set_xlim(epoch[0] - 0.5, epoch[-1] + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.minorticks_off()
    every = np.concatenate([train, validation])
    if every.min() > 0 and every.max() > 20 * every.min():
        axes.set_yscale("log")
    axes.set(xlabel="Epoch", ylabel="Loss")
    chart = Panel(x=Axis(label="Epoch"), y=Axis(label="Loss", scale=scale_of(axes)), marks=[
        *(Mark(kind="line", name=f"Validation, {term}", color=colour, dashed=True, columns={
            "x": epoch, "y": values}) for term, colour, values in told),
        Mark(kind="line", name="Train", color=BLUE, columns={"x": epoch, "y": train}),
        Mark(kind="line", name="Validation", color=ORANGE, columns={"x": epoch, "y": validation}),
        Mark(kind="points", name=f"Best: epoch {epoch[best]}", color=RED,
             columns={"x": epoch[[best]], "y": validation[[best]]}),
    ])  # fmt: skip
    legend(axes, rows=3)
    return saved(
        figure, "loss", "training",
        "Loss on the training and validation items after every epoch. The weights of the marked"
        " epoch, which has the lowest validation loss, are those that scored.",
        f"Train and validation loss over {len(epoch)} epochs; the best epoch is {epoch[best]},"
        f" with a validation loss of {validation[best]:.4g}.",
        chart=Chart(panels=[chart], facts={"best_epoch": int(epoch[best])}),
    )  # fmt: skip


def terms_figure(name: str, history: Sequence[Mapping[str, Any]]) -> Iterator[Plot]:
    """Every term of the loss against epoch, in training and validation; none for a lone term.

    Args:
        name: of the run.
        history: one record an epoch, with ``terms`` and ``train_terms``.
    """
    terms = list(history[0].get("train_terms", {}))
    if len(terms) < 2:
        return
    figure, axes = canvas(name, "solid: train, dashed: validation")
    epoch = np.array([record["epoch"] for record in history]) + 1
    mark = "o" if len(epoch) <= 20 else ""
    drawn, marks = [], []
    for term, colour in zip(
        terms, cycle((BLUE, ORANGE, PURPLE, RED, GREY, VIOLET, BROWN, BLACK)), strict=False
    ):
        for key, style in (("train_terms", "-"), ("terms", "--")):
            values = np.array([record[key][term] for record in history])
            drawn.append(values)
            label = term if key == "train_terms" else None
            axes.plot(epoch, values, color=colour, ls=style, marker=mark, ms=4, label=label)
            which = "train" if label else "validation"
            columns = {"x": epoch, "y": values}
            marks.append(
                Mark(
                    kind="line", name=f"{term}, {which}", color=colour, dashed=label is None,
                    columns=columns,
                )
            )  # fmt: skip
    every = np.concatenate(drawn)
    if every.min() > 0 and every.max() > 20 * every.min():
        axes.set_yscale("log")
    axes.set_xlim(epoch[0] - 0.5, epoch[-1] + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.minorticks_off()
    axes.set(xlabel="Epoch", ylabel="Term of the loss, unweighted")
    losses = Axis(label="Term of the loss, unweighted", scale=scale_of(axes))
    legend(axes, rows=-(-len(terms) // 3), columns=min(3, len(terms)))
    yield saved(
        figure, "loss-terms", "training",
        "The terms of the loss by themselves, before their weights: means over the training"
        " items while the weights of the model moved, and over the validation items after every"
        " epoch.",
        f"{', '.join(terms)} over {len(epoch)} epochs, in training and validation.",
        chart=Chart(panels=[Panel(x=Axis(label="Epoch"), y=losses, marks=marks)]),
    )  # fmt: skip


def reconstruction_figures(
    name: str,
    histograms: Mapping[str, Mapping[str, Sequence[float]]],
    pt_power: float = 1.0,
    node: NodeKind = "constituent",
) -> Iterator[Plot]:
    """Input against reconstruction, one figure a feature.

    Args:
        name: of the run.
        histograms: for each feature ``edges``, ``input`` and ``reconstruction``.
        pt_power: that the features have raised pT to.
        node: whose features they are.
    """
    for feature, histogram in histograms.items():
        edges = np.asarray(histogram["edges"], dtype=float)
        aims = np.asarray(histogram["input"], dtype=float)
        gets = np.asarray(histogram["reconstruction"], dtype=float)
        figure, axes = canvas(name, "held-out background")
        filled(axes, aims, edges, "Input")
        axes.stairs(gets, edges, color=BLACK, lw=1.8, label="Reconstruction")
        # A flat feature (an angle) is best seen as it is; a peaked one has its physics in tails.
        reached = aims[aims > 0]
        if len(reached) and reached.max() > 20 * np.median(reached):
            axes.set_yscale("log")
            axes.set_ylim(0.6, 1.6 * max(aims.max(), gets.max()))
        else:
            axes.set_ylim(0, 1.05 * max(aims.max(), gets.max(), 1))
        axes.set_xlim(edges[0], edges[-1])
        axes.set(xlabel=_label(feature, pt_power), ylabel=f"{node.capitalize()}s")
        chart = Panel(
            x=Axis(label=plain_label(axes.get_xlabel()), domain=(edges[0], edges[-1])),
            y=Axis(label=axes.get_ylabel(), scale=scale_of(axes), domain=axes.get_ylim()),
            marks=[
                steps("Input", edges, aims, BLUE, filled=True),
                steps("Reconstruction", edges, gets, BLACK),
            ],
        )
        legend(axes, rows=1, columns=2)
        words = _in_words(feature, pt_power)
        yield saved(
            figure, f"reconstruction-{feature}", "reconstruction",
            f"{words} of the {node}s of held-out background, and what the model makes"
            " of them. The outermost bins hold all that lies beyond.",
            f"Histograms of {words}, inputs filled and reconstructions as a line.",
            chart=Chart(panels=[chart]),
        )  # fmt: skip


def _label(feature: str, pt_power: float) -> str:
    if feature not in LABELS:
        return _in_words(feature, pt_power).replace("$", "")
    if pt_power == 1:
        return LABELS[feature]
    raised = LABELS[feature].replace("p_T", f"p_T^{{{pt_power:g}}}")
    return raised.replace("[GeV]", f"[GeV$^{{{pt_power:g}}}$]")


def _in_words(feature: str, pt_power: float) -> str:
    name = feature.removesuffix("_scaled")
    words = IN_WORDS.get(name, name.replace("_", " ")) + (", scaled" if name != feature else "")
    return words if pt_power == 1 else words.replace("pT", f"pT^{pt_power:g}")
