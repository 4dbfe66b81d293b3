"""What figures of a sweep share: its trials as arrays, their colours, and the room they take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.lines import Line2D

from raybead.config import Sweep
from raybead.config.sweep import BY_TRUTH
from raybead.report.figures.canvas import (
    BLACK,
    BLUE,
    BROWN,
    GREY,
    ORANGE,
    PURPLE,
    RED,
    VIOLET,
    legend,
    verbatim,
)
from raybead.report.tried import cut, in_short, labels, swept, values_of

SHADES = ListedColormap(colormaps["viridis_r"](np.linspace(0.1, 1.0, 256)))
"""Darker is better; without the yellow that can't be seen on white."""
GROUP_COLORS = (BLUE, ORANGE, PURPLE, GREY, BROWN, VIOLET, BLACK)
GROUP_MARKERS = "osD^vPX"


@dataclass(frozen=True)
class Trials:
    """The trials of a sweep that have an objective, the best first."""

    name: str
    """Of the run."""
    board: pa.Table
    """Rows of them alone."""
    sweep: Sweep
    objective: np.ndarray
    error: np.ndarray
    """NaN where there is none."""
    done: np.ndarray
    """Whether a trial was finished; it was stopped otherwise."""

    @classmethod
    def of(cls, name: str, board: pa.Table, sweep: Sweep) -> Trials:
        """Of the table of all trials."""
        board = board.filter(board.column("rank").is_valid())
        done = np.array([status == "done" for status in board.column("status").to_pylist()], bool)
        return cls(name, board, sweep, column(board, "objective"),
                   column(board, "objective_error"), done)  # fmt: skip

    def __len__(self) -> int:
        return len(self.objective)

    @property
    def truth(self) -> bool:
        """Whether truth is in the objective, and so in every figure that shows it."""
        return any(name in BY_TRUTH for name in self.sweep.weights)

    @property
    def axis(self) -> str:
        """What an axis of the objective says."""
        weights = self.sweep.weights
        if len(weights) == 1:
            return f"Objective ({next(iter(weights))})"
        parts = [name if w == 1 else f"{w:g} {name}" for name, w in weights.items()]
        return cut("Objective: " + " + ".join(parts), 46)

    @property
    def beyond(self) -> str:
        """How many trials lie outside of the axis of the objective, as a sentence of a caption."""
        low, high = fence(self.objective)
        n = int(((self.objective < low) | (self.objective > high)).sum())
        return f" {n} far from the others lie{'s' if n == 1 else ''} beyond the axis." if n else ""

    def shades(self) -> np.ndarray:
        """[N, 4] a colour for each, by its objective."""
        low, high = fence(self.objective)
        return SHADES(Normalize(low, high if high > low else low + 1, clip=True)(self.objective))


@dataclass(frozen=True)
class Groups:
    """Trials told apart by one key that isn't a number."""

    key: str
    names: list[str]
    place: np.ndarray
    """[N] group of each trial."""

    def color(self, group: int) -> str:
        return GROUP_COLORS[group]

    def marker(self, group: int) -> str:
        return GROUP_MARKERS[group]


def groups(trials: Trials, summary: Mapping[str, Any]) -> Groups | None:
    """By the key of words that matters most, else by the model; None where no key allows it."""
    found: dict[str, list[Any]] = {}
    for key in swept(trials.board):
        values = values_of(trials.board, key)
        different = in_order(trials, key, values)
        if is_worded(values) and 2 <= len(different) <= len(GROUP_COLORS):
            found[key] = different
    if not found:
        return None
    by_importance = summary["importance"]["keys"] or {}
    wanted = [*by_importance, "model.preset", "model.kind", *found]
    key = next(key for key in wanted if key in found)
    places = [found[key].index(value) for value in values_of(trials.board, key)]
    return Groups(key, labels(found[key], 22), np.array(places))


def is_worded(values: Sequence[Any]) -> bool:
    """Whether a key's values are anything but numbers."""
    return any(isinstance(value, (str, bool)) for value in values)


def in_order(trials: Trials, key: str, values: Sequence[Any]) -> list[Any]:
    """A key's different values: numbers by size, others as the job lists them, not set last."""
    different = list(dict.fromkeys(value for value in values if value is not None))
    dimension = trials.sweep.over.get(key)
    listed = (dimension.choice or dimension.grid or ()) if dimension else ()
    if is_worded(values):
        known = [in_short(value) for value in listed]
        places = {text: place for place, text in reversed(list(enumerate(known)))}
        different.sort(key=lambda value: places.get(in_short(value), len(known)))
    else:
        different.sort()
    return different + ([None] if any(value is None for value in values) else [])


def column(board: pa.Table, name: str) -> np.ndarray:
    """A column of numbers, NaN where there are none."""
    return np.array(
        [np.nan if value is None else value for value in board.column(name).to_pylist()],
        dtype=np.float64,
    )


def fence(values: np.ndarray) -> tuple[float, float]:
    """Lowest and highest value, less those far out that would leave the others no room."""
    values = values[np.isfinite(values)]
    first, last = np.quantile(values, [0.25, 0.75])
    reach = 3 * (last - first)
    if len(values) >= 8 and reach > 0:
        values = values[(values >= first - reach) & (values <= last + reach)]
    return float(values.min()), float(values.max())


def points(
    axes: Axes,
    trials: Trials,
    told: Groups | None,
    x: np.ndarray,
    y: np.ndarray,
    x_error: np.ndarray | None,
    y_error: np.ndarray,
) -> None:
    """Trials as points by group; open ones were stopped."""
    place = np.zeros(len(trials), int) if told is None else told.place
    for group in np.unique(place):
        color, marker = (BLUE, "o") if told is None else (told.color(group), told.marker(group))
        for done in (True, False):
            some = (place == group) & (trials.done == done)
            if some.any():
                bars = [None if e is None else np.nan_to_num(e[some]) for e in (y_error, x_error)]
                axes.errorbar(
                    x[some], y[some], *bars, fmt=marker, color=color, ms=7, lw=1.2,
                    mfc=color if done else "white", mec=color, mew=1.5, zorder=3,
                )  # fmt: skip


def group_legend(
    axes: Axes,
    trials: Trials,
    told: Groups | None,
    *,
    title: str = "",
    best: bool = False,
    ringed: bool = False,
) -> None:
    """Groups, and what stopped, level and best trials look like, above the data."""
    dot = {"ls": "", "marker": "o", "ms": 8}
    handles = [] if told is None else [
        Line2D([], [], ls="", ms=8, color=told.color(group), marker=told.marker(group),
               label=verbatim(name))
        for group, name in enumerate(told.names)
    ]  # fmt: skip
    if not trials.done.all():
        handles.append(Line2D([], [], **dot, color=GREY, mfc="white", mew=1.5, label="stopped"))
    if ringed:
        handles.append(Line2D([], [], **{**dot, "ms": 13}, color=RED, mfc="none", label="level"))
    if best:
        handles.append(Line2D([], [], ls="", marker="*", ms=15, color=RED, mec="white",
                              label="best"))  # fmt: skip
    if handles or title:
        columns = 2 if max((len(str(h.get_label())) for h in handles), default=0) > 14 else 3
        rows = -(-len(handles) // columns) + bool(title)
        legend(axes, rows, columns, handles=handles, title=title or None, title_fontsize=14)
