"""A bounded number of steps seen closely: by the clock, by raybead's parts, by torch's profiler.

Three times as many steps are done as are asked for. Every other one of the first is timed whole,
and the ones between them part by part: what both take tells what telling parts apart costs. The
last are traced by torch's profiler, which slows them down: of these it is shares that count.
"""

from __future__ import annotations

import re
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile, record_function

from raybead.profiling.trace import PART, STEP, Traced, parts_of, read_trace, steps_in
from raybead.timing import Part, Recording, forget_peak, peak_bytes
from raybead.training import settle

MICRO = 1e-6
OPERATORS = 30
"""That are told of, those that take most; of all together the sums are told."""

Step = Callable[[], object]


@dataclass(frozen=True)
class Operator:
    """One of torch's operators, all of its calls in the traced steps together."""

    name: str
    calls: int
    seconds: float
    """Of CPU threads, without the operators within it."""
    device_seconds: float
    """Of a GPU, likewise."""
    flops: int
    """As far as torch counts them: of products of matrices, convolutions, sums and products."""
    shapes: str
    """Of its arguments, where it took longest."""

    def as_dict(self) -> dict[str, Any]:
        return dict(vars(self))


@dataclass
class Steps:
    """What was seen of the steps; seconds are of all steps of a kind together."""

    device: torch.device
    plain: list[float] = field(default_factory=list)
    """Seconds of each step that was timed whole."""
    parted: list[float] = field(default_factory=list)
    """Seconds of each step that was timed by its parts."""
    traced: list[float] = field(default_factory=list)
    """Seconds of each step that torch's profiler traced."""
    parts: dict[str, Part] = field(default_factory=dict)
    """By raybead's clock, of the parted steps."""
    counts: dict[str, float] = field(default_factory=dict)
    """What the plain steps did."""
    cpu: float = 0.0
    """Seconds of CPU of the plain steps."""
    traces: dict[str, Traced] = field(default_factory=dict)
    """By torch's clock, of the traced steps."""
    operators: list[Operator] = field(default_factory=list)
    memory: dict[str, int] = field(default_factory=dict)
    """[bytes]"""
    trace: bytes = b""
    """Chrome's, compressed."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON; seconds unless a name says otherwise."""
        names = dict.fromkeys([*self.parts, *self.traces])
        return {
            "steps": len(self.plain),
            "seconds": {"plain": self.plain, "parted": self.parted, "traced": self.traced},
            "cpu_seconds": self.cpu,
            "counts": dict(sorted(self.counts.items())),
            "parts": {name: self._part(name) for name in names},
            "operators": [one.as_dict() for one in self.operators[:OPERATORS]],
            "operators_in_all": len(self.operators),
            "operator_seconds": sum(one.seconds for one in self.operators),
            "calls": sum(one.calls for one in self.operators),
            "flops": sum(one.flops for one in self.operators),
            "device_seconds": sum(part.device_seconds for part in self.traces.values()),
            "memory": self.memory,
        }

    def _part(self, name: str) -> dict[str, float]:
        part = self.parts.get(name, Part())
        traced = self.traces.get(name, Traced(0.0, 0.0, 0))
        return {
            "seconds": part.seconds,
            "cpu_seconds": part.cpu,
            "times": part.calls,
            "traced_seconds": traced.seconds,
            "device_seconds": traced.device_seconds,
            "peak_bytes": traced.peak_bytes,
        }


def profile_steps(work: Iterator[Step], steps: int, warm_up: int, device: torch.device) -> Steps:
    """Do steps, and see what they take.

    Args:
        work: hands out steps, ``warm_up + 3 * steps`` at least.
        steps: of each kind: timed whole, timed by parts, traced.
        warm_up: that are done beforehand, and not looked at.
        device: that they run on.
    """
    seen = Steps(device)
    for _ in range(warm_up):
        next(work)()
    settle(device)
    forget_peak()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    for _ in range(steps):
        with Recording(detailed=False) as whole:
            seen.plain.append(_clocked(next(work), device))
        seen.cpu += whole.cpu
        _add(seen.counts, whole.counts)
        with Recording() as parted:
            seen.parted.append(_clocked(next(work), device))
        for name, part in parted.parts.items():
            seen.parts.setdefault(name, Part()).add(part)
    seen.memory = {"rss_peak": peak_bytes()}
    if device.type == "cuda":
        seen.memory["device_allocated"] = torch.cuda.max_memory_allocated(device)
        seen.memory["device_reserved"] = torch.cuda.max_memory_reserved(device)
    _trace(seen, work, steps)
    return seen


def _clocked(step: Step, device: torch.device) -> float:
    began = time.perf_counter()
    step()
    settle(device)
    return time.perf_counter() - began


def _trace(seen: Steps, work: Iterator[Step], steps: int) -> None:
    """The traced steps, and what the trace and the profiler's own sums say of them."""
    activities = [ProfilerActivity.CPU]
    if seen.device.type == "cuda":
        activities.append(ProfilerActivity.CUDA)
    with profile(
        activities=activities, record_shapes=True, profile_memory=True, with_flops=True
    ) as profiler:
        for _ in range(steps):
            step = next(work)
            with record_function(STEP), Recording(around=_window):
                seen.traced.append(_clocked(step, seen.device))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json.gz"
        profiler.export_chrome_trace(str(path))
        seen.trace = path.read_bytes()
    events = read_trace(seen.trace)
    assert steps_in(events) == steps  # or the profiler lost some without a word
    seen.traces = parts_of(events, seen.device.type)
    seen.memory["traced_peak"] = max((one.peak_bytes for one in seen.traces.values()), default=0)
    seen.operators = _operators(profiler)


def _window(name: str) -> AbstractContextManager[Any]:
    return record_function(f"{PART}{name}")


def _operators(profiler: profile) -> list[Operator]:
    """All operators, the one that takes most of either device first."""
    by_name = defaultdict(list)
    for one in profiler.key_averages(group_by_input_shape=True):
        # Kernels have rows of their own besides those of the operators that launched them.
        if one.device_type.name == "CPU" and not one.is_user_annotation:
            by_name[_plain(one.key)].append(one)
    found = []
    for name, rows in by_name.items():
        if name == "[memory]":
            continue
        longest = max(rows, key=lambda row: row.self_cpu_time_total + row.self_device_time_total)
        found.append(
            Operator(
                name=name,
                calls=sum(row.count for row in rows),
                seconds=sum(row.self_cpu_time_total for row in rows) * MICRO,
                device_seconds=sum(row.self_device_time_total for row in rows) * MICRO,
                flops=sum(row.flops for row in rows),
                shapes=_shapes(longest.input_shapes),
            )
        )
    return sorted(found, key=lambda one: -(one.seconds + one.device_seconds))


def _plain(name: str) -> str:
    """An operator's name for people: what registers our own, and autograd's, adds words to it."""
    name = name.removeprefix("autograd::engine::evaluate_function: ")
    return re.sub(r"^GeneratedBackwardFor_([^_]+)_(\w+)_default", r"\1::\2 ", name).strip()


def _shapes(shapes: Any) -> str:
    """Of the arguments that have any, as ``512x64, 64``."""
    return ", ".join(
        "x".join(map(str, shape))
        for shape in shapes or ()
        if shape and all(isinstance(length, int) for length in shape)
    )


def _add(total: dict[str, float], more: dict[str, float]) -> None:
    for name, n in more.items():
        total[name] = total.get(name, 0) + n
