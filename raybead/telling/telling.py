"""Who else is told what a run does: its progress file, and the loggers that its job asks for."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack
from types import TracebackType

from raybead.config import Job
from raybead.console import Console
from raybead.storage import Folder
from raybead.telling.live import Live, Planned, told_live
from raybead.telling.loggers import TRAINED, About, logged, loggers_of, refuse_missing


class Telling(AbstractContextManager["Telling"]):
    """Around all that a command does with a run. Within another one's block it does nothing.

    Args:
        job: that is done.
        verb: that is done with it.
        console: that is listened to.

    Raises:
        JobError: a logger is asked for that isn't installed.
    """

    def __init__(self, job: Job, verb: str, console: Console) -> None:
        self._job, self._verb, self._console = job, verb, console
        self._told = ExitStack()
        refuse_missing(job)

    def begin(self, run: Folder, planned: Planned, keys: Mapping[str, str]) -> None:
        """From here on it is told.

        Args:
            run: the folder, of which is known by now that it is the job's.
            planned: what is to be done.
            keys: of all stages by name.
        """
        console, names = self._console, [name for name, _, _ in planned]
        if any(isinstance(one, Live) for one in console.listeners):
            return
        trained = {name: keys[name] for name in TRAINED if name in names}
        live = Live(run, self._job.name, self._verb, planned, trained, console.say)
        self._told.enter_context(told_live(live, console))
        about = About(self._job, run, trained)
        if trained and (loggers := loggers_of(about)):
            found = "hunt" in names
            self._told.enter_context(logged(loggers, about, console, found=found))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._told.__exit__(kind, error, trace)
