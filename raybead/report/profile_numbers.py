"""What a profile's numbers come to: per step, as shares, as tables for a page or a terminal."""

# ruff: noqa: RUF001  # signs that readers know: ×, –

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

DATA = ("batch", "transfer", "views")
"""Parts of a training step in which the model waits for what it is given."""
ORDER = (
    *DATA, "controls", "collate", "forward", "loss", "backward", "optimizer", "sums",
)  # fmt: skip
"""In which parts are done; what isn't here follows, and what no part claims comes last."""
OTHER = "other"
MIB = 2**20
SHOWN = 12
"""Operators in a table or a figure."""


@dataclass(frozen=True)
class Share:
    """A part of a step, or of a pass."""

    name: str
    seconds: float
    """Of each step."""
    share: float
    """Of the step's time by the same clock."""
    cpu: float
    """Seconds of CPU of each step, all threads."""
    device: float
    """Seconds that the GPU had work, of each traced step."""
    peak: int
    """Bytes, most at a time."""


def shares(seen: Mapping[str, Any]) -> list[Share]:
    """The parts of steps, in the order that they are done in.

    Args:
        seen: ``training`` or ``scoring`` of a profile.
    """
    steps, parts = seen["steps"], seen["parts"]
    whole = sum(part["seconds"] for part in parts.values()) or 1.0
    return [
        Share(
            name,
            parts[name]["seconds"] / steps,
            parts[name]["seconds"] / whole,
            parts[name]["cpu_seconds"] / steps,
            parts[name]["device_seconds"] / steps,
            parts[name]["peak_bytes"],
        )
        for name in sorted(parts, key=_place)
    ]


def _place(name: str) -> tuple[bool, int]:
    return name == OTHER, ORDER.index(name) if name in ORDER else len(ORDER)


def a_step(seen: Mapping[str, Any], kind: str = "plain") -> float:
    """Seconds of a step, mean of those that were timed whole, by ``parted``, or ``traced``."""
    seconds = seen["seconds"][kind]
    return sum(seconds) / len(seconds)


def rate(seen: Mapping[str, Any], counted: str) -> float:
    """Of what is counted, how many a second of the steps timed whole."""
    return seen["counts"].get(counted, 0) / sum(seen["seconds"]["plain"])


def slower(seen: Mapping[str, Any], kind: str) -> float:
    """How many times as long a step takes that is looked at more closely, by the medians: a few
    steps that something else delays don't count for more than others."""
    return median(seen["seconds"][kind]) / median(seen["seconds"]["plain"])


def cpus_busy(seen: Mapping[str, Any]) -> float:
    """CPUs that worked at a time, on average over the steps timed whole."""
    return seen["cpu_seconds"] / sum(seen["seconds"]["plain"])


def gpu_busy(seen: Mapping[str, Any]) -> float:
    """Share of the traced steps' time that the GPU had work."""
    return seen["device_seconds"] / sum(seen["seconds"]["traced"])


def in_operators(seen: Mapping[str, Any]) -> float:
    """Share of the traced steps' time that torch's operators account for; the rest is between."""
    return min(1.0, seen["operator_seconds"] / sum(seen["seconds"]["traced"]))


def top(seen: Mapping[str, Any]) -> list[tuple[dict[str, Any], float]]:
    """Operators that take most, and the share of each of all operators' time."""
    every = seen["operators"]
    device = sum(one["device_seconds"] for one in every)
    whole = seen["operator_seconds"] + device or 1.0
    return [(one, (one["seconds"] + one["device_seconds"]) / whole) for one in every[:SHOWN]]


@dataclass(frozen=True)
class Table:
    """Words and numbers for a page and a terminal; the first column is words."""

    key: str
    title: str
    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


def tables(profile: Mapping[str, Any]) -> list[Table]:
    """All tables of a profile."""
    return list(_tables(profile))


def _tables(profile: Mapping[str, Any]) -> Iterator[Table]:
    training, scoring = profile["training"], profile["scoring"]
    yield _parts_table(
        training,
        "training",
        "A training step",
        f"Mean of {training['steps']} steps that were timed part by part, after"
        f" {training['warm_up']} to warm up. Memory is the most that torch's allocator held at a"
        " time in the part, beyond what was there before.",
    )
    yield _parts_table(
        scoring,
        "scoring",
        f"Scoring {scoring['events']} events",
        f"Mean of {scoring['steps']} passes, from rows of events to losses.",
    )
    yield _operators_table(training)
    yield Table(
        "data",
        "Ray Data's operators",
        "As Ray Data counted them in the bounded preparation and scoring. Wall and CPU are of all"
        " tasks together; the span is from the first one's beginning to the last one's end; memory"
        " is the most that a task's process had for itself.",
        ["", "tasks", "blocks", "rows", "wall [s]", "CPU [s]", "span [s]",
         "out [kB]", "peak [MiB]"],
        [row for name, stage in profile["stages"].items() for row in _data_rows(name, stage)],
    )  # fmt: skip
    yield Table(
        "workers",
        "What workers did",
        "raybead's own parts of the same. Waits is the time until the first piece of work began:"
        " Ray's planning, and workers that start.",
        ["", "wall [s]", "waits [s]", "busy [s]", "CPU [s]", "pieces"],
        [row for name, stage in profile["stages"].items() for row in _stage_rows(name, stage)],
    )


def _parts_table(seen: Mapping[str, Any], key: str, title: str, caption: str) -> Table:
    found, gpu = shares(seen), seen["device_seconds"] > 0
    columns = ["", "ms", "share", "CPU [ms]", *(["GPU [ms]"] if gpu else []), "peak [MiB]"]
    rows = [
        [
            one.name,
            milli(one.seconds),
            f"{100 * one.share:.1f} %",
            milli(one.cpu),
            *([milli(one.device)] if gpu else []),
            mib(one.peak),
        ]
        for one in found
    ]
    whole = [
        "all",
        milli(sum(one.seconds for one in found)),
        "100 %",
        milli(sum(one.cpu for one in found)),
        *([milli(sum(one.device for one in found))] if gpu else []),
        mib(max(one.peak for one in found)),
    ]
    return Table(key, title, caption, columns, [*rows, whole])


def _operators_table(seen: Mapping[str, Any]) -> Table:
    steps, gpu = seen["steps"], seen["device_seconds"] > 0
    rows = [
        [
            one["name"],
            f"{100 * share:.1f} %",
            milli(one["seconds"] / steps),
            *([milli(one["device_seconds"] / steps)] if gpu else []),
            f"{one['calls'] / steps:g}",
            f"{one['flops'] / steps / 1e6:.3g}" if one["flops"] else "–",
            one["shapes"],
        ]
        for one, share in top(seen)
    ]
    return Table(
        "operators",
        "torch's operators in a training step",
        f"Those that take most of {seen['operators_in_all']}, without the operators within them,"
        f" of {seen['steps']} traced steps. Tracing makes steps"
        f" {slower(seen, 'traced'):.2g} × as long, most of all those of many small operators."
        " Floating point operations as far as torch counts them; shapes are those of the"
        " arguments that took longest.",
        ["", "share", "CPU [ms]", *(["GPU [ms]"] if gpu else []), "calls", "MFLOP", "shapes"],
        rows,
    )


def _data_rows(name: str, stage: Mapping[str, Any]) -> Iterator[list[str]]:
    for one in stage["operators"]:
        yield [
            f"{name}: {one['name']}",
            str(one["tasks"]),
            str(one["blocks"]),
            str(one["rows"]),
            f"{one['wall']:.2f}",
            f"{one['cpu']:.2f}",
            f"{one['elapsed']:.2f}",
            f"{one['bytes'] / 1e3:.1f}",
            mib(one["peak_bytes"]) if one["peak_bytes"] else "–",
        ]


def _stage_rows(name: str, stage: Mapping[str, Any]) -> Iterator[list[str]]:
    yield [
        name,
        f"{stage['wall_seconds']:.2f}",
        f"{stage['waiting_seconds']:.2f}",
        f"{stage['busy_seconds']:.2f}",
        f"{stage['cpu_seconds']:.2f}",
        str(stage["pieces"]),
    ]
    for part, one in stage["parts"].items():
        seconds, cpu = f"{one['seconds']:.2f}", f"{one['cpu_seconds']:.2f}"
        yield [f"  {part}", "", "", seconds, cpu, ""]


def milli(seconds: float) -> str:
    """Milliseconds to three digits."""
    return figures(1000 * seconds)


def mib(size: float) -> str:
    """Bytes in MiB, to three digits."""
    return figures(size / MIB)


def figures(value: float) -> str:
    """Three digits, without an exponent; nothing less than a thousandth."""
    if value == 0:
        return "0"
    decimals = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 3
    return f"{value:.{decimals}f}"
