"""Overlays of several runs' hunts: which cuts are compared, and p-values of every one."""

# ruff: noqa: RUF001  # signs that readers know: σ, −, ×, –

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from matplotlib.lines import Line2D
from scipy import stats

from raybead.report.compare_words import Looks
from raybead.report.compared import Run
from raybead.report.figures.canvas import GREY, Plot, canvas, saved
from raybead.report.figures.chart import Axis, Chart, Mark, Panel
from raybead.report.figures.compare_spectra import limits_overlay, spectrum_overlay
from raybead.report.figures.overlay import DASHES, NO_TRUTH, Overlay, fitted_legend, part
from raybead.report.hunted import Cut
from raybead.report.numbers import percent

Pick = Callable[[Run], Cut | str]
"""A run's cut, or why it has none."""


def hunt_figures(runs: Sequence[Run]) -> Iterator[Plot]:
    """p-values by cut; spectra and limits at each run's best cut, and at cuts they have alike."""
    hunted = Overlay.of(runs, lambda run: part(run, "hunt") or run.own_cuts or _none_own(run))
    if not hunted.drawn:
        return
    yield _p_figure(hunted, runs)
    picks: list[tuple[str, str, Pick]] = [("best", "each run's best cut", _best)]
    best = {run.best_cut.cut for run in runs if run.best_cut is not None}
    picks += [
        (f"{quantile:g}", f"the {percent(quantile)} quantile", _at(quantile))
        for quantile in common_cuts(runs)
        if best != {quantile}  # which would be the same figure again
    ]
    for key, words, pick in picks:
        overlay = Overlay.of(runs, pick)
        yield spectrum_overlay(overlay, key, words)
        limited = Overlay.of(runs, lambda run, pick=pick: _with_limits(pick(run)))
        if limited.drawn:
            yield limits_overlay(limited, key, words)
    corrected = Overlay.of(runs, lambda run: _with_limits(_best(run), _efficiency(run)))
    if corrected.drawn:
        yield limits_overlay(corrected, "before-cut", "each run's best cut", truth=True)


def common_cuts(runs: Sequence[Run]) -> list[float]:
    """Quantiles at which at least two runs were hunted in."""
    every = [cut.cut for run in runs for cut in run.own_cuts]
    return sorted({cut for cut in every if every.count(cut) > 1})


def _none_own(run: Run) -> str:
    return f"its hunt has no cut on a score of {run.job.name}"


def _best(run: Run) -> Cut | str:
    return part(run, "hunt") or run.best_cut or _none_own(run)


def _at(quantile: float) -> Pick:
    return lambda run: part(run, "hunt") or run.cut_at(quantile) or "not hunted in at this cut"


def _efficiency(run: Run) -> float | str:
    """The share of the true signal in the mass window that the best cut keeps."""
    if run.best_cut is None or run.evaluation is None or run.evaluation.efficiency is None:
        return part(run, "hunt") or NO_TRUTH
    for cut in run.evaluation.efficiency.cuts:
        if cut.cut == run.best_cut.cut and cut.signal.total.value:
            return cut.signal.total.value
    return "its best cut keeps no signal"


def _with_limits(cut: Cut | str, efficiency: float | str = 1.0) -> tuple[Cut, float] | str:
    if isinstance(cut, str) or isinstance(efficiency, str):
        return cut if isinstance(cut, str) else str(efficiency)
    return "no peak could be fitted at this cut" if cut.limits is None else (cut, efficiency)


def _p_figure(overlay: Overlay, runs: Sequence[Run]) -> Plot:
    figure, axes = canvas(overlay.title, "by cut; dashed: of all cuts")
    marks, handles, labels, every = [], [], [], []
    kept: list[float] = []
    for number, drawn in enumerate(overlay.drawn):
        aside = 1.05 ** (number - (len(overlay.drawn) - 1) / 2)
        x = np.array([100 * (1 - cut.cut) for cut in drawn.what])
        p, low, high = (
            np.array([getattr(cut.overall, key) for cut in drawn.what])
            for key in ("p", "low", "high")
        )
        bound = np.array([cut.overall.beyond == 0 for cut in drawn.what])
        low = np.where(bound | (low <= 0), p, np.minimum(low, p))
        high = np.where(bound, p, np.maximum(high, p))
        axes.errorbar(
            x[~bound] * aside, p[~bound], np.stack([p - low, high - p])[:, ~bound], fmt="o",
            color=drawn.color, ms=7, lw=1.4,
        )  # fmt: skip
        axes.plot(x[bound] * aside, p[bound], "v", color=drawn.color, ms=9)
        conclusion = drawn.run.hunted.conclusion  # type: ignore[union-attr]
        # Lines of equal p-values take turns.
        turns = (4 * number, (4, 4 * max(1, len(overlay.drawn) - 1)))
        axes.axhline(conclusion.p, color=drawn.color, lw=1.6, ls=turns)
        handles.append(Line2D([], [], color=drawn.color, ls=DASHES, marker="o", ms=6))
        labels.append(f"{drawn.name}: {'' if conclusion.resolved else '≤ '}{conclusion.p:.2g}")
        text = np.array([f"{100 * cut.cut:g} % quantile{', a bound' if b else ''}"
                         for cut, b in zip(drawn.what, bound, strict=True)], object)  # fmt: skip
        columns = {"x": x * aside, "y": p, "low": low, "high": high, "text": text}
        marks += [
            *(
                Mark(kind="points", name=drawn.run.name, color=drawn.color, bound=is_bound,
                     columns={name: column[which] for name, column in columns.items()})
                for is_bound, which in ((False, ~bound), (True, bound)) if which.any()
            ),
            Mark(kind="rule", name=f"{drawn.run.name}, all cuts", color=drawn.color,
                 columns={"y": [conclusion.p]}, dashed=True),
        ]  # fmt: skip
        every += [*p, *low, conclusion.p]
        kept += [*x]
    floor = 0.4 * min(every)
    axes.set(xscale="log", yscale="log", ylim=(floor, 1.5))
    axes.set_xlim(min(kept) / 1.5, max(kept) * 1.5)
    for sigma in range(1, 8):
        if (p := float(stats.norm.sf(sigma))) > floor:
            axes.axhline(p, color=GREY, lw=0.9, ls=":")
            axes.annotate(f"{sigma}σ", (max(kept) * 1.47, p), ha="right", va="bottom",
                          fontsize=12, color=GREY)  # fmt: skip
            marks.append(Mark(kind="rule", name="", color=GREY, columns={"y": [p]}, dashed=True))
    ticks = sorted({round(k, 6) for k in kept})
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_xticks([], minor=True)
    axes.set(xlabel="Events that the cut keeps [%]", ylabel="Global p-value")
    fitted_legend(axes, handles, labels)
    # The legend's room isn't a chance.
    decades = 10.0 ** np.arange(np.ceil(np.log10(floor)), 1)
    axes.set_yticks(decades, minor=False)
    axes.set_yticks(np.outer(decades / 10, np.arange(2, 10)).ravel(), minor=True)
    axes.set_ylim(bottom=floor)
    looks = Looks.of(runs)
    facts = {} if looks is None else {
        "runs": looks.runs, "smallest": looks.p, "bonferroni": looks.bonferroni,
        "sidak": looks.sidak,
    }  # fmt: skip
    return saved(
        figure, "compare-p", "compare",
        "Global p-value of every cut of every run (triangles: bounds, no pseudo-experiment"
        " having reached the data), beside one another at each cut; dashed, and in the legend: of"
        " all cuts of a run together. What looking at several runs costs isn't in them."
        f"{overlay.left_out}",
        f"Global p-values by cut of {overlay.names}.",
        chart=Chart(panels=[Panel(
            x=Axis(label="Events that the cut keeps [%]", scale="log",
                   domain=(min(kept) / 1.5, max(kept) * 1.5),
                   ticks={f"{tick:g}": tick for tick in ticks}),
            y=Axis(label="Global p-value", scale="log", domain=(floor, 1.5)), marks=marks,
        )], facts=facts),
    )  # fmt: skip
