"""What all figures share: style, colours, room for a legend, and their way into files."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import matplotlib.style
import mplhep
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.figure import Figure

from raybead.report.figures.chart import Chart
from raybead.report.numbers import events
from raybead.storage import Folder

Section = Literal[
    "training", "reconstruction", "latent", "scores", "background", "scan", "toys", "limits",
    "events", "calibration", "reach", "drift", "diagnostics", "evaluation", "sweep", "compare",
    "profile",
]  # fmt: skip

# Petroff's accessible sequences (arXiv:2107.02270), of which mplhep's styles cycle through one.
BLUE, ORANGE, RED, PURPLE, GREY, VIOLET, BROWN = (
    "#5790fc", "#f89c20", "#e42536", "#964a8b", "#9c9ca1", "#7a21dd", "#a96b59",
)  # fmt: skip
BLACK = "#111111"

SIZES = {
    "figure.figsize": (8.0, 6.0),
    "figure.dpi": 110,
    "font.size": 17,
    "axes.titlesize": 15,
    "axes.titley": 1.0,
    "axes.labelsize": 17,
    "legend.fontsize": 14,
    "axes.linewidth": 1.3,
    "lines.linewidth": 1.8,
    "xtick.major.size": 8,
    "xtick.minor.size": 4,
    "ytick.major.size": 8,
    "ytick.minor.size": 4,
    "figure.constrained_layout.w_pad": 0.08,
    "figure.constrained_layout.h_pad": 0.06,
}
"""mplhep's sizes are made for slides of ten inches; these are for a page."""


@dataclass(frozen=True)
class Plot:
    """One figure, as files and in words."""

    name: str
    """Of its files, without the ending."""
    section: Section
    """Part of the page that it belongs to."""
    caption: str
    alt: str
    """What it shows, for readers who can't see it."""
    png: bytes
    pdf: bytes
    cut: str | None = None
    """Key of the cut that it shows, if it shows one."""
    truth: bool = False
    """Whether truth was looked at to draw it."""
    chart: Chart | None = None
    """What it draws, as numbers."""

    def write(self, folder: Folder) -> None:
        """Write it into a folder: PNG, PDF, and its data as JSON.

        Raises:
            StorageError: it can't be written.
        """
        folder.write(f"{self.name}.png", self.png)
        folder.write(f"{self.name}.pdf", self.pdf)
        if self.chart is not None:
            folder.write(f"{self.name}.json", self.chart.json())


@contextlib.contextmanager
def hep_style() -> Iterator[None]:
    """mplhep's style for as long as the context lasts; what was set before comes back."""
    with matplotlib.style.context([mplhep.style.ROOT, SIZES]):
        yield


def canvas(name: str, note: str = "", *, truth: bool = False) -> tuple[Figure, Axes]:
    """An empty figure of one panel; pyplot isn't asked, so none is left open.

    Args:
        name: of the run, at the top left.
        note: at the top right.
        truth: whether to say that truth is looked at, plainly, at the top right.
    """
    figure = Figure(layout="constrained")
    axes = figure.add_subplot()
    inscribe(axes, name, note, truth=truth)
    return figure, axes


def canvas_with_pulls(name: str, note: str = "") -> tuple[Figure, Axes, Axes]:
    """A figure of a main panel and a low one below it, on one horizontal axis."""
    figure = Figure(figsize=(8.0, 7.6), layout="constrained")
    main, pulls = figure.subplots(2, 1, sharex=True, height_ratios=[3.2, 1])
    figure.get_layout_engine().set(hspace=0.02, h_pad=0.03)  # type: ignore[union-attr]
    main.tick_params(labelbottom=False)
    inscribe(main, name, note)
    figure.align_ylabels([main, pulls])
    return figure, main, pulls


def inscribe(axes: Axes, name: str, note: str, *, truth: bool = False) -> None:
    """Write the run's name and a note above a panel."""
    shown = name if len(name) <= 26 else f"{name[:25]}…"
    axes.set_title(verbatim(shown), loc="left", fontweight="bold")
    if truth:
        note = f"{note}, evaluation with truth" if note else "evaluation with truth"
    axes.set_title(verbatim(note), loc="right", color=RED if truth else BLACK)


def verbatim(text: str) -> str:
    """Anyone's text as matplotlib draws it sign by sign, where ``$`` would begin a formula.

    All that isn't raybead's own goes through here: names, generators, keys and values of jobs. A
    formula that can't be read would fail the whole report.
    """
    return text.replace("$", r"\$")


def legend(axes: Axes, rows: int, columns: int = 1, **kwargs: object) -> None:
    """A legend above the data: the vertical axis is prolonged by the room that it takes."""
    share = 0.05 + 0.062 * rows * 6.0 / (axes.get_figure(root=True).get_figheight())  # type: ignore[union-attr]
    low, high = axes.get_ylim()
    if axes.get_yscale() == "log":
        axes.set_ylim(low, low * (high / low) ** (1 / (1 - share)))
    else:
        axes.set_ylim(low, low + (high - low) / (1 - share))
    axes.legend(
        **{"loc": "upper right", "ncols": columns, "labelspacing": 0.3, "borderaxespad": 0.4}
        | kwargs  # type: ignore[arg-type]
    )


def scale_of(axes: Axes) -> Literal["linear", "log"]:
    """Of the vertical axis, for a chart."""
    return "log" if axes.get_yscale() == "log" else "linear"


def filled(axes: Axes, heights: np.ndarray, edges: np.ndarray, label: str) -> None:
    """A filled histogram with its outline: what others are held against."""
    axes.stairs(heights, edges, fill=True, color=BLUE, alpha=0.35, label=label)
    axes.stairs(heights, edges, color=BLUE, lw=1.2)


def density(values: np.ndarray, weights: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """A histogram of unit area; values beyond the edges count in the outermost bins."""
    sums = np.histogram(np.clip(values, edges[0], edges[-1]), edges, weights=weights)[0]
    total = sums.sum()
    return sums / (total if total > 0 else 1.0) / np.diff(edges)


def number_of(weights: np.ndarray) -> str:
    """A number of events as text: their count, or their summed weight where they have weights."""
    return events(len(weights) if (weights == 1).all() else float(weights.sum()))


def saved(
    figure: Figure,
    name: str,
    section: Section,
    caption: str,
    alt: str,
    *,
    cut: str | None = None,
    truth: bool = False,
    chart: Chart | None = None,
) -> Plot:
    """A figure as PNG and PDF; the same figure gives the same bytes, so no dates are in them."""
    png, pdf = io.BytesIO(), io.BytesIO()
    # savefig would draw twice a file, and lay out each time: nearly all the time that this takes.
    FigureCanvasAgg(figure).print_png(png, metadata={"Software": None})
    figure.set_layout_engine("none")
    FigureCanvasPdf(figure).print_pdf(pdf, metadata={"CreationDate": None})
    return Plot(name, section, caption, alt, png.getvalue(), pdf.getvalue(), cut, truth, chart)
