"""Writing the LHC Olympics layout: pandas' fixed format, Blosc-packed."""

from __future__ import annotations

import contextlib
import errno
import os
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import h5py
import hdf5plugin
import numpy as np
from numpy.typing import NDArray

from raybead.errors import StorageError
from raybead.events.particles import Particles

Labels = Literal["column", "masterkey", "none"]

MAX_PARTICLES = 700
N_COLUMNS = 3 * MAX_PARTICLES
ROWS_A_CHUNK = 7
"""As pandas cuts a table of this width."""


def as_rows(particles: Particles) -> NDArray[np.float64]:
    """[E, 2100] zero-padded (pT, eta, phi); particles beyond 700 an event, the last, are cut."""
    counts = np.diff(particles.offsets)
    event = np.repeat(np.arange(len(particles)), counts)
    slot = np.arange(len(event)) - np.repeat(particles.offsets[:-1], counts)
    fits = slot < MAX_PARTICLES
    rows = np.zeros((len(particles), MAX_PARTICLES, 3))
    for axis, column in enumerate((particles.pt, particles.eta, particles.phi)):
        rows[event[fits], slot[fits], axis] = column[fits]
    return rows.reshape(len(particles), N_COLUMNS)


def write_lhco(path: Path, parts: Iterable[Particles], n_events: int, labels: Labels) -> None:
    """Write events as an LHC Olympics file, whole or not at all.

    Args:
        path: HDF5 file; a master key goes beside it, its name ending in ``.masterkey``.
        parts: events in order, with truth unless ``labels`` is ``none``.
        n_events: in all parts together.
        labels: ``column``: a 2101st column; ``masterkey``: a text file; ``none``: nowhere.

    Raises:
        StorageError: the file can't be written; nothing is left behind.
    """
    n_columns = N_COLUMNS + (labels == "column")
    beside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    key = beside.with_name(beside.name + ".masterkey")
    truth: list[NDArray[np.int8]] = []
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with h5py.File(beside, "w") as file:
            values = _pandas_frame(file, n_events, n_columns)
            start = 0
            for part in parts:
                stop = start + len(part)
                values[start:stop, :N_COLUMNS] = as_rows(part)
                if labels != "none":
                    assert part.truth is not None
                    truth.append(part.truth)
                    if labels == "column":
                        values[start:stop, N_COLUMNS] = part.truth
                start = stop
            assert start == n_events
        if labels == "masterkey":
            key.write_text("".join(f"{label:.1f}\n" for label in np.concatenate(truth)))
            os.replace(key, path.with_suffix(".masterkey"))
        os.replace(beside, path)
    except OSError as error:
        full = error.errno == errno.ENOSPC or "No space left" in str(error)
        reason = "no space left on the device" if full else (error.strerror or str(error))
        raise StorageError(f"{path}: {reason}") from None
    finally:
        for leftover in (beside, key):
            with contextlib.suppress(OSError):
                leftover.unlink(missing_ok=True)


def _pandas_frame(file: h5py.File, n_rows: int, n_columns: int) -> h5py.Dataset:
    """The groups and attributes by which ``pandas.read_hdf`` knows a frame of one block."""
    file.attrs.update(_text(CLASS="GROUP", PYTABLES_FORMAT_VERSION="2.1", TITLE="", VERSION="1.0"))
    frame = file.create_group("df")
    frame.attrs.update(
        _text(
            CLASS="GROUP",
            TITLE="",
            VERSION="1.0",
            pandas_type="frame",
            encoding="UTF-8",
            errors="strict",
            axis0_variety="regular",
            axis1_variety="regular",
            block0_items_variety="regular",
        )
    )
    frame.attrs["ndim"], frame.attrs["nblocks"] = 2, 1
    packed = hdf5plugin.Blosc(cname="lz4", clevel=9, shuffle=hdf5plugin.Blosc.SHUFFLE)
    for name, n in (("axis0", n_columns), ("axis1", n_rows), ("block0_items", n_columns)):
        index = frame.create_dataset(name, data=np.arange(n), compression=packed)
        index.attrs.update(
            _text(CLASS="CARRAY", TITLE="", VERSION="1.1", kind="integer", name="N.")
        )
        index.attrs["transposed"] = np.uint8(1)
    values = frame.create_dataset(
        "block0_values",
        (n_rows, n_columns),
        dtype=np.float64,
        chunks=(min(ROWS_A_CHUNK, n_rows), n_columns),
        compression=packed,
    )
    values.attrs.update(_text(CLASS="CARRAY", TITLE="", VERSION="1.1"))
    values.attrs["transposed"] = np.uint8(1)
    return values


def _text(**attributes: str) -> dict[str, np.bytes_]:
    return {name: np.bytes_(value) for name, value in attributes.items()}
