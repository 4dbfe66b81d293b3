"""Where items lie in the latent: in planes, and how sure a posterior is of it.

Axes: B items, Z latent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
from matplotlib.figure import Figure
from numpy.typing import NDArray

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
    density,
    inscribe,
    legend,
    saved,
    verbatim,
)
from raybead.report.figures.chart import Axis, Chart, Mark, Panel, steps
from raybead.report.numbers import percent

GENERATORS = (BLUE, ORANGE, PURPLE, VIOLET, BROWN, GREY)
SHARES = (0.5, 0.9, 0.99)
"""Of the background items, below whose score the shades of a figure change."""
SHADES = ("#d3d7e6", "#8fb0ea", VIOLET, BLACK)
BINS = 42
ENOUGH = 200
"""Items of the smallest group, of which so many bins say something."""
KINDS = {
    "plane": "the latent's two dimensions as they are",
    "pca": "the latent's principal components",
    "tsne": "the latent by t-SNE, which keeps neighbours together and no distances",
    "umap": "the latent by UMAP, which keeps neighbours together and no distances",
}
AXES = {"plane": "Latent", "pca": "Principal component", "tsne": "t-SNE", "umap": "UMAP"}


@dataclass(frozen=True)
class Group:
    """Items of one colour."""

    name: str
    of_B: NDArray[np.bool_]
    color: str
    size: float = 12.0
    hollow: bool = False


def latent_figures(
    name: str, table: pa.Table, result: Mapping[str, Any], item: str, *, truth: bool
) -> Iterator[Plot]:
    """Every plane, by sample and generator, by score, and by truth where it is known.

    Args:
        name: of the run.
        table: ``diagnostics/latent.parquet``.
        result: ``latent`` of ``diagnostics/result.json``.
        item: what an item is, ``jet`` or ``event``.
        truth: whether it is known of the search sample.
    """
    colourings = [("", _by_origin(table), "colour: sample"), *_by_score(table)]
    if truth:
        colourings.append(("-truth", _by_truth(table), "search sample"))
    for space, found in result["spaces"].items():
        prefix = "" if space == "latent" else f"{space}_"
        for kind in found["kinds"]:
            for suffix, groups, note in colourings:
                if kind == "line":
                    yield _line(name, table, f"{prefix}line_1", space, suffix, groups, item)
                else:
                    stem = f"{prefix}{kind}"
                    what = kind, space, found["explained"]
                    yield _plane(name, table, stem, what, suffix, groups, note, item)
    yield from posterior_figures(name, table, item, truth=truth)


def posterior_figures(name: str, table: pa.Table, item: str, *, truth: bool) -> Iterator[Plot]:
    """Means and widths of the items' posteriors; none of a model without."""
    if "sigma" not in table.column_names:
        return
    colourings = [("", _by_origin(table), "means over dimensions")]
    if truth:
        colourings.append(("-truth", _by_truth(table), "search sample"))
    for suffix, groups, note in colourings:
        figure = Figure(figsize=(8.0, 8.4), layout="constrained")
        above, below = figure.subplots(2, 1)
        inscribe(above, name, note, truth=bool(suffix))
        panels = []
        for axes, column, label in (
            (above, "mu", "Mean of the posterior"),
            (below, "sigma", "Standard deviation of the posterior"),
        ):
            values_B = np.stack(table.column(column).to_numpy()).mean(axis=1)
            marks = _histograms(axes, values_B, _weights(table), groups)
            axes.set(xlabel=label, ylabel="Normalised to unit area")
            legend(axes, rows=-(-len(groups) // 2), columns=2)
            y = Axis(label="Normalised to unit area")
            panels.append(Panel(x=Axis(label=label), y=y, marks=marks))
        yield saved(
            figure, f"posterior{suffix}", "latent",
            f"Means and standard deviations of the posteriors of {item}s, each the mean over the"
            " dimensions of the latent, normalised. A standard deviation of one with a mean of"
            " zero is the prior's: nothing was learned of the item. The outermost bins hold all"
            " that lies beyond." + _told(suffix),
            f"Distributions of the mean and of the standard deviation of the posteriors of"
            f" {_list(groups, np.ones(len(table), dtype=bool))}.",
            truth=bool(suffix), chart=Chart(panels=panels),
        )  # fmt: skip


def _plane(
    name: str,
    table: pa.Table,
    stem: str,
    what: tuple[str, str, Sequence[float] | None],
    suffix: str,
    groups: Sequence[Group],
    note: str,
    item: str,
) -> Plot:
    kind, space, explained = what
    truth = suffix == "-truth"
    figure, axes = canvas(name, note, truth=truth)
    x_B, y_B = (table.column(f"{stem}_{axis}").to_numpy() for axis in (1, 2))
    limits = [_limits(values_B) for values_B in (x_B, y_B)]
    edge_B = [np.clip(v, *ends) for v, ends in zip((x_B, y_B), limits, strict=True)]
    real_B = np.isfinite(x_B) & np.isfinite(y_B)
    beyond = int(((edge_B[0] != x_B) | (edge_B[1] != y_B))[real_B].sum())
    text_B = _texts(table, item)
    marks = []
    for group in groups:
        of_B = group.of_B & real_B
        axes.scatter(
            edge_B[0][of_B], edge_B[1][of_B], s=group.size,
            facecolors="none" if group.hollow else group.color,
            edgecolors=group.color if group.hollow else "none",
            linewidths=0.7 if group.hollow else 0.0, alpha=0.75, label=verbatim(group.name),
            rasterized=True, zorder=1.5 if group.hollow else 2.0,
        )  # fmt: skip
        columns = {"x": x_B[of_B], "y": y_B[of_B], "text": text_B[of_B]}
        marks.append(Mark(kind="points", name=group.name, color=group.color, columns=columns))
    axes.set_xlim(*limits[0])
    axes.set_ylim(*limits[1])
    label = f"{AXES[kind]} {{}}" + ("" if space == "latent" else f", {space}")
    labels = [label.format(axis) for axis in (1, 2)]
    if kind == "pca" and explained is not None:
        labels = [
            f"{one} ({percent(round(share, 3))} of the variance)"
            for one, share in zip(labels, explained, strict=True)
        ]
    axes.set(xlabel=labels[0], ylabel=labels[1])
    legend(axes, rows=-(-len(groups) // 2), columns=2, markerscale=2.5, handletextpad=0.1)
    panel = Panel(
        x=Axis(label=labels[0], domain=limits[0]),
        y=Axis(label=labels[1], domain=limits[1]),
        marks=marks,
    )
    said = KINDS[kind] if space == "latent" else f"{KINDS[kind]}, before the flow ({space})"
    edges = f" {beyond} far outside lie on the edge." if beyond else ""
    every, shown = (
        sum(int((group.of_B & of_B).sum()) for group in groups)
        for of_B in (np.ones_like(real_B), real_B)
    )
    lost = f" {every - shown} more have no finite latent." if shown < every else ""
    stem = stem.replace("_", "-")
    return saved(
        figure, f"latent-{stem}{suffix}", "latent",
        f"{shown} {item}s drawn at random in {said}.{lost}{_coloured(suffix)}{edges}"
        f"{_told(suffix)}",
        f"Scatter of {item}s in {said}: {_list(groups, real_B)}.",
        truth=truth, chart=Chart(panels=[panel], facts={"explained": explained}),
    )  # fmt: skip


def _line(
    name: str,
    table: pa.Table,
    column: str,
    space: str,
    suffix: str,
    groups: Sequence[Group],
    item: str,
) -> Plot:
    truth = suffix == "-truth"
    figure, axes = canvas(name, "the whole latent", truth=truth)
    label = "Latent" if space == "latent" else f"Latent, {space}"
    values_B = table.column(column).to_numpy()
    marks = _histograms(axes, values_B, _weights(table), groups)
    axes.set(xlabel=label, ylabel="Normalised to unit area")
    legend(axes, rows=-(-len(groups) // 2), columns=2)
    stem = column.removesuffix("_1").replace("_", "-")
    return saved(
        figure, f"latent-{stem}{suffix}", "latent",
        f"The one dimension of the latent of {item}s drawn at random, normalised."
        f"{_coloured(suffix)} The outermost bins hold all that lies beyond.{_told(suffix)}",
        f"Distribution of the latent's one dimension:"
        f" {_list(groups, np.isfinite(values_B))}.",
        truth=truth,
        chart=Chart(panels=[Panel(x=Axis(label=label), y=Axis(label="Normalised to unit area"),
                                  marks=marks)]),
    )  # fmt: skip


def _histograms(
    axes: Any, values_B: NDArray, weight_B: NDArray, groups: Sequence[Group]
) -> list[Mark]:
    real_B = np.isfinite(values_B)
    low, high = np.quantile(values_B[real_B], [0.002, 0.998]) if real_B.any() else (0.0, 1.0)
    wide = max(high - low, 1e-6 * max(abs(low), abs(high)), 1e-9)
    fewest = min((int((group.of_B & real_B).sum()) for group in groups), default=0)
    bins = BINS if fewest >= ENOUGH else BINS // 3
    edges = np.linspace(low - 0.02 * wide, high + 0.02 * wide, bins + 1)
    marks = []
    for number, group in enumerate(groups):
        of_B = group.of_B & real_B
        heights = density(values_B[of_B], weight_B[of_B], edges)
        if number == 0:
            axes.stairs(heights, edges, fill=True, color=group.color, alpha=0.3)
        axes.stairs(heights, edges, color=group.color, label=verbatim(group.name), lw=1.6)
        marks.append(steps(group.name, edges, heights, group.color, filled=number == 0))
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylim(bottom=0)
    return marks


def _by_origin(table: pa.Table) -> list[Group]:
    """Background by generator, where it says several, and the search sample."""
    sample_B = np.array(table.column("sample").to_pylist(), object)
    generator_B = np.array(table.column("generator").to_pylist(), object)
    of_B = sample_B == "background"
    labels = list(dict.fromkeys(generator_B[of_B]))
    groups = []
    for number, label in enumerate(labels if len(labels) > 1 else [None]):
        one_B = of_B if len(labels) < 2 else of_B & (generator_B == label)
        named = "Held-out background" if len(labels) < 2 else f"Background, {label or 'unknown'}"
        groups.append(Group(named, one_B, GENERATORS[number % len(GENERATORS)]))
    return [*groups, Group("Search sample", ~of_B, BLACK, 11.0, hollow=True)]


def _by_score(table: pa.Table) -> list[tuple[str, list[Group], str]]:
    """Shades of the event score, which change at quantiles of the background's."""
    score_B = table.column("score").to_numpy().astype(float)
    real_B = np.isfinite(score_B)
    background_B = np.array(table.column("sample").to_pylist(), object) == "background"
    held_B = real_B & background_B if (real_B & background_B).any() else real_B
    if not held_B.any():
        return []
    ends = np.quantile(score_B[held_B], SHARES)
    shade_B = np.searchsorted(ends, score_B, side="right")
    names = [f"Score below {percent(SHARES[0])}", *(
        f"{percent(low)} to {percent(high)}" for low, high in pairwise(SHARES)
    ), f"above {percent(SHARES[-1])}"]  # fmt: skip
    groups = [
        Group(named, real_B & (shade_B == place), SHADES[place], 8.0 + 5 * place)
        for place, named in enumerate(names)
    ]
    return [("-score", groups, "shade: event score")]


def _by_truth(table: pa.Table) -> list[Group]:
    search_B = np.array(table.column("sample").to_pylist(), object) == "search"
    truth = table.column("truth")
    known_B = truth.is_valid().to_numpy()
    signal_B = truth.fill_null(0).to_numpy() > 0
    groups = [
        Group("Background of the search sample", search_B & known_B & ~signal_B, GREY),
        Group("Signal", search_B & signal_B, RED, 14.0),
    ]
    unknown_B = search_B & ~known_B
    if unknown_B.any():
        groups.append(Group("Of unknown truth", unknown_B, BLUE, 11.0, hollow=True))
    return groups


def _limits(values_B: NDArray) -> tuple[float, float]:
    """All values, unless few of them would leave no room for the others."""
    real = values_B[np.isfinite(values_B)]
    if len(real) == 0:
        return 0.0, 1.0
    low, high = np.quantile(real, [0.01, 0.99])
    wide = max(float(high - low), 1e-9)
    ends = max(real.min(), low - wide), min(real.max(), high + wide)
    room = 0.04 * max(float(ends[1] - ends[0]), 1e-9)
    return float(ends[0] - room), float(ends[1] + room)


def _texts(table: pa.Table, item: str) -> NDArray[np.object_]:
    """What is said of each item."""
    rows = zip(
        *(table.column(name).to_pylist() for name in ("event", "item", "score")), strict=True
    )
    rank = item == "jet"
    return np.array(
        [
            f"event {event}{f', jet {place + 1}' if rank else ''}"
            + (f", score {score:.3g}" if score is not None else "")
            for event, place, score in rows
        ],
        object,
    )


def _weights(table: pa.Table) -> NDArray[np.float64]:
    return table.column("weight").to_numpy()


def _coloured(suffix: str) -> str:
    if suffix != "-score":
        return ""
    return (
        " Shades are of the score of the item's event, and change where so many of the held-out"
        " background have a lower one."
    )


def _told(suffix: str) -> str:
    if suffix != "-truth":
        return ""
    return " Items of the search sample by truth, which took no part in making the figure's axes."


def _list(groups: Sequence[Group], shown_B: NDArray[np.bool_]) -> str:
    """Groups with how many of each are shown."""
    return ", ".join(f"{group.name} ({int((group.of_B & shown_B).sum())})" for group in groups)
