"""Where the time of a piece of work goes, measured where it is done, and what was done in it.

A process that does a piece opens a :class:`Recording`. Whatever runs in it, on any layer, says
``with timed("read"):`` and ``count("events_read", 100)``; outside of a recording both do nothing.
"""

from __future__ import annotations

import contextlib
import os
import resource
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar, Token
from dataclasses import asdict, dataclass, field
from types import TracebackType
from typing import Any

OTHER = "other"
"""The part that time counts to which no ``timed`` claims."""

_NOWHERE = nullcontext()


@dataclass
class Part:
    """What one part of the work took."""

    seconds: float = 0.0
    cpu: float = 0.0
    """Seconds of CPU of the whole process, all threads together."""
    calls: int = 0

    def add(self, other: Part) -> None:
        """Take another's time in."""
        self.seconds += other.seconds
        self.cpu += other.cpu
        self.calls += other.calls


@dataclass(frozen=True)
class Seen:
    """What became of one piece, as the process that did it tells; goes through JSON."""

    worker: str
    """The process, by machine and number."""
    started: float
    """Seconds since 1970, by its machine's clock."""
    ended: float
    parts: dict[str, Part]
    """Their seconds add up to those of the piece."""
    counts: dict[str, float]
    peak_bytes: int
    """Most memory that the process had until then, since its stage began where that is known."""
    faulty: bool = False

    @property
    def seconds(self) -> float:
        """That the process was busy with the piece."""
        return sum(part.seconds for part in self.parts.values())

    @property
    def cpu(self) -> float:
        return sum(part.cpu for part in self.parts.values())

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> Seen:
        return cls(**{**raw, "parts": {name: Part(**one) for name, one in raw["parts"].items()}})


@dataclass
class Recording:
    """Time and counts of the work that runs within ``with recording:``, in this thread.

    All time between entering and leaving belongs to one part: to the innermost ``timed`` that is
    open, or to :data:`OTHER`. So the parts add up to the whole.
    """

    detailed: bool = True
    """Whether parts are told apart; else all is :data:`OTHER`, and ``timed`` costs nothing."""
    around: Callable[[str], AbstractContextManager[Any]] | None = None
    """Opened by a part's name around each of its blocks, where another clock wants to know."""
    parts: dict[str, Part] = field(default_factory=dict)
    counts: dict[str, float] = field(default_factory=dict)
    started: float = 0.0
    ended: float = 0.0
    _open: list[str] = field(default_factory=list)
    _last: tuple[float, float] = (0.0, 0.0)
    _token: Token[Recording | None] | None = None

    def __enter__(self) -> Recording:
        self._token = _current.set(self)
        self.started = time.time()
        self._last = (time.perf_counter(), time.process_time())
        self._begin(OTHER)
        return self

    def __exit__(self, *raised: object) -> None:
        self._charge()
        self._open.clear()
        self.ended = time.time()
        if self._token is not None:
            _current.reset(self._token)

    @property
    def seconds(self) -> float:
        """Of all parts, so far."""
        return sum(part.seconds for part in self.parts.values())

    @property
    def cpu(self) -> float:
        return sum(part.cpu for part in self.parts.values())

    def take(self, other: Recording) -> None:
        """Count another's time and counts, of work done before, as this one's."""
        self.started = min(self.started, other.started)
        for name, part in other.parts.items():
            self.parts.setdefault(name, Part()).add(part)
        for name, n in other.counts.items():
            self.counts[name] = self.counts.get(name, 0) + n

    def seen(self, worker: str, *, faulty: bool = False) -> Seen:
        """What to tell of it, when it is over."""
        return Seen(
            worker, self.started, self.ended, self.parts, self.counts, peak_bytes(), faulty
        )

    def _begin(self, name: str) -> None:
        self._open.append(name)
        self.parts.setdefault(name, Part()).calls += 1

    def _charge(self) -> None:
        """The time since the last change of part goes to the part that is open."""
        now = (time.perf_counter(), time.process_time())
        part = self.parts[self._open[-1]]
        part.seconds += now[0] - self._last[0]
        part.cpu += now[1] - self._last[1]
        self._last = now


_current: ContextVar[Recording | None] = ContextVar("recording", default=None)


def timed(name: str, settle: Callable[[], None] | None = None) -> AbstractContextManager[Any]:
    """Time of the block counts to the part ``name``; blocks within it to their own.

    Not for a block that a generator hands out values from: what is done with them isn't its own.

    Args:
        name: of the part.
        settle: called before the clock is read, if time is taken at all: waits for a device.
    """
    recording = _current.get()
    if recording is None or not recording.detailed:
        return _NOWHERE
    return _Timed(recording, name, settle)


def count(name: str, n: float, of: str = "") -> None:
    """Add to what was done: so many more of ``name``, or of one kind ``of`` it."""
    recording = _current.get()
    if recording is not None:
        key = f"{name}:{of}" if of else name
        recording.counts[key] = recording.counts.get(key, 0) + n


class _Timed:
    def __init__(self, recording: Recording, name: str, settle: Callable[[], None] | None) -> None:
        self._recording, self._name, self._settle = recording, name, settle
        self._around = None if recording.around is None else recording.around(name)

    def __enter__(self) -> None:
        if self._settle is not None:
            self._settle()
        self._recording._charge()
        self._recording._begin(self._name)
        if self._around is not None:
            self._around.__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._settle is not None:
            self._settle()
        if self._around is not None:
            self._around.__exit__(kind, error, trace)
        self._recording._charge()
        self._recording._open.pop()


def peak_bytes() -> int:
    """Most memory that this process ever had, or has had since :func:`forget_peak`."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def forget_peak() -> None:
    """Begin anew with the peak, where the system can: processes are used for stage after stage."""
    with contextlib.suppress(OSError):
        fd = os.open("/proc/self/clear_refs", os.O_WRONLY)
        try:
            os.write(fd, b"5")
        finally:
            os.close(fd)
