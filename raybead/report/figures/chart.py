"""What a figure draws, as numbers: the file beside it, and what the page makes interactive.

A chart is axes and marks. Its JSON is the figure's data, and the only thing that the page's
script knows of it, so a new figure is interactive as soon as it says its chart.
"""

# ruff: noqa: RUF001  # signs that readers know: σ, ×

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

Kind = Literal["line", "band", "steps", "points", "spans", "cells", "rule", "region"]
COLUMNS: dict[Kind, tuple[frozenset[str], frozenset[str]]] = {
    "line": (frozenset({"x", "y"}), frozenset()),
    "band": (frozenset({"x", "low", "high"}), frozenset()),
    # A histogram: y between the edges x1 and x2; its uncertainty from low to high.
    "steps": (frozenset({"x1", "x2", "y"}), frozenset({"low", "high"})),
    # With error bars from low to high, and from left to right, an area each, a group and words
    # each where they are given.
    "points": (
        frozenset({"x", "y"}),
        frozenset({"low", "high", "left", "right", "size", "group", "text"}),
    ),
    # Bars at y from x1 to x2, each by itself.
    "spans": (frozenset({"x1", "x2", "y"}), frozenset({"text"})),
    "cells": (frozenset({"x1", "x2", "y1", "y2", "value"}), frozenset({"text"})),
    # Across the panel, at one x or at one y each.
    "rule": (frozenset(), frozenset({"x", "y"})),
    # Shaded right across the panel.
    "region": (frozenset(), frozenset({"x1", "x2", "y1", "y2"})),
}
"""Columns that a kind of mark must have, and may have; all of a mark are equally long."""


@dataclass(frozen=True, kw_only=True)
class Axis:
    """One axis of a chart."""

    label: str
    """Plain text, with the unit in brackets."""
    scale: Literal["linear", "log"] = "linear"
    domain: tuple[float, float] | None = None
    """What is shown; all that is drawn, if not given."""
    ticks: Mapping[str, float] | None = None
    """Where words stand on it instead of numbers."""


@dataclass(frozen=True, kw_only=True)
class Mark:
    """One thing drawn.

    Raises:
        ValueError: columns are missing, too many, or not equally long.
    """

    kind: Kind
    name: str
    """In the legend; empty for what isn't told there."""
    color: str
    columns: dict[str, Any]
    """Sequences or arrays; None and NaN are gaps."""
    dashed: bool = False
    filled: bool = False
    """Of steps."""
    bound: bool = False
    """Of points: whether each only says that a value is at most so large."""

    def __post_init__(self) -> None:
        must, may = COLUMNS[self.kind]
        given = set(self.columns)
        if not must <= given or not given <= must | may or not given:
            raise ValueError(f"{self.kind} {self.name!r}: columns {sorted(given)}")
        if len({len(column) for column in self.columns.values()}) > 1:
            raise ValueError(f"{self.kind} {self.name!r}: columns of several lengths")


@dataclass(frozen=True, kw_only=True)
class Panel:
    """Marks on a pair of axes."""

    x: Axis
    y: Axis
    marks: Sequence[Mark]
    equal: bool = False
    """Whether a step in x is as long as one in y."""
    title: str = ""
    """Above it; for panels side by side."""


@dataclass(frozen=True, kw_only=True)
class Chart:
    """Panels, one below another, or side by side where they share no axis."""

    panels: Sequence[Panel]
    shared_x: bool = False
    """Whether the panels lie below one another on one horizontal axis."""
    facts: dict[str, Any] = field(default_factory=dict)
    """Numbers that belong to the figure but are no marks."""
    redrawn: bool = True
    """Whether the page draws it anew; if not, its image says more than marks would."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON: numbers to seven digits, gaps as null."""
        return {
            "shared_x": self.shared_x,
            "facts": self.facts,
            "panels": [
                {
                    "x": _axis(panel.x),
                    "y": _axis(panel.y),
                    "equal": panel.equal,
                    "title": panel.title,
                    "marks": [
                        {
                            "kind": mark.kind,
                            "name": mark.name,
                            "color": mark.color,
                            "dashed": mark.dashed,
                            "filled": mark.filled,
                            **({"bound": True} if mark.bound else {}),
                            "columns": {n: _plain(c) for n, c in mark.columns.items()},
                        }
                        for mark in panel.marks
                    ],
                }
                for panel in self.panels
            ],
        }

    def json(self) -> bytes:
        """UTF-8."""
        return json.dumps(self.as_dict(), allow_nan=False, ensure_ascii=False).encode()


SIGNS = {
    r"\,": " ", r"\sigma": "σ", r"\eta": "η", r"\phi": "φ", r"\tau": "τ", r"\Delta": "Δ",
    r"\times": "×", r"\pm": "±", r"\ln": "ln", "p_T": "pT", "CL_s": "CLs", "_{21}": "₂₁",
    "q_{0}": "q₀", "^{miss}": " miss", "^2": "²", "$": "", "{": "", "}": "", "Δ ": "Δ",
}  # fmt: skip


def plain_label(label: str) -> str:
    """A label of matplotlib's without its formulas' signs, as a chart has it."""
    for sign, plain in SIGNS.items():
        label = label.replace(sign, plain)
    return label


def _axis(axis: Axis) -> dict[str, Any]:
    domain = None if axis.domain is None else [float(end) for end in axis.domain]
    told = {"label": axis.label, "scale": axis.scale, "domain": domain}
    return told if axis.ticks is None else {**told, "ticks": dict(axis.ticks)}


def _plain(column: Sequence[Any] | np.ndarray) -> list[Any]:
    return [_one(value) for value in np.asarray(column, dtype=object).tolist()]


def _one(value: Any) -> Any:
    if value is None or isinstance(value, str):
        return value
    number = float(value)
    if not math.isfinite(number):
        return None
    return int(number) if number.is_integer() else float(f"{number:.7g}")


def steps(
    name: str,
    edges: Any,
    heights: Any,
    color: str,
    *,
    filled: bool = False,
    dashed: bool = False,
    uncertainty: tuple[Any, Any] | None = None,
) -> Mark:
    """A histogram.

    Args:
        name: in the legend.
        edges: [n + 1] of the bins.
        heights: [n]
        color: of its line, and of its area where it is filled.
        filled: whether it is.
        dashed: whether its line is.
        uncertainty: two of [n], the lower and upper end of each bin's.
    """
    edges = np.asarray(edges)
    columns = {"x1": edges[:-1], "x2": edges[1:], "y": heights}
    if uncertainty is not None:
        columns |= {"low": uncertainty[0], "high": uncertainty[1]}
    return Mark(
        kind="steps", name=name, color=color, columns=columns, filled=filled, dashed=dashed
    )
