"""Overlays of several runs: how event scores are distributed."""

# signs that readers know: σ, −, ×, –

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from raybead.report.compared import Run
from raybead.report.figures.canvas import BLACK, Plot, canvas, density, saved
from raybead.report.figures.chart import Axis, Chart, Panel, steps
from raybead.report.figures.overlay import NO_TRUTH, Overlay, fitted_legend, part, swatch
from raybead.report.numbers import percent

BINS = 45
SHAPES = (0.0005, 0.9995)
"""Quantiles that distributions are drawn between."""
Shape = tuple[np.ndarray, np.ndarray]
"""Values and weights."""


def _standardised(run: Run) -> dict[str, Shape] | str:
    """Finite scores of both samples, in half widths of the background sample's weight."""
    shapes: dict[str, Shape] = {}
    for role, table in run.scores.items():
        score, weight = (table.column(name).to_numpy() for name in ("score", "weight"))
        kept = np.isfinite(score)
        shapes[role] = (score[kept], weight[kept])
    if not all(len(values) for values, _ in shapes.values()):
        return "none of its scores is a number"
    if not shapes["background"][1].sum() > 0:
        return "the weights of its background sample sum to nothing"
    low, middle, high = _quantiles(*shapes["background"], (0.16, 0.5, 0.84))
    width = (high - low) / 2 or 1.0
    return {role: ((values - middle) / width, w) for role, (values, w) in shapes.items()}


def _quantiles(values: np.ndarray, weight: np.ndarray, shares: Sequence[float]) -> np.ndarray:
    """Values that these shares of the weight lie at or below; numpy's of equal weights.

    Args:
        values: [E] finite.
        weight: [E], of positive sum; where some are negative, sums are taken as never falling.
        shares: between 0 and 1.
    """
    if (weight == weight[0]).all():
        return np.quantile(values, shares)
    order = np.argsort(values, kind="stable")
    running = np.maximum.accumulate(np.cumsum(weight[order]))
    places = np.searchsorted(running, np.asarray(shares) * weight.sum())
    return values[order][np.minimum(places, len(values) - 1)]


def _by_truth(run: Run) -> dict[str, Shape] | None:
    """The search sample's signal and background likewise; None where truth isn't known."""
    shapes = _standardised(run)
    table = run.scores["search"]
    kept = np.isfinite(table.column("score").to_numpy())
    known = table.column("truth").is_valid().to_numpy()[kept]
    if run.evaluation is None or isinstance(shapes, str) or not known.any():
        return None
    signal = table.column("truth").fill_null(0).to_numpy()[kept] > 0
    values, weight = shapes["search"]
    return {
        "signal": (values[signal & known], weight[signal & known]),
        "background": (values[known & ~signal], weight[known & ~signal]),
    }


def score_overlays(runs: Sequence[Run]) -> Iterator[Plot]:
    """Of both samples, and by truth of the search sample."""
    scored = Overlay.of(runs, lambda run: part(run, "scores") or _standardised(run))
    if scored.drawn:
        yield _scores_figure(scored)
    known = Overlay.of(runs, lambda run: part(run, "scores") or _by_truth(run) or NO_TRUTH)
    if known.drawn:
        yield _truth_figure(known)


def _scores_figure(overlay: Overlay) -> Plot:
    return _shapes_figure(
        overlay, "compare-scores", {"search": "Search sample", "background": "Background sample"},
        "Event scores of every run: of its search sample, and of the background sample that it"
        " was trained on.",
        truth=False,
    )  # fmt: skip


def _truth_figure(overlay: Overlay) -> Plot:
    return _shapes_figure(
        overlay, "compare-scores-truth", {"signal": "Signal", "background": "Background"},
        "Event scores of true signal and true background of every run's search sample.",
        truth=True,
    )  # fmt: skip


def _shapes_figure(
    overlay: Overlay, name: str, shown: dict[str, str], says: str, *, truth: bool
) -> Plot:
    figure, axes = canvas(overlay.title, "" if truth else "all events", truth=truth)
    every = np.concatenate([d.what[which][0] for d in overlay.drawn for which in shown])
    low, high = np.quantile(every, SHAPES)
    edges = np.linspace(low, max(high, low + 1e-6), BINS + 1)
    marks, heights = [], []
    for drawn in overlay.drawn:
        for (which, label), dashes in zip(shown.items(), ("-", (0, (2, 1.5))), strict=True):
            values, weight = drawn.what[which]
            shape = density(values, weight, edges)
            heights.append(shape[shape > 0])
            axes.stairs(np.where(shape > 0, shape, np.nan), edges, color=drawn.color, ls=dashes)
            marks.append(steps(f"{drawn.run.name}, {label.lower()}", edges, shape, drawn.color,
                               dashed=dashes != "-"))  # fmt: skip
    tall = np.concatenate(heights)
    axes.set_yscale("log")
    axes.set_ylim(0.5 * tall.min(), 1.5 * tall.max())
    axes.set_xlim(edges[0], edges[-1])
    label = "Event score, in half widths of background's"
    axes.set(xlabel=label, ylabel="Normalised to unit area")
    fitted_legend(
        axes,
        [*(swatch(d.color) for d in overlay.drawn), swatch(BLACK), swatch(BLACK, (0, (2, 1.5)))],
        [*(d.name for d in overlay.drawn), *shown.values()],
    )
    return saved(
        figure, name, "compare",
        f"{says} Scores of different models have no scale in common: each run's are less the"
        " weighted median of its background sample, in units of half the width of the central"
        f" {percent(0.68)} of its weight. The outermost bins hold all that lies"
        f" beyond.{overlay.left_out}",
        f"Normalised distributions of standardised event scores of {overlay.names}.",
        truth=truth,
        chart=Chart(panels=[Panel(
            x=Axis(label=label), y=Axis(label="Normalised to unit area", scale="log"),
            marks=marks,
        )]),
    )  # fmt: skip
