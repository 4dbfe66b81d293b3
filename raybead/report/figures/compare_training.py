"""Overlays of several runs: how training went."""

# signs that readers know: σ, −, ×, –

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from raybead.report.compare_words import loss_in_words
from raybead.report.figures.canvas import BLACK, Plot, inscribe, saved, verbatim
from raybead.report.figures.chart import Axis, Chart, Mark, Panel
from raybead.report.figures.overlay import Overlay, fitted_legend, line, swatch


def loss_overlay(overlay: Overlay, groups: dict[str, str]) -> Plot:
    """Losses against epoch, a panel for those that can be compared.

    Args:
        overlay: of histories.
        groups: letters of runs whose losses can be compared.
    """
    letters = list(dict.fromkeys(groups[drawn.run.name] for drawn in overlay.drawn))
    figure = Figure(figsize=(8.0, 2.8 + 3.2 * len(letters)), layout="constrained")
    panels = figure.subplots(len(letters), 1, sharex=True, squeeze=False)[:, 0]
    charts = []
    for axes, letter in zip(panels, letters, strict=True):
        those = [drawn for drawn in overlay.drawn if groups[drawn.run.name] == letter]
        marks, lowest, largest = [], np.inf, 0.0
        for drawn in those:
            epoch = np.array([record.epoch for record in drawn.what]) + 1
            lines = {
                "train": np.array([record.train for record in drawn.what]),
                "validation": np.array([record.validation for record in drawn.what]),
            }
            for which, values in lines.items():
                dashes = "-" if which == "validation" else "--"
                axes.plot(epoch, values, color=drawn.color, ls=dashes)
                name = f"{drawn.run.name}, {which}"
                marks.append(line(name, drawn.color, epoch, values, dashed=dashes != "-"))
                lowest, largest = min(lowest, values.min()), max(largest, values.max())
            best = max((i for i, r in enumerate(drawn.what) if r.best), default=len(epoch) - 1)
            axes.plot(epoch[best], lines["validation"][best], "*", color=drawn.color, ms=15,
                      mec="white", zorder=4, clip_on=False)  # fmt: skip
            star = {"x": epoch[[best]], "y": lines["validation"][[best]],
                    "text": [f"{drawn.run.name}: the epoch that scored"]}  # fmt: skip
            marks.append(Mark(kind="points", name="", color=drawn.color, columns=star))
        if lowest > 0 and largest > 20 * lowest:
            axes.set_yscale("log")
        words = verbatim(f"Loss ({loss_in_words(those[0].run.job)})")
        axes.set_ylabel(words if len(words) < 34 else f"Loss {letter}", fontsize=15)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.minorticks_off()
        fitted_legend(
            axes,
            [*(swatch(d.color) for d in those), swatch(BLACK), swatch(BLACK, "--")],
            [*(d.name for d in those), "Validation", "Train"],
        )
        charts.append(Panel(
            x=Axis(label="Epoch"), marks=marks,
            y=Axis(label=f"Loss ({loss_in_words(those[0].run.job)})", scale=axes.get_yscale()),
        ))  # fmt: skip
    panels[-1].set_xlabel("Epoch")
    inscribe(panels[0], overlay.title, "training")
    return saved(
        figure, "compare-loss", "compare",
        "Loss on validation items (solid) and in training (dashed) after every epoch; stars: the"
        " epochs that scored."
        + (" Losses in different panels are different numbers (another loss, other inputs or other"
           " validation items), and none is larger than another." if len(letters) > 1 else "")
        + overlay.left_out,
        f"Train and validation losses of {overlay.names} against epoch.",
        chart=Chart(panels=charts),
    )  # fmt: skip
