"""Files at a path or URI, written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import fsspec
import fsspec.core
import pyarrow.fs
from fsspec import AbstractFileSystem
from fsspec.implementations.local import LocalFileSystem

from raybead.errors import InputError, StorageError
from raybead.storage.retries import PatientReader, PatientStore, patiently


def unfinished(name: str) -> bool:
    """Whether a file of this name is being written, or what a killed process left of one."""
    return re.fullmatch(r"\..+\.[0-9a-f]{8}\.tmp", name) is not None


@dataclass(frozen=True)
class Folder:
    """A folder at a local path or an fsspec URI. Pickles as its address alone."""

    uri: str

    @classmethod
    def at(cls, uri: str) -> Folder:
        """The folder at ``uri``; a local path is made absolute, so workers agree on it."""
        return cls(uri.rstrip("/") if "://" in uri else str(Path(uri).absolute()))

    def __truediv__(self, name: str) -> Folder:
        return Folder(f"{self.uri}/{name}")

    def __str__(self) -> str:
        return self.uri

    @property
    def is_local(self) -> bool:
        return isinstance(self._open()[0], LocalFileSystem)

    def exists(self, name: str = "") -> bool:
        """Whether the folder, or the file ``name`` in it, is there."""
        fs, path = self._open()
        with _telling(f"{self.uri}/{name}"):
            return fs.exists(f"{path}/{name}" if name else path)

    def names(self, ending: str = "") -> list[str]:
        """Sorted names of what lies directly in the folder; none if it isn't there."""
        fs, path = self._open()
        with _telling(self.uri):
            if not fs.exists(path):
                return []
            found = fs.ls(path, detail=False)
        names = (str(entry).rstrip("/").rpartition("/")[2] for entry in found)
        return sorted(name for name in names if name.endswith(ending))

    def files(self) -> dict[str, int]:
        """Bytes of all files below the folder, by their names from here."""
        fs, path = self._open()
        with _telling(self.uri):
            # One listing: asking for each file would be a request each.
            found: Any = fs.find(path, detail=True)
        return {
            str(file).removeprefix(path).lstrip("/"): int(facts["size"] or 0)
            for file, facts in found.items()
        }

    def size(self) -> int:
        """Bytes of all files below the folder."""
        return sum(self.files().values())

    def read(self, name: str) -> bytes:
        """A file's content.

        Raises:
            StorageError: it isn't there or can't be read.
        """
        fs, path = self._open()
        with _telling(f"{self.uri}/{name}"):
            return bytes(fs.cat_file(f"{path}/{name}"))  # type: ignore[arg-type]

    @contextlib.contextmanager
    def opened(self, name: str) -> Iterator[IO[bytes]]:
        """A file open for reading, of which parts can be read without the whole."""
        fs, path = self._open()
        with _telling(f"{self.uri}/{name}"):
            file = fs.open(f"{path}/{name}", "rb")
        with file:
            try:
                yield cast("IO[bytes]", file)
            finally:
                _tell_fault(file, _telling(f"{self.uri}/{name}"))

    def write(self, name: str, content: bytes) -> None:
        """Write a file whole: readers see the old content or the new, never a part.

        Raises:
            StorageError: no room, no permission; nothing is left behind.
        """
        fs, path = self._open()
        target = f"{path}/{name}"
        with _telling(f"{self.uri}/{name}"):
            _make(fs, target.rpartition("/")[0])
            if not isinstance(fs, LocalFileSystem):
                try:
                    fs.pipe_file(target, content)  # an object appears when its upload is complete
                except FileNotFoundError as error:  # there is no bucket to write to
                    raise StorageError(f"{self.uri}/{name}: can't be written: {error}") from None
                return
            parent, _, leaf = target.rpartition("/")
            beside = f"{parent}/.{leaf}.{uuid.uuid4().hex[:8]}.tmp"
            try:
                with open(beside, "wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(beside, target)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(beside)
                raise

    def read_json(self, name: str) -> Any:
        """A JSON file's content."""
        try:
            return json.loads(self.read(name))
        except json.JSONDecodeError as error:
            raise StorageError(f"{self.uri}/{name}: not JSON: {error}") from None

    def write_json(self, name: str, content: Any) -> None:
        """Write JSON, whole; NaN is refused because no other reader takes it."""
        text = json.dumps(content, indent=1, allow_nan=False)
        self.write(name, text.encode())

    def make(self) -> None:
        fs, path = self._open()
        with _telling(self.uri):
            _make(fs, path)

    def remove(self, name: str, *, missing_ok: bool = False) -> None:
        """Remove one file of the folder."""
        fs, path = self._open()
        with _telling(f"{self.uri}/{name}"):
            try:
                fs.rm_file(f"{path}/{name}")
            except FileNotFoundError:
                if not missing_ok:
                    raise

    def delete(self) -> None:
        """Remove the folder and all in it; nothing happens if it isn't there."""
        fs, path = self._open()
        with _telling(self.uri):
            if isinstance(fs, LocalFileSystem):
                if fs.exists(path):
                    fs.rm(path, recursive=True)
                return
            patiently(lambda: _empty(fs, path), f"rm {path}")

    def copy_to(self, target: Folder) -> None:
        """Copy all files of this folder into ``target``, each whole, under the same names."""
        for name in self.files():
            target.write(name, self.read(name))

    def move_to(self, target: Folder) -> None:
        """Put this folder in the place of ``target``.

        One rename on a local disk. An object store copies file by file: there the manifest,
        written afterwards, says that the whole is there.
        """
        fs, path = self._open()
        goal = target._open()[1]
        with _telling(target.uri):
            target.delete()
            _make(fs, goal.rpartition("/")[0])
            if isinstance(fs, LocalFileSystem):
                os.rename(path, goal)
                return
            # File by file: what stores make of folders in a recursive move differs.
            files = [str(file) for file in fs.find(path)]
            for file in files:
                name = file.removeprefix(path).lstrip("/")
                _make(fs, f"{goal}/{name}".rpartition("/")[0])
                fs.cp_file(file, f"{goal}/{name}")
            self.delete()

    def arrow(self) -> tuple[pyarrow.fs.FileSystem, str]:
        """The folder as pyarrow's file systems take it, by the same access as all else."""
        fs, path = self._open()
        return pyarrow.fs.PyFileSystem(pyarrow.fs.FSSpecHandler(fs)), path

    def _open(self) -> tuple[AbstractFileSystem, str]:
        return _filesystem(self.uri, StorageError)


@contextlib.contextmanager
def open_input(uri: str) -> Iterator[IO[bytes]]:
    """An input file at a path or URI, open for reading.

    Raises:
        InputError: it is missing, a folder, or can't be read.
    """
    fs, path = _filesystem(uri, InputError)
    with _reading(uri):
        if not fs.exists(path):
            raise InputError(f"{uri}: no such file")
        if fs.isdir(path):
            raise InputError(f"{uri}: a folder, not a file")
        file = fs.open(path, "rb")
    with file:
        try:
            yield cast("IO[bytes]", file)
        finally:
            _tell_fault(file, _reading(uri))


def found_files(uri: str) -> tuple[bool, list[str]]:
    """The files that a path stands for, in the order of their names.

    Args:
        uri: of a file, a folder (the files directly in it), or a pattern with ``*`` or ``?``.

    Returns:
        Whether it stands for several (a folder or pattern), and the files' absolute URIs.

    Raises:
        InputError: there is none.
    """
    uri = absolute(uri)
    fs, path = _filesystem(uri, InputError)
    with _reading(uri):
        pattern = any(sign in path for sign in "*?[") and not fs.exists(path)
        if not pattern and not fs.isdir(path):
            return False, [uri]
        inside = fs.glob(path) if pattern else fs.ls(path, detail=False)
        files = sorted(str(entry) for entry in inside if fs.isfile(entry))
    # As readers of folders do: hidden files and manifests aren't data.
    files = [file for file in files if file.rpartition("/")[2][0] not in "._"]
    if not files:
        raise InputError(f"{uri}: no file {'matches' if pattern else 'in this folder'}")
    return True, [file if "://" not in uri else str(fs.unstrip_protocol(file)) for file in files]


def fingerprint(uri: str) -> str:
    """A short string that changes when an input file does, without reading it whole.

    Made of its size and of what its storage says of its version: time of change, ETag.
    """
    fs, path = _filesystem(uri, InputError)
    with _reading(uri):
        facts = fs.info(path)
    kept = {
        key: str(facts[key])
        for key in (
            "size",
            "mtime",
            "ETag",
            "etag",
            "md5Hash",
            "crc32c",
            "LastModified",
            "last_modified",
        )
        if key in facts
    }
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:16]


def absolute(uri: str) -> str:
    """A local path made absolute; a URI as it is."""
    return Folder.at(uri).uri


def _filesystem(
    uri: str, fault: type[InputError] | type[StorageError]
) -> tuple[AbstractFileSystem, str]:
    try:
        # Listings aren't remembered: other workers write to the same folders.
        fs, path = fsspec.core.url_to_fs(uri, use_listings_cache=False)
    except (ImportError, ValueError) as error:
        raise fault(f"{uri}: {error}") from None
    if not isinstance(fs, LocalFileSystem):
        fs = cast("AbstractFileSystem", PatientStore(fs))
    return fs, str(path)


BUCKET_STORES = {"s3", "gs", "abfs"}
"""Protocols of stores that know no folders: asked for one, they would make a missing bucket."""


def _make(fs: AbstractFileSystem, path: str) -> None:
    known = {fs.protocol} if isinstance(fs.protocol, str) else set(fs.protocol)
    if not known & BUCKET_STORES:
        fs.makedirs(path, exist_ok=True)


def _tell_fault(file: Any, telling: contextlib.AbstractContextManager[None]) -> None:
    """A store that fails for good isn't a file that is damaged, though who reads it says so."""
    if isinstance(file, PatientReader) and file.fault is not None:
        with telling:
            raise file.fault


def _empty(fs: AbstractFileSystem, path: str) -> None:
    """Remove all below a path of a store, which may leave some of it without a word."""
    if fs.exists(path):
        fs.rm(path, recursive=True)
        if fs.exists(path):
            raise ConnectionError(f"{path}: not all of it was removed")


@contextlib.contextmanager
def _telling(what: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise StorageError(f"{what}: not there") from None
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise StorageError(f"{what}: no space left on the device") from None
        raise StorageError(f"{what}: {error.strerror or error}") from None
    except Exception as error:
        if not _is_of_a_store(error):
            raise
        raise StorageError(f"{what}: {_first_line(error)}") from None


@contextlib.contextmanager
def _reading(uri: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise InputError(f"{uri}: no such file") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{uri}: can't be read: {error}") from None
    except Exception as error:
        if not _is_of_a_store(error):
            raise
        raise InputError(f"{uri}: can't be read: {_first_line(error)}") from None


STORE_LIBRARIES = {"aiohttp", "azure", "botocore", "gcsfs", "google"}
"""Whose errors (no credentials, no connection) aren't all errors of the operating system."""


def _is_of_a_store(error: Exception) -> bool:
    return any(
        kind.__module__.partition(".")[0] in STORE_LIBRARIES for kind in type(error).__mro__
    )


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
