"""Why a file isn't a job: one line for a person, from what pydantic says."""

from __future__ import annotations

import difflib
import re
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails


def first_fault(
    error: ValidationError, raw: Mapping[str, Any], model: type[BaseModel]
) -> tuple[str, bool]:
    """What to mend first.

    Args:
        error: why a file isn't a ``model``.
        raw: the file.

    Returns:
        One line, and whether it is about a key that no file has.
    """
    # A typo often causes a second complaint (its right name is missing): say the typo first.
    faults = sorted(error.errors(), key=lambda fault: fault["type"] != "extra_forbidden")
    fault = faults[0]
    written = list(_written_path(fault["loc"], raw))
    key = ".".join(written)
    if fault["type"] == "extra_forbidden":
        # A dotted part is a key of a table of keys, whose tables all hold the same; a number is a
        # place in an array, whose tables do, too.
        plain = ".".join(part for part in written if "." not in part and not part.isdigit())
        near = nearest_key(plain, model)
        if near == plain:
            return f"key {key!r} doesn't go with this kind of {key.rpartition('.')[0]}", False
        if near and any("." in part for part in written):
            near = ".".join([*written[:-1], near.rpartition(".")[2]])
        return f"unknown key {key!r}" + (f"; did you mean {near!r}?" if near else ""), True
    return _said(fault, key), False


def _said(fault: ErrorDetails, key: str) -> str:
    if fault["type"] == "missing":
        return f"key {key!r} is missing"
    message = fault["msg"].removeprefix("Value error, ")
    context = fault.get("ctx", {})
    if fault["type"] == "union_tag_invalid":
        known = str(context["expected_tags"]).replace("'", "").split(", ")
        tag = str(context["tag"])
        near = difflib.get_close_matches(tag, known, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        discriminator = str(context["discriminator"]).strip("'")
        return f"{key}.{discriminator} = {tag!r} is none of {', '.join(known)}{hint}"
    given = fault["input"]
    shown = "" if isinstance(given, dict) else f" (got {given!r})"
    return f"{key}: {message}{shown}" if key else message


def _written_path(loc: Sequence[str | int], raw: Any) -> Iterator[str]:
    # pydantic puts a union's tag into the location; the file has no such level. A dotted key may
    # be written as tables in tables.
    for depth, part in enumerate(loc):
        inside = isinstance(raw, dict) and part in raw
        inside = inside or (isinstance(raw, list) and isinstance(part, int) and part < len(raw))
        if inside:
            raw = raw[part]  # type: ignore[index]
            yield str(part)
        elif depth == len(loc) - 1 or re.fullmatch(r"\w+(\.\w+)+", str(part)):
            yield str(part)


def nearest_key(key: str, model: type[BaseModel]) -> str | None:
    """A key of ``model`` that may have been meant; the key itself where there is one."""
    # Which of an array's tables it is in doesn't matter for what it may be called.
    key = ".".join(part for part in key.split(".") if not part.isdigit())
    section, _, leaf = key.rpartition(".")
    known = set(_known_keys(model))
    siblings = {name.rpartition(".")[2] for name in known if name.rpartition(".")[0] == section}
    near = difflib.get_close_matches(leaf, siblings, n=1, cutoff=0.7)
    if near:
        return f"{section}.{near[0]}" if section else near[0]
    moved = sorted(name for name in known if name.rpartition(".")[2] == leaf)
    elsewhere = difflib.get_close_matches(key, sorted(known), n=1, cutoff=0.6)
    return (moved or elsewhere or [None])[0]


def _known_keys(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield prefix + name
        for inner in _models_in(field.annotation):
            yield from _known_keys(inner, f"{prefix}{name}.")


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in typing.get_args(annotation):
        yield from _models_in(argument)
