"""What torch's profiler traced of a few steps: windows of parts, and what fell into them.

Parts are windows of one thread that lie within one another. Kernels of a GPU and allocations are
of other clocks' threads and streams: they belong to the part whose window they fall into, which is
right because the device is waited for before a part ends.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

PART, STEP = "part: ", "step"
"""How windows are named in a trace: a part's with its name behind, and a whole step's."""
DEVICE_WORK = frozenset({"kernel", "gpu_memcpy", "gpu_memset"})
"""Categories of what a GPU does; the windows it is said to have itself aren't among them."""
CPU, CUDA = 0, 1
"""Types of devices, as a trace numbers them."""
MICRO = 1e-6

Span = tuple[float, float]


@dataclass(frozen=True)
class Traced:
    """What a trace says of one part, of all steps together."""

    seconds: float
    """In no part within it."""
    device_seconds: float
    """Of it, that a GPU had work."""
    peak_bytes: int
    """Most that was allocated at a time; on CPUs beyond what was there when the trace began."""


def read_trace(content: bytes) -> list[dict[str, Any]]:
    """Events of a Chrome trace, compressed or not."""
    plain = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    return json.loads(plain)["traceEvents"]


def parts_of(events: Sequence[Mapping[str, Any]], device: str) -> dict[str, Traced]:
    """What a trace says of each part, and of the steps' rest as ``other``.

    Args:
        events: of the trace.
        device: type of the one that memory is counted on: ``cpu`` or ``cuda``.
    """
    pieces = _innermost(_windows(events))
    busy = _joined(
        (float(one["ts"]), float(one["ts"]) + float(one["dur"]))
        for one in events
        if one.get("cat") in DEVICE_WORK and "dur" in one
    )
    levels = _levels(events, CUDA if device == "cuda" else CPU)
    found: dict[str, Traced] = {}
    at = held = 0
    reach = 0  # of what the GPU does: pieces come in order, and so does it
    for start, end, name in pieces:
        while at < len(levels) and levels[at][0] < start:
            held, at = levels[at][1], at + 1
        peak = held
        while at < len(levels) and levels[at][0] <= end:
            held, at = levels[at][1], at + 1
            peak = max(peak, held)
        while reach < len(busy) and busy[reach][1] <= start:
            reach += 1
        work, look = 0.0, reach
        while look < len(busy) and busy[look][0] < end:
            work += min(busy[look][1], end) - max(busy[look][0], start)
            look += 1
        so_far = found.get(name, Traced(0.0, 0.0, 0))
        found[name] = Traced(
            so_far.seconds + (end - start) * MICRO,
            so_far.device_seconds + work * MICRO,
            max(so_far.peak_bytes, peak),
        )
    return found


def steps_in(events: Iterable[Mapping[str, Any]]) -> int:
    """Steps that a trace holds whole."""
    return sum(one.get("cat") == "user_annotation" and one["name"] == STEP for one in events)


def _windows(events: Iterable[Mapping[str, Any]]) -> list[tuple[float, float, str]]:
    """Of steps and parts, outer ones before those within."""
    found = []
    for one in events:
        if one.get("cat") != "user_annotation":
            continue
        name = str(one["name"])
        if name == STEP or name.startswith(PART):
            start = float(one["ts"])
            own = "other" if name == STEP else name.removeprefix(PART)
            found.append((start, start + float(one["dur"]), own))
    return sorted(found, key=lambda window: (window[0], -window[1]))


def _innermost(windows: Sequence[tuple[float, float, str]]) -> list[tuple[float, float, str]]:
    """The time of windows cut into pieces, each of the innermost window that is open."""
    pieces: list[tuple[float, float, str]] = []
    opened: list[tuple[float, str]] = []
    last = 0.0

    def until(time: float) -> None:
        nonlocal last
        while opened and opened[-1][0] <= time:
            end, name = opened.pop()
            if end > last:
                pieces.append((last, end, name))
                last = end
        if opened and time > last:
            pieces.append((last, time, opened[-1][1]))
        last = max(last, time)

    for start, end, name in windows:
        until(start)
        opened.append((end, name))
    until(float("inf")) if windows else None
    return pieces


def _joined(spans: Iterable[Span]) -> list[Span]:
    """Spans as one, where they meet: streams work side by side."""
    joined: list[Span] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        else:
            joined.append((start, end))
    return joined


def _levels(events: Iterable[Mapping[str, Any]], kind: int) -> list[tuple[float, int]]:
    """Times, and what was allocated from then on [bytes]."""
    found = [
        (float(one["ts"]), int(one["args"]["Total Allocated"]))
        for one in events
        if one.get("name") == "[memory]"
        and one["args"].get("Device Type") == kind
        and "Total Allocated" in one["args"]
    ]
    return sorted(found, key=lambda level: level[0])
