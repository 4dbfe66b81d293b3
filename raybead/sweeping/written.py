"""What a job says of a key, as written and with values of a trial set."""

from __future__ import annotations

import copy
import functools
import typing
from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from raybead.config.job import Job
from raybead.config.raw import set_key, value_at


def changed(raw: Mapping[str, Any], values: Mapping[str, Any], *, origin: str) -> dict[str, Any]:
    """A job file, as read, with dotted keys set and without ``[sweep]``.

    Raises:
        JobError: a key has no place in it; the line begins with ``origin``.
    """
    out = copy.deepcopy({key: value for key, value in raw.items() if key != "sweep"})
    # A table before what is set in it.
    for key in sorted(values, key=lambda key: key.count(".")):
        set_key(out, key, copy.deepcopy(values[key]), origin=f"{origin}: {key}")
    return out


def value_of(raw: Mapping[str, Any], key: str) -> tuple[bool, Any]:
    """Whether a job has a dotted key, and its value: as written, else by preset or default.

    A section that can't be says nothing but what is written.
    """
    written, value = value_at(raw, key)
    section = key.partition(".")[0]
    if written or section not in Job.model_fields:
        return written, value
    try:
        whole = section_of(raw, section)
    except (ValidationError, KeyError):
        return False, None
    return value_at({section: _adapter(section).dump_python(whole, mode="json")}, key)


def section_of(raw: Mapping[str, Any], section: str) -> Any:
    """A section by itself, of a job file as read.

    Raises:
        ValidationError: it can't be.
        KeyError: it isn't there, and has no default.
    """
    if section in raw:
        return _adapter(section).validate_python(raw[section])
    field = Job.model_fields[section]
    if field.is_required():
        raise KeyError(section)
    return field.get_default()


@functools.cache
def _adapter(section: str) -> TypeAdapter[Any]:
    return TypeAdapter(typing.get_type_hints(Job, include_extras=True)[section])
