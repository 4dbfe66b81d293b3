"""BEAD's event CSV row by row with Python's csv module: the reference of the fast reader."""

from __future__ import annotations

import csv
import gzip
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from raybead.config import BeadCsvSource
from raybead.events import Particles, open_source

LARGEST = (2 - 2**-23) * 2.0**127
"""Of single precision."""


@dataclass(frozen=True)
class SlowEvent:
    row: int
    line: int
    weight: float
    met: float
    met_phi: float
    jets: list[tuple[float, list[tuple[float, float, float, float]]]]
    """b-tag and (pid, pt, eta, phi) of each particle"""


@dataclass(frozen=True)
class SlowFault:
    row: int
    line: int


def slow_read(path: Path, max_abs_eta: float = 6.0) -> Iterator[SlowEvent | SlowFault]:
    """Rows of a file in order: events, and rows that can't be one."""
    opened = gzip.open if path.read_bytes()[:2] == b"\x1f\x8b" else open
    with opened(path, "rt", encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, skipinitialspace=True)
        row = 0
        for cells in reader:
            cells = [cell.strip() for cell in cells]
            if not any(cells) or "evtwt" in cells[0]:
                continue
            try:
                yield slow_event(row, reader.line_num, cells, max_abs_eta)
            except (ValueError, IndexError):
                yield SlowFault(row, reader.line_num)
            row += 1


def slow_event(row: int, line: int, cells: list[str], max_abs_eta: float) -> SlowEvent:
    while not cells[-1]:
        cells = cells[:-1]
    numbers = [float(cell) for cell in cells]
    if any(math.isnan(number) or abs(number) > LARGEST for number in numbers):
        raise ValueError
    if any("_" in cell for cell in cells):
        raise ValueError
    left = iter(numbers)

    def take() -> float:
        try:
            return next(left)
        except StopIteration:
            raise IndexError from None

    def count() -> int:
        number = take()
        if number != int(number) or number < 0:
            raise ValueError
        return int(number)

    weight, met, met_phi = take(), take(), take()
    if met < 0:
        raise ValueError
    jets = []
    for _ in range(count()):
        size, btag = count(), take()
        particles = []
        for _ in range(size):
            pid, pt, eta, phi = take(), take(), take(), take()
            if pid != int(pid) or abs(pid) >= 2**31 or pt < 0 or (pt and abs(eta) > max_abs_eta):
                raise ValueError
            if pt > 0:
                particles.append((pid, pt, eta, wrapped(phi)))
        jets.append((btag, particles))
    if list(left):
        raise ValueError
    return SlowEvent(row, line, weight, met, wrapped(met_phi), jets)


def wrapped(phi: float) -> float:
    return phi if abs(phi) <= math.pi else (phi + math.pi) % (2 * math.pi) - math.pi


def bead(path: Path | str, **more: object) -> BeadCsvSource:
    """A source section for a file."""
    return BeadCsvSource.model_validate({"source": "bead_csv", "path": str(path), **more})


def fast_read(source: BeadCsvSource, rows_per_task: int) -> tuple[list[Particles], int]:
    """All spans, and the number of rows dropped; spans are whole, in order and full."""
    reader = open_source(source)
    spans = reader.spans(rows_per_task)
    last = spans[-1].stop
    assert [span.start for span in spans] == list(range(0, last, rows_per_task))
    assert [span.stop for span in spans] == [*range(rows_per_task, last, rows_per_task), last]
    read = [reader.read(span) for span in spans]
    return [part for part, _ in read], sum(sum(dropped.values()) for _, dropped in read)


def assert_same(parts: list[Particles], events: list[SlowEvent]) -> None:
    """Every number of every event, bit for bit."""

    def same(name: str, values: list, dtype: type) -> None:
        fast = np.concatenate([getattr(part, name) for part in parts])
        assert fast.dtype == dtype, name
        slow = np.array(values, dtype=np.float64).astype(dtype)
        assert fast.tobytes() == slow.tobytes(), name

    same("event", [event.row for event in events], np.int64)
    same("weight", [event.weight for event in events], np.float64)
    same("met", [event.met for event in events], np.float32)
    same("met_phi", [event.met_phi for event in events], np.float32)
    flat = [particle for event in events for _, jet in event.jets for particle in jet]
    for place, name in enumerate(("pid", "pt", "eta", "phi")):
        kind = np.int32 if name == "pid" else np.float64
        same(name, [particle[place] for particle in flat], kind)
    jets, btags, sizes, totals = [], [], [], []
    for part in parts:
        assert part.jets is not None
        assert part.jets.btag is not None
        assert part.jets.btag.dtype == np.float32
        assert part.jets.constituents[-1] == part.offsets[-1] == len(part.pt)
        jets += np.diff(part.jets.offsets).tolist()
        btags += part.jets.btag.tolist()
        sizes += np.diff(part.jets.constituents).tolist()
        totals += np.diff(part.offsets).tolist()
    assert jets == [len(event.jets) for event in events]
    assert btags == [float(np.float32(btag)) for event in events for btag, _ in event.jets]
    assert sizes == [len(jet) for event in events for _, jet in event.jets]
    assert totals == [sum(len(jet) for _, jet in event.jets) for event in events]
