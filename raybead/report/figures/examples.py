"""Items beside their reconstructions."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from raybead.report.figures.canvas import BLACK, GREY, Plot, inscribe, saved
from raybead.report.figures.chart import Axis as ChartAxis
from raybead.report.figures.chart import Chart, Mark, Panel
from raybead.report.figures.etaphi import circle, nodes_drawn
from raybead.report.numbers import percent

PARTS = {"input": "Input", "reconstruction": "Reconstruction"}
FRAMES = {
    "axis": (r"$\Delta\eta$", r"$\Delta\phi$ [rad]", "relative to the jet's axis"),
    "axes": (r"$\Delta\eta$", r"$\Delta\phi$ [rad]", "relative to the axis of each one's jet"),
    "detector": (r"$\eta$", r"$\phi$ [rad]", "in the detector"),
}
PLAIN = {"axis": ("Δη", "Δφ [rad]"), "axes": ("Δη", "Δφ [rad]"), "detector": ("η", "φ [rad]")}


def example_figures(
    name: str, table: pa.Table, result: Mapping[str, Any], radius: float, item: str, node: str
) -> Iterator[Plot]:
    """A figure an item, the input beside the reconstruction; none of what can't be drawn.

    Args:
        name: of the run.
        table: ``diagnostics/examples.parquet``.
        result: ``examples`` of ``diagnostics/result.json``.
        radius: of jets.
        item: what an item is.
        node: what its nodes are.
    """
    numbers = {"background": 0, "search": 0}
    for row in table.to_pylist():
        numbers[row["sample"]] += 1
        drawn = {part: row[part] for part in PARTS if row[part] is not None}
        if drawn:
            number = numbers[row["sample"]]
            yield _example(name, row, drawn, number, result, radius, item, node)


def _example(
    name: str,
    row: Mapping[str, Any],
    drawn: Mapping[str, Sequence[dict[str, float]]],
    number: int,
    result: Mapping[str, Any],
    radius: float,
    item: str,
    node: str,
) -> Plot:
    frame = result["frame"]
    figure = Figure(figsize=(9.6, 5.6) if len(drawn) > 1 else (6.4, 6.4), layout="constrained")
    panels = figure.subplots(1, len(drawn), sharey=True, squeeze=False)[0]
    which = _which(row, number)
    inscribe(panels[0], name, "")
    panels[-1].set_title(which, loc="right")
    hardest = max((one["pt"] for part in drawn.values() for one in part), default=1.0)
    reach = _reach(drawn.get("input", ()), frame, radius)
    charts = []
    for axes, (part, nodes) in zip(panels, drawn.items(), strict=True):
        if frame == "axis":  # of one jet: its rank would be a colour for nothing
            nodes = [{**one, "jet": None} for one in nodes]
        marks = nodes_drawn(axes, nodes, hardest, labels=True)
        if axes is panels[-1] and len({one["jet"] for one in nodes}) > 1:
            told = axes.legend(loc="upper right", fontsize=12, borderaxespad=0.3)
            for handle in told.legend_handles:
                handle.set_sizes([60.0])  # type: ignore[union-attr]
        if frame != "detector":
            x, y = circle(0.0, 0.0, radius)
            axes.plot(x, y, color=GREY, lw=1.0, ls="--")
            columns = {"x": x, "y": y}
            marks.append(Mark(kind="line", name="", color=GREY, columns=columns, dashed=True))
        beyond = [n for n in nodes if abs(n["eta"]) > reach[0] or abs(n["phi"]) > reach[1]]
        _bordered(axes, f"{PARTS[part]}, {len(nodes)} {node}s", nodes, beyond, reach, frame)
        x_label, y_label = PLAIN[frame]
        charts.append(
            Panel(
                x=ChartAxis(label=f"{PARTS[part]}: {x_label}", domain=(-reach[0], reach[0])),
                y=ChartAxis(label=y_label, domain=(-reach[1], reach[1])),
                marks=marks, equal=True,
            )
        )  # fmt: skip
    panels[0].set_ylabel(FRAMES[frame][1])
    rank = f", {item} {row['item'] + 1}" if item == "jet" else ""
    lacking = "".join(f" No {part}: {why}." for part, why in result["undrawn"].items())
    return saved(
        figure, f"example-{row['sample']}-{number}", "reconstruction",
        f"{_sentence(row, number, item)} (event {row['event']}{rank}, loss"
        f" {row['total']:.3g}): its {node}s {FRAMES[frame][2]}, areas by pT; both panels have the"
        f" same scale. What the model sees of the {item}, and what it makes of it."
        + (" Dashed: the jets' radius." if frame != "detector" else "") + lacking,
        f"{' and '.join(PARTS[part].lower() for part in drawn).capitalize()} of {which}:"
        f" {len(next(iter(drawn.values())))} {node}s in eta and phi.",
        chart=Chart(panels=charts, facts={"event": row["event"], "loss": row["total"]}),
    )  # fmt: skip


def _bordered(
    axes: Axes,
    title: str,
    nodes: Sequence[dict[str, float]],
    beyond: Sequence[dict[str, float]],
    reach: tuple[float, float],
    frame: str,
) -> None:
    axes.set_xlim(-reach[0], reach[0])
    axes.set_ylim(-reach[1], reach[1])
    if frame == "detector":
        axes.set_box_aspect(1)
    else:
        axes.set_aspect("equal")
    axes.set_xlabel(FRAMES[frame][0])
    total = sum(node["pt"] for node in nodes)
    words = f"{title}\n{total:.0f} GeV"
    axes.text(0.04, 0.96, words, transform=axes.transAxes, va="top", color=BLACK, fontsize=12)
    if beyond:
        words = f"{len(beyond)} beyond ({sum(node['pt'] for node in beyond):.1f} GeV)"
        axes.text(0.04, 0.04, words, transform=axes.transAxes, color=BLACK, fontsize=12)


def _reach(nodes: Sequence[dict[str, float]], frame: str, radius: float) -> tuple[float, float]:
    """Half widths in eta and phi: all of the input is seen."""
    eta = max((abs(node["eta"]) for node in nodes), default=0.0)
    phi = max((abs(node["phi"]) for node in nodes), default=0.0)
    if frame == "detector":
        return max(2.5, 1.05 * eta), math.pi
    reach = max(1.3 * radius, 1.05 * eta, 1.05 * phi)
    return reach, reach


def _which(row: Mapping[str, Any], number: int) -> str:
    if row["sample"] == "search":
        return f"search sample, {_place(number)} loss"
    return f"held-out background, {_quantile(row)} loss"


def _quantile(row: Mapping[str, Any]) -> str:
    if math.isclose(row["quantile"], 0.5):
        return "median"
    return f"{percent(round(row['quantile'], 3))} quantile of"


def _sentence(row: Mapping[str, Any], number: int, item: str) -> str:
    if row["sample"] == "search":
        return f"The {item} of the {_place(number)} loss in the search sample"
    if math.isclose(row["quantile"], 0.5):
        return f"The {item} of median loss of held-out background"
    share = percent(round(row["quantile"], 3))
    return f"The {item} at the {share} quantile of the loss of held-out background"


def _place(number: int) -> str:
    return {1: "highest", 2: "second highest", 3: "third highest"}.get(
        number, f"{number}th highest"
    )
