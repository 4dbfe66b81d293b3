"""A sample: the events of all sources of a role, one behind another.

Files of folders and patterns are found here, and events get their position in the whole.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

from raybead.config import BeadCsvSource, FileSource, LhcoSource, PythiaSource, Source
from raybead.errors import InputError
from raybead.events.sources import open_source
from raybead.events.sources.bead_csv import told_by_name
from raybead.events.span import Span
from raybead.storage import absolute, found_files, open_input

Role = Literal["background", "search"]

ROWS_A_TASK = 2000
FILES_AT_MOST = 256
ROWS_AT_MOST = 10_000
"""Bounds of an automatic cut: a task's memory, and a sample's number of Parquet files."""


DIGESTED_AT_MOST = 8 << 30
"""Bytes of a sample's files up to which each is read once more, for its digest."""


@dataclass(frozen=True)
class Piece:
    """A span of one of a sample's sources."""

    source: Source
    span: Span
    offset: int
    """Position in the sample of the source's row 0."""

    @property
    def start(self) -> int:
        """Position in the sample of the first event."""
        return self.offset + self.span.start

    @property
    def stop(self) -> int:
        return self.offset + self.span.stop


@dataclass(frozen=True)
class EventSample:
    """Sources of single files or generators, in order."""

    sources: tuple[Source, ...]

    @classmethod
    def of(cls, configs: Sequence[Source], role: Role) -> EventSample:
        """The sample of a role, with folders and patterns resolved.

        Raises:
            InputError: a path or pattern that nothing is found at.
        """
        return cls(tuple(source for config in configs for source in _files(config, role)))

    def depends(self) -> list[dict[str, object]]:
        """What the events follow from."""
        return [open_source(source).depends() for source in self.sources]

    def pieces(self, rows_per_task: int | Literal["auto"]) -> list[tuple[Piece, ...]]:
        """Work for one task each: pieces of consecutive events, small files together.

        Raises:
            InputError: a source that isn't what it should be.
        """
        opened = [open_source(source) for source in self.sources]
        if rows_per_task == "auto":
            step = ROWS_A_TASK
            spans = [source.spans(step) for source in opened]
            rows = sum(len(span) for of_source in spans for span in of_source)
            if rows > ROWS_A_TASK * FILES_AT_MOST:
                step = min(ROWS_AT_MOST, -(-rows // FILES_AT_MOST))
                spans = [source.spans(step) for source in opened]
        else:
            step = rows_per_task
            spans = [source.spans(step) for source in opened]
        pieces, offset = [], 0
        for source, of_source in zip(self.sources, spans, strict=True):
            pieces += [Piece(source, span, offset) for span in of_source]
            offset += of_source[-1].stop if of_source else 0
        if not pieces:
            raise InputError(f"{', '.join(_named(source) for source in self.sources)}: no events")
        return list(_grouped(pieces, step))

    def inputs(self, stopped: Callable[[], bool] = lambda: False) -> list[dict[str, object]]:
        """Every file that is read: its path, bytes and SHA-256.

        The digest is None of files that are together too large to be read for it alone, and of
        those that can't be read, with the reason as ``unread``: nothing but this record needs it.

        Args:
            stopped: whether nobody waits for it any more; digests that are missing then are None.
        """
        sizes: dict[str, int | None] = {}
        unread: dict[str, str] = {}
        for source in self.sources:
            if not isinstance(source, FileSource):
                continue
            labels = source.labels if isinstance(source, LhcoSource) else None
            for path in map(absolute, (*source.paths, *([] if labels is None else [labels]))):
                if path not in sizes:
                    sizes[path] = None
                    with _noted(path, unread), open_input(path) as stream:
                        sizes[path] = stream.seek(0, 2)
        few = sum(size or 0 for size in sizes.values()) <= DIGESTED_AT_MOST
        found: list[dict[str, object]] = []
        for path, size in sizes.items():
            digest = None
            if few and path not in unread:
                with _noted(path, unread):
                    digest = digest_of(path, "sha256", stopped)
            why = {"unread": unread[path]} if path in unread else {}
            found.append({"path": path, "bytes": size, "sha256": digest, **why})
        return found

    @contextlib.contextmanager
    def inputs_meanwhile(self) -> Iterator[Callable[[], list[dict[str, object]]]]:
        """Files are read for :meth:`inputs` while the block works, which may wait for them.

        Where the block fails, nothing waits for them.
        """
        over = threading.Event()
        aside = ThreadPoolExecutor(1, "digests")
        try:
            yield aside.submit(self.inputs, over.is_set).result
        except BaseException:
            over.set()  # a process that ends waits for its threads, too
            aside.shutdown(wait=False, cancel_futures=True)
            raise
        aside.shutdown()


def _grouped(pieces: list[Piece], step: int) -> Iterator[tuple[Piece, ...]]:
    group: list[Piece] = []
    for piece in pieces:
        # A generator's slices are work enough each.
        alone = isinstance(piece.source, PythiaSource)
        if group and (alone or sum(len(p.span) for p in group) + len(piece.span) > step):
            yield tuple(group)
            group = []
        group.append(piece)
    if group:
        yield tuple(group)


def _files(config: Source, role: Role) -> Iterator[Source]:
    if isinstance(config, PythiaSource):
        yield config
        return
    found = []
    for path in config.paths:
        several, files = found_files(path)
        for file in files:
            by_name = isinstance(config, BeadCsvSource) and config.names == "bead"
            told = told_by_name(file) if by_name else None
            if told is None and by_name and several:
                raise InputError(
                    f"{file}: its name doesn't begin with bkg_train, bkg_test or sig_test, which"
                    f" say what a file of {path} is for; names = 'free' takes all of them"
                )
            if told is None:
                found.append(config.model_copy(update={"path": file}))
            elif not several or (
                told.role == role and (config.truth is None or config.truth == told.truth)
            ):
                known = {
                    "truth": told.truth if config.truth is None else config.truth,
                    "generator": told.generator if config.generator is None else config.generator,
                }
                found.append(config.model_copy(update={"path": file, **known}))
    if not found:
        raise InputError(f"{', '.join(config.paths)}: no file whose name says {role}")
    if isinstance(config, LhcoSource) and len(found) > 1:
        for key in ("labels", "stop", "start"):
            if getattr(config, key):
                raise InputError(
                    f"{', '.join(config.paths)}: {key} goes with a single file, not {len(found)}"
                )
    yield from found


def _named(source: Source) -> str:
    return ", ".join(source.paths) if isinstance(source, FileSource) else source.source


@contextlib.contextmanager
def _noted(path: str, unread: dict[str, str]) -> Iterator[None]:
    """A file that can't be read is noted, in one line."""
    try:
        yield
    except Exception as error:  # noqa: BLE001  whatever a store's reader trips over
        unread[path] = (str(error).strip().splitlines() or [type(error).__name__])[0]


def digest_of(
    path: str, kind: str = "blake2b", stopped: Callable[[], bool] = lambda: False
) -> str | None:
    """The digest of a file's content; None where nobody waits for it any more."""
    content = hashlib.new(kind)
    with open_input(path) as stream:
        while part := stream.read(1 << 22):
            if stopped():
                return None
            content.update(part)
    return content.hexdigest()
