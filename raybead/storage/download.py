"""A file from a web server: whole and right under its name, or not at all.

What came so far lies in ``<name>.part`` beside the target, and the next try, or the next
command, asks the server for the rest alone.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.client import HTTPResponse
from io import FileIO
from pathlib import Path

from raybead.config import Download
from raybead.console import Tick
from raybead.errors import DownloadError, StorageError
from raybead.storage.web import Again, Patience, RangeRefused, answer

CHUNK = 1 << 20
MEGA = 1_000_000
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True)
class RemoteFile:
    """A file that a server holds, and how to know that it is the right one."""

    name: str
    url: str
    size: int
    """Bytes."""
    checksum: str
    """``md5:<hex>``, or another kind that :mod:`hashlib` knows."""


def download(
    file: RemoteFile,
    folder: Path,
    how: Download,
    tick: Tick,
    say: Callable[[str], None],
) -> bool:
    """Fetch a file into a local folder, going on from what an earlier try left.

    Returns:
        True if it was fetched; False if it was there, whole and right.

    Raises:
        DownloadError: the server doesn't give it, or gives another than the record says, or
            another file has its name.
        StorageError: the folder can't be written, or has no room.
    """
    target = folder / file.name
    with _disk(target):
        folder.mkdir(parents=True, exist_ok=True)
        there = target.exists()
    if there:
        fault = _fault(target, file, tick)
        if fault is not None:
            raise DownloadError(
                f"{target}: there already, but {fault}; move it away to have it fetched"
            )
        return False
    with _part_of(target) as part:
        _fill(part, file, how, tick, say)
        part_path = Path(part.name)
        fault = _fault(part_path, file, tick)
        with _disk(part_path):
            if fault is None:
                os.fsync(part.fileno())
                os.replace(part_path, target)
                return True
            part_path.unlink()
    raise DownloadError(f"{file.url}: what came is wrong and was deleted: {fault}")


def size_text(n_bytes: int) -> str:
    """A number of bytes in words: ``2.6 GB``."""
    for size, unit in ((10**9, "GB"), (MEGA, "MB"), (1000, "kB")):
        if n_bytes >= size:
            return f"{n_bytes / size:.1f} {unit}"
    return f"{n_bytes} B"


@contextlib.contextmanager
def _part_of(target: Path) -> Iterator[FileIO]:
    """The part file, open unbuffered and held against other processes; an empty one goes."""
    path = target.with_name(f"{target.name}.part")
    with _disk(path):
        # Opened for reading and writing, made if missing, never emptied: no mode says that.
        part = FileIO(
            path, "r+", opener=lambda name, flags: os.open(name, flags | os.O_CREAT, 0o666)
        )
    with part:
        _hold(part, path)
        try:
            yield part
        finally:
            with contextlib.suppress(OSError):
                if _is_at(part, path) and path.stat().st_size == 0:
                    path.unlink()


def _hold(part: FileIO, path: Path) -> None:
    busy = DownloadError(f"{path}: another process is fetching this file")
    try:
        fcntl.flock(part, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise busy from None
    except OSError:
        pass  # a file system without locks: the checksum still stands between us and a mix
    # The other may have finished between our open and our lock: then this is its whole file.
    if not _is_at(part, path):
        raise busy


def _is_at(part: FileIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(part.fileno()), path.stat())
    except OSError:
        return False


def _fill(
    part: FileIO, file: RemoteFile, how: Download, tick: Tick, say: Callable[[str], None]
) -> None:
    """Fetch until the part has the file's size."""
    patience = Patience(how, file.url, say)
    best = done = _end(part)
    if done > file.size:
        say(f"{part.name}: longer than the file; started over")
        best = done = _end(part, keep=0)
    elif done:
        say(f"{file.name}: {size_text(done)} of {size_text(file.size)} are there from before")
    _refuse_full_disk(part, file.size - done)
    while done < file.size:
        try:
            _stream(part, done, file, how, tick, say)
        except RangeRefused:
            say(f"{file.name}: the server doesn't go on at {done} bytes; started over")
            _end(part, keep=0)
        except Again as fault:
            reached = _end(part)
            # More than ever before is progress. What a server sends again from the start is
            # not, or one that ignores Range and cuts each time would be asked for ever.
            if reached > best:
                best = reached
                patience.refresh()
            patience.spend(fault)
        done = _end(part)


def _stream(
    part: FileIO,
    start: int,
    file: RemoteFile,
    how: Download,
    tick: Tick,
    say: Callable[[str], None],
) -> None:
    """One answer of the server into the part, from ``start`` on."""
    with answer(file.url, how, start) as response:
        _refuse_other_size(response, start, file)
        if start and response.status == 200:
            say(f"{file.name}: the server sends it from the start; started over")
            start = _end(part, keep=0)
        total, done, told = -(-file.size // MEGA), start, -1
        while chunk := response.read1(CHUNK):
            done += len(chunk)
            if done > file.size:
                with _disk(Path(part.name)):
                    part.truncate(0)
                raise DownloadError(
                    f"{file.url}: the server sends more than the {file.size} bytes of the record"
                )
            _write(part, chunk)
            reached = total if done == file.size else done // MEGA
            if reached != told:
                told = reached
                tick(reached, total, "MB")
        if done < file.size:
            raise Again(f"the connection was cut at {done} of {file.size} bytes")


def _refuse_other_size(response: HTTPResponse, start: int, file: RemoteFile) -> None:
    """Refuse, before anything is written, an answer that can't be the rest of the file."""
    match response.status:
        case 200:
            given = response.headers.get("Content-Length")
            size = int(given) if given and given.isdigit() else None
        case 206 if start:
            header = response.headers.get("Content-Range", "")
            found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", header.strip())
            if found is None or int(found[1]) != start:
                raise RangeRefused
            size = None if found[2] == "*" else int(found[2])
        case status:
            raise DownloadError(f"{file.url}: HTTP {status}, which isn't a file")
    if size is not None and size != file.size:
        raise DownloadError(
            f"{file.url}: the server's file has {size} bytes, the record's {file.size}"
        )


def _fault(path: Path, file: RemoteFile, tick: Tick) -> str | None:
    """What is wrong with a file of this name, in words; None if it is the record's."""
    if not path.is_file():
        return "it isn't a file"
    kind, _, expected = file.checksum.partition(":")
    digest = hashlib.new(kind, usedforsecurity=False)
    total, told, done = -(-file.size // MEGA), -1, 0
    with _disk(path), path.open("rb") as content:
        size = path.stat().st_size
        if size != file.size:
            return f"it has {size} bytes, the record's file {file.size}"
        while chunk := content.read(CHUNK):
            digest.update(chunk)
            done += len(chunk)
            reached = total if done == size else done // MEGA
            if reached != told:
                told = reached
                tick(reached, total, "MB checked")
    found = digest.hexdigest()
    if found != expected.lower():
        return f"its {kind} is {found}, the record's {expected.lower()}"
    return None


def _end(part: FileIO, keep: int | None = None) -> int:
    """Go to the end of the part, after cutting it to ``keep`` bytes; how many there are."""
    with _disk(Path(part.name)):
        if keep is not None:
            part.truncate(keep)
        return part.seek(0, os.SEEK_END)


def _write(part: FileIO, chunk: bytes) -> None:
    left = memoryview(chunk)
    with _disk(Path(part.name)):
        while left:
            left = left[part.write(left) :]


def _refuse_full_disk(part: FileIO, needed: int) -> None:
    with _disk(Path(part.name)):
        free = shutil.disk_usage(Path(part.name).parent).free
    if free < needed:
        raise StorageError(
            f"{part.name}: {size_text(needed)} are still to come, and the disk has"
            f" {size_text(free)} free"
        )


@contextlib.contextmanager
def _disk(path: Path) -> Iterator[None]:
    """Say a fault of the local disk as such, so that none passes for one of the network."""
    try:
        yield
    except OSError as error:
        if error.errno in NO_ROOM:
            raise StorageError(f"{path}: no space left on the device; what came is kept") from None
        raise StorageError(f"{path}: {error.strerror or error}") from None
