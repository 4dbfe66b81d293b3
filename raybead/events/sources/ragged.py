"""Columns of lists as numpy offsets, and how they are found and taken from Arrow.

Axes: E events.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from raybead.errors import InputError
from raybead.events.particles import offsets_of

NAMES_AT_MOST = 30
"""Names of columns that an error line lists."""


@dataclass(frozen=True)
class Ragged:
    """A column of E events: flat values, and the offsets of the lists around them."""

    name: str
    """As the job file calls it."""
    values: NDArray[Any]
    offsets: tuple[NDArray[np.int64], ...]
    """[groups + 1] each, outermost first; none where an event has one value"""
    null: NDArray[np.bool_]
    """[E] events with a null anywhere in this column"""

    def __len__(self) -> int:
        return len(self.null)

    @property
    def bounds(self) -> NDArray[np.int64]:
        """[E + 1] offsets of the events' values, whatever the lists between."""
        bounds = np.arange(len(self) + 1)
        for level in self.offsets:
            bounds = level[bounds]
        return bounds

    def any_of(self, hit: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """[E] whether an event has any value that ``hit``, one a value, is true of."""
        if not hit.any():
            return np.zeros(len(self), dtype=bool)
        event = np.repeat(np.arange(len(self)), np.diff(self.bounds))
        return np.bincount(event[hit], minlength=len(self)) > 0

    def select(self, keep: NDArray[np.bool_]) -> Ragged:
        """The events where ``keep`` [E] is true."""
        if keep.all():
            return self
        offsets, kept = [], keep
        for level in self.offsets:
            counts = np.diff(level)
            offsets.append(offsets_of(counts[kept]))
            kept = np.repeat(kept, counts)
        return Ragged(self.name, self.values[kept], tuple(offsets), self.null[keep])

    @classmethod
    def joined(cls, parts: Sequence[Ragged]) -> Ragged:
        """Parts of one column, one behind another."""
        if len(parts) == 1:
            return parts[0]
        levels = zip(*(part.offsets for part in parts), strict=True)
        return cls(
            parts[0].name,
            np.concatenate([part.values for part in parts]),
            tuple(offsets_of(np.concatenate([np.diff(x) for x in level])) for level in levels),
            np.concatenate([part.null for part in parts]),
        )


@dataclass(frozen=True)
class Shape:
    """What a column holds an event."""

    name: str
    depth: int
    """Lists around each value."""
    numbers: bool
    """Whether the values are numbers (or truth values)."""
    said: str
    """The type in words."""


def shape_of(name: str, kind: pa.DataType, steps: Sequence[str] = ()) -> Shape:
    """The shape of the column that ``steps`` lead to, from struct to struct."""
    steps, depth = list(steps), 0
    while True:
        kind = _bare(kind)
        if _is_list(kind):
            kind, depth = kind.value_type, depth + 1
        elif pa.types.is_struct(kind) and steps:
            kind = kind.field(steps.pop(0)).type
        else:
            break
    numbers = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
    if pa.types.is_struct(kind):
        inside = "structs of " + ", ".join(field.name for field in kind)
    else:
        inside = "numbers" if numbers else f"{kind} values"
    said = {
        0: f"of {inside}, one an event",
        1: f"of lists of {inside}",
        2: f"of lists of lists of {inside}",
    }.get(depth, f"of lists in {depth} levels of {inside}")
    return Shape(name, depth, numbers, said)


def ragged_of(
    name: str, array: Any, steps: Sequence[str] = (), unknown: float | None = None
) -> Ragged:
    """The column that ``steps`` lead to in an Arrow array [E], from struct to struct.

    Args:
        name: the column's, for errors.
        array: of any nesting of lists and structs around numbers.
        steps: fields of structs, outermost first.
        unknown: what stands for a value that is null; such an event counts as null if not given.
    """
    null = np.zeros(len(array), dtype=bool)
    steps, offsets = list(steps), []
    while True:
        if isinstance(array, pa.ExtensionArray):
            array = array.storage
        if isinstance(array, pa.DictionaryArray):
            array = array.dictionary_decode()
        if isinstance(array, (pa.ListViewArray, pa.LargeListViewArray)):
            array = array.cast(pa.large_list(array.type.value_field))
        if unknown is not None and not pa.types.is_nested(array.type):
            array = array.fill_null(pa.scalar(unknown).cast(array.type))
        if array.null_count:
            hit = np.flatnonzero(array.is_null().to_numpy(zero_copy_only=False))
            for level in reversed(offsets):
                hit = np.searchsorted(level, hit, side="right") - 1
            null[hit] = True
        if isinstance(array, (pa.ListArray, pa.LargeListArray)):
            level = array.offsets.to_numpy().astype(np.int64)
            array = array.values.slice(level[0], level[-1] - level[0])
            offsets.append(level - level[0])
        elif isinstance(array, pa.FixedSizeListArray):
            size = array.type.list_size
            offsets.append(np.arange(len(array) + 1) * size)
            array = array.values.slice(array.offset * size, len(array) * size)
        elif isinstance(array, pa.StructArray):
            array = array.field(steps.pop(0))
        else:
            break
    if array.null_count and not pa.types.is_floating(array.type):  # a float's null becomes NaN
        array = array.fill_null(False if pa.types.is_boolean(array.type) else 0)
    return Ragged(name, array.to_numpy(zero_copy_only=False), tuple(offsets), null)


def steps_to(name: str, fields: Sequence[pa.Field]) -> list[str] | None:
    """Fields that a dotted name goes through, outermost first; None where it leads nowhere.

    Lists are passed through, and a field's own name may have dots.
    """
    for field in fields:
        if name == field.name:
            return [field.name]
        if name.startswith(field.name + "."):
            rest = steps_to(name.removeprefix(field.name + "."), _fields_of(field.type))
            if rest is not None:
                return [field.name, *rest]
    return None


def dotted_names(fields: Sequence[pa.Field]) -> list[str]:
    """Dotted names of all columns of values, in their order in a Parquet file."""
    found = []
    for field in fields:
        inner = _fields_of(field.type)
        found += [f"{field.name}.{name}" for name in dotted_names(inner)] or [field.name]
    return found


def missing(uri: str, key: str, name: str, names: Sequence[str]) -> InputError:
    """The error of a column that isn't there, with what may have been meant."""
    lowered: Mapping[str, str] = {known.lower(): known for known in names}
    near = difflib.get_close_matches(name.lower(), lowered, n=1, cutoff=0.0)
    listed = ", ".join(names[:NAMES_AT_MOST])
    more = f" and {len(names) - NAMES_AT_MOST} more" if len(names) > NAMES_AT_MOST else ""
    meant = f"; the nearest is {lowered[near[0]]!r} of {listed}{more}" if near else ""
    return InputError(f"{uri}: no column {name!r} (columns.{key}){meant}")


def _fields_of(kind: pa.DataType) -> list[pa.Field]:
    kind = _bare(kind)
    while _is_list(kind):
        kind = _bare(kind.value_type)
    return list(kind) if pa.types.is_struct(kind) else []


def _bare(kind: Any) -> Any:
    if isinstance(kind, pa.BaseExtensionType):
        return _bare(kind.storage_type)
    return _bare(kind.value_type) if pa.types.is_dictionary(kind) else kind


def _is_list(kind: pa.DataType) -> bool:
    return (
        pa.types.is_list(kind)
        or pa.types.is_large_list(kind)
        or pa.types.is_fixed_size_list(kind)
        or pa.types.is_list_view(kind)
        or pa.types.is_large_list_view(kind)
    )
