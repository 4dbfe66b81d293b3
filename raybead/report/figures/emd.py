"""The learned energy mover's distance against the exact one, on pairs that training never saw."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
from matplotlib.colors import LogNorm

from raybead.report.figures.canvas import (
    BLACK,
    GREY,
    ORANGE,
    RED,
    Plot,
    canvas,
    filled,
    hep_style,
    legend,
    saved,
)
from raybead.report.figures.training import loss_figure

EXACT = "Exact EMD"
KIND_NAMES = {"random": "two jets", "copy": "a jet and its perturbed copy", "equal": "equal jets"}


def draw_emd(name: str, held_out: pa.Table, metrics: Mapping[str, Any]) -> list[Plot]:
    """All figures of a learned distance.

    Args:
        name: of the run.
        held_out: pairs held out, with ``kind``, ``emd``, ``learned`` and ``sliced``.
        metrics: ``history`` of the training and ``agreement`` on these pairs.
    """
    kind = np.asarray(held_out.column("kind").to_pylist())
    unequal = kind != "equal"
    exact, learned, sliced = (
        held_out.column(column).to_numpy()[unequal] for column in ("emd", "learned", "sliced")
    )
    with hep_style():
        return [
            _density_figure(name, exact, learned, metrics["agreement"]["all"]["learned"]),
            _residual_figure(name, exact, learned, sliced),
            *_overlay_figures(name, kind[unequal], exact, learned),
            _loss_figure(name, metrics["history"]),
        ]


def _density_figure(
    name: str, exact: np.ndarray, learned: np.ndarray, agreement: Mapping[str, Any]
) -> Plot:
    figure, axes = canvas(name, "held-out pairs")
    top = 1.02 * max(float(exact.max()), float(learned.max()))
    low = min(0.0, float(learned.min()))
    edges = np.linspace(low, top, 61)
    counts = np.histogram2d(exact, learned, [edges, edges])[0]
    mesh = axes.pcolormesh(
        edges, edges, np.where(counts > 0, counts, np.nan).T, norm=LogNorm(vmin=1),
        cmap="viridis", rasterized=True,
    )  # fmt: skip
    axes.plot([0, top], [0, top], color=RED, lw=1.2, ls="--", label="Equal")
    axes.set(xlabel=EXACT, ylabel="Learned EMD", xlim=(low, top), ylim=(low, top))
    words = f"Pearson {agreement['pearson']:.4f}\nSpearman {agreement['spearman']:.4f}"
    axes.text(0.96, 0.05, words, transform=axes.transAxes, ha="right", va="bottom", fontsize=14)
    axes.legend(loc="upper left")
    figure.colorbar(mesh, ax=axes, label="Pairs a bin", pad=0.02)
    return saved(
        figure, "emd-density", "training",
        "Learned against exact energy mover's distance of pairs of jets that training never saw;"
        " on the dashed line the two are equal.",
        f"Two-dimensional histogram of learned and exact distance; Pearson correlation"
        f" {agreement['pearson']:.4f}.",
    )  # fmt: skip


def _residual_figure(
    name: str, exact: np.ndarray, learned: np.ndarray, sliced: np.ndarray
) -> Plot:
    figure, axes = canvas(name, "held-out pairs")
    positive = exact > 0
    exact, learned, sliced = exact[positive], learned[positive], sliced[positive]
    edges = np.unique(np.quantile(exact, np.linspace(0, 1, max(3, min(16, len(exact) // 20)))))
    place = np.clip(np.searchsorted(edges, exact, side="right") - 1, 0, len(edges) - 2)
    middle = np.sqrt(edges[:-1] * edges[1:])
    error = (learned - exact) / exact
    axes.scatter(exact, error, s=3, color=GREY, alpha=0.35, lw=0, rasterized=True)
    for values, color, label in (
        (error, BLACK, "Learned"),
        ((sliced - exact) / exact, ORANGE, "Sliced, no learning"),
    ):
        bands = np.array(
            [
                np.quantile(values[place == i], [0.16, 0.5, 0.84])
                if (place == i).any()
                else [np.nan] * 3
                for i in range(len(middle))
            ]
        )
        axes.plot(middle, bands[:, 1], color=color, marker="o", ms=4, label=f"{label}: median")
        axes.fill_between(
            middle, bands[:, 0], bands[:, 2], color=color, alpha=0.25, lw=0, label="68 %"
        )
    axes.axhline(0, color=RED, lw=1.2, ls="--")
    reach = max(0.05, 1.1 * float(np.quantile(np.abs(error), 0.99)))
    axes.set_xscale("log")
    axes.set(xlabel=EXACT, ylabel="(predicted - exact) / exact", ylim=(-reach, reach))
    legend(axes, rows=2, columns=2)
    return saved(
        figure, "emd-residual", "training",
        "Error of the learned distance in parts of the exact one. Points are pairs; lines and"
        " bands are medians and the central 68 % in bins of equal numbers of pairs, beside those"
        " of the sliced distance, a closed form that nothing is learned in.",
        "Relative error of learned and sliced distance against exact distance.",
    )  # fmt: skip


def _overlay_figures(
    name: str, kind: np.ndarray, exact: np.ndarray, learned: np.ndarray
) -> Iterator[Plot]:
    for chosen in dict.fromkeys(sorted(kind.tolist())):
        ours, truth = learned[kind == chosen], exact[kind == chosen]
        words = KIND_NAMES.get(chosen, chosen)
        figure, axes = canvas(name, f"held-out pairs: {words}")
        top = 1.02 * max(float(ours.max()), float(truth.max()))
        edges = np.linspace(min(0.0, float(ours.min())), top, 51)
        filled(axes, np.histogram(truth, edges)[0], edges, "Exact")
        axes.stairs(np.histogram(ours, edges)[0], edges, color=BLACK, lw=1.8, label="Learned")
        axes.set_xlim(edges[0], edges[-1])
        axes.set_ylim(bottom=0)
        axes.set(xlabel="Energy mover's distance", ylabel="Pairs")
        legend(axes, rows=1, columns=2)
        yield saved(
            figure, f"emd-overlay-{chosen}", "training",
            f"Exact and learned distances of held-out pairs of {words}.",
            f"Histograms of exact (filled) and learned (line) distances of pairs of {words}.",
        )  # fmt: skip


def _loss_figure(name: str, history: Sequence[Mapping[str, Any]]) -> Plot:
    return replace(
        loss_figure(name, history),
        name="emd-loss",
        caption="Mean squared error, in parts of the exact distance plus 0.02, on training and"
        " validation pairs after every epoch. The weights of the marked epoch are kept.",
    )
