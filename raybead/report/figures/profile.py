"""Where a job's time goes, drawn: a step's parts, operators, memory, and Ray Data's operators."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator, NullLocator

from raybead.report.figures.canvas import (
    BLUE,
    BROWN,
    GREY,
    ORANGE,
    PURPLE,
    RED,
    VIOLET,
    Plot,
    canvas,
    hep_style,
    inscribe,
    legend,
    saved,
    verbatim,
)
from raybead.report.figures.chart import Axis, Chart, Mark, Panel
from raybead.report.profile_numbers import MIB, a_step, milli, shares, top

COLORS = {
    "batch": ORANGE, "collate": "#f5bb54", "transfer": BROWN, "views": RED, "controls": RED,
    "forward": BLUE, "loss": VIOLET, "backward": PURPLE, "optimizer": "#607641", "sums": "#b0b7bf",
    "other": GREY,
}  # fmt: skip
"""Of the parts of steps."""
READABLE = 0.05
"""Share of a bar from which on there is room for words."""
LONGEST = 40
"""Signs of a name."""
LEAST = 0.01
"""Share of a stage's time from which on a part is drawn."""


def draw_profile(name: str, profile: Mapping[str, Any]) -> list[Plot]:
    """All figures of a profile.

    Args:
        name: of the run.
        profile: as ``profile.json`` holds it.
    """
    with hep_style():
        return list(_figures(name, profile))


def _figures(name: str, profile: Mapping[str, Any]) -> Iterator[Plot]:
    training = profile["training"]
    yield _parts_figure(name, training, profile["scoring"])
    yield _operators_figure(name, training)
    yield _memory_figure(name, training)
    yield _steps_figure(name, training)
    if any(stage["operators"] for stage in profile["stages"].values()):
        yield _data_figure(name, profile["stages"])
    yield _workers_figure(name, profile["stages"])


def _parts_figure(name: str, training: Mapping[str, Any], scoring: Mapping[str, Any]) -> Plot:
    bars = {
        f"Training step\n{milli(a_step(training, 'parted'))} ms": shares(training),
        f"Scoring\n{scoring['events']} events\n{milli(a_step(scoring, 'parted'))} ms": shares(
            scoring
        ),
    }
    figure, axes = _bars(name, "mean of steps", 2, list(bars), room=1.3)
    spans: dict[str, list[tuple[float, float, float, str]]] = {}
    for row, found in enumerate(bars.values()):
        left = 0.0
        for one in found:
            width, color = 100 * one.share, COLORS.get(one.name, GREY)
            axes.barh(row, width, left=left, height=0.62, color=color, edgecolor="white", lw=0.8)
            if one.share >= READABLE:
                axes.text(
                    left + width / 2, row, f"{width:.0f}", ha="center", va="center", fontsize=13,
                    color="white",
                )  # fmt: skip
            told = f"{one.name}: {milli(one.seconds)} ms, {width:.1f} %"
            spans.setdefault(one.name, []).append((left, left + width, row, told))
            left += width
    axes.set_xlim(0, 100)
    axes.set_xlabel("Share of the time, part after part [%]")
    figure.legend(
        handles=[Patch(color=COLORS.get(part, GREY), label=part) for part in spans],
        loc="outside lower center", ncols=5, fontsize=13, columnspacing=1.2, handlelength=1.2,
    )  # fmt: skip
    chart = _chart(
        "Share of the time, part after part [%]",
        {label.replace("\n", ", "): float(row) for row, label in enumerate(bars)},
        [_spans(part, COLORS.get(part, GREY), rows) for part, rows in spans.items()],
        (0.0, 100.0),
    )
    most = max(bars[next(iter(bars))], key=lambda one: one.share)
    return saved(
        figure,
        "profile-parts",
        "profile",
        "Where the time of a training step and of a pass of scoring goes, each part by itself, in"
        " the order that they are done in.",
        f"Two stacked bars. Of a training step {most.name} takes most, {100 * most.share:.0f} %.",
        chart=chart,
    )


def _operators_figure(name: str, training: Mapping[str, Any]) -> Plot:
    found, steps = [one for one, _ in top(training)], training["steps"]
    labels = [_short(one["name"]) for one in found]
    figure, axes = _bars(name, "traced steps", len(found), labels, fontsize=12)
    cpu = [1e3 * one["seconds"] / steps for one in found]
    device = [1e3 * one["device_seconds"] / steps for one in found]
    gpu = any(device)
    rows = np.arange(len(found))
    axes.barh(rows - (0.2 if gpu else 0), cpu, height=0.38 if gpu else 0.7, color=BLUE)
    if gpu:
        axes.barh(rows + 0.2, device, height=0.38, color=ORANGE)
        axes.legend(
            handles=[Patch(color=BLUE, label="CPU"), Patch(color=ORANGE, label="GPU")],
            loc="lower right",
        )
    axes.set_xlim(0, 1.06 * max([*cpu, *device, 1e-6]))
    axes.set_xlabel("Time of its own a step [ms]")
    texts = [f"{one['name']}: {one['calls'] / steps:g} calls a step" for one in found]
    marks = [
        _spans("CPU", BLUE, [(0.0, x, r - (0.2 if gpu else 0), t) for r, (x, t) in
                             enumerate(zip(cpu, texts, strict=True))]),
        *([_spans("GPU", ORANGE, [(0.0, x, r + 0.2, t) for r, (x, t) in
                                  enumerate(zip(device, texts, strict=True))])] if gpu else []),
    ]  # fmt: skip
    ticks = {label: float(row) for row, label in enumerate(_apart(labels))}
    return saved(
        figure,
        "profile-operators",
        "profile",
        "Time of torch's operators in a training step, without the operators within them, as its"
        " profiler traced them; tracing itself takes time, most of it of small operators.",
        f"Bars of {len(found)} operators; {found[0]['name']} takes most, {cpu[0]:.3g} ms of CPU a"
        " step.",
        chart=_chart("Time of its own a step [ms]", ticks, marks),
    )


def _memory_figure(name: str, training: Mapping[str, Any]) -> Plot:
    found = shares(training)
    labels = [one.name for one in found]
    figure, axes = _bars(name, "traced steps", len(found), labels)
    sizes = [one.peak / MIB for one in found]
    colors = [COLORS.get(one.name, GREY) for one in found]
    axes.barh(np.arange(len(found)), sizes, height=0.7, color=colors)
    axes.set_xlim(0, 1.06 * max([*sizes, 1e-6]))
    axes.set_xlabel("Most memory of tensors at a time [MiB]")
    marks = [
        _spans(one.name, color, [(0.0, size, float(row), "")])
        for row, (one, size, color) in enumerate(zip(found, sizes, colors, strict=True))
    ]
    highest = max(found, key=lambda one: one.peak)
    return saved(
        figure,
        "profile-memory",
        "profile",
        "Most memory that tensors took at a time in each part of a training step. On CPUs beyond"
        " what was there when tracing began: weights, the optimizer's state and the events are"
        " not in it.",
        f"Bars of a step's parts; {highest.name} has the highest, {highest.peak / MIB:.3g} MiB.",
        chart=_chart(
            "Most memory of tensors at a time [MiB]",
            {label: float(row) for row, label in enumerate(labels)},
            [Mark(kind=mark.kind, name="", color=mark.color, columns=mark.columns, filled=True)
             for mark in marks],
        ),
    )  # fmt: skip


def _steps_figure(name: str, training: Mapping[str, Any]) -> Plot:
    figure, axes = canvas(name, "training steps")
    kinds = {
        "timed whole": ("plain", BLUE),
        "timed by parts": ("parted", ORANGE),
        "traced": ("traced", PURPLE),
    }
    marks = []
    for label, (kind, color) in kinds.items():
        times = 1e3 * np.asarray(training["seconds"][kind])
        number = np.arange(1, len(times) + 1)
        axes.plot(
            number, times, "o-", color=color, ms=5, label=f"{label}, mean {times.mean():.3g} ms"
        )
        marks.append(Mark(kind="line", name=label, color=color, columns={"x": number, "y": times}))
    axes.set_ylim(0, None)
    axes.set_xlim(0.5, len(number) + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("Step of its kind")
    axes.set_ylabel("Time [ms]")
    legend(axes, 3)
    return saved(
        figure,
        "profile-steps",
        "profile",
        "What looking closely costs: every training step that was looked at. Steps timed whole and"
        " those timed by parts took turns, traced ones came last.",
        f"Three curves of the time of {len(number)} steps each.",
        chart=Chart(
            panels=[
                Panel(
                    x=Axis(label="Step of its kind"),
                    y=Axis(label="Time [ms]", domain=axes.get_ylim()),
                    marks=marks,
                )
            ]
        ),
    )


def _data_figure(name: str, stages: Mapping[str, Any]) -> Plot:
    every = [
        (f"{stage}: {one['name']}", one) for stage, of in stages.items() for one in of["operators"]
    ]
    labels = ["\n".join(map(_short, label.split(": ", 1))) for label, _ in every]
    figure, axes = _bars(name, "Ray Data", len(every), labels, fontsize=12)
    wall, cpu = ([one[key] for _, one in every] for key in ("wall", "cpu"))
    rows = np.arange(len(every))
    axes.barh(rows - 0.2, wall, height=0.38, color=BLUE)
    axes.barh(rows + 0.2, cpu, height=0.38, color=ORANGE)
    axes.legend(
        handles=[Patch(color=BLUE, label="wall"), Patch(color=ORANGE, label="CPU")],
        loc="upper right",
    )
    axes.set_xlim(0, 1.3 * max([*wall, *cpu, 1e-6]))
    axes.set_xlabel("Time of all its tasks [s]")
    texts = [f"{one['name']}: {one['tasks']} tasks, {one['blocks']} blocks" for _, one in every]
    marks = [
        _spans(label, color, [(0.0, x, r + shift, t) for r, (x, t) in
                              enumerate(zip(times, texts, strict=True))])
        for label, color, shift, times in (("wall", BLUE, -0.2, wall), ("CPU", ORANGE, 0.2, cpu))
    ]  # fmt: skip
    ticks = {label: float(row) for row, (label, _) in enumerate(every)}
    longest = max(every, key=lambda one: one[1]["wall"])
    return saved(
        figure,
        "profile-data",
        "profile",
        "Ray Data's operators of the bounded preparation and scoring, all tasks of each together.",
        f"Bars of {len(every)} operators; {longest[0]} takes most, {longest[1]['wall']:.2g} s.",
        chart=_chart("Time of all its tasks [s]", ticks, marks),
    )


def _workers_figure(name: str, stages: Mapping[str, Any]) -> Plot:
    every = [
        (f"{stage}: {part}", stage, one)
        for stage, of in stages.items()
        for part, one in of["parts"].items()
        if one["seconds"] >= LEAST * of["busy_seconds"]
    ]
    labels = [label for label, _, _ in every]
    figure, axes = _bars(name, "raybead's parts", len(every), labels, fontsize=12)
    colors = dict(zip(stages, (BLUE, ORANGE, PURPLE), strict=False))
    seconds = [one["seconds"] for _, _, one in every]
    axes.barh(np.arange(len(every)), seconds, height=0.7, color=[colors[of] for _, of, _ in every])
    axes.set_xlim(0, 1.06 * max([*seconds, 1e-6]))
    axes.set_xlabel("Time that workers were busy [s]")
    marks = [
        _spans(stage, color, [(0.0, x, float(row), "") for row, (x, (_, of, _)) in
                              enumerate(zip(seconds, every, strict=True)) if of == stage])
        for stage, color in colors.items()
    ]  # fmt: skip
    longest = labels[int(np.argmax(seconds))] if seconds else "nothing"
    return saved(
        figure,
        "profile-workers",
        "profile",
        "What workers were busy with in the bounded preparation and scoring, all workers together,"
        " by raybead's own clock; parts of less than a hundredth of it aren't drawn.",
        f"Bars of {len(every)} parts; {longest} takes most.",
        chart=_chart(
            "Time that workers were busy [s]",
            {label: float(row) for row, label in enumerate(labels)},
            marks,
        ),
    )


def _bars(
    name: str, note: str, n: int, labels: Sequence[str], *, fontsize: float = 14, room: float = 0.5
) -> tuple[Figure, Axes]:
    """An empty figure for lying bars, the first on top, as high as they need."""
    figure = Figure(figsize=(8.0, max(3.2, 1.6 + room * n)), layout="constrained")
    axes = figure.add_subplot()
    inscribe(axes, name, note)
    axes.set_yticks(range(n), [verbatim(label) for label in labels], fontsize=fontsize)
    axes.set_ylim(n - 0.4, -0.6)
    axes.tick_params(axis="y", which="both", length=0)
    axes.minorticks_off()
    return figure, axes


def _spans(name: str, color: str, rows: Sequence[tuple[float, float, float, str]]) -> Mark:
    """Bars of (from, to, row, what is told)."""
    x1, x2, y, text = map(list, zip(*rows, strict=True))
    columns: dict[str, list[Any]] = {"x1": x1, "x2": x2, "y": y}
    if any(text):
        columns["text"] = text
    return Mark(kind="spans", name=name, color=color, columns=columns, filled=True)


def _chart(
    label: str,
    ticks: Mapping[str, float],
    marks: Sequence[Mark],
    domain: tuple[float, float] | None = None,
) -> Chart:
    low, high = min(ticks.values()) - 0.6, max(ticks.values()) + 0.6
    if domain is None:
        ends = [end for mark in marks for end in mark.columns["x2"]]
        domain = 0.0, 1.06 * max([*ends, 1e-6])
    return Chart(
        panels=[
            Panel(
                x=Axis(label=label, domain=domain),
                y=Axis(label="", domain=(high, low), ticks=ticks),
                marks=marks,
            )
        ]
    )


def _short(name: str) -> str:
    name = name.removeprefix("aten::")
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"


def _apart(labels: Sequence[str]) -> list[str]:
    """The labels, numbered where one stands there twice."""
    return [
        f"{label} ({labels[:place].count(label) + 1})" if label in labels[:place] else label
        for place, label in enumerate(labels)
    ]
