"""What overlays of several runs share: a colour a run, who is drawn, and who isn't and why."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from raybead.report.compare_words import missing_in_words
from raybead.report.compared import Part, Run
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
from raybead.report.figures.chart import Mark
from raybead.report.words import observable_sign

COLORS = (BLUE, ORANGE, PURPLE, BROWN, VIOLET, BLACK, RED, GREY)
DASHES = (0, (4, 2))
LONGEST = 24
"""Characters of a run's name that a legend has room for."""
NO_TRUTH = "truth of its search sample isn't known"


@dataclass(frozen=True)
class Drawn:
    """A run in a figure, with what is drawn of it."""

    run: Run
    color: str
    what: Any

    @property
    def name(self) -> str:
        """For a legend."""
        return in_legend(self.run.name)


@dataclass(frozen=True)
class Overlay:
    """Whom a figure shows."""

    drawn: tuple[Drawn, ...]
    missing: dict[str, str]
    """Runs that it can't show, and why."""
    every: int

    @classmethod
    def of(cls, runs: Sequence[Run], what: Callable[[Run], Any | str]) -> Overlay:
        """The runs that there is something of.

        Args:
            runs: of the comparison.
            what: gives what is drawn of a run, or why there is nothing, as a string.
        """
        drawn, missing = [], {}
        for number, run in enumerate(runs):
            found = what(run)
            if isinstance(found, str):
                missing[run.name] = found
            else:
                drawn.append(Drawn(run, COLORS[number % len(COLORS)], found))
        return cls(tuple(drawn), missing, len(runs))

    @property
    def title(self) -> str:
        if not self.missing:
            return f"{self.every} runs"
        return f"{len(self.drawn)} of {self.every} runs"

    @property
    def left_out(self) -> str:
        """A sentence for the caption; empty if all are shown."""
        return f" Not shown: {missing_in_words(self.missing)}." if self.missing else ""

    @property
    def names(self) -> str:
        return ", ".join(drawn.run.name for drawn in self.drawn)


def in_legend(name: str) -> str:
    """A run's name, cut where there is no room, its signs as they are."""
    return verbatim(name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…")


def part(run: Run, name: Part) -> str | None:
    """Why a part of a run isn't there; None if it is."""
    return f"{name}: {run.missing[name]}" if name in run.missing else None


def evaluated(run: Run) -> Any | str:
    """A run's evaluation, or why there is none."""
    return part(run, "scores") or run.evaluation or NO_TRUTH


def fitted_legend(axes: Axes, handles: Sequence[Any], labels: Sequence[str]) -> None:
    """Above the data, in two columns where labels are short enough."""
    columns = 2 if max(map(len, labels)) <= 28 and len(labels) > 1 else 1
    legend(
        axes, rows=-(-len(labels) // columns), columns=columns, loc="upper left",
        columnspacing=1.0, handlelength=1.7, handles=list(handles), labels=list(labels),
    )  # fmt: skip


def swatch(color: str, dashes: Any = "-") -> Line2D:
    """A line for a legend."""
    return Line2D([], [], color=color, ls=dashes)


def line(name: str, color: str, x: object, y: object, *, dashed: bool = False) -> Mark:
    """A line of a chart."""
    return Mark(kind="line", name=name, color=color, columns={"x": x, "y": y}, dashed=dashed)


def observable(overlay: Overlay) -> tuple[str, str]:
    """The axis in mathematics and in plain text; of several observables, "mass"."""
    found = {drawn.run.hunted.observable for drawn in overlay.drawn if drawn.run.hunted}
    (name,) = found if len(found) == 1 else ("mass",)
    return f"{observable_sign(name)} [GeV]", f"{name} [GeV]"
