"""Where a run's time went: what ``--profile`` prints, and writes as ``profile.json``."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

import raybead
from raybead.console import Console
from raybead.errors import StorageError
from raybead.storage import MANIFEST, Folder, Stage
from raybead.timing import OTHER, Part, Seen

PROFILE = "profile.json"
LAYOUT = 1
"""Of the file."""
COLUMNS = {
    "events": ("events_read", "events_scored"),
    "jets": ("jets",),
    "items": ("items_trained", "items_scored"),
    "toys": ("toys",),
    "pairs": ("pairs",),
    "bytes_in": ("bytes_read",),
    "bytes_out": ("bytes_written",),
}
"""Numbers of every stage, each with what is counted as it."""
C = TypeVar("C")
RATES = ("events", "jets", "items", "toys", "pairs")


@dataclass
class StageProfile:
    """What one stage took."""

    key: str
    cpus: int
    """Of the cluster, when the stage began."""
    gpus: int
    wall: float = 0.0
    """Seconds."""
    pieces: int = 0
    faults: int = 0
    parts: dict[str, Part] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    peaks: dict[str, int] = field(default_factory=dict)
    """Most memory of each worker process [bytes]."""
    began: float = field(default_factory=time.time)
    first: float | None = None
    last: float | None = None
    """When the first piece began, and the last ended."""

    def add(self, seen: Seen) -> None:
        """Take a piece of work in."""
        self.pieces += 1
        self.faults += seen.faulty
        for name, part in seen.parts.items():
            self.parts.setdefault(name, Part()).add(part)
        self.counts.update(seen.counts)
        self.peaks[seen.worker] = max(seen.peak_bytes, self.peaks.get(seen.worker, 0))
        self.first = min(seen.started, self.first or seen.started)
        self.last = max(seen.ended, self.last or seen.ended)

    @property
    def busy(self) -> float:
        """Seconds that workers had work, of all together."""
        return sum(part.seconds for part in self.parts.values())

    @property
    def done(self) -> dict[str, int]:
        """Numbers of events, jets, and what else a stage does."""
        return {n: int(sum(self.counts[m] for m in names)) for n, names in COLUMNS.items()}

    @property
    def cpu(self) -> float:
        return sum(part.cpu for part in self.parts.values())

    @property
    def waiting(self) -> float:
        """Seconds until the first piece began; by two clocks, where its worker is elsewhere."""
        return max(0.0, (self.first or self.began) - self.began)

    @property
    def idle(self) -> float | None:
        """Share of the CPUs' time in which no worker had work; None where the cluster had no CPUs
        yet when the stage began."""
        if not self.cpus:
            return None
        return max(0.0, 1 - self.busy / max(self.wall * self.cpus, 1e-9))

    @property
    def overhead(self) -> float | None:
        """Seconds of a worker a piece, in which it had no work."""
        if not self.pieces or not self.cpus:
            return None
        at_a_time = min(len(self.peaks), self.cpus)
        return max(0.0, at_a_time * self.wall - self.busy) / self.pieces

    def as_dict(self) -> dict[str, Any]:
        """As the file has it; seconds unless a name says otherwise."""
        done, ends = self.done, self.began + self.wall
        return {
            "key": self.key,
            "finished": datetime.fromtimestamp(ends, UTC).isoformat(timespec="seconds"),
            "cpus": self.cpus,
            "gpus": self.gpus,
            "workers": len(self.peaks),
            "pieces": self.pieces,
            "faults": self.faults,
            **done,
            "wall_seconds": self.wall,
            "waiting_seconds": self.waiting,
            "closing_seconds": max(0.0, ends - (self.last or ends)),
            "busy_seconds": self.busy,
            "cpu_seconds": self.cpu,
            "idle_share": self.idle,
            "overhead_seconds_a_piece": self.overhead,
            "peak_rss_bytes": max(self.peaks.values(), default=None),
            "cpu_seconds_each": {n: self.cpu / done[n] for n in RATES if done[n]},
            "a_busy_second": {n: done[n] / self.busy for n in RATES if done[n] and self.busy},
            "parts": {
                name: {"seconds": part.seconds, "cpu_seconds": part.cpu, "times": part.calls}
                for name, part in self._in_order()
            },
            "counts": dict(sorted(self.counts.items())),
        }

    def _in_order(self) -> list[tuple[str, Part]]:
        return sorted(self.parts.items(), key=lambda one: (one[0] == OTHER, -one[1].seconds))

    def rows(self, name: str) -> list[list[str]]:
        """Of the table: the stage, and its parts."""
        rate = next((n for n in RATES if self.done[n]), None)
        whole = _row(name, wall=f"{self.wall:.1f}")
        if self.pieces:
            whole = _row(
                name,
                wall=f"{self.wall:.1f}",
                waits=f"{self.waiting:.1f}",
                busy=f"{self.busy:.1f}",
                cpu=f"{self.cpu:.1f}",
                idle="" if self.idle is None else f"{100 * self.idle:.0f} %",
                pieces=str(self.pieces),
                workers=str(len(self.peaks)),
                peak=f"{max(self.peaks.values()) / 2**20:.0f}",
                rate=f"{self.done[rate] / self.busy:,.0f} {rate}" if rate else "",
            )
        parts = [
            _row(f"  {part}", busy=f"{one.seconds:.1f}", cpu=f"{one.cpu:.1f}")
            for part, one in self._in_order()
        ]
        return [whole, *(parts if len(parts) > 1 else [])]


HEADERS = {
    "wall": "wall [s]",
    "waits": "waits [s]",
    "busy": "busy [s]",
    "cpu": "CPU [s]",
    "idle": "idle",
    "pieces": "pieces",
    "workers": "workers",
    "peak": "peak [MiB]",
    "rate": "a busy second",
}
"""Of the table."""


def _row(name: str, **cells: str) -> list[str]:
    return [name, *(cells.get(column, "") for column in HEADERS)]


class Profile:
    """Of one run: its stages as they are done.

    Args:
        run: the folder that the file goes to.
    """

    def __init__(self, run: Folder) -> None:
        self.run = run
        self._stages: dict[str, StageProfile] = {}
        self.starting: float | None = None
        """Seconds until Ray was there."""
        self._began = time.monotonic()

    @contextlib.contextmanager
    def stage(self, stage: Stage, cpus: int, gpus: int) -> Iterator[Callable[[Seen], None]]:
        """A stage, to whose profile what is yielded adds pieces; the file has it afterwards."""
        profile, began = StageProfile(stage.key, cpus, gpus), time.monotonic()
        yield profile.add
        profile.wall = time.monotonic() - began
        self._stages[stage.name] = profile
        self.save()

    def save(self) -> None:
        """Write the file, whole. Stages of an earlier profile stay, while they are current."""
        ours = {name: one.as_dict() for name, one in self._stages.items()}
        self.run.write_json(
            PROFILE,
            {
                "layout": LAYOUT,
                "raybead": raybead.__version__,
                "starting_ray_seconds": self.starting,
                "wall_seconds": time.monotonic() - self._began,
                "stages": {**_earlier(self.run), **ours},
            },
        )

    def show(self, console: Console) -> None:
        """Print what this run took, stage by stage."""
        if not self._stages:
            console.say("profile: nothing was done")
            return
        rows = [row for name, one in self._stages.items() for row in one.rows(name)]
        if self.starting is not None:
            rows.insert(0, _row("starting Ray", wall=f"{self.starting:.1f}"))
        rows.append(_row("all", wall=f"{time.monotonic() - self._began:.1f}"))
        console.table("Where time went", ["", *HEADERS.values()], rows)
        console.say(f"profile: {self.run}/{PROFILE}")


@contextlib.contextmanager
def begun(session: AbstractContextManager[C], profile: Profile | None) -> Iterator[C]:
    """A session; a profile is told how long it takes until it is there."""
    began = time.monotonic()
    with session as cluster:
        if profile is not None:
            profile.starting = time.monotonic() - began
        yield cluster


def _earlier(run: Folder) -> dict[str, Any]:
    """Stages of the profile that is there, of which the run still holds what they made."""
    if not run.exists(PROFILE):
        return {}
    try:
        held = run.read_json(PROFILE)
        if held["layout"] != LAYOUT:
            return {}
        return {
            name: one for name, one in held["stages"].items() if _key(run / name) == one["key"]
        }
    except (StorageError, KeyError, TypeError, AttributeError):  # not one of ours; begun anew
        return {}


def _key(stage: Folder) -> str | None:
    return stage.read_json(MANIFEST)["key"] if stage.exists(MANIFEST) else None
