"""The progress file: what a run does right now, for ``raybead watch`` on any machine.

The driver writes it whole every few seconds from a thread of its own, so that neither a slow store
nor one that refuses it holds up a run. The time of the last writing is the run's sign of life.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from raybead.console import Console
from raybead.errors import RaybeadError
from raybead.pace import Pace, Remark
from raybead.storage import Folder
from raybead.telling.progress import COLUMNS, LAYOUT, PROGRESS, Ran, earlier_epochs

EVERY, EVERY_IN_STORE = 2.0, 15.0
"""Seconds between writings, to a disk and to an object store."""
AT_MOST = 0.05
"""Share of the time that writing may take; where it takes longer, it is done less often."""
SELDOM = 60.0
"""Seconds between writings at most, however long they take: who watches waits for each."""
EPOCHS = 500
"""Epochs of a training in the file at most, about; of more, every second, fourth, ... is told."""
NOTES = 200
"""Newest notes that are kept."""
LAST_WORD = 30.0
"""Seconds that the end of a run waits for its last writing."""
Planned = Sequence[tuple[str, str, str]]
"""Stages that are to come: name, title, and "waiting" or "current"."""


class Live:
    """Listens to a console, and tells of it in a file in the run's folder.

    Args:
        run: where the file goes.
        job: the run's name.
        verb: that is done.
        planned: its stages, in order.
        keys: of the stages that train; losses of earlier tries at the same are kept.
        say: told once, if the file can't be written.
        every: seconds between writings at least; by the kind of storage if not given.
    """

    def __init__(
        self,
        run: Folder,
        job: str,
        verb: str,
        planned: Planned,
        keys: Mapping[str, str],
        say: Callable[[str], None],
        every: float | None = None,
    ) -> None:
        self._run, self._say = run, say
        self._every = every or (EVERY if run.is_local else EVERY_IN_STORE)
        self._lock, self._over = threading.Lock(), threading.Event()
        self._paces: dict[str, Pace] = {}
        self._refused = False
        self._keys = dict(keys)
        self._told: dict[str, Any] = {
            "layout": LAYOUT,
            "run": job,
            "verb": verb,
            "state": "running",
            "fault": None,
            "since": _now(),
            "ended": None,
            "process": {"host": socket.gethostname(), "pid": os.getpid()},
            "every": self._every,
            "stages": [
                {"name": name, "title": title, "state": state} for name, title, state in planned
            ],
            "epochs": {},
            "facts": {},
            "notes": [],
            "notes_left_out": 0,
        }
        self._epochs: dict[str, Ran] = {}
        self._writer = threading.Thread(target=self._write_on, daemon=True, name="progress")

    def begin(self) -> None:
        """Start to write."""
        self._epochs |= earlier_epochs(self._run, self._keys)
        self._writer.start()

    def end(self, state: str, fault: str | None = None) -> None:
        """Write how it ended, and stop."""
        with self._lock:
            self._told |= {"state": state, "fault": fault, "ended": _now()}
        self._over.set()
        self._writer.join(LAST_WORD)
        if self._writer.is_alive():
            self._tell_once(f"{self._run} takes no files within {LAST_WORD:.0f} s")

    def said(self, line: str) -> None:
        with self._lock:
            notes = self._told["notes"]
            notes.append({"time": _now(), "text": line})
            self._told["notes_left_out"] += max(0, len(notes) - NOTES)
            del notes[:-NOTES]

    def began(self, stage: str, title: str) -> None:
        with self._lock:
            at = self._of(stage, title)
            at.clear()
            at |= {"name": stage, "title": title, "state": "running", "since": _now()}

    def ticked(self, stage: str, pace: Pace, remark: str) -> None:
        with self._lock:
            at = self._of(stage, stage)
            at |= {"done": pace.done, "total": pace.total, "remark": str(remark)}
            at |= {**pace.as_dict(), "seconds": round(pace.seconds, 1), "at": _now()}
            if isinstance(remark, Remark):
                if remark.before is not None and stage in self._epochs:
                    # Those that came after were lost with their workers, and are run again.
                    known = self._epochs[stage].items()
                    self._epochs[stage] = {n: one for n, one in known if n < remark.before}
                if remark.epochs:
                    ran = self._epochs.setdefault(stage, {})
                    ran |= {int(one["epoch"]): one for one in remark.epochs}
                if remark.facts:
                    self._told["facts"][stage] = dict(remark.facts)

    def ended(self, stage: str, error: BaseException | None) -> None:
        with self._lock:
            at = self._of(stage, stage)
            at |= {"state": _state_after(error), "ended": _now()}

    def content(self) -> bytes:
        """The file, as it would be written now."""
        with self._lock:  # only to copy what changes: ticks of the run wait for it
            told = {
                **self._told,
                "stages": [dict(stage) for stage in self._told["stages"]],
                "facts": dict(self._told["facts"]),
                "notes": list(self._told["notes"]),
                "alive": _now(),
            }
            every_ran = {stage: dict(ran) for stage, ran in self._epochs.items() if ran}
        told["epochs"] = {
            stage: {
                "key": self._keys.get(stage),
                **{name: [ran[n].get(name) for n in _shown(ran)] for name in COLUMNS},
                "last": ran[max(ran)],
            }
            for stage, ran in every_ran.items()
        }
        return json.dumps(_finite(told), allow_nan=False, default=str).encode()

    def _of(self, stage: str, title: str) -> dict[str, Any]:
        for known in self._told["stages"]:
            if known["name"] == stage:
                return known
        self._told["stages"].append({"name": stage, "title": title, "state": "waiting"})
        return self._told["stages"][-1]

    def _write_on(self) -> None:
        over = False
        while not over:
            over = self._over.is_set()  # before: what is written then is the last word
            began, every = time.monotonic(), self._told["every"]
            try:
                self._run.write(PROGRESS, self.content())
            except (RaybeadError, OSError) as error:
                self._tell_once(str(error))
            if not over:
                # As long as the file says, by which who watches tells a run that is dead; what
                # the writing took is said by the next.
                took = time.monotonic() - began
                with self._lock:
                    self._told["every"] = max(self._every, min(took / AT_MOST, SELDOM))
                self._over.wait(every)

    def _tell_once(self, why: str) -> None:
        if not self._refused:
            self._refused = True
            self._say(f"note: raybead watch can't see this run: {why}")


@contextlib.contextmanager
def told_live(live: Live, console: Console) -> Iterator[None]:
    """What a console is told in the block is told in a run's progress file, and how it ends."""
    live.begin()
    console.listeners.append(live)
    try:
        yield
    except BaseException as error:
        live.end(_state_after(error), _reason(error))
        raise
    else:
        live.end("done")
    finally:
        console.listeners.remove(live)


def _shown(ran: Ran) -> list[int]:
    """Epochs that the file tells of: all or, of many, some evenly, the best and the newest."""
    step = 1
    while len(ran) > EPOCHS * step:
        step *= 2
    best = [n for n, one in ran.items() if one.get("best")]
    kept = {n for n in ran if n % step == 0} | {max(ran)} | ({max(best)} if best else set())
    return sorted(kept)


def _state_after(error: BaseException | None) -> str:
    match error:
        case None:
            return "done"
        case KeyboardInterrupt() | SystemExit() | GeneratorExit():
            return "interrupted"
        case _:
            return "fault"


def _reason(error: BaseException) -> str | None:
    match error:
        case KeyboardInterrupt() | GeneratorExit():
            return None
        case SystemExit():
            return f"told to stop ({error.code})"
        case RaybeadError():
            return str(error)
        case _:
            lines = str(error).strip().splitlines()
            return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def _finite(what: Any) -> Any:
    """The same, with None for numbers that JSON has no word for."""
    match what:
        case dict():
            return {key: _finite(value) for key, value in what.items()}
        case list() | tuple():
            return [_finite(value) for value in what]
        case float():
            return what if math.isfinite(what) else None
        case _:
            return what


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
