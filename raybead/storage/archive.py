"""A run as lines of text and back: what brings it here where only a job's log does."""

from __future__ import annotations

import base64
import binascii
import gzip
import hashlib
import io
import json
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from raybead.errors import RunError, StorageError
from raybead.storage.download import size_text
from raybead.storage.fetched import fetched_files, safe_name
from raybead.storage.files import Folder

MOST_FILES = 20_000
"""Of an archive: what a header may add to each is bounded by their number."""
LIMIT = 200 * 2**20
"""Bytes of a run that a log is asked to carry."""
SIGN = "raybead-archive"
"""What every line of an archive begins with; a log may hold others."""
_LINE = 48 * 1024
"""Bytes a line. Ray reads logs by lines, and sends each by itself."""
_BLOCK = 2**20


@dataclass(frozen=True)
class Announced:
    """What an archive says of itself before it comes."""

    files: int
    content: int
    """Bytes of the files together."""
    tar: int
    """Bytes before compression, and with what a tar file adds."""
    packed: int
    sha256: str
    """Of the packed bytes."""


def pack(run: Folder, *, events: bool, limit: int = LIMIT) -> Iterator[str]:
    """A run as lines of text.

    Raises:
        RunError: there is no run, or it is larger than ``limit`` bytes.
    """
    files = fetched_files(run, events=events)
    if (content := sum(files.values())) > limit:
        raise RunError(
            f"{run}: {size_text(content)} are more than a job's log should carry"
            f" ({size_text(limit)}); give output as a URI (s3://..., gs://...)"
        )
    with tempfile.TemporaryFile() as packed:
        tar_bytes = content = 0
        with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=6, mtime=0) as stream:
            counted = _Counted(stream)
            with tarfile.open(fileobj=counted, mode="w|") as tar:  # type: ignore[arg-type]
                for name in sorted(files):
                    member = tarfile.TarInfo(name)
                    data = run.read(name)
                    member.size = len(data)
                    content += len(data)
                    tar.addfile(member, io.BytesIO(data))
            tar_bytes = counted.count
        size, digest = packed.tell(), hashlib.sha256()
        packed.seek(0)
        while block := packed.read(_BLOCK):
            digest.update(block)
        announced = Announced(len(files), content, tar_bytes, size, digest.hexdigest())
        yield f"{SIGN} {json.dumps(asdict(announced))}"
        packed.seek(0)
        number = 0
        while block := packed.read(_LINE):
            yield f"{SIGN} {number} {base64.b64encode(block).decode()}"
            number += 1
        yield f"{SIGN} end"


class Receiver:
    """Takes the lines of an archive, between others, and unpacks what they make.

    They may come from a machine that is somebody else's: nothing is believed that isn't checked.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._announced: Announced | None = None
        self._packed: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  closed by unpack
        self._digest = hashlib.sha256()
        self._size = self._lines = 0
        self._ended = False

    def take(self, line: str) -> bool:
        """Take a line; false if it is none of an archive.

        Raises:
            StorageError: it isn't what has to come next.
        """
        sign, _, said = line.partition(" ")
        if sign != SIGN:
            return False
        if self._announced is None:
            self._announced = _announced(said, self._limit)
        elif said == "end":
            self._ended = True
        else:
            self._add(said)
        return True

    def _add(self, said: str) -> None:
        assert self._announced is not None
        number, _, text = said.partition(" ")
        if self._ended or number != str(self._lines):
            raise StorageError("the archive came garbled: a line is lost, or out of order")
        try:
            block = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            raise StorageError("the archive came garbled: a line isn't base64") from None
        self._lines += 1
        self._size += len(block)
        if self._size > self._announced.packed:
            raise StorageError("the archive is larger than it was said to be")
        self._digest.update(block)
        self._packed.write(block)

    def unpack(self, into: Path) -> Announced:
        """Write the files into an empty folder.

        Raises:
            StorageError: the archive isn't whole, isn't what was announced, or holds what no run
                does (links, devices, absolute paths, ``..``, a name twice).
        """
        with self._packed:
            if self._announced is None or not self._ended:
                raise StorageError("the archive came without its end")
            if self._digest.hexdigest() != self._announced.sha256:
                raise StorageError("the archive came damaged: its SHA-256 isn't what was said")
            self._packed.seek(0)
            unpack(self._packed, self._announced, into)
            return self._announced


def _announced(said: str, limit: int) -> Announced:
    try:
        facts = json.loads(said)
        announced = Announced(**facts)
        numbers = (announced.files, announced.content, announced.tar, announced.packed)
        whole = all(type(number) is int and number >= 0 for number in numbers)
    except (ValueError, TypeError):
        whole, announced = False, None
    if not whole or announced is None or not isinstance(announced.sha256, str):
        raise StorageError("the archive doesn't say what it is")
    if max(announced.content, announced.packed) > limit:
        raise StorageError(f"the archive is larger than {size_text(limit)}")
    if announced.files > MOST_FILES:
        raise StorageError(f"the archive says it holds more than {MOST_FILES:,} files")
    # A file's header, its padding, and a long name take a few blocks of 512 bytes.
    if announced.tar > announced.content + 8192 * (announced.files + 4):
        raise StorageError("the archive would be far larger than its files")
    return announced


def unpack(packed: IO[bytes], announced: Announced, into: Path) -> None:
    """Write a packed run's files into an empty folder; see :meth:`Receiver.unpack`."""
    with tempfile.TemporaryFile() as plain:
        try:
            with gzip.GzipFile(fileobj=packed) as stream:
                size = 0
                # What was announced bounds what comes out, however little went in.
                while block := stream.read(min(_BLOCK, announced.tar - size + 1)):
                    size += len(block)
                    if size > announced.tar:
                        raise StorageError("the archive is larger than it was said to be")
                    plain.write(block)
            plain.seek(0)
            with tarfile.open(fileobj=plain, mode="r:") as tar:
                _write_members(tar, announced, into)
        except (tarfile.TarError, zlib.error, EOFError, OSError, ValueError) as error:
            raise StorageError(f"the archive can't be unpacked: {error}") from None


def _write_members(tar: tarfile.TarFile, announced: Announced, into: Path) -> None:
    seen: set[str] = set()
    content = 0
    for member in tar:
        if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or member.issparse():
            raise StorageError(f"the archive holds {member.name!r}, which is no plain file")
        name = safe_name(member.name)
        if name.casefold() in seen:  # one file, where a disk doesn't tell cases apart
            raise StorageError(f"the archive holds {name!r} twice")
        seen.add(name.casefold())
        content += member.size
        if content > announced.content or len(seen) > announced.files:
            raise StorageError("the archive holds more than it was said to")
        if hasattr(tarfile, "data_filter"):  # Python's own checks; from 3.11.4 on
            tarfile.data_filter(member, str(into))
        source = tar.extractfile(member)
        assert source is not None  # it is a plain file
        target = into / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with source, target.open("xb") as file:
            shutil.copyfileobj(source, file)
    if (len(seen), content) != (announced.files, announced.content):
        raise StorageError("the archive holds less than it was said to")


class _Counted:
    """A stream that counts what is written to it."""

    def __init__(self, stream: IO[bytes] | gzip.GzipFile) -> None:
        self._stream, self.count = stream, 0

    def write(self, data: bytes) -> int:
        self.count += len(data)
        return self._stream.write(data)
