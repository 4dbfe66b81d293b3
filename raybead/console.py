"""What is seen while raybead works: bars in a terminal, plain lines in a job log, or JSON."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from rich.console import Console as RichConsole
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from raybead.logline import Event, LogForm, log_line
from raybead.pace import Clock, Pace, Remark, Tick

__all__ = ["Console", "Listener", "Tick"]
LOG_EVERY = 10.0
"""Seconds between plain lines of one stage."""


Show = Callable[[str], None]
"""Shows a remark on how far a stage is, or a note."""


class Listener(Protocol):
    """Hears all that a console is told, shown or not. It may be called from several threads."""

    def said(self, line: str) -> None:
        """One line."""

    def began(self, stage: str, title: str) -> None:
        """A stage begins."""

    def ticked(self, stage: str, pace: Pace, remark: str) -> None:
        """How far it is."""

    def ended(self, stage: str, error: BaseException | None) -> None:
        """It is over, well or not."""


class Console:
    """Progress and results for a person, or for what reads logs.

    Args:
        quiet: whether nothing is shown at all.
        form: "json" for an object a line, whatever it is shown on.
        clock: that rates and times are by.
    """

    def __init__(
        self, *, quiet: bool = False, form: LogForm = "auto", clock: Clock = time.monotonic
    ) -> None:
        self._rich = RichConsole(quiet=quiet, highlight=False, soft_wrap=True)
        self._json = form == "json"
        self._run: str | None = None
        self._stage: str | None = None
        self._clock = clock
        self.listeners: list[Listener] = []

    def about(self, run: str) -> None:
        """What is told from here on is of this run."""
        self._run = run

    def say(self, line: str) -> None:
        """One line."""
        for listener in self.listeners:
            listener.said(line)
        self._say(line)

    def _say(self, line: str) -> None:
        if self._json:
            self._tell("note", line)
        else:
            self._rich.print(line, markup=False)

    def table(self, title: str, columns: list[str], rows: list[list[str]]) -> None:
        """A table; the first column is words, the others numbers."""
        if self._json:
            self._tell("note", title, columns=columns, rows=rows)
            return
        table = Table(title=escape(title), title_justify="left", title_style="bold")
        for number, column in enumerate(columns):
            table.add_column(escape(column), justify="left" if number == 0 else "right")
        for row in rows:
            table.add_row(*(escape(cell) for cell in row))
        if not self._rich.is_terminal:
            self._rich.width = 120  # a log has no width; wrapped tables can't be read
        self._rich.print(table)

    @contextlib.contextmanager
    def stage(self, title: str, name: str | None = None) -> Iterator[Tick]:
        """Progress of one stage; call what is yielded with (done, total, remark).

        Args:
            title: for people.
            name: for machines; as the title, if not given.
        """
        name = name or title
        pace = Pace(self._clock)
        for listener in self.listeners:
            listener.began(name, title)
        try:
            with self._shown(title, name, pace) as (show, note):

                def tick(done: int, total: int, remark: str) -> None:
                    if total == 0:
                        for listener in self.listeners:
                            listener.said(f"{title}: {remark}")
                        note(remark)
                        return
                    pace.at(done, total, remark)
                    for listener in self.listeners:
                        listener.ticked(name, pace, remark)
                    show(remark)

                yield tick
        except BaseException as error:
            for listener in self.listeners:
                listener.ended(name, error)
            raise
        for listener in self.listeners:
            listener.ended(name, None)

    def _shown(
        self, title: str, name: str, pace: Pace
    ) -> contextlib.AbstractContextManager[tuple[Show, Show]]:
        """What to call with remarks on progress, and with notes."""
        if self._json:
            return self._told(title, name, pace)
        if self._rich.is_terminal:
            return self._bar(title, pace)
        return self._lines(title, pace)

    def _tell(self, event: Event, message: str, **facts: Any) -> None:
        about = {"run": self._run, "stage": self._stage}
        # Not through rich, which looks for a width, and for words that mean colours.
        if not self._rich.quiet:
            print(log_line(event, message, **about, **facts), flush=True)

    @contextlib.contextmanager
    def _told(self, title: str, name: str, pace: Pace) -> Iterator[tuple[Show, Show]]:
        """A stage between its ``started`` and its ``finished``, or its ``fault``."""
        outer, self._stage = self._stage, name
        last = self._clock()
        so_far: dict[str, Any] = {}

        def facts() -> dict[str, Any]:
            return {**so_far, "seconds": round(pace.seconds, 3)}

        def show(remark: str) -> None:
            nonlocal last, so_far
            so_far = {"done": pace.done, "total": pace.total, "remark": remark, **pace.as_dict()}
            if isinstance(remark, Remark) and remark.epochs:
                newest = remark.epochs[-1]
                so_far["losses"] = {of: newest.get(of) for of in ("train", "validation")}
            now, over = self._clock(), pace.done == pace.total
            if now - last >= LOG_EVERY or (pace.done and over):
                last = now
                message = f"{title}: {pace.done}/{pace.total} {remark}{_after(pace.words())}"
                self._tell("progress", message, **facts())

        def note(remark: str) -> None:
            seconds = round(pace.seconds, 3)
            self._tell("note", f"{title}: {remark}", remark=remark, seconds=seconds)

        self._tell("started", title)
        try:
            yield show, note
        except BaseException as error:
            told = str(error) or type(error).__name__
            self._tell("fault", told, **facts(), error=type(error).__name__)
            raise
        else:
            self._tell("finished", title, **facts())
        finally:
            self._stage = outer

    @contextlib.contextmanager
    def _bar(self, title: str, pace: Pace) -> Iterator[tuple[Show, Show]]:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[remark]}", markup=False),
            TimeElapsedColumn(),
            TextColumn("{task.fields[pace]}", markup=False, style="cyan"),
        )
        with Progress(*columns, console=self._rich) as progress:
            task = progress.add_task(title, total=None, remark="", pace="")

            def show(remark: str) -> None:
                progress.update(
                    task,
                    completed=pace.done,
                    total=pace.total,
                    remark=remark,
                    pace=pace.words(),
                )

            def note(remark: str) -> None:
                progress.update(task, remark=remark)

            yield show, note

    @contextlib.contextmanager
    def _lines(self, title: str, pace: Pace) -> Iterator[tuple[Show, Show]]:
        last = self._clock()
        self._say(f"{title} ...")

        def show(remark: str) -> None:
            nonlocal last
            now, over = self._clock(), pace.done == pace.total
            if pace.done and (over or now - last >= LOG_EVERY):
                last = now
                told = f"{title}: {pace.done}/{pace.total} {remark}, {pace.seconds:.0f} s"
                self._say(f"{told}{_after(pace.words())}")

        yield show, lambda remark: self._say(f"{title}: {remark}")


def _after(words: str) -> str:
    return f", {words}" if words else ""
