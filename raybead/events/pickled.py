"""Parquet columns that would run code when they are looked at."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa

PICKLED = "ray.data.arrow_pickled_object"
"""Arrow's name of Ray Data's columns of Python objects. Where Ray is loaded, taking a value out of
one unpickles it, which runs whatever the file's author wrote into it."""


def pickled_columns(fields: Iterable[pa.Field]) -> list[str]:
    """Names of the columns that hold such objects, also deep inside."""
    return [field.name for field in fields if any(map(_is_pickled, _kinds(field.type)))]


def _is_pickled(kind: pa.DataType) -> bool:
    return isinstance(kind, pa.BaseExtensionType) and kind.extension_name == PICKLED


def _kinds(kind: pa.DataType) -> Iterator[pa.DataType]:
    yield kind
    if isinstance(kind, pa.BaseExtensionType):
        yield from _kinds(kind.storage_type)
    for place in range(kind.num_fields):
        yield from _kinds(kind.field(place).type)
