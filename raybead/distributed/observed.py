"""What a worker logs, counts and measures of each piece of work."""

from __future__ import annotations

import json
import logging
import os
import platform
import sys
from contextvars import ContextVar

from raybead.distributed import metrics
from raybead.distributed.watch import Watch, working_for
from raybead.logline import log_line
from raybead.timing import Recording, forget_peak

LOGGER = "raybead.work"
"""Of workers. Their lines go to the log files that Ray keeps of each process."""

_observed: ContextVar[Observed | None] = ContextVar("observed", default=None)
_stage_of_process = ""


class Observed:
    """In a worker: one piece of work. Its start and its end are logged, what it did is counted.

    Args:
        what: is worked for.
        piece: its name in the log.
        before: what this process did beforehand, to be told with the piece.
    """

    def __init__(self, what: Watch, piece: str, before: Recording | None = None) -> None:
        self.what, self.piece = what, piece
        self.recording = Recording(detailed=what.measured)
        self.fault: str | None = None
        """Why it ended, of a fault that goes back as a value."""
        self._before, self._counted = before, {}

    def __enter__(self) -> Observed:
        global _stage_of_process
        self._tokens = working_for.set(self.what), _observed.set(self)
        if self.what.measured and _stage_of_process != self.what.stage:
            forget_peak()
        _stage_of_process = self.what.stage
        _log("started", self)
        self.recording.__enter__()
        if self._before is not None:
            self.recording.take(self._before)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        self.recording.__exit__(kind, error, trace)
        for name, token in zip((working_for, _observed), self._tokens, strict=True):
            name.reset(token)  # type: ignore[arg-type]
        # A trial that Tune ends early is told so by SystemExit, which is no fault.
        if kind is not None and issubclass(kind, Exception):
            self.fault = f"{kind.__name__}: {error}"
        self.count()
        seconds, cpu = self.recording.seconds, self.recording.cpu
        faulty = self.fault is not None
        metrics.ended(self.what.run, self.what.stage, seconds, cpu, faulty=faulty)
        _log("fault" if faulty else "finished", self, seconds=round(seconds, 4))

    def count(self) -> None:
        """Bring what was done since the last time to the metrics."""
        new = {name: n - self._counted.get(name, 0) for name, n in self.recording.counts.items()}
        self._counted = dict(self.recording.counts)
        metrics.add(self.what.run, self.what.stage, new)

    def told(self) -> str | None:
        """What goes back, when the piece is over; nothing where it isn't measured."""
        if not self.what.measured:
            return None
        worker = f"{platform.node()}:{os.getpid()}"
        return json.dumps(self.recording.seen(worker, faulty=self.fault is not None).as_dict())


def count_so_far() -> None:
    """In a worker, in the midst of a long piece: bring what was done to the metrics."""
    observed = _observed.get()
    if observed is not None:
        observed.count()


def _log(event: str, work: Observed, **facts: object) -> None:
    """A line at INFO, in JSON as the driver's may be: in a worker's log nobody looks for bars."""
    logger = logging.getLogger(LOGGER)
    if not logger.handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(_AsJson())
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False  # Ray, or who joins its cluster, may print what reaches the root
    told = {"run": work.what.run, "stage": work.what.stage, "piece": work.piece, **facts}
    counts = {name: n for name, n in work.recording.counts.items() if n}
    if counts and event != "started":
        told["counts"] = counts
    level = logging.ERROR if event == "fault" else logging.INFO
    message = work.fault or f"{work.piece} {event}"
    logger.log(level, "%s", message, extra={"event": event, "facts": told})


class _AsJson(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        facts = getattr(record, "facts", {})
        return log_line(getattr(record, "event", "note"), record.getMessage(), **facts)
