"""Hands a logger what it is to be told, in a thread of its own: none holds up or ends a run."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

from raybead.telling.loggers.values import Logger

AGAIN = 15.0
"""Seconds after which a logger that couldn't be reached is tried again."""
LAST_WORD = 45.0
"""Seconds that the end of a run waits for what a logger isn't told yet."""


class Sender:
    """Tells one logger, in order; what it can't be told is kept, and tried again.

    Args:
        logger: that is told.
        say: told once, if the logger can't be reached, and at the end if something is left.
        again: seconds between tries.
        last_word: seconds that closing waits.
    """

    def __init__(
        self,
        logger: Logger,
        say: Callable[[str], None],
        again: float = AGAIN,
        last_word: float = LAST_WORD,
    ) -> None:
        self.logger, self._say = logger, say
        self._again, self._last_word = again, last_word
        self._waiting: deque[Callable[[], None]] = deque()
        self._news, self._over = threading.Event(), threading.Event()
        self._fault: str | None = None
        self._lost = False
        name = f"logger {logger.name}"
        self._thread = threading.Thread(target=self._work, daemon=True, name=name)
        self._thread.start()

    def tell(self, call: Callable[[], None]) -> None:
        """Have the logger told; returns at once."""
        self._waiting.append(call)
        self._news.set()

    def close(self) -> None:
        """Wait until all is told, or until it is clear that it can't be."""
        self._over.set()
        self._news.set()
        self._thread.join(self._last_word)
        if self._waiting:
            why = self._fault or f"it takes more than {self._last_word:.0f} s"
            self._say(
                f"note: {self.logger.name}: wasn't told everything: {why}; the same command again"
                " tells it"
            )

    def _work(self) -> None:
        while True:
            self._news.wait()
            self._news.clear()
            over = self._over.is_set()
            while self._waiting and self._told(self._waiting[0]):
                self._waiting.popleft()
            if over:
                return
            if self._waiting:
                self._rest()

    def _told(self, call: Callable[[], None]) -> bool:
        try:
            call()
        except Exception as error:  # noqa: BLE001  whatever a logger trips over is its own
            lines = str(error).strip().splitlines()
            self._fault = lines[0] if lines else type(error).__name__
            if lines and not isinstance(error, self.logger.faults):
                self._fault = f"{type(error).__name__}: {self._fault}"
            if not self._lost:
                self._lost = True
                self._say(
                    f"note: {self.logger.name} can't be told, and the run goes on: {self._fault}"
                )
            return False
        if self._lost:
            self._lost = False
            self._say(f"note: {self.logger.name} is told again")
        return True

    def _rest(self) -> None:
        """Wait before the next try, but not longer than the run goes on."""
        until = time.monotonic() + self._again
        while not self._over.is_set() and time.monotonic() < until:
            self._over.wait(until - time.monotonic())
        self._news.set()
