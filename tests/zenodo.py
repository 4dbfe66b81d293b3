"""A Zenodo that lives here, and misbehaves in every way that a real server can."""

from __future__ import annotations

import hashlib
import json
import socket
import struct
import threading
import time
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from raybead.events import LHCO_FILES
from raybead.storage import RemoteFile

KEY = LHCO_FILES["blackbox1-key"].key
BOX = LHCO_FILES["blackbox1"].key
CONTENT = np.random.default_rng(8).bytes(200_000)


@dataclass(frozen=True)
class Answer:
    """How the server answers one request for a file; the default is as it should."""

    status: int = 0
    cut_at: int | None = None
    """Bytes of the body after which the connection ends."""
    reset: bool = False
    """End it with a reset, not a close."""
    ranges: bool = True
    length: bool = True
    """Whether the length is told."""
    extra: bytes = b""
    retry_after: str = ""
    shift: int = 0
    """How far from what was asked a range begins."""
    unasked_206: bool = False
    hang: float = 0.0


@dataclass
class Zenodo:
    """A record's API and its files."""

    files: dict[str, bytes]
    answers: deque[Answer] = field(default_factory=deque)
    """For the next requests of files, in order; afterwards the last of them stays if ``stuck``."""
    record_answers: deque[tuple[int, bytes]] = field(default_factory=deque)
    stuck: bool = False
    checksums: dict[str, str] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    ranges: list[str | None] = field(default_factory=list)
    """Range headers of the requests for files."""
    sent: int = 0
    """Bytes of files that went out."""
    records_asked: int = 0
    url: str = ""

    def next_answer(self) -> Answer:
        if not self.answers:
            return Answer()
        return self.answers[0] if self.stuck else self.answers.popleft()

    def record(self) -> dict[str, object]:
        return {
            "files": [
                {
                    "key": key,
                    "size": self.sizes.get(key, len(content)),
                    "checksum": self.checksums.get(key, f"md5:{hashlib.md5(content).hexdigest()}"),
                    "links": {"self": f"{self.url}/content/{key}"},
                }
                for key, content in self.files.items()
            ]
        }

    @property
    def api(self) -> str:
        return f"{self.url}/api/records"

    def remote(self, key: str = KEY) -> RemoteFile:
        digest = hashlib.md5(self.files[key]).hexdigest()
        return RemoteFile(key, f"{self.url}/content/{key}", len(self.files[key]), f"md5:{digest}")


class Handler(BaseHTTPRequestHandler):
    zenodo: Zenodo

    def log_message(self, *_: object) -> None: ...

    def do_GET(self) -> None:
        _, kind, *rest = self.path.split("/")
        if kind == "api":
            self._record()
        else:
            self._file(rest[0])

    def _record(self) -> None:
        self.zenodo.records_asked += 1
        status, body = 200, json.dumps(self.zenodo.record()).encode()
        if self.zenodo.record_answers:
            status, body = self.zenodo.record_answers.popleft()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _file(self, key: str) -> None:
        answer = self.zenodo.next_answer()
        asked = self.headers.get("Range")
        self.zenodo.ranges.append(asked)
        content = self.zenodo.files[key]
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and answer.ranges else 0
        if answer.status or start >= len(content):
            self.send_response(answer.status or 416)
            if answer.retry_after:
                self.send_header("Retry-After", answer.retry_after)
            self.end_headers()
            return
        begin = start + answer.shift if start else 0
        body = content[begin:] + answer.extra
        self.send_response(206 if start or answer.unasked_206 else 200)
        if start:
            self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
        if answer.length:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        body = body[: answer.cut_at]
        self.zenodo.sent += len(body)  # before: who has the last byte may look at once
        self.wfile.write(body)
        self.wfile.flush()
        if answer.hang:
            time.sleep(answer.hang)
        if answer.reset:
            at_once = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)


@contextmanager
def serving():
    """A server that holds two files, on this machine alone."""
    held = Zenodo({KEY: CONTENT, BOX: CONTENT[::-1]})
    handler = type("Bound", (Handler,), {"zenodo": held})
    with (
        ThreadingHTTPServer(("127.0.0.1", 0), handler) as server,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("no_proxy", "*")
        held.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield held
        finally:
            server.shutdown()
            thread.join()


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())
