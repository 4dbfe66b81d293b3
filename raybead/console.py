"""What a person sees while raybead works: bars in a terminal, plain lines in a job log."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

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

Tick = Callable[[int, int, str], None]
"""Called with pieces done, pieces in all, and a remark; of none in all, the remark is a note."""

LOG_EVERY = 10.0
"""Seconds between plain lines of one stage."""


class Console:
    """Progress and results for a person."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._rich = RichConsole(quiet=quiet, highlight=False, soft_wrap=True)

    def say(self, line: str) -> None:
        """One line."""
        self._rich.print(line, markup=False)

    def table(self, title: str, columns: list[str], rows: list[list[str]]) -> None:
        """A table; the first column is words, the others numbers."""
        table = Table(title=escape(title), title_justify="left", title_style="bold")
        for number, column in enumerate(columns):
            table.add_column(column, justify="left" if number == 0 else "right")
        for row in rows:
            table.add_row(*(escape(cell) for cell in row))
        if not self._rich.is_terminal:
            self._rich.width = 120  # a log has no width; wrapped tables can't be read
        self._rich.print(table)

    @contextlib.contextmanager
    def stage(self, title: str) -> Iterator[Tick]:
        """Progress of one stage; call what is yielded with (done, total, remark)."""
        if self._rich.is_terminal:
            with self._bar(title) as tick:
                yield tick
        else:
            yield self._lines(title)

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
