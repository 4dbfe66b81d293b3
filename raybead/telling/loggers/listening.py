"""From what a console is told to what loggers are told."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from functools import partial

from raybead.console import Console
from raybead.pace import Pace, Remark
from raybead.storage import is_current
from raybead.telling.loggers.sender import Sender
from raybead.telling.loggers.values import TRAINED, About, Logger, parameters_of, results_of

RESULT, METRICS, PAGE = "result.json", "metrics.json", "report.html"


class Ear:
    """A console's listener that has loggers told of epochs."""

    def __init__(self, senders: Sequence[Sender], about: About) -> None:
        self._senders, self._about = senders, about

    def said(self, line: str) -> None:
        """Nothing that loggers are told."""

    def began(self, stage: str, title: str) -> None:
        """Nor this."""

    def ended(self, stage: str, error: BaseException | None) -> None:
        """Nor this."""

    def ticked(self, stage: str, pace: Pace, remark: str) -> None:  # noqa: ARG002
        if isinstance(remark, Remark) and remark.epochs and stage in self._about.keys:
            records = list(remark.epochs)
            for sender in self._senders:
                sender.tell(partial(sender.logger.epochs, stage, records))


@contextlib.contextmanager
def logged(
    loggers: Sequence[Logger], about: About, console: Console, *, found: bool
) -> Iterator[None]:
    """Loggers are told of the run that is done in the block.

    Args:
        loggers: that are told.
        about: the run.
        console: that tells of its epochs.
        found: whether the hunt's result, and the report, are among what is done.
    """
    senders = [Sender(logger, console.say) for logger in loggers]
    for sender in senders:
        sender.tell(partial(sender.logger.parameters, parameters_of(about.job)))
    ear = Ear(senders, about)
    console.listeners.append(ear)
    state = "fault"
    try:
        yield
        state = "done"
        for sender in senders:
            # In the logger's thread: what can't be read is its fault, not the run's.
            sender.tell(partial(_tell_what_is_there, sender.logger, about, found=found))
    except (KeyboardInterrupt, SystemExit):
        state = "interrupted"
        raise
    finally:
        console.listeners.remove(ear)
        for sender in senders:
            sender.tell(partial(sender.logger.close, state))
        for sender in senders:
            sender.close()


def _tell_what_is_there(logger: Logger, about: About, *, found: bool) -> None:
    """Of stages that are done: epochs that the logger missed, final numbers, the report."""
    run = about.run
    for stage in TRAINED:
        if stage in about.keys and is_current(run, stage) and (run / stage).exists(METRICS):
            history = (run / stage).read_json(METRICS)["history"]
            logger.epochs(stage, history)
    if found and is_current(run, "hunt"):
        logger.results(results_of((run / "hunt").read_json(RESULT)))
        if is_current(run, "figures") and run.exists(PAGE):
            logger.report(run.read(PAGE))
