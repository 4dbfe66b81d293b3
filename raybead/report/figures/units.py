"""Which units of the model are at work, layer by layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, LinearSegmentedColormap, Normalize, to_rgba
from matplotlib.patches import Patch

from raybead.report.figures.canvas import BLUE, ORANGE, PURPLE, RED, Plot, canvas, saved
from raybead.report.figures.chart import Axis, Chart, Mark, Panel

RISING = LinearSegmentedColormap.from_list("rising", ["#f2f6ff", BLUE, "#0b2a6f"])
EITHER = LinearSegmentedColormap.from_list("either", [PURPLE, "#f7f7f7", "#0b2a6f"])
Layer = Mapping[str, Any]


def unit_figures(name: str, activity: Mapping[str, Any]) -> Iterator[Plot]:
    """How often units respond, and what they give on average.

    Args:
        name: of the run.
        activity: what ``raybead.diagnostics.unit_activity`` found.
    """
    layers: Sequence[Layer] = [layer for layer in activity["layers"] if layer["rows"] > 0]
    relus = [layer for layer in layers if layer["activation"] == "relu"]
    items, silent, units = activity["items"], activity["silent"], activity["units"]
    if relus:
        yield _heat_map(
            name, "units-response", relus, _responses, RISING, Normalize(0, 1),
            "Share of rows that a unit responds to",
            f"Every unit that ends in a ReLU, on {items} held-out background items: to what share"
            " of what its layer sees it responds, the most responsive of each layer to the left."
            f" {silent} of {units} never respond (red). Some silent units are usual and do no"
            " harm; a layer of few others is narrower than it was meant to be. Within layers over"
            " pairs of nodes, a unit responds at a node if it does for one neighbour.",
            f"{silent} of {units} units never respond.",
        )  # fmt: skip
    if layers:
        yield _heat_map(
            name, "units-mean", layers, _means, EITHER, Normalize(-1, 1),
            "Mean / largest RMS of the layer",
            f"What every unit of every layer gives on average over {items} held-out background"
            " items, in units of the layer's largest root mean square, in the order that they have"
            " in the model. Of what gives the same for all (orange), and what is always 0 (red),"
            " nothing of an item can be told.",
            "Mean activations of the units, layer by layer.",
        )  # fmt: skip


def _responses(layer: Layer) -> tuple[np.ndarray, np.ndarray]:
    """[U] shares, and the order to draw them in."""
    shares = np.array(layer["responds"], dtype=float)
    return shares, np.argsort(-shares, kind="stable")


def _means(layer: Layer) -> tuple[np.ndarray, np.ndarray]:
    mean, spread = (np.array(layer[key], dtype=float) for key in ("mean", "standard_deviation"))
    size = np.nanmax(np.hypot(mean, spread), initial=0.0)
    return mean / (size if size > 0 else 1.0), np.arange(len(mean))


def _heat_map(
    name: str,
    file: str,
    layers: Sequence[Layer],
    values_of: Callable[[Layer], tuple[np.ndarray, np.ndarray]],
    colours: Colormap,
    norm: Normalize,
    what: str,
    caption: str,
    alt: str,
) -> Plot:
    figure, axes = canvas(name, "held-out background")
    figure.set_size_inches(9.0, 2.4 + 0.36 * len(layers))
    columns: dict[str, list[Any]] = {key: [] for key in ("x1", "x2", "y1", "y2", "value", "text")}
    # The first layer on top.
    for place, layer in zip(range(len(layers))[::-1], layers, strict=True):
        values, order = values_of(layer)
        edges = np.linspace(0, 100, len(values) + 1)
        shown = colours(norm(values[order]))
        for colour, which in ((ORANGE, layer["constant"]), (RED, _silent(layer))):
            shown[np.array(which)[order]] = to_rgba(colour)
        # As an image a row: hundreds of cells would be as many patches in the PDF.
        axes.imshow(
            shown[None], extent=(0, 100, place - 0.44, place + 0.44), aspect="auto",
            interpolation="nearest", zorder=2,
        )  # fmt: skip
        _add_cells(columns, layer, place, edges, values, order)
    axes.set_xlim(0, 100)
    axes.set_ylim(-0.5, len(layers) - 0.5)
    axes.set_yticks(range(len(layers)), [_said(layer) for layer in layers[::-1]], fontsize=11)
    axes.tick_params(axis="y", which="both", length=0)
    axes.minorticks_off()
    axes.set_xlabel("Units of the layer [%]")
    bar = figure.colorbar(ScalarMappable(norm, colours), ax=axes, pad=0.02, fraction=0.05)
    bar.set_label(what, fontsize=12)
    bar.ax.tick_params(labelsize=11)
    bar.ax.minorticks_off()
    handles = [Patch(color=RED, label="never responds")]
    if file != "units-response":
        handles.append(Patch(color=ORANGE, label="always the same"))
    figure.legend(
        handles=handles, loc="outside lower right", ncols=2, fontsize=12, frameon=False
    )  # fmt: skip
    cells = Mark(kind="cells", name=what, color=BLUE, columns=columns)
    panel = Panel(
        x=Axis(label="Units of the layer [%]", domain=(0, 100)),
        y=Axis(label="Layer", domain=(-0.5, len(layers) - 0.5)),
        marks=[cells],
    )
    facts = {"layers": [layer["name"] for layer in layers]}
    # Colours of both signs and what ails units are the image's alone.
    chart = Chart(panels=[panel], facts=facts, redrawn=False)
    return saved(figure, file, "diagnostics", caption, alt, chart=chart)


def _add_cells(
    columns: dict[str, list[Any]],
    layer: Layer,
    place: int,
    edges: np.ndarray,
    values: np.ndarray,
    order: np.ndarray,
) -> None:
    columns["x1"] += edges[:-1].tolist()
    columns["x2"] += edges[1:].tolist()
    columns["y1"] += [place - 0.44] * len(values)
    columns["y2"] += [place + 0.44] * len(values)
    columns["value"] += values[order].tolist()
    for unit in order.tolist():
        ails = ", always the same" if layer["constant"][unit] else ""
        ails = ", never responds" if _silent(layer)[unit] else ails
        columns["text"].append(f"{layer['name']}, unit {unit}{ails}")


def _silent(layer: Layer) -> list[bool]:
    """[U] whether a ReLU keeps the unit from ever responding."""
    return [dead and layer["activation"] == "relu" for dead in layer["dead"]]


def _is_steady(layer: Layer) -> bool:
    both = zip(layer["constant"], _silent(layer), strict=True)
    return any(constant and not silent for constant, silent in both)


def _said(layer: Layer) -> str:
    """A layer's name and width; long names lose what stands in all of them."""
    name = layer["name"].replace("layers.", "").replace(".conv.nn.", ".").replace(".nn.", ".")
    silent, units = sum(_silent(layer)), len(layer["dead"])
    return f"{name}  ({f'{silent} of {units} silent' if silent else units})"
