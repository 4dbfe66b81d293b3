"""Object stores answer with errors for a while, or break off: what was asked is asked again.

The libraries below try again by themselves, each in its own way and for some seconds. Here is the
one place that says for how long a job goes on hoping, whichever the store.
"""

from __future__ import annotations

import functools
import io
import logging
import random
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from fsspec import AbstractFileSystem

PATIENCE = 120.0
"""Seconds after which no further try is begun."""
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 15.0
"""Seconds between tries: doubled each time, and scattered so that workers don't come together."""
SAID_AFTER = 10.0
"""Seconds of trying after which the log says so, once."""

PASSING_STATUS = {408, 425, 429, 500, 502, 503, 504}
PASSING_CODES = {
    "InternalError", "OperationAborted", "RequestTimeout", "ServiceUnavailable", "SlowDown",
    "Throttling", "ThrottlingException", "TooManyRequests",
}  # fmt: skip
PASSING_KINDS = {
    "ClientConnectionError", "ClientPayloadError", "ConnectionError", "HTTPClientError",
    "IncompleteRead", "ProtocolError", "ResponseParserError", "ServiceRequestError",
    "ServiceResponseError",
}  # fmt: skip
"""Of libraries of stores, by name: they needn't be installed. Connections that broke."""
LASTING_KINDS = {"SSLError", "ClientConnectorCertificateError"}
"""Kinds of these that are no other the next time."""

log = logging.getLogger(__name__)
T = TypeVar("T")


class StoreTimeoutError(OSError):
    """A store that didn't answer in time; its text says for how long it was asked."""


def is_passing(error: BaseException) -> bool:
    """Whether an error of a store may be gone when it is asked again."""
    if isinstance(error, FileNotFoundError | PermissionError | FileExistsError):
        return False
    return any(_is_passing(one) for one in _causes(error))


def _causes(error: BaseException) -> Iterator[BaseException]:
    # Libraries hand on a general error, and what it came of with it.
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        yield one
        one = one.__cause__ or one.__context__


def _is_passing(error: BaseException) -> bool:
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if kinds & LASTING_KINDS:
        return False
    if isinstance(error, ConnectionError | TimeoutError) or kinds & PASSING_KINDS:
        return True
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        code = response.get("Error", {}).get("Code")
        return status in PASSING_STATUS or code in PASSING_CODES
    said = (getattr(error, name, None) for name in ("status", "status_code", "code"))
    return any(isinstance(status, int) and status in PASSING_STATUS for status in said)


def patiently(ask: Callable[[], T], what: str, done: type[Exception] | None = None) -> T | None:
    """What ``ask`` returns, asked again where it fails in a way that passes.

    Args:
        ask: does the same however often it is called.
        what: is asked for, for the log.
        done: the error that says, from the second time on, that the first did it after all, though
            its answer got lost; None is returned.

    Raises:
        StoreTimeoutError: it failed for longer than :data:`PATIENCE`.
        Exception: what can't pass, at once.
    """
    started, tries, said = time.monotonic(), 0, False
    while True:
        try:
            return ask()
        except Exception as error:
            if done is not None and tries and isinstance(error, done):
                return None
            if not is_passing(error):
                raise
            tries += 1
            waited = time.monotonic() - started
            reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
            if waited >= PATIENCE:
                raise StoreTimeoutError(
                    f"{reason} (asked again and again for {waited:.0f} s)"
                ) from error
            if waited >= SAID_AFTER and not said:
                said = True
                log.warning("%s: %s; asking again for up to %.0f s", what, reason, PATIENCE)
        pause = min(FIRST_PAUSE * 2 ** (tries - 1), LONGEST_PAUSE)
        time.sleep(pause * random.uniform(0.5, 1.0))


REPEATED: dict[str, type[Exception] | None] = {
    "info": None, "ls": None, "listdir": None, "find": None, "glob": None,
    "cat_file": None, "pipe_file": None, "cp_file": None, "copy": None, "makedirs": None,
    "mkdir": FileExistsError, "rm_file": FileNotFoundError, "rm": FileNotFoundError,
}  # fmt: skip
"""What is asked again, and the error that then says that it was done the first time."""


class PatientStore:
    """A file system of fsspec that is asked :func:`patiently`.

    Its files are read in parts that are asked for again each by itself, and written whole when
    they are closed.
    """

    def __init__(self, store: AbstractFileSystem) -> None:
        self._store = store

    def __reduce__(self) -> tuple[Any, ...]:
        return PatientStore, (self._store,)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PatientStore) and self._store == other._store

    def __hash__(self) -> int:
        return hash(self._store)

    def __getattr__(self, name: str) -> Any:
        held = getattr(self._store, name)
        if name not in REPEATED:
            return held

        @functools.wraps(held)
        def asked(*arguments: Any, **options: Any) -> Any:
            what = f"{name} {arguments[0] if arguments else ''}"
            return patiently(lambda: held(*arguments, **options), what, REPEATED[name])

        return asked

    # fsspec's own take any error for a no, and files would be passed over.
    def exists(self, path: str) -> bool:
        return self._kind(path) is not None

    def isdir(self, path: str) -> bool:
        return self._kind(path) == "directory"

    def isfile(self, path: str) -> bool:
        return self._kind(path) == "file"

    def _kind(self, path: str) -> str | None:
        try:
            return self.info(path)["type"]
        except FileNotFoundError:
            return None

    def open(self, path: str, mode: str = "rb", **options: Any) -> Any:
        match mode:
            case "rb":
                file = patiently(lambda: self._store.open(path, mode, **options), f"open {path}")
                return PatientReader(file, path)
            case "wb":
                return WholeWriter(self, path)
            case _:
                return self._store.open(path, mode, **options)


class PatientReader(io.RawIOBase):
    """A file of a store, open for reading."""

    def __init__(self, file: Any, path: str) -> None:
        super().__init__()
        self._file, self._path = file, path
        self.fault: Exception | None = None
        """Why it couldn't be read. Readers of formats take it for damage to the file."""

    def read(self, size: int | None = -1, /) -> bytes:
        at = self._file.tell()

        def part() -> bytes:
            self._file.seek(at)
            return self._file.read(-1 if size is None else size)

        try:
            return patiently(part, f"read {self._path}") or b""
        except Exception as error:
            self.fault = error
            raise

    def readinto(self, buffer: Any, /) -> int:
        room = memoryview(buffer).cast("B")
        content = self.read(len(room))
        room[: len(content)] = content
        return len(content)

    def readall(self) -> bytes:
        return self.read()

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


class WholeWriter(io.BytesIO):
    """A file that is put into a store when it is closed; nothing is, where its writing failed."""

    def __init__(self, store: PatientStore, path: str) -> None:
        super().__init__()
        self._store, self._path = store, path

    def close(self) -> None:
        if not self.closed:
            content = self.getvalue()
            super().close()
            self._store.pipe_file(self._path, content)

    def discard(self) -> None:
        """Close it, and put nothing into the store."""
        super().close()

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if kind is not None:
            self.discard()
        super().__exit__(kind, error, trace)

    def __del__(self) -> None:
        self.discard()  # nobody closed it: it isn't whole
