"""BEAD's event CSV: text of an event a row, ragged or padded, plain or gzip.

Headers may come first, again, or not at all; they and rows of nothing but empty cells are no
events. A span is a range of bytes, so a task reads its own part alone. Of a gzip file it is a
range of the text within, and a task unpacks what lies before: large files are better plain.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import IO, Literal, cast

import numpy as np
from numpy.typing import NDArray

from raybead.config import BeadCsvSource
from raybead.errors import DamagedError, InputError
from raybead.events.particles import Particles, wrap_phi
from raybead.events.sources.bead_rows import fault_of, read_cells, read_rows
from raybead.events.span import Span, even_spans
from raybead.storage import absolute, fingerprint, open_input

BLOCK = 1 << 22
"""Bytes read at a time where a file is only looked over."""
LONGEST_LINE = 1 << 26
HEADER = b"evtwt"
BOM = b"\xef\xbb\xbf"
# What text may hold; the last two are form feed and the end-of-file mark of old systems.
TEXT = bytes(range(0x20, 0x100)) + b"\t\r\n\x0c\x1a"
STARTS_A_NUMBER = np.isin(np.arange(256), list(b"0123456789.+-"))


class BeadCsvReader:
    """Reads spans of one file of BEAD's event CSV."""

    def __init__(self, config: BeadCsvSource) -> None:
        self.config = config
        (path,) = config.paths
        self.uri = absolute(path)

    def spans(self, rows_per_task: int) -> list[Span]:
        begins: list[int] = []
        rows = end = 0
        for offset, block in self._blocks():
            starts, _ = event_lines(block)
            begins += (offset + starts[-rows % rows_per_task :: rows_per_task]).tolist()
            rows += len(starts)
            end = offset + len(block)
        if not rows:
            raise InputError(f"{self.uri}: no events in it")
        places = zip(begins, [*begins[1:], end], strict=True)
        return [
            replace(span, place=place)
            for span, place in zip(even_spans(0, rows, rows_per_task), places, strict=True)
        ]

    def read(self, span: Span) -> tuple[Particles, Mapping[str, int]]:
        if span.place is None:
            raise ValueError(f"{span} doesn't say where in the file it lies")
        start, stop = span.place
        with _open_text(self.uri) as stream:
            stream.seek(start)
            block = stream.read(stop - start)
        starts, ends = event_lines(block)
        if len(starts) != len(span):
            raise InputError(
                f"{self.uri}: {len(starts)} events where rows {span.start} to {span.stop - 1}"
                " were: the file has changed"
            )
        cells = read_cells(_only(block, starts, ends))
        good, rows = read_rows(cells, self.config.max_abs_eta)
        if rows is None and self.config.bad_rows == "refuse":
            row = int(np.argmin(good))
            raise InputError(
                f"{self.uri}: row {span.start + row} (line {self._line(start + starts[row])}):"
                f" {fault_of(block[starts[row] : ends[row]], self.config.max_abs_eta)}"
                f"{_rest(int((~good).sum()) - 1, span.stop - 1)};"
                " bad_rows = 'drop' in its [data] section drops and counts such rows"
            )
        if rows is None:
            _, rows = read_rows(cells.of_rows(good), self.config.max_abs_eta)
        if rows is None:
            raise AssertionError(f"{self.uri}: good rows of {span} are bad at the second look")
        rows = rows.without_padding()
        weight, met, met_phi, _ = rows.head_EH.T
        pid, pt, eta, phi = rows.particles_TP.T
        truth = self.config.truth
        particles = Particles(
            event=np.arange(span.start, span.stop)[good],
            offsets=rows.offsets,
            pt=pt.copy(),
            eta=eta.copy(),
            phi=wrap_phi(phi),
            pid=pid.astype(np.int32),
            truth=None if truth is None else np.full(len(rows.head_EH), truth, np.int8),
            weight=weight.copy(),
            met=met.astype(np.float32),
            met_phi=wrap_phi(met_phi).astype(np.float32),
            jets=rows.jets,
            generator=self.config.generator,
            source=self.uri,
        )
        dropped = (
            {} if self.config.bad_rows == "refuse" else {"unphysical row": int((~good).sum())}
        )
        return particles, dropped

    def depends(self) -> dict[str, object]:
        return {
            **self.config.model_dump(mode="json"),
            "path": self.uri,
            "fingerprint": fingerprint(self.uri),
        }

    def _blocks(self) -> Iterator[tuple[int, bytes]]:
        """Whole lines, some at a time, and where they begin.

        Raises:
            InputError: it isn't lines of text.
        """
        offset, rest = 0, b""
        with _open_text(self.uri) as stream:
            while part := stream.read(BLOCK):
                if offset == 0 and part[: 1 << 16].translate(None, TEXT):
                    raise InputError(f"{self.uri}: binary, not a text file")
                block = rest + part
                cut = block.rfind(b"\n") + 1
                if len(block) - cut > LONGEST_LINE:
                    raise InputError(f"{self.uri}: a line of more than {LONGEST_LINE} bytes")
                if cut:
                    yield offset, block[:cut]
                offset, rest = offset + cut, block[cut:]
        if b"\r" in rest.rstrip(b"\r\n"):
            raise InputError(f"{self.uri}: its lines end in carriage returns alone")
        if rest:
            yield offset, rest

    def _line(self, place: int) -> int:
        """Number of the line, from 1, that a byte lies in."""
        before = 0
        with _open_text(self.uri) as stream:
            while place > 0:
                part = stream.read(min(place, BLOCK))
                before += part.count(b"\n")
                place -= len(part)
        return before + 1


def event_lines(block: bytes) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where the lines that are events begin and end, without their newlines.

    Args:
        block: whole lines; the last one may lack its newline.
    """
    data = np.frombuffer(block, np.uint8)
    ends = np.flatnonzero(data == ord("\n"))
    if block and not block.endswith(b"\n"):
        ends = np.append(ends, len(block))
    starts = np.concatenate([[0], ends + 1])[: len(ends)]
    keep = STARTS_A_NUMBER[data[starts]]
    for line in np.flatnonzero(~keep):
        text = block[starts[line] : ends[line]]
        if text.startswith(BOM):
            starts[line] += len(BOM)
            text = text.removeprefix(BOM)
        is_header = HEADER in text.partition(b",")[0].lower()
        keep[line] = not is_header and bool(text.strip(b', \t\r"'))
    return starts[keep], ends[keep]


def _only(block: bytes, starts: NDArray[np.int64], ends: NDArray[np.int64]) -> bytes:
    """The lines that are events, each ended by a newline."""
    nothing_between = len(block) - ends[-1] <= 1 and starts[0] == 0
    if nothing_between and (starts[1:] == ends[:-1] + 1).all():
        return block if block.endswith(b"\n") else block + b"\n"
    lines = (block[start:end] for start, end in zip(starts, ends, strict=True))
    return b"".join(line + b"\n" for line in lines)


def _rest(more: int, last: int) -> str:
    return f" (and {more} more bad rows up to row {last})" if more else ""


@contextmanager
def _open_text(uri: str) -> Iterator[IO[bytes]]:
    with open_input(uri) as stream:
        try:
            packed = stream.read(2) == b"\x1f\x8b"
            stream.seek(0)
            if not packed:
                yield stream
                return
            with gzip.GzipFile(fileobj=stream) as text:
                yield cast("IO[bytes]", text)
        except (EOFError, OSError, zlib.error) as error:
            raise DamagedError(f"{uri}: truncated or damaged: {error}") from None


@dataclass(frozen=True)
class Told:
    """What a file's name says of its events."""

    role: Literal["background", "search"]
    truth: int
    generator: str | None


PREFIXES: tuple[tuple[str, Literal["background", "search"], int], ...] = (
    ("bkg_train", "background", 0),
    ("bkg_test", "search", 0),
    ("sig_test", "search", 1),
)


def told_by_name(path: str) -> Told | None:
    """What a name as BEAD gives them says; None where it says nothing.

    ``bkg_train_<generator>`` trains; ``bkg_test_<generator>`` and ``sig_test_<description>`` are
    searched. What follows the prefix is the generator's label.
    """
    name = path.rpartition("/")[2].removesuffix(".gz").removesuffix(".csv")
    for prefix, role, truth in PREFIXES:
        if name.startswith(prefix):
            return Told(role, truth, name.removeprefix(prefix).strip("_") or None)
    return None
