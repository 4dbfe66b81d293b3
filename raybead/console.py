"""What is seen while raybead works: bars in a terminal, plain lines in a job log, or JSON."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

from rich.console import Console as RichConsole
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from raybead.logline import Event, LogForm, log_line

Tick = Callable[[int, int, str], None]
"""Called with pieces done, pieces in all, and a remark; of none in all, the remark is a note."""

LOG_EVERY = 10.0
"""Seconds between plain lines of one stage."""


class Console:
    """Progress and results for a person, or for what reads logs.

    Args:
        quiet: whether nothing is shown at all.
        form: "json" for an object a line, whatever it is shown on.
    """

    def __init__(self, *, quiet: bool = False, form: LogForm = "auto") -> None:
        self._rich = RichConsole(quiet=quiet, highlight=False, soft_wrap=True)
        self._json = form == "json"
        self._run: str | None = None
        self._stage: str | None = None

    def about(self, run: str) -> None:
        """What is told from here on is of this run."""
        self._run = run

    def say(self, line: str) -> None:
        """One line."""
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
            table.add_column(column, justify="left" if number == 0 else "right")
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
        if self._json:
            with self._told(title, name or title) as tick:
                yield tick
        elif self._rich.is_terminal:
            with self._bar(title) as tick:
                yield tick
        else:
            yield self._lines(title)

    def _tell(self, event: Event, message: str, **facts: Any) -> None:
        about = {"run": self._run, "stage": self._stage}
        # Not through rich, which looks for a width, and for words that mean colours.
        if not self._rich.quiet:
            print(log_line(event, message, **about, **facts), flush=True)

    @contextlib.contextmanager
    def _told(self, title: str, name: str) -> Iterator[Tick]:
        """A stage between its ``started`` and its ``finished``, or its ``fault``."""
        outer, self._stage = self._stage, name
        started = last = time.monotonic()
        so_far: dict[str, Any] = {}

        def seconds() -> float:
            return round(time.monotonic() - started, 3)

        def tick(done: int, total: int, remark: str) -> None:
            nonlocal last, so_far
            if total == 0:
                self._tell("note", f"{title}: {remark}", remark=remark, seconds=seconds())
                return
            now = time.monotonic()
            so_far = {"done": done, "total": total, "remark": remark}
            if now - last >= LOG_EVERY or (done and done == total):
                last = now
                message = f"{title}: {done}/{total} {remark}"
                self._tell("progress", message, **so_far, seconds=seconds())

        self._tell("started", title)
        try:
            yield tick
        except BaseException as error:
            told = str(error) or type(error).__name__
            self._tell("fault", told, **so_far, seconds=seconds(), error=type(error).__name__)
            raise
        else:
            self._tell("finished", title, **so_far, seconds=seconds())
        finally:
            self._stage = outer

    @contextlib.contextmanager
    def _bar(self, title: str) -> Iterator[Tick]:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[remark]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self._rich) as progress:
            task = progress.add_task(title, total=None, remark="")

            def tick(done: int, total: int, remark: str) -> None:
                if total == 0:
                    progress.update(task, remark=remark)
                    return
                progress.update(task, completed=done, total=total, remark=remark)

            yield tick

    def _lines(self, title: str) -> Tick:
        started = last = time.monotonic()
        self.say(f"{title} ...")

        def tick(done: int, total: int, remark: str) -> None:
            nonlocal last
            now = time.monotonic()
            if total == 0:
                self.say(f"{title}: {remark}")
            elif done and (done == total or now - last >= LOG_EVERY):
                last = now
                self.say(f"{title}: {done}/{total} {remark}, {now - started:.0f} s")

        return tick
