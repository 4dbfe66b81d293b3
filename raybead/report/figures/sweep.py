"""What the trials of a sweep came to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from raybead.config import Sweep
from raybead.config.sweep import BY_TRUTH
from raybead.report.figures.canvas import (
    BLACK,
    BLUE,
    GREY,
    RED,
    Plot,
    canvas,
    hep_style,
    inscribe,
    legend,
    saved,
    verbatim,
)
from raybead.report.figures.coordinates import coordinates_figure
from raybead.report.figures.trials import (
    Groups,
    Trials,
    column,
    fence,
    group_legend,
    groups,
    points,
)
from raybead.report.tried import cut, quantities

History = Sequence[Sequence[float]]
"""(epoch from 1, objective) at every epoch that a trial was judged at."""


def draw_sweep(
    name: str,
    board: pa.Table,
    summary: Mapping[str, Any],
    sweep: Sweep,
    histories: Mapping[str, History],
) -> list[Plot]:
    """All figures of a sweep; none where no trial has an objective.

    Args:
        name: of the run.
        board: the table of all trials, the best first.
        summary: of them.
        sweep: that they are of.
        histories: by trial.
    """
    trials = Trials.of(name, board, sweep)
    if len(trials) == 0:
        return []
    with hep_style():
        return list(_figures(trials, summary, histories))


def _figures(
    trials: Trials, summary: Mapping[str, Any], histories: Mapping[str, History]
) -> Iterator[Plot]:
    told = groups(trials, summary)
    yield coordinates_figure(trials)
    yield _board_figure(trials, summary, told)
    if summary["importance"]["keys"]:
        yield _importance_figure(trials, summary["importance"])
    if any(len(history) > 1 for history in histories.values()):
        yield _history_figure(trials, histories)
    for quantity in quantities(trials.board):
        if list(trials.sweep.weights) == [quantity]:
            continue
        if np.isfinite(column(trials.board, quantity)).sum() > 1:
            yield _quantity_figure(trials, summary, told, quantity)


def _board_figure(trials: Trials, summary: Mapping[str, Any], told: Groups | None) -> Plot:
    figure, axes = canvas(trials.name, "trials by rank", truth=trials.truth)
    rank = np.arange(len(trials)) + 1
    level = set(summary["level"] or ())
    ringed = np.array([one in level for one in trials.board.column("trial").to_pylist()])
    points(axes, trials, told, rank, trials.objective, None, trials.error)
    if ringed.any():
        axes.scatter(
            rank[ringed], trials.objective[ringed], s=190, marker="o", facecolor="none",
            edgecolor=RED, lw=1.3, zorder=5,
        )  # fmt: skip
    if 0 < trials.done.sum() < len(trials):
        axes.axvline(trials.done.sum() + 0.5, color=GREY, lw=1.2, ls=":")
    axes.set_xlim(0.2, len(trials) + 0.8)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.minorticks_off()
    axes.set(xlabel="Rank", ylabel=trials.axis)
    _bound(axes, trials)
    group_legend(axes, trials, told, ringed=bool(ringed.any()))
    return saved(
        figure, "sweep-board", "sweep",
        "Objective of every trial with its bootstrap error, by rank. Errors of different trials"
        " are of the same draws of the same events and so go together: ringed are those that are"
        " level with the best by the error of the difference."
        f"{'' if told is None else f' Colours: {told.key}.'}{trials.beyond}",
        f"Objectives of {len(trials)} trials by rank, from {trials.objective.max():.4g} to"
        f" {trials.objective.min():.4g}.",
        truth=trials.truth,
    )  # fmt: skip


def _importance_figure(trials: Trials, importance: Mapping[str, Any]) -> Plot:
    keys, predicted = list(importance["keys"]), importance["predicted"]
    mean, spread = (
        np.array([found[part] for found in importance["keys"].values()])
        for part in ("mean", "spread")
    )
    figure = Figure(figsize=(8.0, 2.0 + 0.55 * max(2, len(keys))), layout="constrained")
    axes = figure.add_subplot()
    inscribe(axes, trials.name, f"{importance['trials']} finished trials", truth=trials.truth)
    place = np.arange(len(keys))
    axes.barh(place, mean, color=BLUE, alpha=0.55, height=0.62)
    axes.errorbar(mean, place, xerr=spread, fmt="none", ecolor=BLACK, lw=1.4, capsize=3)
    axes.axvline(0, color=BLACK, lw=1.0)
    axes.set_yticks(place, [verbatim(cut(key, 30)) for key in keys], fontsize=14)
    axes.set_ylim(len(keys) - 0.4, -0.6)
    axes.tick_params(axis="y", which="both", length=0)
    axes.minorticks_off()
    axes.set_xlabel("Importance: share of the variance of ranks", fontsize=15)
    return saved(
        figure, "sweep-importance", "sweep",
        "How much worse a random forest tells the order of trials that it hasn't seen when a key's"
        " values are exchanged among them; bars are means over bootstraps of the trials, lines"
        " their standard deviation. "
        + (f"The forest predicts {100 * predicted:.0f} % of the variance." if predicted > 0 else
           "The forest tells nothing of such trials yet, and so these numbers don't either."),
        "Importance of each swept key: "
        + ", ".join(f"{key} {found:.2g}" for key, found in zip(keys, mean, strict=True)) + ".",
        truth=trials.truth,
    )  # fmt: skip


def _history_figure(trials: Trials, histories: Mapping[str, History]) -> Plot:
    figure, axes = canvas(trials.name, "objective of every trial", truth=trials.truth)
    names, colors = trials.board.column("trial").to_pylist(), trials.shades()
    values: list[float] = []
    for trial in reversed(range(len(trials))):
        points = np.array(histories.get(names[trial], ()), dtype=float).reshape(-1, 2)
        values += points[:, 1].tolist()
        best, done = trial == 0, trials.done[trial]
        axes.plot(
            *points.T, color=RED if best else colors[trial], ls="-" if done else (0, (4, 2)),
            lw=3.0 if best else 1.5, alpha=1.0 if best else 0.8, zorder=4 if best else 2,
        )  # fmt: skip
        marker = "*" if best else "o" if done else "X"
        axes.plot(
            *points[-1:].T, marker=marker, ms=15 if best else 6, mec="white", ls="",
            color=RED if best else colors[trial], zorder=5,
        )  # fmt: skip
    low, high = fence(np.array(values))
    room = 0.05 * (high - low or 1.0)
    axes.set_ylim(low - room, high + room)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.minorticks_off()
    axes.set(xlabel="Epoch", ylabel=trials.axis)
    handles = [
        Line2D([], [], color=RED, lw=3, marker="*", ms=13, mec="white", label="Best"),
        Line2D([], [], color=GREY, marker="o", ms=6, label="Finished"),
    ]
    if not trials.done.all():
        handles.append(Line2D([], [], color=GREY, marker="X", ls=(0, (4, 2)), label="Stopped"))
    legend(axes, rows=1, columns=3, handles=handles)
    return saved(
        figure, "sweep-history", "sweep",
        "Objective against epoch; the darker, the higher it ended, and the best is red. Dashed"
        f" trials were stopped early.{trials.beyond}",
        f"Objective of {len(trials)} trials against epoch.",
        truth=trials.truth,
    )  # fmt: skip


def _quantity_figure(
    trials: Trials, summary: Mapping[str, Any], told: Groups | None, quantity: str
) -> Plot:
    truth = trials.truth or quantity in BY_TRUTH
    figure, axes = canvas(trials.name, "" if truth else "trials", truth=truth)
    y, error = (column(trials.board, name) for name in (quantity, f"{quantity}_error"))
    points(axes, trials, told, trials.objective, y, trials.error, error)
    axes.plot(trials.objective[0], y[0], marker="*", ms=19, color=RED, mec="white", zorder=6)
    axes.set(xlabel=trials.axis, ylabel=quantity.upper() if quantity in BY_TRUTH else quantity)
    axes.locator_params(axis="x", nbins=6)
    for side, values, errors in (("x", trials.objective, trials.error), ("y", y, error)):
        low, high = fence(values)
        shown = errors[(values >= low) & (values <= high)]
        room = 0.07 * (high - low) + float(np.nan_to_num(shown).max()) or 0.5
        (axes.set_xlim if side == "x" else axes.set_ylim)(low - room, high + room)
    (found,) = (
        pair
        for pair in summary["correlations"]
        if (pair["a"], pair["b"]) == ("objective", quantity)
    )
    words = "" if found["rho"] is None else (
        f"Spearman {found['rho']:.2f} [{found['low']:.2f}, {found['high']:.2f}],"
        f" {found['n']} finished"
    )  # fmt: skip
    group_legend(axes, trials, told, title=words, best=True)
    return saved(
        figure, f"sweep-{quantity}", "sweep",
        f"{quantity} against the objective, each trial with bootstrap errors."
        + (f" {words} trials, 68 % interval of a bootstrap over trials." if words else "")
        + ("" if told is None else f" Colours: {told.key}.")
        + trials.beyond,
        f"{quantity} of {len(trials)} trials against their objective. {words}",
        truth=truth,
    )  # fmt: skip


def _bound(axes: Axes, trials: Trials) -> None:
    low, high = fence(trials.objective)
    shown = (trials.objective >= low) & (trials.objective <= high)
    error = np.nan_to_num(trials.error[shown])
    bottom, top = (trials.objective[shown] - error).min(), (trials.objective[shown] + error).max()
    room = 0.06 * (top - bottom) or 0.5
    axes.set_ylim(bottom - room, top + room)
