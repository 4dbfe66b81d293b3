"""Rows of BEAD's event CSV to particles: text to cells, cells to events.

Both steps take all rows of a text at once; :func:`fault_of` looks at a single row, cell by cell,
for the words of an error.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import count

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from raybead.events.particles import GivenJets, offsets_of

# Axes: E events (rows), C cells of all rows, J jets, T particles of all rows; H the cells
# (weight, met, met phi, number of jets), P the cells (pid, pt, eta, phi).

NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
AROUND = b" \t\r"
"""What may stand around a number, or around the quotes about it."""
LARGEST = float(np.finfo(np.float32).max)
LARGEST_PID = float(np.iinfo(np.int32).max)


@dataclass(frozen=True)
class Cells:
    """Numbers of E rows; row e owns ``first[e]:end[e]``, less the padding behind its last."""

    values: NDArray[np.float64]
    """[C] NaN where a cell is empty or no number"""
    first: NDArray[np.int64]
    """[E]"""
    end: NDArray[np.int64]
    """[E]"""

    def of_rows(self, keep: NDArray[np.bool_]) -> Cells:
        """The rows where ``keep`` [E] is true."""
        return Cells(self.values, self.first[keep], self.end[keep])


@dataclass(frozen=True)
class Rows:
    """What E rows say, in the order of the rows, their jets and their particles."""

    head_EH: NDArray[np.float64]
    """weight, met, met phi, number of jets"""
    jets: GivenJets
    particles_TP: NDArray[np.float64]
    """pid, pT, eta, phi; phi as it is written"""

    @property
    def offsets(self) -> NDArray[np.int64]:
        """[E + 1] of the particles."""
        return self.jets.constituents[self.jets.offsets]

    def without_padding(self) -> Rows:
        """Less particles of pT 0, as which some writers fill up their jets."""
        present = self.particles_TP[:, 1] > 0
        if present.all():
            return self
        kept = offsets_of(present.astype(np.int64))[self.jets.constituents]
        return Rows(
            self.head_EH, replace(self.jets, constituents=kept), self.particles_TP[present]
        )


def read_cells(text: bytes) -> Cells:
    """Cells of lines that each are an event, the last one ended by a newline as the others.

    A number comes out as Python's ``float`` of its text.
    """
    if b"\r" in text:  # otherwise all last cells would have something around them
        text = text.replace(b"\r\n", b"\n")
    data = np.frombuffer(text, np.uint8)
    ends_C = np.flatnonzero((data == ord(",")) | (data == ord("\n")))
    rows_end = np.flatnonzero(data[ends_C] == ord("\n")) + 1
    starts_C = np.concatenate([[0], ends_C[:-1] + 1])
    if any(sign in text for sign in (b" ", b"\t", b"\r", b'"')):
        starts_C, ends_C = _trimmed(data, starts_C, ends_C)
        filled = ends_C > starts_C
        edges = np.zeros(len(data), np.int8)
        edges[starts_C[filled]] = 1
        edges[ends_C[filled]] = -1
        packed = data[np.cumsum(edges, dtype=np.int8).view(np.bool_)].tobytes()
    else:
        filled = ends_C > starts_C
        packed = text.translate(None, b",\n")
    offsets = offsets_of(ends_C - starts_C)
    values = _numbers(packed, offsets, filled)
    # Empty cells behind a row's last one are padding.
    last_filled = np.flatnonzero(filled)
    first = np.concatenate([[0], rows_end[:-1]])
    end = last_filled[np.searchsorted(last_filled, rows_end) - 1] + 1
    return Cells(values, first, end)


def _trimmed(
    data: NDArray[np.uint8], starts: NDArray[np.int64], ends: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Cells without what stands around them, and without quotes about the whole."""
    around = np.isin(np.arange(256), list(AROUND))

    def strip() -> None:
        for at, edge, step in ((starts, 0, 1), (ends, -1, -1)):
            todo = np.flatnonzero(starts < ends)
            while len(todo):
                todo = todo[around[data[at[todo] + edge]]]
                at[todo] += step
                todo = todo[starts[todo] < ends[todo]]

    starts, ends = starts.copy(), ends.copy()
    strip()
    quoted = np.flatnonzero(ends - starts >= 2)
    quoted = quoted[(data[starts[quoted]] == ord('"')) & (data[ends[quoted] - 1] == ord('"'))]
    starts[quoted] += 1
    ends[quoted] -= 1
    strip()
    return starts, ends


def _numbers(
    packed: bytes, offsets: NDArray[np.int64], filled: NDArray[np.bool_]
) -> NDArray[np.float64]:
    masked = None if filled.all() else pa.py_buffer(np.packbits(filled, bitorder="little"))
    buffers = [masked, pa.py_buffer(offsets), pa.py_buffer(packed)]
    cells = pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(filled), buffers)
    try:
        numbers = cells.cast(pa.float64())
    except pa.ArrowInvalid:
        is_number = pc.match_substring_regex(  # pyright: ignore[reportAttributeAccessIssue]
            cells, NUMBER
        )
        kept = pc.if_else(is_number, cells, None)  # pyright: ignore[reportAttributeAccessIssue]
        numbers = kept.cast(pa.float64())
    return numbers.to_numpy(zero_copy_only=False)


def read_rows(cells: Cells, max_abs_eta: float) -> tuple[NDArray[np.bool_], Rows | None]:
    """Which rows can be events, and what they say if all can.

    Args:
        cells: of E rows.
        max_abs_eta: pseudorapidity that no particle with pT exceeds.

    Returns:
        Which of the rows can be events [E], and what they say; None if one of them can't.
    """
    values = cells.values
    good = np.ones(len(cells.first), dtype=bool)
    unread = np.flatnonzero(~(np.abs(values) <= LARGEST))  # NaN too
    if len(unread):
        good &= np.searchsorted(unread, cells.first) == np.searchsorted(unread, cells.end)
    offsets, starts_J, sizes_J = _walk(cells, good)
    constituents = offsets_of(sizes_J)
    at_T = np.repeat(starts_J + 2 - 4 * constituents[:-1], sizes_J)
    at_T += 4 * np.arange(constituents[-1])
    particles_TP = values[at_T[:, None] + np.arange(4)]
    pid, pt, eta = particles_TP[:, 0], particles_TP[:, 1], particles_TP[:, 2]
    can_be = (pid == np.rint(pid)) & (np.abs(pid) <= LARGEST_PID) & (pt >= 0)
    can_be &= (np.abs(eta) <= max_abs_eta) | (pt == 0)
    if not can_be.all():
        rows_J = np.repeat(np.arange(len(good)), np.diff(offsets))
        good[np.repeat(rows_J, sizes_J)[~can_be]] = False
    head_EH = values[np.minimum(cells.first[:, None] + np.arange(4), max(len(values) - 1, 0))]
    good &= ~(head_EH[:, 1] < 0)
    if not good.all():
        return good, None
    jets = GivenJets(offsets, constituents, btag=values[starts_J + 1].astype(np.float32))
    return good, Rows(head_EH, jets, particles_TP)


def _walk(
    cells: Cells, good: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Jets [E + 1] of each row, each one's first cell [J] and particles [J].

    One step a jet: the first jets of all rows, then the second ones. ``good`` [E] becomes false
    where the jets and the cells of a row don't go together; such a row has no jets.
    """
    values, last = cells.values, max(len(cells.values) - 1, 0)
    n_jets = _counts(values[np.minimum(cells.first + 3, last)], (cells.end - cells.first - 4) // 2)
    good &= n_jets >= 0
    cursor = cells.first + 4
    going = np.flatnonzero(good)
    steps = []
    for jet in count(1):
        going = going[n_jets[going] >= jet]
        if not len(going):
            break
        at = cursor[going]
        sizes = _counts(values[np.minimum(at, last)], (cells.end[going] - at - 2) // 4)
        fits = sizes >= 0
        good[going[~fits]] = False
        going, at, sizes = going[fits], at[fits], sizes[fits]
        cursor[going] = at + 2 + 4 * sizes
        steps.append((going, at, sizes))
    good &= cursor == cells.end
    none = np.empty(0, np.int64)
    rows, starts, sizes = (
        np.concatenate([none, *(step[part] for step in steps)]) for part in range(3)
    )
    order = np.argsort(rows, kind="stable")
    order = order[good[rows[order]]]
    return offsets_of(np.where(good, n_jets, 0)), starts[order], sizes[order]


def _counts(values: NDArray[np.float64], most: NDArray[np.int64]) -> NDArray[np.int64]:
    """Whole numbers from 0 to ``most``; -1 for others."""
    fits = (values >= 0) & (values <= most) & (values == np.rint(values))
    return np.where(fits, values, -1).astype(np.int64)


def fault_of(line: bytes, max_abs_eta: float) -> str:
    """Why a row that :func:`read_rows` doesn't take can't be an event."""
    cells = [_bare(cell) for cell in line.split(b",")]
    while cells and not cells[-1]:
        cells.pop()
    for number, cell in enumerate(cells, start=1):
        if not cell:
            return f"cell {number} is empty"
        if not re.match(NUMBER.encode(), cell):
            shown = cell[:40].decode(errors="replace")
            if cell.lower().lstrip(b"+-") in (b"nan", b"inf", b"infinity"):
                return f"cell {number}: NaN or infinity"
            return f"cell {number}: {shown!r} is no number"
        if abs(float(cell)) > LARGEST:
            return f"cell {number}: {cell[:40].decode()} is beyond single precision"
    values = [float(cell) for cell in cells]
    if len(values) < 4:
        return f"cut short: {len(values)} cells, before the number of jets"
    if values[1] < 0:
        return f"cell 2: negative missing momentum, {values[1]:g}"
    n_jets, cursor = values[3], 4
    if n_jets < 0 or n_jets % 1:
        return f"cell 4: {n_jets:g} is no number of jets"
    jet = 0
    while jet < n_jets:
        jet += 1
        which = f"jet {jet} of {n_jets:.0f}"
        if len(values) < cursor + 2:
            return f"cut short: its {len(values)} cells end before {which}"
        size = values[cursor]
        if size < 0 or size % 1:
            return f"cell {cursor + 1}: {size:g} is no number of particles"
        cursor += 2
        if len(values) < cursor + 4 * size:
            return f"cut short: its {len(values)} cells end within {which}"
        for at in range(cursor, cursor + 4 * int(size), 4):
            fault = _particle_fault(values[at : at + 4], max_abs_eta)
            if fault:
                return f"cell {at + 1}: {fault}"
        cursor += 4 * int(size)
    return f"{len(values) - cursor} more cells than its {n_jets:.0f} jets have"


def _particle_fault(particle: list[float], max_abs_eta: float) -> str | None:
    pid, pt, eta, _ = particle
    if pid % 1 or abs(pid) > LARGEST_PID:
        return f"{pid:g} is no particle's number"
    if pt < 0:
        return f"negative pT, {pt:g}"
    if pt > 0 and abs(eta) > max_abs_eta:
        return f"|eta| beyond {max_abs_eta:g}"
    return None


def _bare(cell: bytes) -> bytes:
    cell = cell.strip(AROUND)
    if len(cell) >= 2 and cell.startswith(b'"') and cell.endswith(b'"'):
        cell = cell[1:-1].strip(AROUND)
    return cell
