"""LHC Olympics 2020 files: HDF5 that pandas wrote, read by row range.

Two layouts exist, both with 700 x (pT, eta, phi) a row, zero padded, and a truth bit as column
2101 where there is one. *Fixed*: a 2-d array ``<key>/block0_values``. *Table*: records
``<key>/table`` with fields ``values_block_<i>``. A file of 2100 columns has no label.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import h5py
import hdf5plugin  # noqa: F401  registers the Blosc filter that these files are packed with
import numpy as np
from numpy.typing import NDArray

from raybead.config import LhcoSource
from raybead.errors import DamagedError, InputError
from raybead.events.lhco_file import MAX_PARTICLES, N_COLUMNS
from raybead.events.particles import Particles, offsets_of, wrap_phi
from raybead.events.span import Span, even_spans
from raybead.storage import absolute, fingerprint, open_input

SHOWN = 4
"""Datasets, or fields of one, that an error names."""


@dataclass(frozen=True)
class Layout:
    """Where in a file the numbers lie."""

    values: str
    """HDF5 path of the dataset that holds the particles."""
    values_field: str | None
    """Field of its records; None for a plain array."""
    n_rows: int
    n_columns: int
    label: str | None = None
    """HDF5 path of a separate label dataset; None where the label is a last column or absent."""
    label_field: str | None = None


class LhcoReader:
    """Reads row ranges of one LHC Olympics file."""

    def __init__(self, config: LhcoSource) -> None:
        self.config = config
        (path,) = config.paths
        self.uri = absolute(path)

    def spans(self, rows_per_task: int) -> list[Span]:
        with _open(self.uri) as file:
            layout = find_layout(file, self.uri)
        if self.config.start >= layout.n_rows:
            raise InputError(
                f"{self.uri}: start = {self.config.start}, but the file has {layout.n_rows} rows"
            )
        if self.config.stop is not None and self.config.stop > layout.n_rows:
            raise InputError(
                f"{self.uri}: stop = {self.config.stop}, but the file has {layout.n_rows} rows"
            )
        if self.config.labels is not None:
            self._master_key(layout.n_rows)
        stop = layout.n_rows if self.config.stop is None else self.config.stop
        return even_spans(self.config.start, stop, rows_per_task)

    def read(self, span: Span) -> tuple[Particles, Mapping[str, int]]:
        start, stop = span.start, span.stop
        with _open(self.uri) as file:
            layout = find_layout(file, self.uri)
            rows, label = _read_rows(file, layout, self.uri, start, stop)
        good = self._good_rows(rows, start)
        truth = None
        if self.config.truth is not None:
            truth = np.full(int(good.sum()), self.config.truth, np.int8)
        elif self.config.labels is not None:
            truth = self._master_key(layout.n_rows)[start:stop][good]
        elif label is not None:
            truth = _as_truth(label[good], self.uri, np.arange(start, stop)[good])
        grid_E73 = rows[:, :N_COLUMNS].reshape(-1, MAX_PARTICLES, 3)
        if not good.all():
            grid_E73 = grid_E73[good]
        present_E7 = grid_E73[..., 0] > 0
        picked = np.flatnonzero(present_E7)
        # A row for each quantity: what follows reads them one after another.
        flat_3T = np.ascontiguousarray(grid_E73.reshape(-1, 3)[picked].T)
        particles = Particles(
            event=np.arange(start, stop)[good],
            offsets=offsets_of(present_E7.sum(axis=1)),
            pt=flat_3T[0],
            eta=flat_3T[1],
            phi=wrap_phi(flat_3T[2]),
            truth=truth,
            generator=self.config.generator,
            source=self.uri,
        )
        dropped = (
            {} if self.config.bad_rows == "refuse" else {"unphysical row": int((~good).sum())}
        )
        return particles, dropped

    def depends(self) -> dict[str, object]:
        facts: dict[str, object] = self.config.model_dump(mode="json")
        facts["path"] = self.uri
        facts["fingerprint"] = fingerprint(self.uri)
        if self.config.labels is not None:
            facts["labels"] = absolute(self.config.labels)
            facts["labels_fingerprint"] = fingerprint(self.config.labels)
        return facts

    def _master_key(self, n_rows: int) -> NDArray[np.int8]:
        uri = absolute(self.config.labels or "")
        truth = _read_master_key(uri, fingerprint(uri))
        if len(truth) != n_rows:
            raise InputError(f"{uri}: {len(truth)} labels for the {n_rows} events of {self.uri}")
        return truth

    def _good_rows(self, rows: NDArray[np.float64], start: int) -> NDArray[np.bool_]:
        values = rows[:, :N_COLUMNS]
        pt, eta = values[:, 0::3], values[:, 1::3]
        # Whole-array minima answer for almost every file; the row-wise look is for the rest.
        if (
            np.isfinite(values.sum())
            and pt.min() >= 0
            and max(eta.max(), -eta.min()) <= self.config.max_abs_eta
        ):
            return np.ones(len(rows), dtype=bool)
        present = pt > 0
        faults = {
            "NaN or infinity": ~np.isfinite(values).all(axis=1),
            "negative pT": (pt < 0).any(axis=1),
            f"|eta| beyond {self.config.max_abs_eta:g}": (
                present & (np.abs(eta) > self.config.max_abs_eta)
            ).any(axis=1),
        }
        bad = np.any(list(faults.values()), axis=0)
        if bad.any() and self.config.bad_rows == "refuse":
            row = int(np.argmax(bad))
            reason = next(reason for reason, hit in faults.items() if np.asarray(hit)[row])
            more = int(bad.sum()) - 1
            rest = f" (and {more} more bad rows up to row {start + len(rows) - 1})" if more else ""
            raise InputError(
                f"{self.uri}: row {start + row}: {reason}{rest};"
                " bad_rows = 'drop' in its [data] section drops and counts such rows"
            )
        return ~bad


def find_layout(file: h5py.File, uri: str) -> Layout:
    """Find the table of 2100 or 2101 columns, whatever its key.

    Raises:
        InputError: there is none, or more than one.
    """
    found: list[Layout] = []
    held: list[str] = []

    def visit(name: str, node: object) -> None:
        if isinstance(node, h5py.Dataset):
            held.append(_in_words(name, node))
            layout = _fixed_layout(name, node) or _table_layout(name, node)
            if layout is not None:
                found.append(layout)

    try:
        file.visititems(visit)
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{uri}: truncated or damaged HDF5: {reason}") from None
    if not found:
        more = f" and {len(held) - SHOWN} more" if len(held) > SHOWN else ""
        raise InputError(
            f"{uri}: no table of {N_COLUMNS} or {N_COLUMNS + 1} columns in it; it holds"
            f" {', '.join(held[:SHOWN]) or 'no data at all'}{more}"
        )
    if len(found) > 1:
        keys = ", ".join(layout.values for layout in found)
        raise InputError(f"{uri}: several tables of events in it: {keys}")
    if found[0].n_rows == 0:
        raise InputError(f"{uri}: its table of events is empty")
    return found[0]


def _in_words(name: str, node: h5py.Dataset) -> str:
    """A dataset's name and shape; of records their fields, too."""
    fields = ", ".join((node.dtype.names or ())[:SHOWN])
    return f"{name!r} {node.shape}" + (f" of records ({fields})" if fields else "")


def _fixed_layout(name: str, node: h5py.Dataset) -> Layout | None:
    if node.ndim != 2 or node.shape[1] not in (N_COLUMNS, N_COLUMNS + 1):
        return None
    label = None
    if node.shape[1] == N_COLUMNS:
        # A label of another type than the particles is a block of its own in the same group.
        siblings: Any = node.parent
        label = next(
            (
                f"{siblings.name}/{key}"
                for key, other in siblings.items()
                if key.startswith("block")
                and key.endswith("_values")
                and isinstance(other, h5py.Dataset)
                and other.shape == (node.shape[0], 1)
            ),
            None,
        )
    return Layout(name, None, node.shape[0], node.shape[1], label=label)


def _table_layout(name: str, node: h5py.Dataset) -> Layout | None:
    fields = node.dtype.fields
    if node.ndim != 1 or fields is None:
        return None
    widths = {key: int(np.prod(kind.shape)) for key, (kind, *_) in fields.items()}
    wide = [key for key, width in widths.items() if width in (N_COLUMNS, N_COLUMNS + 1)]
    if len(wide) != 1:
        return None
    n_columns = widths[wide[0]]
    blocks = [
        key for key, width in widths.items() if key.startswith("values_block_") and width == 1
    ]
    label = blocks[0] if n_columns == N_COLUMNS and len(blocks) == 1 else None
    return Layout(
        name,
        wide[0],
        node.shape[0],
        n_columns,
        label=name if label else None,
        label_field=label,
    )


def _read_rows(
    file: h5py.File, layout: Layout, uri: str, start: int, stop: int
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Rows [stop - start, 2100] and the label column [stop - start] where there is one."""
    held: Any = file  # h5py's types don't say which nodes are datasets
    try:
        part = held[layout.values][start:stop]
        apart = None if layout.label is None else held[layout.label][start:stop]
    except (OSError, RuntimeError) as error:
        raise DamagedError(
            f"{uri}: rows {start} to {stop - 1} can't be read, the file is damaged: {error}"
        ) from None
    if layout.values_field is not None:
        part = part[layout.values_field]
    rows = np.asarray(part, dtype=np.float64).reshape(len(part), -1)
    if apart is not None:
        label = apart if layout.label_field is None else apart[layout.label_field]
        return rows, np.asarray(label, dtype=np.float64).reshape(-1)
    if layout.n_columns > N_COLUMNS:
        return rows[:, :N_COLUMNS], rows[:, N_COLUMNS]
    return rows, None


def _as_truth(label: NDArray[np.float64], uri: str, row: NDArray[np.int64]) -> NDArray[np.int8]:
    odd = ~np.isin(label, np.arange(100))
    if odd.any():
        first = int(np.argmax(odd))
        raise InputError(f"{uri}: row {row[first]}: label {label[first]} is no class number")
    return label.astype(np.int8)


@contextmanager
def _open(uri: str) -> Iterator[h5py.File]:
    with open_input(uri) as stream:
        try:
            # A path is faster than a Python stream, and on a local disk there is one.
            file = h5py.File(uri if "://" not in uri else stream, "r")
        except (OSError, RuntimeError) as error:
            if stream.seek(0, 2) == 0:
                raise InputError(f"{uri}: the file is empty") from None
            stream.seek(0)
            magic = stream.read(8) == b"\x89HDF\r\n\x1a\n"
            reason = f"truncated or damaged HDF5: {error}" if magic else "not an HDF5 file"
            raise InputError(f"{uri}: {reason}") from None
        with file:
            yield file


@lru_cache(maxsize=2)  # every task of a worker needs it
def _read_master_key(uri: str, _version: str) -> NDArray[np.int8]:
    with open_input(uri) as stream:
        lines = stream.read().split()
    try:
        values = np.array(lines, dtype=np.float64) if lines else np.empty(0)
    except ValueError:
        values = np.array([_as_number(line) for line in lines])
    odd = ~np.isin(values, np.arange(100))
    if odd.any():
        line = int(np.argmax(odd))
        text = lines[line][:40].decode(errors="replace")
        raise InputError(f"{uri}: label {line + 1}: {text!r} is no class number")
    return values.astype(np.int8)


def _as_number(text: bytes) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")
