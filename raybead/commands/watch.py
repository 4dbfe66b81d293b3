"""``raybead watch``: what a run does right now, seen from another shell or machine."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Console as RichConsole
from rich.live import Live as Screen

from raybead.commands.options import Log, Set
from raybead.commands.watching import News, Told, json_line, state_line, view
from raybead.config import load_job
from raybead.errors import JobError, RunError
from raybead.logline import Event, LogForm
from raybead.pace import Clock, duration
from raybead.stages import run_folder
from raybead.storage import JOB, Folder
from raybead.telling.progress import PROGRESS, read_progress

DEAD_AFTER = 30.0
"""Seconds without a sign of life after which nobody seems to be at work, at least."""
MISSED = 4
"""Signs of life that a run may miss."""


def watch(
    run: Annotated[str, Parameter(help="A run's folder or URI, or its job file.")],
    /,
    *,
    set_: Set = (),
    once: Annotated[bool, Parameter(help="Say how it stands, and end.", negative=())] = False,
    wait: Annotated[float, Parameter(help="Seconds to wait for a run that hasn't begun.")] = 60.0,
    log: Log = "auto",
) -> None:
    """Watch a run from elsewhere; ends with it, and as it ends."""
    watched = Watched(watched_folder(run, set_), 0.0 if once else wait)
    follow_run(watched, RichConsole(highlight=False, soft_wrap=True), log, once=once)


def watched_folder(run: str, overrides: tuple[str, ...] = ()) -> Folder:
    """The folder of a run that is named by it, or by a job file.

    Raises:
        JobError: overrides of what isn't a job file, or a job file that no job can be.
    """
    path = Path(run)
    if "://" not in run and (path.is_file() or (path.suffix == ".toml" and not path.exists())):
        return run_folder(load_job(path, overrides))
    if overrides:
        raise JobError("--set: goes with a job file, and this is a run's folder")
    return Folder.at(run)


@dataclass
class Watched:
    """A run that is looked at again and again.

    Args:
        run: its folder.
        wait: seconds to wait for it to begin.
        clock: seconds that go on, of this machine.
        wall: the time, for comparison with what the run's machine wrote.
        sleep: waits.
    """

    run: Folder
    wait: float = 60.0
    clock: Clock = time.monotonic
    wall: Callable[[], datetime] = lambda: datetime.now(UTC)
    sleep: Callable[[float], None] = time.sleep
    _sign: str | None = None
    _since: float = 0.0

    def begun(self, say: Callable[[str], None]) -> Told:
        """What is told of the run, as soon as something is.

        Raises:
            RunError: nothing is, as long as was to be waited.
        """
        until, told = self.clock() + self.wait, read_progress(self.run)
        if told is None and self.wait > 0:
            say(f"{self._nothing()} yet; waiting up to {duration(self.wait)}")
        while told is None:
            if self.clock() >= until:
                raise RunError(self._nothing())
            self.sleep(min(1.0, max(0.01, until - self.clock())))
            told = read_progress(self.run)
        return told

    def dead(self, told: Told) -> str | None:
        """Why nobody seems to work on it any more, from a file just read; None if somebody may.

        Clocks of machines differ: a sign of life that looks old by this one's is waited for.
        """
        if told["state"] != "running":
            return None
        now, every = self.clock(), float(told.get("every") or 2.0)
        if told["alive"] != self._sign:
            self._sign, self._since = told["alive"], now
        alive = datetime.fromisoformat(told["alive"])
        age = (self.wall() - alive).total_seconds()
        limit, unchanged = max(DEAD_AFTER, MISSED * every), now - self._since
        if unchanged < limit and not (age > limit and unchanged > 2 * every + 1):
            return None
        by = told.get("process", {})
        return (
            "nobody seems to work on it any more: the last sign of life of process"
            f" {by.get('pid')} on {by.get('host')} is {duration(max(age, unchanged))} old; the"
            " same command goes on from there"
        )

    def doubtful(self, told: Told) -> bool:
        """Whether the last sign of life looks old, and isn't yet known to be the last."""
        alive, every = datetime.fromisoformat(told["alive"]), float(told.get("every") or 2.0)
        limit = max(DEAD_AFTER, MISSED * every)
        return told["state"] == "running" and (self.wall() - alive).total_seconds() > limit

    def _nothing(self) -> str:
        if not self.run.exists():
            return f"{self.run}: no run there"
        if not self.run.exists(JOB):
            return f"{self.run}: no run of raybead in it"
        return f"{self.run}: nothing was told of progress ({PROGRESS}); raybead show has its state"


def follow_run(watched: Watched, rich: RichConsole, log: LogForm, *, once: bool) -> None:
    """Show a run until it ends, or once.

    Raises:
        RunError: it failed, was interrupted, or nobody seems to work on it.
    """
    on_screen = rich.is_terminal and log != "json"
    news = News()

    def tell(told: Told, event: Event, line: str, **facts: Any) -> None:
        if log == "json":
            print(json_line(told, event, line, facts), flush=True)
        elif not on_screen:
            print(line, flush=True)

    def say(line: str) -> None:
        tell({}, "note", line)
        if on_screen:
            rich.print(line, markup=False)

    told = watched.begun(say)
    pause = min(5.0, max(0.5, float(told.get("every") or 2.0) / 2))
    screen = Screen(console=rich, auto_refresh=False) if on_screen else None
    with screen or nullcontext():
        while True:
            dead = watched.dead(told)
            if screen is not None:
                screen.update(view(told, dead), refresh=True)
            for event, line, facts in news.of(told, watched.clock()):
                tell(told, event, line, **facts)
            sure = dead is not None or not watched.doubtful(told)
            if told["state"] != "running" or dead is not None or (once and sure):
                break
            watched.sleep(pause)
            told = read_progress(watched.run) or told
    end = state_line(told, dead)
    if once and told["state"] == "running" and dead is None:
        return
    if told["state"] != "done":
        raise RunError(end)
    tell(told, "finished", end)
