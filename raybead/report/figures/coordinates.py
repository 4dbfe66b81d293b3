"""All trials at once: a vertical axis for each swept key, a line for each trial."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from textwrap import wrap
from typing import Any

import matplotlib.patheffects as effects
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator

from raybead.report.figures.canvas import BLACK, RED, Plot, inscribe, saved, verbatim
from raybead.report.figures.trials import (
    SHADES,
    Trials,
    fence,
    in_order,
    is_worded,
)
from raybead.report.tried import NOT_SET, cut, labels, swept, values_of

A_ROW = 6
"""Keys side by side; more go on in the next row, which ends with the objective again."""
BAND = 0.16
"""Share of an axis, at its foot, for trials that a key isn't set for."""
FEW = 7
"""Different numbers that have a place each, rather than one on a scale."""
WIDTH = 18
"""Characters of a line of a label, of which there are two at most."""


@dataclass(frozen=True)
class Scale:
    """One axis: where each trial crosses it, and what stands beside it."""

    title: str
    height: np.ndarray
    """[N] from 0 to 1"""
    ticks: list[tuple[float, str]]


def coordinates_figure(trials: Trials) -> Plot:
    """Parallel coordinates of all trials that have an objective.

    Args:
        trials: the best first; at least one.
    """
    keys = swept(trials.board)
    n_rows = -(-len(keys) // A_ROW)
    a_row = -(-len(keys) // n_rows)
    scales = [_scale(trials, key) for key in keys]
    figure = Figure(figsize=(max(8.0, 2.2 * a_row + 2.4), 5.6 * n_rows), layout="constrained")
    rows = figure.subplots(n_rows, 1, squeeze=False)[:, 0]
    number = trials.board.column("number")[0].as_py()
    for place, axes in enumerate(rows):
        some = scales[place * a_row : (place + 1) * a_row]
        _row(axes, trials, [*some, _objective_scale(trials)], a_row)
    inscribe(rows[0], trials.name, f"red: the best, trial {number}", truth=trials.truth)
    stopped = int((~trials.done).sum())
    dashed = f" Dashed: {stopped} that {'was' if stopped == 1 else 'were'} stopped early."
    return saved(
        figure, "sweep-coordinates", "sweep",
        f"Every trial is a line through the values that it had, to its objective: the darker, the"
        f" higher; the best, trial {number}, is red. Within one value of a choice, lines lie by"
        f" their objective.{dashed if stopped else ''}",
        f"Parallel coordinates of {len(trials)} trials over {', '.join(keys)} and the objective.",
        truth=trials.truth,
    )  # fmt: skip


def _row(axes: Axes, trials: Trials, scales: list[Scale], a_row: int) -> None:
    axes.set_axis_off()
    axes.set(xlim=(-0.35, a_row + 0.45), ylim=(-0.2, 1.06))
    end = len(scales) - 1
    colors = trials.shades()
    height = np.stack([scale.height for scale in scales], axis=1)
    across = np.arange(end + 1)
    for trial in reversed(range(len(trials))):
        best = trial == 0
        style = "-" if trials.done[trial] else (0, (4, 2))
        axes.plot(
            across, height[trial], ls=style, color=RED if best else colors[trial],
            lw=3.2 if best else 1.5 if trials.done[trial] else 1.1, alpha=1.0 if best else 0.75,
            zorder=3 if best else 2, solid_joinstyle="round",
            path_effects=[effects.withStroke(linewidth=5.4, foreground="white")] if best else [],
        )  # fmt: skip
    axes.plot(end, height[0, -1], marker="*", ms=17, color=RED, mec="white", zorder=6)
    edges = np.linspace(0, 1, 129)
    for low, high in pairwise(edges):
        shade = SHADES((low + high) / 2)
        axes.fill_between([end + 0.02, end + 0.08], low, high, color=shade, lw=0, zorder=4)
    backed = {"facecolor": "white", "alpha": 0.82, "edgecolor": "none", "pad": 1.2}
    for place, scale in enumerate(scales):
        axes.plot([place, place], [0, 1], color=BLACK, lw=1.4, zorder=4)
        beside = 0.13 if place == end else 0.05
        for tick, text in scale.ticks:
            axes.plot([place - 0.02, place + 0.02], [tick, tick], color=BLACK, lw=1.2, zorder=4)
            axes.text(
                place + beside, tick, verbatim(text), ha="left", va="center", fontsize=12,
                zorder=5, bbox=backed, linespacing=0.95,
            )  # fmt: skip
        axes.text(place, -0.06, verbatim(scale.title), ha="center", va="top", fontsize=13)


def _scale(trials: Trials, key: str) -> Scale:
    values = values_of(trials.board, key)
    section, dot, leaf = key.rpartition(".")
    title = "\n".join([cut(f"{section}{dot}", 20), cut(leaf, 20)] if dot else [cut(key, 20)])
    different = in_order(trials, key, values)
    dimension = trials.sweep.over.get(key)
    ranges = dimension is not None and (dimension.uniform or dimension.log_uniform)
    if is_worded(values) or len(different) <= (3 if ranges else FEW):
        return _levels(title, values, different)
    numbers = np.array([np.nan if value is None else float(value) for value in values])
    known = np.isfinite(numbers)
    log = bool(dimension and dimension.log_uniform) and bool((numbers[known] > 0).all())
    height, ticks = _spread(numbers, log)
    if known.all():
        return Scale(title, height, ticks)
    foot = 0.5 * BAND * (1 - (np.cumsum(~known) - 0.5) / (~known).sum())
    height = np.where(known, BAND + (1 - BAND) * height, foot)
    ticks = [(BAND + (1 - BAND) * tick, text) for tick, text in ticks]
    return Scale(title, height, [(0.25 * BAND, NOT_SET), *ticks])


def _levels(title: str, values: list[Any], different: list[Any]) -> Scale:
    """A place for each value: words as the job lists them, numbers upwards, not set last."""
    if not is_worded(values):
        different = sorted((one for one in different if one is not None), reverse=True) + (
            [None] if None in different else []
        )
    texts = ["\n".join(wrap(text, WIDTH)) for text in labels(different, 2 * WIDTH - 4)]
    height = np.empty(len(values))
    ticks = []
    for level, (value, text) in enumerate(zip(different, texts, strict=True)):
        middle = 1 - (level + 0.5) / len(different)
        mine = np.array([one == value and (one is None) == (value is None) for one in values])
        # Trials come by rank, so that the better lie above the others.
        place = (np.arange(mine.sum()) + 0.5) / max(1, mine.sum())
        height[mine] = middle + (0.5 - place) * min(0.5 / len(different), 0.03 * mine.sum())
        ticks.append((middle, text))
    return Scale(title, height, ticks)


def _objective_scale(trials: Trials) -> Scale:
    height, ticks = _spread(trials.objective, log=False)
    return Scale("Objective", height, ticks)


def _spread(numbers: np.ndarray, log: bool) -> tuple[np.ndarray, list[tuple[float, str]]]:
    """Heights of numbers on a scale, and its ticks; those far out lie at its ends."""
    known = numbers[np.isfinite(numbers)]
    low, high = (float(known.min()), float(known.max())) if log else fence(known)
    if low == high:
        return np.where(np.isfinite(numbers), 0.5, np.nan), [(0.5, f"{low:.4g}")]
    if log:
        decades = np.log10(high / low)
        subs = (1.0,) if decades > 3 else (1.0, 3.0) if decades > 1.2 else (1.0, 2.0, 5.0)
        found = [float(tick) for tick in LogLocator(subs=subs).tick_values(low, high)]
        found = [tick for tick in found if low <= tick <= high] or [low, high]

        def place(x: Any) -> Any:
            return np.log(x / low) / np.log(high / low)
    else:
        found = [
            float(tick) for tick in MaxNLocator(5, steps=[1, 2, 5, 10]).tick_values(low, high)
        ]
        found = [tick for tick in found if low <= tick <= high]

        def place(x: Any) -> Any:
            return (x - low) / (high - low)

    height = np.clip(place(numbers), 0, 1)
    ticks = [(float(place(tick)), f"{tick:.6g}".replace("e-0", "e-")) for tick in found]
    return height, ticks
