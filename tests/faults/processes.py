"""Processes that a fault strikes: only ever descendants of one that the suite started."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil


def workers(root: int, title: str) -> list[psutil.Process]:
    """Ray's workers below a process that are at a kind of work, by their title."""
    found = []
    with contextlib.suppress(psutil.Error):
        for process in psutil.Process(root).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                line = " ".join(process.cmdline())
                if line.startswith("ray::") and title in line:
                    found.append(process)
    return found


def raylet_of(worker: psutil.Process) -> int:
    """The raylet, and so the node, that a worker belongs to."""
    return next(parent.pid for parent in worker.parents() if "raylet" in parent.name())


class Ended(Exception):
    """A process ended before what was waited for came."""


def wait_for(what: Callable[[], object], process: subprocess.Popen[bytes], seconds: float = 180):
    """What a function returns once it is true; looked at often, as stages are short."""
    deadline = time.monotonic() + seconds
    while not (found := what()):
        if process.poll() is not None:
            raise Ended(f"ended with {process.returncode} before it could be struck")
        if time.monotonic() > deadline:
            raise Ended("never came to where it was to be struck")
        time.sleep(0.01)
    return found


@contextlib.contextmanager
def started(
    command: list[str], log: Path, environment: dict[str, str], **pipes: int
) -> Iterator[subprocess.Popen[bytes]]:
    """A process in a session of its own, which is ended with all below it."""
    with log.open("ab") as sink:
        process = subprocess.Popen(
            command,
            stdout=pipes.get("stdout", sink),
            stderr=sink,
            stdin=pipes.get("stdin"),
            env=environment,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process, all of its session, and what Ray put into sessions of their own."""
    if process.poll() is not None:  # its number may be another's by now
        return
    below = []
    with contextlib.suppress(psutil.Error):
        below = psutil.Process(process.pid).children(recursive=True)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    for child in below:
        with contextlib.suppress(psutil.Error):  # is_running: and still the same process
            if child.is_running():
                child.kill()
    process.wait()
