"""An S3 on this machine that answers with errors, breaks off, or isn't there for a while."""

from __future__ import annotations

import collections
import contextlib
import itertools
import logging
import os
import random
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any

from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import make_server

ANSWERED = "answered"
NUMBERS = itertools.count()
"""All servers of a process have the same buckets."""
REFUSALS = (
    ("500 Internal Server Error", "InternalError"),
    ("503 Service Unavailable", "ServiceUnavailable"),
    ("503 Slow Down", "SlowDown"),
)


class BrokenOffError(Exception):
    """Ends an answer in its middle: the server closes the connection."""


class Bucket:
    """A server, and what it does to requests.

    Args:
        seed: of the dice.
    """

    def __init__(self, seed: int = 1) -> None:
        self.name = f"unsteady-{next(NUMBERS)}"
        self._whole = DomainDispatcherApplication(create_backend_app)
        self._dice, self._lock = random.Random(seed), threading.Lock()
        self.refused, self.broken, self.lost = 0.0, 0.0, 0.0
        """Shares of requests that are refused, whose answers break off in their middle, and that
        are done though the answer never comes."""
        self._away_until = 0.0
        self.seen: collections.Counter[tuple[str, str]] = collections.Counter()
        """What was done to requests, by kind and method."""
        self._server = make_server(
            "127.0.0.1", 0, self._answer, threaded=True, request_handler=MotoRequestHandler
        )
        host, port = self._server.server_address[:2]
        self.environment = {
            "AWS_ENDPOINT_URL": f"http://{host!s}:{port}",
            "AWS_ACCESS_KEY_ID": "tests",
            "AWS_SECRET_ACCESS_KEY": "tests",
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def be_well(self) -> None:
        """Answer all from here on."""
        self.refused = self.broken = self.lost = self._away_until = 0.0

    def away(self, seconds: float) -> None:
        """Refuse all for so long."""
        self._away_until = time.monotonic() + seconds

    def told(self) -> str:
        """What was done, in words."""
        done: collections.Counter[str] = collections.Counter()
        methods = set()
        for (kind, method), n in self.seen.items():
            if kind != ANSWERED:
                done[kind] += n
                methods.add(method)
        kinds = ", ".join(f"{n} {kind}" for kind, n in sorted(done.items()))
        return f"{kinds} of {self.seen.total()} requests ({', '.join(sorted(methods))})"

    def faults(self) -> int:
        return sum(n for (kind, _), n in self.seen.items() if kind != ANSWERED)

    def serve(self) -> None:
        self._server.serve_forever()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        method = environ["REQUEST_METHOD"]
        if "list-type" in environ.get("QUERY_STRING", ""):
            method = "LIST"
        with self._lock:
            dice = self._dice.random()
            refusal = self._dice.choice(REFUSALS)
            away = time.monotonic() < self._away_until
            kind = ANSWERED
            if away or dice < self.refused:
                kind = "503 while away" if away else f"{refusal[0][:3]} {refusal[1]}"
            elif dice < self.refused + self.lost and method in ("PUT", "POST", "DELETE"):
                kind = "answer lost"
            elif dice < self.refused + self.lost + self.broken and method == "GET":
                kind = "broken off"
            self.seen[kind, method] += 1
        if kind == ANSWERED:
            return self._whole(environ, start_response)
        if kind == "answer lost":
            list(self._whole(environ, lambda *_: None))
            return self._breaks(b"", start_response, "200 OK", [])
        if kind == "broken off":
            kept: list[Any] = []
            body = b"".join(self._whole(environ, lambda *said: kept.append(said)))
            return self._breaks(body[: len(body) // 2], start_response, *kept[0][:2])
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        status, code = ("503 Service Unavailable", "ServiceUnavailable") if away else refusal
        said = f"<Error><Code>{code}</Code><Message>Not now.</Message></Error>"
        start_response(status, [("Content-Type", "application/xml")])
        return [b"" if method == "HEAD" else said.encode()]

    @staticmethod
    def _breaks(half: bytes, start_response: Any, status: str, headers: Any) -> Iterator[bytes]:
        promised = [*((k, v) for k, v in headers if k.lower() != "content-length")]
        start_response(status, [*promised, ("Content-Length", str(2 * len(half) + 1))])
        yield half
        raise BrokenOffError


@contextlib.contextmanager
def bucket() -> Iterator[Bucket]:
    """An empty bucket, which this process and those that it starts find by their environment."""
    import s3fs

    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)  # a line a request, and the breaks
    server, before = Bucket(), dict(os.environ)
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    os.environ.update(server.environment)
    s3fs.S3FileSystem.clear_instance_cache()  # those that know of another server
    try:
        s3fs.S3FileSystem().mkdir(server.name)
        server.seen.clear()
        yield server
        server.be_well()
        s3fs.S3FileSystem().rm(server.name, recursive=True)
    finally:
        os.environ.clear()
        os.environ.update(before)
        s3fs.S3FileSystem.clear_instance_cache()
        server.stop()
        thread.join()
