"""A job's log as it is written, over as many connections as it takes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from urllib.parse import quote

from raybead.distributed.job_server import (
    ANSWER_S,
    ENDED,
    Info,
    JobServer,
    UnreachableError,
    no_netrc,
)
from raybead.errors import RunError

SILENT_S = 120.0
"""After so long without a word a connection may be dead, and is made anew."""
PATIENCE_S = 900.0
"""How long nobody may answer while a job is followed."""


def follow_log(
    server: JobServer, job_id: str, take: Callable[[str], None], say: Callable[[str], None]
) -> Info:
    """Follow a job to its end.

    Args:
        server: that the job runs at.
        job_id: of the job.
        take: gets each line of its log, once.
        say: gets a word when the connection is lost, and when it is back.

    Returns:
        What is known of the job when it has ended.

    Raises:
        RunError: nobody answers for a quarter of an hour, or the job isn't known any more.
    """
    with no_netrc():
        return asyncio.run(_followed(server, job_id, Lines(take), say))


class Lines:
    """Makes lines of a log's pieces. Each connection sends them from the beginning.

    Attributes:
        seen: letters that have come so far.
    """

    def __init__(self, take: Callable[[str], None]) -> None:
        self._take = take
        self._rest = ""
        self._again = 0
        self.seen = 0

    def restart(self) -> None:
        """What comes next is the log from its beginning."""
        self._again = self.seen

    def add(self, text: str) -> None:
        """The next piece."""
        known = min(self._again, len(text))
        self._again -= known
        self.seen += len(text) - known
        *lines, self._rest = (self._rest + text[known:]).split("\n")
        for line in lines:
            self._take(line)

    def end(self) -> None:
        """No more comes; what is left is a line."""
        if self._rest:
            self._take(self._rest)
            self._rest = ""


async def _followed(
    server: JobServer, job_id: str, lines: Lines, say: Callable[[str], None]
) -> Info:
    heard, lost, tries, cut = time.monotonic(), False, 0, 0
    while True:
        seen = lines.seen
        whole = await _tailed(server, job_id, lines)
        try:
            info = await asyncio.to_thread(server.info, job_id)
        except UnreachableError as error:
            if time.monotonic() - heard > PATIENCE_S:
                raise RunError(f"{error}; the job may go on there") from None
            if not lost:
                say("the connection is lost; the job goes on there, and it is tried again")
            lost = True
        else:
            if lost:
                say("the connection is back")
            heard, lost = time.monotonic(), False
            if info["status"] in ENDED:
                cut += not whole
                if whole or cut > 3:
                    lines.end()
                    if not whole:
                        say("the end of the log can't be read")
                    return info
        tries = 0 if lines.seen > seen else tries + 1
        await asyncio.sleep(min(10.0, 0.25 * 2**tries))


async def _tailed(server: JobServer, job_id: str, lines: Lines) -> bool:
    """Read a log over one connection; whether it was closed as one that is whole is."""
    import aiohttp

    path = f"{server.address}/api/jobs/{quote(job_id, safe='')}/logs/tail"
    waits = aiohttp.ClientTimeout(total=None, sock_connect=ANSWER_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=waits, trust_env=True) as session,
            session.ws_connect(path, headers=dict(server.headers), max_msg_size=0) as socket,
        ):
            lines.restart()
            while True:
                # Ray's side doesn't answer pings, so silence is all that tells.
                message = await socket.receive(timeout=SILENT_S)
                if message.type != aiohttp.WSMsgType.TEXT:
                    return socket.close_code == aiohttp.WSCloseCode.OK
                lines.add(message.data)
    except (aiohttp.ClientError, OSError, TimeoutError):
        return False
